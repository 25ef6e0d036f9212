"""A model with a story, as a report finds it: windows that were watched, labels, rollouts; and what a page says.

The watch is carried from round to round by the operator's own code, from pods that count as the real server does.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from html.parser import HTMLParser
from typing import Any

import msgspec
import numpy as np
import orjson

from modelway.api.names import pod_selector
from modelway.api.observations import INPUTS, PATH, REFERENCE
from modelway.api.resource import ModelDeployment
from modelway.plan.monitoring.packing import parts
from modelway.plan.monitoring.readings import Layout, PodReading
from modelway.plan.monitoring.rounds import Round, begun, carried
from modelway.plan.monitoring.watch import Watch
from modelway.report.facts import Facts
from modelway.report.html import render
from modelway.report.page import page_of
from modelway.server.feedback_counts import FeedbackCounts
from modelway.server.receipt import BINARY, Prediction, Receipt, class_mark
from modelway.stats.drift_reference import to_record
from support.monitored import Server, collected, layout_of_model, pod, usual_rows
from support.rollouts import STABLE, resource

NOW = datetime.fromisoformat("2026-11-22T12:00:00Z")
WINDOW = timedelta(minutes=5)
USUAL_ANSWERS = {"class:no": 3000, "class:yes": 1000}
SPEC = {
    "model": {"uri": "s3://models/fraud/16/", "version": "16", "trainingTime": "2026-11-01T00:00:00Z"},
    "serving": {"replicas": 2},
}


@cache
def _usual_layout() -> Layout:
    return layout_of_model()


class Model:
    """A model with two pods that is asked, watched and reported.

    Args:
        layout: what inputs are counted by.
        usual: answers of the model's maker.
        monitoring: of the spec.
    """

    def __init__(self, layout: Layout | None = None, *, usual: dict[str, int] | None = None, **monitoring: Any) -> None:
        self.layout = layout or _usual_layout()
        self.usual, self.monitoring = usual, monitoring
        self.rng = np.random.default_rng(1)
        self.labels: FeedbackCounts | None = None
        self.now = NOW
        self.servers = [Server(pod(f"fraud-{n}", STABLE, NOW), self.layout) for n in range(2)]
        self.watch: Watch = begun("model", self._round())

    def window(
        self, rows: int = 1000, *, times: int = 1, answers: dict[str, int] | None = None, **columns: Any
    ) -> None:
        """Windows in which both pods are asked about as many rows, as usual but for some columns (of a row count)."""
        for _ in range(times):
            for one in self.servers:
                usual = usual_rows(self.rng, rows // 2)
                one.ask(usual | {name: make(usual[name]) for name, make in columns.items()})
                one.answers.update(answers or {"class:no": 3 * rows // 8, "class:yes": rows // 8})
            self.now += WINDOW
            self.watch = carried(self.watch, self._round())

    def label(self, hour: int, *, right: int, wrong: int, **slices: str) -> None:
        """Labels of predictions that were made so many hours after NOW."""
        asked = self.monitoring["quality"].get("slices", ())
        known = {one["name"]: tuple(one["values"]) for one in asked}
        self.labels = self.labels or FeedbackCounts(3600.0, ("no", "yes"), known)
        at = NOW + timedelta(hours=hour)
        prediction = Prediction(BINARY, (class_mark("yes"),), (0.9,), class_mark("yes"))
        receipt = Receipt(STABLE, int(at.timestamp()), prediction)
        for label, times in (("yes", right), ("no", wrong)):
            for _ in range(times):
                self.labels.answered([receipt])
                self.labels.add(receipt, 0, (label, None), at.timestamp(), slices)

    def look(self, *, after: timedelta) -> None:
        """A round much later, in which nobody has asked anything."""
        self.now += after
        last = self.watch.last
        self.watch = replace(carried(self.watch, self._round()), last=last)

    def readings(self) -> tuple[PodReading, ...]:
        return self._collected().readings

    def facts(self, *, obj: dict[str, Any] | None = None, **changed: Any) -> Facts:
        """What a report gathers when all can be read."""
        known = Facts(
            resource=parsed(obj or self.object()),
            at=self.now,
            made_by="0.1.0",
            watch=self.watch,
            readings=self.readings(),
            layouts={self.layout.id: self.layout},
            pods=len(self.servers),
        )
        return replace(known, **changed)

    def object(self, **status: Any) -> dict[str, Any]:
        return resource(spec=SPEC | {"monitoring": self.monitoring}, **status)

    def _collected(self) -> Any:
        found = collected(self.now, *self.servers, usual=self.usual)
        if self.labels is None:
            return found
        told = {"format": 1, "window": 3600.0, "keys": 1, **self.labels.told()}
        wire = orjson.loads(msgspec.json.encode(told))
        first, *others = found.readings
        return replace(found, readings=(replace(first, quality=wire), *others))

    def _round(self) -> Round:
        found = self._collected()
        given = parsed(self.object()).spec.monitoring
        assert given is not None
        present = {one.pod.pod.uid for one in self.servers}
        return Round(found, self.now, present, None, given, STABLE, given.quality)


def documents(server: Server, usual: dict[str, int] | None = None) -> dict[str, Any]:
    """What a pod answers, by the path that it is asked at."""
    said = {"format": 1, "epoch": server.epoch, "model": "fraud", "version": "16", "revision": server.pod.revision}
    layout = server.layout
    features = (
        to_record(layout.features)["features"]
        if layout.features is not None
        else [{"name": name, "kind": "numbers"} for name in layout.names]
    )
    counts = [part.tolist() for part in parts(server.inputs, layout.sizes())]
    numbers = {"share": 1.0, "rows": server.rows, "skipped": server.skipped, "refused": server.refused}
    return {
        PATH: said | {"answers": server.answers, "reference": usual or {}, "pairs_before": 0, "pairs": []},
        INPUTS: said | {"layout": layout.id, **numbers, "features": counts},
        REFERENCE: {
            "format": 1,
            "layout": layout.id,
            "learning": layout.features is None,
            "features": features,
            "uncounted": {},
        },
    }


def live(server: Server, **status: Any) -> dict[str, Any]:
    """The pod, as the API server has it."""
    return {
        "metadata": {
            "name": server.pod.pod.name,
            "namespace": "ml",
            "uid": server.pod.pod.uid,
            "creationTimestamp": "2026-11-22T12:00:00Z",
            "labels": pod_selector("fraud", server.pod.revision),
        },
        "status": {"podIP": "10.0.0.1", "conditions": [{"type": "Ready", "status": "True"}], **status},
    }


def parsed(obj: dict[str, Any]) -> ModelDeployment:
    """As the API server would give it."""
    return ModelDeployment.parse(obj | {"metadata": obj["metadata"] | {"uid": "uid-of-fraud"}})


def shown(facts: Facts) -> "Seen":
    """The page of what was gathered, read."""
    return Seen(render(page_of(facts)))


class Seen(HTMLParser):
    """A page as who reads it sees it.

    Attributes:
        html: the page.
        elements: all elements with their attributes, in order.
        sections: text by the id of the section's heading.
        rows: cells of all rows of tables, by the section.
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html = html
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.sections: dict[str, str] = {"": ""}
        self.rows: dict[str, list[list[str]]] = {"": []}
        self._section = ""
        self._in_style = False
        self.feed(html)
        self.close()

    @property
    def text(self) -> str:
        return " ".join(self.sections.values())

    def row(self, section: str, first: str) -> list[str]:
        """The first row of a section that begins with this cell."""
        return next(row for row in self.rows[section] if row and row[0] == first)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._in_style = tag == "style"
        if tag == "section":
            self._section = str(dict(attrs)["aria-labelledby"])
            self.sections[self._section], self.rows[self._section] = "", []
        elif tag == "tr":
            self.rows[self._section].append([])
        elif tag in {"td", "th"}:
            self.rows[self._section][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        if tag == "style":
            self._in_style = False
        if tag in {"table", "section"}:
            self.rows[self._section].append([])

    def handle_data(self, data: str) -> None:
        if self._in_style:
            return
        self.sections[self._section] += " " + " ".join(data.split())
        rows = self.rows[self._section]
        if rows and rows[-1] and data.strip():
            rows[-1][-1] = f"{rows[-1][-1]} {' '.join(data.split())}".strip()
