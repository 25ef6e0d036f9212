"""All protocols say the same: one table in each of its forms is one batch and one answer, and nothing makes a 500."""

import asyncio
import csv
import io
import time
from dataclasses import dataclass

import numpy as np
import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from modelway.server import binary, csv_rows, v1, v2
from modelway.server.app import App
from modelway.server.errors import RequestError
from modelway.server.exchange import HttpRequest
from modelway.server.options import ServerOptions
from modelway.server.rpc import messages
from modelway.server.rpc.inference_pb2 import InferTensorContents, ModelInferRequest, ModelInferResponse
from modelway.server.signature import Signature
from modelway.server.tensors import DTYPES, TensorSpec
from support.asked import answered
from support.fake_model import FakeModel, loaded

NAMES = ("age", "income", "a,b", 'say "x"', "ü")
FLOATS = ("FP16", "FP32", "FP64")


@dataclass(frozen=True)
class Table:
    """Columns of values as JSON has them, and a model that takes them."""

    model: FakeModel
    names: tuple[str, ...]
    datatypes: tuple[str, ...]
    columns: tuple[tuple[object, ...], ...]

    @property
    def rows(self):
        return [list(row) for row in zip(*self.columns, strict=True)]

    def tensors(self):
        """(name, datatype, shape, array) of each tensor that the model takes."""
        if len(self.model.inputs) == 1 and self.model.features:
            spec = self.model.inputs[0]
            array = np.array([array_of(column, spec.datatype) for column in self.columns]).T
            return [(spec.name, spec.datatype, array)]
        return [
            (name, datatype, array_of(column, datatype).reshape((-1, *spec.shape[1:])))
            for name, datatype, column, spec in zip(
                self.names, self.datatypes, self.columns, self.model.inputs, strict=True
            )
        ]


def array_of(column, datatype):
    if datatype == "BYTES":
        array = np.empty(len(column), dtype=object)
        array[:] = column
        return array
    return np.array([np.nan if value is None else value for value in column], dtype=DTYPES[datatype])


def values(datatype, *, nullable):
    dtype = DTYPES[datatype]
    if datatype == "BYTES":
        return st.text(max_size=4)
    if datatype == "BOOL":
        return st.booleans()
    if dtype.kind == "f":
        finite = hnp.from_dtype(dtype, allow_nan=False, allow_infinity=False).map(float)
        return st.none() | finite if nullable else finite
    return hnp.from_dtype(dtype).map(int)


@st.composite
def tables(draw):
    width = draw(st.integers(1, 4))
    rows = draw(st.integers(1, 4))
    names = tuple(draw(st.permutations(NAMES))[:width])
    nullable = draw(st.booleans())
    if draw(st.booleans()):
        datatypes = (draw(st.sampled_from(sorted(DTYPES))),) * width
        takes_none = nullable and datatypes[0] in FLOATS
        inputs = (TensorSpec("X", datatypes[0], (-1, width), nullable=takes_none),)
        features = names
    else:
        datatypes = tuple(draw(st.sampled_from(sorted(DTYPES))) for _ in names)
        shape = draw(st.sampled_from([(-1,), (-1, 1)]))
        inputs = tuple(
            TensorSpec(name, datatype, shape, nullable=nullable and datatype in FLOATS)
            for name, datatype in zip(names, datatypes, strict=True)
        )
        features = ()
    columns = tuple(
        tuple(draw(st.lists(values(datatype, nullable=nullable and datatype in FLOATS), min_size=rows, max_size=rows)))
        for datatype in datatypes
    )
    return Table(FakeModel(inputs=inputs, features=features), names, datatypes, columns)


def json_forms(table):
    objects = [dict(zip(table.names, row, strict=True)) for row in table.rows]
    turned = {name: table.columns[index] for index, name in reversed(list(enumerate(table.names)))}
    forms = [
        {"instances": objects},
        {"dataframe_records": [dict(reversed(list(row.items()))) for row in objects]},
        {"dataframe_split": {"columns": table.names, "data": table.rows}},
        {"dataframe_split": {"columns": table.names[::-1], "data": [row[::-1] for row in table.rows]}},
        {"inputs": turned},
    ]
    return [*forms, {"instances": table.rows}, {"inputs": table.rows}] if table.model.features else forms


