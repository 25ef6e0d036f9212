import numpy as np
import pytest

from modelway.server import csv_rows
from modelway.server.errors import InvalidInputError, RequestError
from modelway.server.signature import Signature
from modelway.server.tensors import TensorSpec
from support.fake_model import FakeModel

UNNAMED = FakeModel()
NAMED = FakeModel(features=("age", "income", "debt"))
NULLABLE = FakeModel(inputs=(TensorSpec("x", "FP32", (-1, 3), nullable=True),), features=("age", "income", "debt"))
TABLE = FakeModel(
    inputs=(
        TensorSpec("age", "INT64", (-1, 1)),
        TensorSpec("city", "BYTES", (-1, 1)),
        TensorSpec("member", "BOOL", (-1,)),
    )
)


def parse(text, model=NAMED, **options):
    return csv_rows.parse(text if isinstance(text, bytes) else text.encode(), Signature.of(model, **options)).batch


@pytest.mark.parametrize(
    "text",
    [
        "age,income,debt\n1,2,3\n4,5.5,6\n",
        "age,income,debt\r\n1,2,3\r\n4,5.5,6",
        "\ufeffdebt,age,income\n3,1,2\n\n6,4,5.5\n",
        '"age","income","debt"\n" 1 ",2.0,"3e0"\n+4,5.5,6\n',
    ],
    ids=["plain", "from Windows", "another order, a mark and an empty line", "quotes and blanks"],
)
def test_columns_are_found_by_their_names(text):
    assert parse(text).tensors["x"].tolist() == [[1, 2, 3], [4, 5.5, 6]]


def test_types_are_the_models():
    batch = parse('member,city,age\ntrue,"Vigo, Galicia",41\nFALSE,"say ""hi""\nthere",52.0\n', TABLE)
    assert batch.rows == 2
    assert batch.tensors["age"].tolist() == [[41], [52]]
    assert batch.tensors["city"].tolist() == [["Vigo, Galicia"], ['say "hi"\nthere']]
    assert batch.tensors["member"].tolist() == [True, False]


def test_a_text_that_looks_like_a_number_stays_a_text():
    assert parse("age,city,member\n1,007,true\n", TABLE).tensors["city"].tolist() == [["007"]]


def test_columns_of_a_model_that_knows_no_names_are_taken_in_their_order():
    assert parse("p,q,r\n1,2,3\n", UNNAMED).tensors["x"].tolist() == [[1, 2, 3]]


def test_empty_cells_are_missing_values_where_the_input_takes_them():
    array = parse("age,income,debt\n1,,3\nnan,2, \n", NULLABLE).tensors["x"]
    assert np.isnan(array).tolist() == [[False, True, False], [True, False, True]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the body has no header line"),
        ("\n\n", "the body has no header line"),
        (b"age\n\xff", "the body is not UTF-8: byte 4"),
        ("age,income,debt\n", "no line follows the header"),
        ("age,income,debt\n1,2,3\n1,2\n", "line 3: 2 cells, where the header names 3 columns"),
        ("age,income,debt\n1,2,3\n1,x,3\n", 'line 3, column 2 (income): "x" is not a number'),
        ("debt,age,income\n1,2,3\n\n1,2,x\n", 'line 4, column 3 (income): "x" is not a number'),
        ("age,income,debt\n1,1_000,3\n", 'line 2, column 2 (income): "1_000" is not a number'),
        ("age,income,debt\n1,inf,3\n", 'line 2, column 2 (income): "inf" is not finite'),
        ("age,income,debt\n1,1e39,3\n", "line 2, column 2 (income): 1e+39 does not fit FP32"),
        (f"age,income,debt\n1,{'9' * 400},3\n", "line 2, column 2 (income)"),
        ("age,income,debt\n1,,3\n", "line 2, column 2 (income): null is not a number; the model takes no missing"),
        ('age,income,debt\n1,"2,3\n', "line 2: unexpected end of data"),
        ("age,income\n1,2\n", 'CSV: no value for "debt"; the model needs age, income, debt'),
        ("age,income,debt,z\n1,2,3,4\n", 'CSV: the model has no input "z"'),
        ("age,income,debt,age\n1,2,3,4\n", 'CSV: column "age" is named twice'),
    ],
)
def test_what_is_wrong_is_said_with_its_line_and_column(text, message):
    with pytest.raises(InvalidInputError) as caught:
        parse(text)
    assert caught.value.message.startswith(message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("age,city,member\n1.5,a,true\n", "line 2, column 1 (age): 1.5 is not an integer"),
        (f"age,city,member\n{'9' * 400},a,true\n", "line 2, column 1 (age)"),
        (f"age,city,member\n{'9' * 5000},a,true\n", "line 2, column 1 (age)"),
        ("age,city,member\n1,a,1\n", 'line 2, column 3 (member): "1" is neither true nor false'),
        ("age,city,member\n1,a,\n", 'line 2, column 3 (member): "" is neither true nor false'),
        ("city,member\na,true\n", 'CSV: no value for "age"'),
    ],
)
def test_every_type_has_its_own_mistakes(text, message):
    with pytest.raises(InvalidInputError) as caught:
        parse(text, TABLE)
    assert caught.value.message.startswith(message)


def test_extra_columns_are_left_out_where_the_maker_of_the_model_says_so():
    assert parse("z,age,income,debt\n?,1,2,3\n", ignores_extra=True).tensors["x"].tolist() == [[1, 2, 3]]


def test_too_many_rows_are_413():
    with pytest.raises(RequestError, match="2 rows, where at most 1") as caught:
        parse("age,income,debt\n1,2,3\n1,2,3\n", max_rows=1)
    assert caught.value.status == 413
