"""What is fuzzed: functions of bytes that return, or fail with an AssertionError or an error that was not foreseen.

Each holds a reader of bytes from strangers to its docstring. Used by coverage-guided runs (`make fuzz`) and by a short
one with a fixed seed (`tests/integration/fuzz`).
"""

import contextlib
import json
import struct
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import orjson

from modelway.artifacts.errors import ModelError
from modelway.server import binary, csv_rows, json_numbers, metadata, v1, v2
from modelway.server.arrays import at
from modelway.server.errors import InvalidInputError, RequestError
from modelway.server.exchange import HttpRequest
from modelway.server.formats import pfa, ubjson
from modelway.server.formats.base import LoadOptions
from modelway.server.pace import zeros
from modelway.server.reading import Limits, Reader, Room
from modelway.server.signature import Signature
from modelway.server.tensors import DTYPES, Batch, TensorSpec
from support.fake_model import FakeModel
from support.pfa import linear

DATATYPES = tuple(DTYPES)
SHAPES = ((1,), (3,), (2, 2), (1, 4), (0,), (2**40, 2**40))
LIMITS = Limits(head=2000, body=500, in_flight=1000)
SIGNATURES = tuple(
    Signature.of(model)
    for model in (
        FakeModel(features=("a", "b", "c")),
        FakeModel(inputs=(TensorSpec("x", "FP64", (-1, -1), lenient=True, nullable=True),)),
        FakeModel(
            inputs=(
                TensorSpec("age", "INT8", (-1, 1)),
                TensorSpec("city", "BYTES", (-1,)),
                TensorSpec("owner", "BOOL", (-1,)),
                TensorSpec("half", "FP16", (-1, 2)),
            )
        ),
    )
)


@dataclass(frozen=True, slots=True)
class Target:
    """A reader of bytes, what to begin with, and words that it knows."""

    run: Callable[[bytes], None]
    seeds: tuple[bytes, ...]
    words: tuple[bytes, ...] = ()


def binary_tensors(data: bytes) -> None:
    """The data of a tensor are read and written back as they were, or refused."""
    if len(data) < 2:
        return
    datatype, shape, content = DATATYPES[data[0] % len(DATATYPES)], SHAPES[data[1] % len(SHAPES)], data[2:]
    try:
        array = binary.from_bytes(content, datatype, shape, at("inputs[0].data"))
    except InvalidInputError:
        return
    assert (array.dtype, array.shape) == (DTYPES[datatype], shape)
    assert binary.to_bytes(array) == content


def v2_requests(data: bytes) -> None:
    """A request with or without binary data becomes a batch that keeps its promise, or is refused."""
    if len(data) < 3:
        return
    length = int.from_bytes(data[1:3], "little")
    _predicts(lambda signature: v2.parse(data[3:], signature, json_length=length or None), data[0])


def v1_requests(data: bytes) -> None:
    """Likewise rows and columns in JSON."""
    if data:
        _predicts(lambda signature: v1.parse(data[1:], signature), data[0])


def numbers_in_json(data: bytes) -> None:
    """What is read without Python's objects is what it is with them, and what is cut out leaves JSON if it was that."""
    if (rows := json_numbers.rows(data)) is not None:
        assert np.array_equal(rows, orjson.loads(data)["instances"])
    if (cut := json_numbers.data(data)) is not None:
        assert _is_json(cut[0]) is _is_json(data)


def _is_json(data: bytes) -> bool:
    try:
        orjson.loads(data)
    except orjson.JSONDecodeError:
        return False
    return True


def csv_bodies(data: bytes) -> None:
    """Likewise CSV."""
    if data:
        _predicts(lambda signature: csv_rows.parse(data[1:], signature), data[0])


def http_connections(data: bytes) -> None:
    """Bytes that come in pieces are requests or refused, and the room that they take is that of their bodies."""
    if not data:
        return
    size, content = data[0] + 1, data[1:]
    room = Room(LIMITS.in_flight)
    reader = Reader(LIMITS, room)
    with contextlib.suppress(RequestError):
        for begin in range(0, len(content), size):
            reader.feed(content[begin : begin + size])
            reader.must_continue()
    requests = [request for request, _ in reader.requests if isinstance(request, HttpRequest)]
    assert all(len(request.body) <= LIMITS.body for request in requests)
    reader.close()
    assert room.taken == sum(len(request.body) for request in requests) <= LIMITS.in_flight


