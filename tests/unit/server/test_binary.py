import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from modelway.server.arrays import at
from modelway.server.binary import from_bytes, to_bytes
from modelway.server.errors import InvalidInputError
from modelway.server.tensors import DTYPES

PLACE = at("inputs[0].data")


@given(st.data(), st.sampled_from(sorted(DTYPES)))
def test_whatever_an_array_holds_survives_bytes(data, datatype):
    shape = data.draw(hnp.array_shapes(max_dims=3, max_side=3))
    if datatype == "BYTES":
        array = data.draw(hnp.arrays(object, shape, elements=st.text(max_size=5), fill=st.nothing()))
    else:
        array = data.draw(hnp.arrays(DTYPES[datatype], shape))
    again = from_bytes(to_bytes(array), datatype, shape, PLACE)
    assert again.dtype == DTYPES[datatype]
    assert again.flags.writeable
    assert again.tobytes() == array.tobytes() if datatype != "BYTES" else np.array_equal(again, array)


def test_the_bytes_are_those_of_the_protocol():
    assert to_bytes(np.array([1, 258], dtype=np.int16)) == b"\x01\x00\x02\x01"
    assert to_bytes(np.array([True, False])) == b"\x01\x00"
    assert to_bytes(np.array(["é", ""])) == b"\x02\x00\x00\x00\xc3\xa9\x00\x00\x00\x00"
    assert to_bytes(np.array([1, 2], dtype=">i2")) == b"\x01\x00\x02\x00"
    assert to_bytes(np.array([[1, 2], [3, 4]], dtype=np.uint8).T) == b"\x01\x03\x02\x04"


@pytest.mark.parametrize("offset", [0, 1, 3])
def test_data_may_begin_anywhere_in_a_body(offset):
    body = memoryview(b"x" * offset + np.array([1.5, 2.5]).tobytes())[offset:]
    assert from_bytes(body, "FP64", (2,), PLACE).tolist() == [1.5, 2.5]


@pytest.mark.parametrize(
    ("data", "datatype", "shape", "message"),
    [
        (b"\0" * 7, "FP32", (2,), "inputs[0].data: 7 bytes, where FP32 of shape [2] has 8"),
        (b"", "FP32", (10**18, 10**18), "inputs[0].data: 0 bytes, where FP32 of shape"),
        (b"\1\0\2", "BOOL", (1, 3), "inputs[0].data[0][2]: 2 is neither 0 nor 1"),
        (b"\0\0\0", "BYTES", (1,), "inputs[0].data: 3 bytes are too few for 1 texts"),
        (b"", "BYTES", (10**18,), "inputs[0].data: 0 bytes are too few"),
        (b"\5\0\0\0abc", "BYTES", (1,), "inputs[0].data[0]: a text of 5 bytes, where 3 are left"),
        (b"\xff\xff\xff\xffabc", "BYTES", (1,), "inputs[0].data[0]: a text of 4294967295 bytes, where 3 are left"),
        (b"\4\0\0\0abcd\0", "BYTES", (2,), "inputs[0].data[1]: the data end where this text's length should stand"),
        (b"\1\0\0\0ab", "BYTES", (1,), "inputs[0].data: 1 bytes follow the last of 1 texts"),
        (b"\1\0\0\0\xff", "BYTES", (1,), "inputs[0].data[0]: the bytes are no UTF-8 text: byte 0"),
    ],
)
def test_data_that_are_not_those_of_the_shape_are_refused(data, datatype, shape, message):
    with pytest.raises(InvalidInputError) as caught:
        from_bytes(data, datatype, shape, PLACE)
    assert caught.value.message.startswith(message)
