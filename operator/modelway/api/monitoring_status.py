"""`status.monitoring`: what was found of the model that serves. Figures are rounded, and renewed only when they say
something else; what changes all the time is a metric.
"""

from typing import Annotated, Final, Literal

from pydantic import Field

from modelway.api.base import Model, list_map
from modelway.api.monitoring_quality import QualityStatus
from modelway.api.units import Time

MOST_TOLD: Final = 5
"""Features that are named; the others are counted."""
_Name = Annotated[str, Field(max_length=300)]
_Figure = Annotated[str, Field(max_length=16)]


class SeasonalityStatus(Model):
    """What is known of the rhythm of the week."""

    state: Literal["Learning", "Learnt"]
    """Learning: two weeks of live rows are being counted, and all hours are compared with one and the same. Learnt:
    each hour of the week is compared with what is usual in it."""

    until: Time | None = None
    """When it will be learnt, if there are enough rows until then; absent once it is."""

    features: Annotated[int, Field(ge=0)] = 0
    """Features that have a rhythm: for the others nothing is changed by it."""


class ReferenceStatus(Model):
    """What the live rows are compared with."""

    source: Literal["Model", "Learning", "Learnt"]
    """Model: `modelway.json` has it. Learning: it has none, and live rows are being counted. Learnt: from live rows."""

    features: Annotated[int, Field(ge=0)]
    """Features that are compared; while learning, those that will be."""

    since: Time | None = None
    """When learning began."""

    seasonality: SeasonalityStatus | None = None
    """The rhythm of the week; absent unless it is asked for, and before the first window that it is learnt from."""


class DriftedStatus(Model):
    """A feature, or an output, that has drifted."""

    name: _Name
    """Name of the feature; of the answers `class` or `score`."""

    psi: _Figure
    """Corrected population stability index when it was last told."""


class IssueStatus(Model):
    """Something wrong with an input."""

    name: _Name
    """Name of the feature, or `requests`."""

    kind: Literal["Missing", "Invalid", "OutOfRange", "NewCategory", "Unit", "Refused"]
    """What is wrong; docs/monitoring.md explains each."""


class MonitoringStatus(Model):
    """What was found."""

    reference: ReferenceStatus | None = None
    """What the live rows are compared with; absent until a pod has told it."""

    drifted_features: Annotated[int, Field(ge=0)] = 0
    """How many features have drifted."""

    drifted: Annotated[tuple[DriftedStatus, ...], Field(max_length=5, json_schema_extra=list_map("name"))] = ()
    """Those that have drifted most."""

    predictions: Annotated[tuple[DriftedStatus, ...], Field(max_length=2, json_schema_extra=list_map("name"))] = ()
    """What of the answers has drifted."""

    issues: Annotated[tuple[IssueStatus, ...], Field(max_length=5, json_schema_extra=list_map("name", "kind"))] = ()
    """What is wrong with the inputs."""

    quality: QualityStatus | None = None
    """What labels say of the predictions; absent unless that is asked for."""
