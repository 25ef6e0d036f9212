"""`spec.monitoring.quality` and `status.monitoring.quality`: how good predictions are, by labels that come later.

Read by `plan.monitoring.quality`. `window` and whether it is there at all are part of the revision, for they are told
to the pods; everything else restarts nothing. docs/feedback.md explains it to users.
"""

from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field

from modelway.api.base import Model, Rule, list_map, rules
from modelway.api.names import FEEDBACK_FIELDS
from modelway.api.units import Duration

DEFAULT_QUALITY_WINDOW: Final = "1h"
DEFAULT_MIN_LABELS: Final = 200
DEFAULT_QUALITY_WINDOWS: Final = 2

_FALLING: Final = "['logLoss', 'mae', 'rmse']"
_OF_A_CLASS: Final = "['precision', 'recall', 'f1']"


class Slice(Model):
    """A part of the predictions that is judged by itself, by what is sent with their labels."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                f"!(self.name in {list(FEEDBACK_FIELDS)})",
                "labels have a column of that name already; call it otherwise",
                field=".name",
            ),
            Rule("!('OTHER' in self.values)", "OTHER stands for all that are not named", field=".values"),
        )
    )

    name: Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[A-Za-z_][A-Za-z0-9_.-]*$")]
    """What predictions are told apart by, such as `country`: the name under `slices` of a label, or of a column."""

    values: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=64)], ...],
        Field(min_length=1, max_length=20, json_schema_extra={"x-kubernetes-list-type": "set"}),
    ]
    """Those that are judged, each by itself; all others together are `OTHER`."""

    min: Annotated[float, Field(ge=0, le=1)] | None = None
    """Least that the metric may be for each value. Left out: that of all predictions."""

    max: Annotated[float, Field(ge=0)] | None = None
    """Most that the metric may be for each value. Left out: that of all predictions."""


class Quality(Model):
    """What labels must say of the predictions. Answers carry prediction ids, and labels are posted with these."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                f"!(self.metric in {_FALLING}) ? has(self.min) && !has(self.max) : has(self.max) && !has(self.min)",
                "give min for a metric that should be high (accuracy, precision, recall, f1, auc), and max for one that"
                " should be low (logLoss, mae, rmse)",
            ),
            Rule(
                f"(self.metric in {_OF_A_CLASS}) == has(self.label)",
                "precision, recall and f1 are of one class: name it by label; all other metrics have no label",
                field=".label",
            ),
            Rule(
                f"!has(self.slices) || self.slices.all(slice, self.metric in {_FALLING} ? !has(slice.min)"
                " : !has(slice.max))",
                "give min for a metric that should be high (accuracy, precision, recall, f1), and max for one that"
                " should be low (logLoss, mae, rmse)",
                field=".slices",
            ),
            Rule(
                "!has(self.slices) || size(self.slices) == 0 || self.metric != 'auc'",
                "auc needs hundreds of counts for each slice and window: give another metric, or no slices",
                field=".slices",
            ),
            Rule(
                "!has(self.window) || (duration(self.window) >= duration('10s')"
                " && duration(self.window) <= duration('24h'))",
                "must be from 10s to 24h",
                field=".window",
            ),
            Rule(
                "!has(self.labelDelay) || duration(self.labelDelay).getSeconds()"
                " <= 40 * duration(has(self.window) ? self.window : '1h').getSeconds()",
                "must be at most 40 windows (of 1h where window is left out): predictions are kept for 64; take a"
                " longer window, 24h at most",
                field=".labelDelay",
            ),
        )
    )

    metric: Literal["accuracy", "precision", "recall", "f1", "auc", "logLoss", "mae", "rmse"]
    """What is computed of the labelled predictions."""

    label: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    """The class whose precision, recall or F1 it is."""

    min: Annotated[float, Field(ge=0, le=1)] | None = None
    """Least that the metric may be."""

    max: Annotated[float, Field(ge=0)] | None = None
    """Most that the metric may be."""

    min_labels: Annotated[int, Field(ge=20, le=1_000_000_000)] | None = None
    """Labelled predictions that are judged together at least; windows with fewer are taken together. Defaults to
    200."""

    windows: Annotated[int, Field(ge=1, le=20)] | None = None
    """How many such groups in a row must be beyond the limit, and as many within it end it. Defaults to 2."""

    label_delay: Duration | None = None
    """How long labels are waited for: predictions are judged when they are this old, by labels that came within it. So
    early labels are never compared with late ones. At most 40 windows. Left out: every label counts as soon as it is
    there."""

    slices: Annotated[tuple[Slice, ...], Field(max_length=4, json_schema_extra=list_map("name"))] = ()
    """Parts of the predictions that must be good enough by themselves, where there are `minLabels` of them. Changing
    names or values restarts the pods."""

    window: Duration | None = None
    """How much time of predictions is counted together; labels may come 256 of it later. Changing it restarts the pods.
    Defaults to 1h."""


_Figure = Annotated[str, Field(max_length=24)]


class SliceStatus(Model):
    """A slice that is beyond its limit."""

    name: Annotated[str, Field(max_length=63)]
    """What predictions are told apart by."""

    value: Annotated[str, Field(max_length=64)]
    """Which of them; `OTHER` stands for all that are not named."""

    figure: _Figure
    """The metric when it was last told."""


class QualityStatus(Model):
    """What labels say."""

    metric: Annotated[str, Field(max_length=16)]
    """What was computed."""

    value: _Figure | None = None
    """The metric over the last groups; renewed when it has moved by more than it is uncertain."""

    low: _Figure | None = None
    """End of its 95 % interval."""

    high: _Figure | None = None
    """The other end."""

    estimated_accuracy: _Figure | None = None
    """What the accuracy should be by the model's own probabilities: an estimate, told while there are too few labels.
    It holds where the probabilities are calibrated, and is blind to a change of what the inputs mean."""

    slices: Annotated[tuple[SliceStatus, ...], Field(max_length=5, json_schema_extra=list_map("name", "value"))] = ()
    """Slices that are beyond their limit, five at most."""