def ubjson_files(data: bytes) -> None:
    """A value, or a ValueError that says where."""
    with contextlib.suppress(ValueError):
        ubjson.read(data)


def pfa_documents(data: bytes) -> None:
    """A model, which then answers a row of zeros or raises an error, or a ModelError."""
    with tempfile.NamedTemporaryFile(suffix=".pfa", dir=_MEMORY) as file:
        Path(file.name).write_bytes(data)
        try:
            model = pfa.load(Path(file.name), LoadOptions())
        except ModelError:
            return
    if sum(np.prod([abs(size) for size in spec.shape]) for spec in model.inputs) < 1000:
        with contextlib.suppress(Exception):  # as `Model.predict` allows; that it returns at all is what is held here
            model.predict(zeros(model))


def metadata_files(data: bytes) -> None:
    """Metadata, or a ModelError."""
    with tempfile.TemporaryDirectory(dir=_MEMORY) as folder:
        Path(folder, metadata.FILENAME).write_bytes(data)
        with contextlib.suppress(ModelError):
            metadata.read(Path(folder))


def _predicts(parse: Callable[[Signature], v1.Request], choice: int) -> None:
    signature = SIGNATURES[choice % len(SIGNATURES)]
    try:
        batch = parse(signature).batch
    except RequestError as error:
        if error.status not in {400, 413}:
            raise
        return
    _check(batch, signature)


def _check(batch: Batch, signature: Signature) -> None:
    """What `Batch` promises to formats, which check nothing again."""
    assert batch.rows >= 1
    assert set(batch.tensors) == set(signature.by_name)
    for name, array in batch.tensors.items():
        spec = signature.by_name[name]
        assert array.dtype == DTYPES[spec.datatype]
        assert spec.fits(array.shape)
        assert array.shape[0] == batch.rows
        if array.dtype.kind == "f":
            assert not np.isinf(array).any()
            assert spec.nullable or not np.isnan(array).any()
        if array.dtype.kind == "O":
            assert all(type(value) is str for value in array.ravel())


def _v2(index: int, tensors: list[dict[str, object]], data: bytes = b"") -> bytes:
    head = json.dumps({"id": "q", "inputs": tensors}).encode()
    return bytes([index]) + struct.pack("<H", len(head) if data else 0) + head + data


def _tensor(name: str, datatype: str, shape: list[int], **more: object) -> dict[str, object]:
    return {"name": name, "datatype": datatype, "shape": shape, **more}


_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # files that never reach a disk
_ROW = {"age": 1, "city": "Vigo", "owner": True, "half": [1, 2.5]}
_JSON = (b"null", b"true", b"1e999", b"-0", b"[]", b"{}", b'"', b"\\ud800", b"9" * 30, b'{"b64":"Vmlnbw=="}')

