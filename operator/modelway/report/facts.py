"""What was gathered of one model, and what could not be. Plain, frozen data; made by `cli.report_gather`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from modelway.api.monitoring import Monitoring
from modelway.api.resource import ModelDeployment
from modelway.plan.monitoring.readings import Layout, PodReading
from modelway.plan.monitoring.watch import Watch


@dataclass(frozen=True, slots=True)
class Facts:
    """All that the page is made of.

    Attributes:
        resource: as the API server has it.
        at: when it was asked, UTC.
        made_by: which version of modelway makes the page.
        watch: what the operator remembers of the model that serves; None where that is nothing, or cannot be read.
        readings: what pods have counted since they began; of many pods only of some.
        layouts: what these counts mean, by id.
        pods: how many pods of the revision that serves are ready.
        missing: what could not be learnt, and why; sentences.
    """

    resource: ModelDeployment
    at: datetime
    made_by: str
    watch: Watch | None = None
    readings: tuple[PodReading, ...] = ()
    layouts: Mapping[str, Layout] = field(default_factory=dict)
    pods: int = 0
    missing: tuple[str, ...] = ()

    @property
    def given(self) -> Monitoring:
        """What is to be watched; where nothing is, by what rule it would be."""
        return self.resource.spec.monitoring or Monitoring()

    @property
    def is_hidden(self) -> bool:
        """Whether the page is to tell neither a feature's name nor a border or a category."""
        return self.given.hides