def csv_form(table):
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(table.names)
    for row in table.rows:
        writer.writerow(["" if cell is None else cell for cell in row])
    return out.getvalue().encode()


def v2_json(table):
    tensors = [
        {
            "name": name,
            "datatype": datatype,
            "shape": array.shape,
            "data": [None if value != value else value for value in array.ravel().tolist()],  # noqa: PLR0124
        }
        for name, datatype, array in table.tensors()
    ]
    return orjson.dumps({"inputs": tensors})


def v2_binary(table):
    blobs, tensors = [], []
    for name, datatype, array in table.tensors():
        blobs.append(binary.to_bytes(array))
        parameters = {"binary_data_size": len(blobs[-1])}
        tensors.append({"name": name, "datatype": datatype, "shape": array.shape, "parameters": parameters})
    head = orjson.dumps({"inputs": tensors, "parameters": {"binary_data_output": True}})
    return head + b"".join(blobs), len(head)


def grpc_raw(table):
    message = ModelInferRequest(model_name="m")
    for name, datatype, array in table.tensors():
        message.inputs.add(name=name, datatype=datatype, shape=array.shape)
        message.raw_input_contents.append(binary.to_bytes(array))
    return message.SerializeToString()


def grpc_lists(table):
    message = ModelInferRequest(model_name="m")
    for name, datatype, array in table.tensors():
        flat = array.ravel().tolist()
        given = [value.encode() for value in flat] if datatype == "BYTES" else flat
        contents = InferTensorContents(**{messages._LISTS[datatype][0]: given})
        message.inputs.add(name=name, datatype=datatype, shape=array.shape, contents=contents)
    return message.SerializeToString()


def parsed(table):
    """The request of each form, by the form's name."""
    signature = Signature.of(table.model)
    found = {f"v1 {index}": v1.parse(orjson.dumps(form), signature) for index, form in enumerate(json_forms(table))}
    found["csv"] = csv_rows.parse(csv_form(table), signature)
    found["v2"] = v2.parse(v2_json(table), signature)
    content, length = v2_binary(table)
    found["v2 binary"] = v2.parse(content, signature, json_length=length)
    found["grpc"] = messages.parse(grpc_raw(table), signature, name="m", version=None)
    if "FP16" not in table.datatypes:
        found["grpc lists"] = messages.parse(grpc_lists(table), signature, name="m", version=None)
    return found


@given(tables())
def test_a_table_is_the_same_batch_in_every_form(table):
    wanted = {name: array for name, _, array in table.tensors()}
    for form, request in parsed(table).items():
        assert request.batch.rows == len(table.columns[0]), form
        assert request.batch.tensors.keys() == wanted.keys(), form
        for name, array in wanted.items():
            got = request.batch.tensors[name]
            assert (got.dtype, got.shape) == (array.dtype, array.shape), form
            same = np.array_equal(got, array, equal_nan=array.dtype.kind == "f")
            assert same, (form, got, array)


@given(tables())
def test_the_columns_of_a_batch_are_those_of_the_table(table):
    batch = parsed(table)["v2"].batch
    columns = dict(batch.columns(table.model.features))
    assert tuple(columns) == table.names
    for name, datatype, column in zip(table.names, table.datatypes, table.columns, strict=True):
        assert np.array_equal(columns[name], array_of(column, datatype), equal_nan=datatype in FLOATS)


OUTPUTS = (
    TensorSpec("score", "FP32", (-1,)),
    TensorSpec("label", "BYTES", (-1,)),
    TensorSpec("shares", "FP64", (-1, 2)),
    TensorSpec("count", "INT64", (-1,)),
)