TARGETS = {
    "binary-tensors": Target(
        binary_tensors,
        (
            b"\x0b\x01" + struct.pack("<3d", 1, 2, 3),
            b"\x0c\x01\x01\0\0\0a\x02\0\0\0bc\0\0\0\0",
            b"\x00\x02\1\0\1\0",
            b"\x09\x03\0\0\1\0\2\0\3\0",
        ),
        (b"\xff\xff\xff\xff", b"\0\0\0\x80", b"\x01\0\0\0"),
    ),
    "v2-requests": Target(
        v2_requests,
        (
            _v2(0, [_tensor("x", "FP32", [1, 3], data=[1, 2, 3])]),
            _v2(0, [_tensor("x", "FP32", [1, 3], parameters={"binary_data_size": 12})], struct.pack("<3f", 1, 2, 3)),
            _v2(
                2,
                [
                    _tensor("age", "INT8", [1, 1], data=[1]),
                    _tensor("city", "BYTES", [1], data=["Vigo"]),
                    _tensor("owner", "BOOL", [1], data=[True]),
                    _tensor("half", "FP16", [1, 2], parameters={"binary_data_size": 4}),
                ],
                b"\0\x3c\0\x3c",
            ),
        ),
        (*_JSON, b'"binary_data_size"', b'"binary_data_output"', b'"outputs"', b"FP64", b"BYTES"),
    ),
    "v1-requests": Target(
        v1_requests,
        (
            b'\0{"instances": [[1, 2, 3], [4, 5, 6]]}',
            b'\0{"instances": [{"a": 1, "b": 2, "c": 3}]}',
            b'\0{"dataframe_split": {"columns": ["c", "b", "a"], "data": [[1, 2, 3]]}}',
            b'\1{"inputs": [[1, null], [2.5, 3]]}',
            b"\2" + json.dumps({"instances": [_ROW, _ROW]}).encode(),
            b"\2" + json.dumps({"inputs": {name: [value] for name, value in _ROW.items()}}).encode(),
            b"\2" + json.dumps({"dataframe_records": [_ROW]}).encode(),
        ),
        (*_JSON, b'"instances"', b'"inputs"', b'"dataframe_records"', b'"columns"', b'"signature_name"'),
    ),
    "json-numbers": Target(
        numbers_in_json,
        (
            b'{"instances": [[1, -2.5e3], [0.1, 4]]}',
            b'{"instances":[[1]]}\n',
            b'{"id": "q", "inputs": [{"name": "x", "datatype": "FP32", "shape": [3], "data" : [1, 2.5, -0]}]}',
        ),
        (*_JSON, b'"instances"', b'"data"', b"\\", b"[[", b"]]", b"9007199254740993", b"1e-400", b"\xef\xbb\xbf"),
    ),
    "csv": Target(
        csv_bodies,
        (
            b"\0a,b,c\n1,2,3\n",
            b'\0c,a,b\r\n"1",2.5e3,\r\n',
            b"\1p,q\n1,\n,2\n",
            b'\2age,city,owner,half\n1,"V ""x""",true,1\n',
        ),
        (b'"', b"\r\n", b",", b"\xef\xbb\xbf", b"nan", b"-inf", b"1e999", b"1_0", b"TRUE", b"\0", b"9" * 400),
    ),
    "http": Target(
        http_connections,
        (
            b"\xffPOST /v1/models/m:predict?q=1 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\n\r\n",
            b"\x05POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            b"\xffPOST / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 3\r\n\r\nabc",
            b"\x03GET http://h/%41?x HTTP/1.0\r\nExpect: 100-continue\r\n\r\n",
        ),
        (
            b"\r\n",
            b"CONNECT ",
            b"HTTP/1.1",
            b"Content-Length: ",
            b"Upgrade: x\r\nConnection: upgrade\r\n",
            b"9" * 25,
            b"%zz",
        ),
    ),
    "ubjson": Target(
        ubjson_files,
        (
            b"{L\0\0\0\0\0\0\0\x07learner{L\0\0\0\0\0\0\0\x01a[$d#L\0\0\0\0\0\0\0\x02\x3f\x80\0\0\x40\0\0\0}}",
            b"[i\x01U\xffI\1\0l\0\0\0\1D\x3f\xf0\0\0\0\0\0\0TFZSi\x02hiCx]",
            b"{$i#i\x01i\x01a\x05",
        ),
        (b"[$Z#", b"[$[#", b"[#", b"{#", b"L\x7f\xff\xff\xff\xff\xff\xff\xff", b"i\xff"),
    ),
    "pfa": Target(
        pfa_documents,
        (
            json.dumps(linear([1.0, 2, 3, 4], 0.5)).encode(),
            json.dumps(linear([1.0, 2, 3, 4], 0.5, link="m.link.logit")).encode(),
            b'{"input": "double", "output": "double", "action": {"while": true, "do": {"+": ["input", 1]}}}',
            (
                b'{"input": "double", "output": "double", "action": {"u.f": ["input"]}, '
                b'"fcns": {"f": {"params": [{"x": "double"}], "ret": "double", "do": {"u.f": ["x"]}}}}'
            ),
        ),
        (*_JSON, b'"input"', b'"double"', b'{"if": ', b'{"u.f": ["x"]}', b'"type"', b'{"new": []', b'{"cell": "reg"}'),
    ),
    "metadata": Target(
        metadata_files,
        (
            b'{"version": "7", "featureNames": ["a", "b"], "classes": ["x", 1, 2.5, true], "extraFeatures": "Ignore"}',
            b'{"inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 3], "nullable": true}], "format": "onnx"}',
            b'{"golden": [{"instances": [[1]], "predictions": [1], "tolerance": 0.5}], "trainingTime": "2026-01-01T00:00:00Z"}',
        ),
        (*_JSON, b'"inputs"', b'"golden"', b'"transform"', b'"shape"', b"-9223372036854775809"),
    ),
}
