"""The HTTP side: the counts, in the documents of the model server, and whether the observer is there."""

from typing import Annotated, Final
from urllib.parse import parse_qsl

import msgspec
from msgspec import Meta

from modelway.api import observations as contract
from modelway.observer.counting import Counting
from modelway.observer.exchange import Unread
from modelway.observer.options import MOST_BYTES, ObserverOptions
from modelway.server import observations, observed_document
from modelway.server.errors import RequestError
from modelway.server.exchange import Answer, HttpRequest

READY: Final = "/ready"
_ASKED_FOR: Final = ("answers", "inputs", "reference")
_WORDS: Final = {
    Unread.NO_ROWS: "requests have nothing at {path}: see observe.requestPath",
    Unread.NO_PREDICTION: "answers have nothing at {path}: see observe.responsePath",
    Unread.NO_COLUMNS: "rows at {path} have no column of single values",
    Unread.NO_JSON: "requests or answers are no JSON",
    Unread.ENCODED: "requests or answers are compressed",
    Unread.TOO_LARGE: f"requests or answers have more than {MOST_BYTES // 1024} KiB, or do not tell their length",
    Unread.CUT: "connections end before the answer does: clients hang up, or the observer is too slow",
    Unread.BUSY: "more comes than the observer has memory for",
}


class Inputs(observed_document.Inputs, frozen=True, kw_only=True):
    """What was asked, as far as it could be read."""

    unread: Annotated[
        dict[str, int], Meta(description="Requests that were not read, by reason; each is one of `skipped`.")
    ]
    trouble: Annotated[
        dict[str, str],
        Meta(
            description="Why most `requests` of late, or most `answers`, could not be read; left out where they could."
        ),
    ]


class App:
    """Answers for one observer.

    Args:
        options: what is told of the model.
        counting: the counts.

    """

    def __init__(self, options: ObserverOptions, counting: Counting) -> None:
        self._options = options
        self._counting = counting

    @property
    def _version(self) -> str | None:
        return self._options.version or self._counting.metadata.version

    def respond(self, request: HttpRequest) -> Answer:
        """Answer at once."""
        if request.method not in {"GET", "HEAD"}:
            return self.refuse(RequestError(405, f"{request.method} is not allowed here", headers={"allow": "GET"}))
        if request.path == READY:
            return Answer(200, b'{"ready":true}')
        if request.path != contract.PATH:
            return self.refuse(RequestError(404, f"there is {READY} and {contract.PATH}?of={'|'.join(_ASKED_FOR)}"))
        asked = dict(parse_qsl(request.query.decode("latin-1"))).get("of", _ASKED_FOR[0])
        if asked not in _ASKED_FOR:
            return self.refuse(RequestError(400, f"of: expected {', '.join(_ASKED_FOR)}, got {asked[:80]!r}"))
        self._counting.settle()
        if asked == "answers":
            return Answer(200, self._answers())
        body = self._inputs() if asked == "inputs" else self._reference()
        return observed_document.packed(body, request.header(b"accept-encoding"))

    def refuse(self, error: RequestError) -> Answer:
        """The answer to what is wrong."""
        return Answer(error.status, msgspec.json.encode({"error": error.message}), headers=error.headers)

    def _answers(self) -> bytes:
        return observations.render(
            self._counting.tally.answers,
            model=self._options.name,
            version=self._version,
            revision=self._options.revision,
            reference=self._counting.metadata.answers or {},
        )

    def _inputs(self) -> bytes:
        counting, options = self._counting, self._options
        told = observed_document.inputs_of(
            counting.tally,
            counting.layout,
            model=options.name,
            version=self._version,
            revision=options.revision,
            share=options.share,
        )
        unread = {str(reason): times for reason, times in counting.unread.items()}
        return msgspec.json.encode(
            Inputs(**msgspec.structs.asdict(told), unread=unread, trouble=self._trouble(counting.in_the_way))
        )

    def _reference(self) -> bytes:
        return observed_document.render_reference(self._counting.layout, self._counting.metadata.reference)

    def _trouble(self, reason: Unread | None) -> dict[str, str]:
        if reason is None:
            return {}
        if reason is Unread.NO_PREDICTION:
            return {"answers": _WORDS[reason].format(path=_named(self._options.response_path))}
        return {"requests": _WORDS[reason].format(path=_named(self._options.request_path))}


def _named(path: str) -> str:
    return path or "the top"