@given(st.integers(1, 3), st.data())
def test_an_answer_says_the_same_in_every_form(rows, data):
    arrays = {
        "score": data.draw(hnp.arrays(np.float32, rows, elements=hnp.from_dtype(np.dtype("f4"), allow_infinity=False))),
        "label": array_of(data.draw(st.lists(st.text(max_size=3), min_size=rows, max_size=rows)), "BYTES"),
        "shares": data.draw(hnp.arrays(np.float64, (rows, 2), elements=st.floats(-1e9, 1e9))),
        "count": data.draw(hnp.arrays(np.int64, rows)),
    }
    names = ("age", "income", "debt")
    model = FakeModel(outputs=OUTPUTS, features=names)
    table = Table(model, names, ("FP32",) * 3, ((1.0,) * rows, (2.0,) * rows, (3.0,) * rows))
    for form, request in parsed(table).items():
        module = {"v1": v1, "csv": csv_rows, "v2": v2, "grpc": messages}[form.split()[0]]
        answer = module.render(arrays, request, name="m", version="1")
        for name, array in read_answer(answer, module).items():
            expected = arrays[name]
            got = np.asarray(array, dtype=expected.dtype).reshape(expected.shape)
            assert np.array_equal(got, expected, equal_nan=name == "score"), form


def read_answer(answer, module):
    """An array of each output, whatever the protocol."""
    if module is messages:
        response = ModelInferResponse.FromString(answer.body)
        found = {}
        for index, output in enumerate(response.outputs):
            if response.raw_output_contents:
                data = response.raw_output_contents[index]
                found[output.name] = binary.from_bytes(data, output.datatype, tuple(output.shape), str)
            else:
                field, _ = messages._LISTS[output.datatype]
                listed = list(getattr(output.contents, field))
                found[output.name] = [value.decode() for value in listed] if field == "bytes_contents" else listed
        return found
    length = int((answer.headers or {}).get(v2.LENGTH_HEADER, len(answer.body)))
    head, rest = orjson.loads(answer.body[:length]), answer.body[length:]
    if "predictions" in head:
        found = {name: [row[name] for row in head["predictions"]] for name in head["predictions"][0]}
    elif "model_name" in head:
        found = {}
        for output in head["outputs"]:
            if "data" in output:
                found[output["name"]] = output["data"]
                continue
            size = output["parameters"]["binary_data_size"]
            found[output["name"]] = binary.from_bytes(rest[:size], output["datatype"], tuple(output["shape"]), str)
            rest = rest[size:]
    else:
        found = head["outputs"]
    as_numbers = {"score": np.float32, "shares": np.float64}
    return {
        name: np.array(value, dtype=as_numbers[name]) if name in as_numbers else value for name, value in found.items()
    }


# Nothing makes a 500.

MODELS = (
    FakeModel(),
    FakeModel(features=("a", "b", "c")),
    FakeModel(inputs=(TensorSpec("x", "FP32", (-1, 3), nullable=True),), features=("a", "b", "c")),
    FakeModel(
        inputs=(TensorSpec("a", "BYTES", (-1,)), TensorSpec("b", "INT8", (-1, 1)), TensorSpec("c", "BOOL", (-1,)))
    ),
    FakeModel(inputs=(TensorSpec("X", "FP64", (-1, 3), lenient=True),)),
)
KEYS = st.sampled_from([
    "instances", "inputs", "outputs", "dataframe_split", "dataframe_records", "columns", "data", "index", "parameters",
    "signature_name", "id", "name", "datatype", "shape", "binary_data_size", "binary_data", "binary_data_output", "b64",
    "a", "b", "c", "x", "X",
])  # fmt: skip
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.integers(-2, 4)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=3)
    | st.sampled_from([*DTYPES, "a", "x", "X", "y", "serving_default"])
)
JSON = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4))
BODIES = (
    JSON.map(orjson.dumps)
    | st.dictionaries(KEYS, JSON, max_size=3).map(orjson.dumps)
    | st.binary(max_size=50)
    | st.lists(st.lists(st.text(max_size=4) | st.sampled_from("abcxX123"), max_size=4).map(",".join), max_size=4)
    .map("\n".join)
    .map(str.encode)
)
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "content-type": st.sampled_from(
            ["application/json", "text/csv", "application/octet-stream", "text/html", ";=,"]
        ),
        "inference-header-content-length": st.sampled_from(["0", "2", "10", "40", "-1", "x", "²"]),
        "content-encoding": st.sampled_from(["identity", "gzip"]),
    },
)
PATHS = st.sampled_from([
    "/v1/models/m:predict", "/v2/models/m/infer", "/v2/repository/index", "/v1/models/m/versions/1:predict",
])  # fmt: skip


