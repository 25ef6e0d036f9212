"""The statistics of a rollout, in numpy alone: is the candidate worse than the stable revision, and how sure is that?

Counts of both arms go into `update`, tick by tick; `judge` says what they show, at error rates that hold however often
one looks; `forecast` says how long it will take. `paired` is the same for shadowed requests, `bins` for the answers'
distribution, `record` keeps evidence over restarts. Imports nothing of modelway's; docs/statistics.md explains it.
"""

from modelway.stats.bins import Shift, most_shifted, tick_of
from modelway.stats.counts import Counts, Tick
from modelway.stats.evidence import Evidence, update
from modelway.stats.forecast import Forecast, Traffic, forecast
from modelway.stats.paired import PairedEvidence, log_sign_test
from modelway.stats.paired import update as update_pairs
from modelway.stats.record import (
    FORMAT,
    RecordError,
    from_paired_record,
    from_record,
    to_paired_record,
    to_record,
)
from modelway.stats.verdicts import Rates, Verdict, judge

__all__ = [
    "FORMAT",
    "Counts",
    "Evidence",
    "Forecast",
    "PairedEvidence",
    "Rates",
    "RecordError",
    "Shift",
    "Tick",
    "Traffic",
    "Verdict",
    "forecast",
    "from_paired_record",
    "from_record",
    "judge",
    "log_sign_test",
    "most_shifted",
    "tick_of",
    "to_paired_record",
    "to_record",
    "update",
    "update_pairs",
]
