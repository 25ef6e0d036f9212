"""Labels in a demo: predictions are made through the Service, and what came true is posted with their ids."""

import json
from itertools import cycle
from typing import Any, Final

from hack.demo.kubectl import Kubectl
from hack.demo.stage import must

ROWS: Final = 100
"""Of a request; one id is of 128 rows at most."""
_REQUESTS: Final = 3
"""That are labelled together: enough for one group of `minLabels`."""


class Labels:
    """What became of the rows of one model.

    Args:
        kubectl: asks through the API server's proxy.
        name: of the ModelDeployment.
        rows: to ask about, over and over.
        truths: the class that each turned out to be.

    """

    def __init__(self, kubectl: Kubectl, name: str, rows: list[list[Any]], truths: list[int]) -> None:
        self._kubectl = kubectl
        self._name = name
        parts = range(0, len(rows) - ROWS + 1, ROWS)
        self._parts = cycle([(rows[at : at + ROWS], truths[at : at + ROWS]) for at in parts])
        self.accepted = 0

    def have_ids(self) -> bool:
        """Whether answers have ids yet: pods get their key from a Secret, which may come after them."""
        rows, _ = next(self._parts)
        return bool(self._predicted(rows).get("id"))

    def come(self, *, otherwise: float = 0.0) -> None:
        """Some hundred rows are asked about and labelled.

        Args:
            otherwise: share of the rows whose label is the other of two classes by now.
        """
        for _ in range(_REQUESTS):
            rows, truths = next(self._parts)
            identity = self._predicted(rows).get("id")
            changed = round(otherwise * len(truths))
            labels = [1 - truth for truth in truths[:changed]] + truths[changed:]
            told = self._posted(f"v1/models/{self._name}/feedback", {"id": identity, "label": labels})
            must(told.get("accepted") == len(labels), f"labels were not taken: {told}")
            self.accepted += len(labels)

    def _predicted(self, rows: list[list[Any]]) -> dict[str, Any]:
        data = [value for row in rows for value in row]
        tensor = {"name": "X", "datatype": "FP32", "shape": [len(rows), len(rows[0])], "data": data}
        return self._posted(f"v2/models/{self._name}/infer", {"inputs": [tensor]})

    def _posted(self, path: str, body: Any) -> dict[str, Any]:
        where = f"/api/v1/namespaces/{self._kubectl.namespace}/services/{self._name}:http/proxy/{path}"
        text = self._kubectl.run("create", "--raw", where, "--filename", "-", stdin=json.dumps(body))
        answer: dict[str, Any] = json.loads(text)
        return answer