@pytest.fixture(scope="module")
def apps(tmp_path_factory):
    def served(model):
        app = App(ServerOptions(tmp_path_factory.mktemp("none"), "m"))
        app.serve(loaded(model, version="1"))
        return app

    return [served(model) for model in MODELS]


@given(index=st.integers(0, len(MODELS) - 1), path=PATHS, body=BODIES, headers=HEADERS)
@example(index=0, path="/v1/models/m:predict", body=b'{"instances":' + b"[" * 5000, headers={})
@example(index=1, path="/v1/models/m:predict", body=b'{"instances":[{"b64":' * 400 + b"1", headers={})
@example(index=1, path="/v1/models/m:predict", body=b'{"inputs":' + b'{"b64":' * 900 + b"1" + b"}" * 901, headers={})
@example(index=3, path="/v1/models/m:predict", body=b"a,b,c\n,,\n", headers={"content-type": "text/csv"})
@example(
    index=0, path="/v1/models/m:predict", body=b"a,b,c\n" + b"9" * 5000 + b",1,1", headers={"content-type": "text/csv"}
)
def test_no_http_request_makes_a_500(apps, index, path, body, headers):
    named = [(name.encode(), value.encode()) for name, value in headers.items()]

    request = HttpRequest("POST", path, b"", named, body, time.perf_counter())
    answer = asyncio.run(answered(apps[index], request))
    assert answer.status in {200, 400, 413, 415}, answer.body
    if answer.status != 200:
        assert orjson.loads(answer.body).keys() == {"error"}


@st.composite
def infer_requests(draw):
    message = ModelInferRequest(model_name=draw(st.sampled_from(["m", "m", "m", "n"])), id=draw(st.text(max_size=3)))
    for _ in range(draw(st.integers(0, 3))):
        tensor = message.inputs.add(
            name=draw(st.sampled_from(["x", "a", "b", "c", "q"])),
            datatype=draw(st.sampled_from([*DTYPES, "BF16", ""])),
            shape=draw(st.lists(st.sampled_from([-1, 0, 1, 2, 3, 2**62]), max_size=3)),
        )
        if draw(st.booleans()):
            tensor.contents.fp32_contents.extend(draw(st.lists(st.floats(width=32), max_size=6)))
        if draw(st.booleans()):
            tensor.contents.int_contents.extend(draw(st.lists(st.integers(-(2**31), 2**31 - 1), max_size=6)))
        if draw(st.booleans()):
            tensor.contents.bytes_contents.extend(draw(st.lists(st.binary(max_size=3), max_size=3)))
        if draw(st.booleans()):
            message.raw_input_contents.append(draw(st.binary(max_size=24)))
    for name in draw(st.lists(st.sampled_from(["y", "z"]), max_size=2)):
        message.outputs.add(name=name)
    return message.SerializeToString()


def parsed_or_told(body, signature):
    try:
        return messages.parse(body, signature, name="m", version=None)
    except RequestError as error:
        return error


@given(index=st.integers(0, len(MODELS) - 1), body=infer_requests() | st.binary(max_size=60))
def test_no_grpc_request_makes_anything_but_a_batch_or_a_told_error(index, body):
    signature = Signature.of(MODELS[index])
    outcome = parsed_or_told(body, signature)
    if isinstance(outcome, RequestError):
        assert outcome.status in {400, 404, 413}
        return
    for spec in signature.inputs:
        array = outcome.batch.tensors[spec.name]
        assert array.dtype == DTYPES[spec.datatype]
        assert spec.fits(array.shape)
        assert spec.nullable or array.dtype.kind != "f" or np.isfinite(array).all()
