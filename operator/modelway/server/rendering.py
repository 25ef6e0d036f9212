"""What becomes of a model's outputs: the answer of a protocol, with a prediction id where labels are wanted."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Final

from modelway.server import v1
from modelway.server.exchange import Answer
from modelway.server.feedback import Feedback
from modelway.server.receipt import HEADER
from modelway.server.tensors import Array, Batch
from modelway.server.wire import Request

Render = Callable[..., Answer]
"""As `wire.Wire.render`: (outputs, request, *, name, version) -> Answer."""
Predicted = tuple[Answer, Mapping[str, Array], Batch]
"""An answer, the model's outputs, and what was asked."""

_WITHOUT_IDS: Final = frozenset({v1.render, v1.render_as_mlflow})
"""Protocols whose answers have no place for an id."""


def rendering(
    render: Render, *, name: str, version: str | None, feedback: Feedback | None
) -> Callable[[Mapping[str, Array], Request], Predicted]:
    """What the engine is to do with the outputs of a model of this name and version."""
    named = partial(render, name=name, version=version)
    if feedback is None:
        return partial(_rendered, named)
    return partial(_signed, feedback, named, has_place=render not in _WITHOUT_IDS)


def _rendered(
    render: Callable[[Mapping[str, Array], Request], Answer], outputs: Mapping[str, Array], request: Request
) -> Predicted:
    return render(outputs, request), outputs, request.batch


def _signed(
    feedback: Feedback,
    render: Callable[[Mapping[str, Array], Request], Answer],
    outputs: Mapping[str, Array],
    request: Request,
    *,
    has_place: bool,
) -> Predicted:
    """The answer with its prediction id: in a header, and where the protocol has a place for one and none was sent."""
    batch = request.batch
    identity = feedback.issue(outputs, batch.wanted, batch.rows)
    if identity is None:
        return render(outputs, request), outputs, batch
    if has_place and not request.id:
        request = replace(request, id=identity)
    answer = render(outputs, request)
    answer.headers = {**answer.headers, HEADER: identity} if answer.headers else {HEADER: identity}
    return answer, outputs, batch
