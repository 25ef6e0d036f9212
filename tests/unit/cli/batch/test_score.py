"""What `modelway batch score` does where nothing is said."""

import pytest

from modelway.api.monitoring import Drift, Monitoring
from modelway.batch.settings import Settings
from modelway.cli.batch.score import score
from modelway.plan.monitoring.watch import rule_of
from modelway.stats.drift import STANDARD

DEFAULTS = {option.name: option.default for option in score.params}


def test_rows_are_compared_by_the_standard_rule_on_the_command_line_and_in_a_resource():
    """The three are written apart: the command line starts without numpy, and the schema is read by people."""
    assert (DEFAULTS["drift_max_psi"], DEFAULTS["drift_min_rows"]) == (STANDARD.max_psi, STANDARD.min_rows)
    assert Settings("in/", "out/").rule == STANDARD
    assert rule_of(Monitoring()) == STANDARD


@pytest.mark.parametrize(
    ("field", "default"),
    [
        (Drift.model_fields["max_psi"], STANDARD.max_psi),
        (Drift.model_fields["windows"], STANDARD.windows),
        (Monitoring.model_fields["min_rows"], STANDARD.min_rows),
    ],
    ids=["maxPSI", "windows", "minRows"],
)
def test_the_schema_says_so(field, default):
    assert field.description.replace("\n", " ").endswith(f"Defaults to {default}.")
