"""Requests with known answers, asked when the model is loaded.

They take the way of every request, from bytes through parsing and predicting to bytes, so they also catch what a look
at the model alone would not: a converter that dropped the scaler, an input in another order, another version's labels.
"""

from typing import TYPE_CHECKING, Any, TypeGuard

import orjson

from modelway.artifacts.errors import ModelError
from modelway.artifacts.reasons import Reason
from modelway.server import v1, v2
from modelway.server.arrays import describe
from modelway.server.errors import RequestError
from modelway.server.formats.base import Model
from modelway.server.metadata import FILENAME, Golden
from modelway.server.signature import Signature
from modelway.server.tensors import Batch

if TYPE_CHECKING:
    from modelway.server.wire import Wire


def ask(golden: Golden, index: int, model: Model, signature: Signature) -> Batch:
    """Ask one golden request; returns its rows. Raises ModelError unless the answer is the expected one."""
    where = f"golden[{index}]"
    try:
        batch, answer = _answer(golden, model, signature)
    except RequestError as error:
        raise _failed(f"{where}: {error.message}") from error
    except Exception as error:
        raise _failed(f"{where}: the model raised {type(error).__name__}: {error}") from error
    if golden.instances is not None:
        compare(answer["predictions"], golden.predictions, golden.tolerance, f"{where}.predictions")
        return batch
    given = {output["name"]: output for output in answer["outputs"]}
    for number, expected in enumerate(golden.outputs or ()):
        name = expected.get("name")
        if name not in given:
            raise _failed(f"{where}.outputs[{number}]: the model gave no output {describe(name)}")
        for key in expected.keys() & {"datatype", "shape"}:
            if expected[key] != given[name][key]:
                raise _failed(f"{where}.outputs[{number}].{key}: expected {expected[key]}, got {given[name][key]}")
        if "data" not in expected:
            raise _failed(f"{where}.outputs[{number}]: has no data to compare with")
        compare(given[name]["data"], _flat(expected["data"]), golden.tolerance, f"{where}.outputs[{number}].data")
    return batch


def _answer(golden: Golden, model: Model, signature: Signature) -> tuple[Batch, Any]:
    if golden.instances is not None:
        wire: Wire = v1
        body: dict[str, Any] = {"instances": golden.instances}
    else:
        wire = v2
        wanted = [{"name": output.get("name")} for output in golden.outputs or ()]
        body = {"inputs": golden.inputs, "outputs": wanted}
    request = wire.parse(orjson.dumps(body), signature)
    answer = wire.render(model.predict(request.batch), request, name="golden", version=None)
    return request.batch, orjson.loads(answer.body)


def compare(answer: object, expected: object, tolerance: float, where: str) -> None:
    """Raise ModelError at the first place where an answer is not the expected one."""
    if isinstance(expected, list) and isinstance(answer, list):
        if len(answer) != len(expected):
            raise _failed(f"{where}: expected {len(expected)} values, got {len(answer)}")
        for index, (got, want) in enumerate(zip(answer, expected, strict=True)):
            compare(got, want, tolerance, f"{where}[{index}]")
    elif isinstance(expected, dict) and isinstance(answer, dict):
        if answer.keys() != expected.keys():
            raise _failed(f"{where}: expected the fields {sorted(expected)}, got {sorted(answer)}")
        for key, want in expected.items():
            compare(answer[key], want, tolerance, f"{where}.{key}")
    elif _is_number(expected) and _is_number(answer):
        if not abs(answer - expected) <= tolerance * max(1.0, abs(expected)):
            raise _failed(f"{where}: expected {expected}, got {answer} (tolerance {tolerance:g})")
    elif type(answer) is not type(expected) or answer != expected:
        raise _failed(f"{where}: expected {describe(expected)}, got {describe(answer)}")


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _flat(data: object) -> list[Any]:
    if not isinstance(data, list):
        return [data]
    return [leaf for item in data for leaf in _flat(item)]


def _failed(problem: str) -> ModelError:
    return ModelError(
        Reason.GOLDEN_REQUEST_FAILED, f"the model does not answer a golden request of {FILENAME} as recorded: {problem}"
    )
