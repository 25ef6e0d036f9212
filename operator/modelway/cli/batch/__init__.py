"""`modelway batch`: data sets scored, here, in a pod, and on a cluster."""

import click

from modelway.cli.batch.commands import backfill, cancel, logs, run, status
from modelway.cli.batch.resolve import resolve
from modelway.cli.batch.score import score


@click.group()
def batch() -> None:
    """Score whole data sets with the model that serves.

    `score` does it here. `run`, `backfill`, `status`, `logs` and `cancel` are about the batch jobs of a ModelDeployment
    and talk to the cluster through your kubectl.
    """


for _command in (score, resolve, run, backfill, status, logs, cancel):
    batch.add_command(_command)
