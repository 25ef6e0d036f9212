"""Tables as users write them."""

import pytest

from modelway.batch.errors import BatchError, Reason
from modelway.batch.settings import Format, Settings
from modelway.batch.sql.database import may_pass
from modelway.batch.sql.location import identifier, literal, parse

HOST = "postgresql://warehouse:5432/shop"


@pytest.mark.parametrize(
    ("uri", "quoted", "where"),
    [
        pytest.param(f"{HOST}/public.tx", '"public"."tx"', "true", id="a table"),
        pytest.param(f"{HOST}/tx", '"public"."tx"', "true", id="without a schema"),
        pytest.param(f"{HOST}/lake.tx/", '"lake"."tx"', "true", id="with a slash"),
        pytest.param(
            f"{HOST}/lake.tx/dt=2026-11-20/country=es",
            '"lake"."tx"',
            "\"dt\" = '2026-11-20' AND \"country\" = 'es'",
            id="some rows",
        ),
        pytest.param(f"{HOST}/lake.tx/n%20a%2Fme=it's=1", '"lake"."tx"', "\"n a/me\" = 'it''s=1'", id="odd values"),
        pytest.param(f'{HOST}/la"ke.t%2Ex', '"la""ke"."t.x"', "true", id="odd names"),
        pytest.param(f"{HOST}/lake.tx/dt=", '"lake"."tx"', "\"dt\" = ''", id="an empty value"),
    ],
)
def test_a_table_is_quoted_whatever_it_is_called(uri, quoted, where):
    table = parse(uri)
    assert (table.quoted, table.where(), table.conninfo) == (quoted, where, HOST)


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        pytest.param("postgresql://alice:secret@warehouse/shop/tx", "PGUSER", id="credentials"),
        pytest.param(f"{HOST}/tx?sslmode=require", "libpq's variables", id="options"),
        pytest.param(HOST, "no database and table", id="no table"),
        pytest.param(f"{HOST}/", "no database and table", id="no table but a slash"),
        pytest.param(f"{HOST}/public.", "no database and table", id="a schema only"),
        pytest.param("postgresql://warehouse:x/shop/tx", "no port", id="a port that is none"),
        pytest.param(f"{HOST}/tx/yesterday", "column=value", id="no value"),
        pytest.param(f"{HOST}/tx/=1", "column=value", id="no column"),
        pytest.param(f"{HOST}/tx/a=1/a=2", "twice", id="a column twice"),
        pytest.param(f"{HOST}/{'x' * 64}", "63 bytes", id="a name too long"),
        pytest.param(f"{HOST}/tx/a=%00", "control", id="a zero byte"),
    ],
)
def test_what_is_no_table_is_refused_and_never_shows_a_password(uri, told):
    with pytest.raises(BatchError) as caught:
        parse(uri)
    assert caught.value.reason is Reason.SETTINGS_INVALID
    assert told in caught.value.message
    assert "secret" not in caught.value.message


@pytest.mark.parametrize(
    ("state", "message", "passes"),
    [
        ("", "connection to server failed: Connection refused", True),
        ("", "FATAL: the database system is not yet accepting connections", True),
        ("", "FATAL: sorry, too many clients already", True),
        ("", 'FATAL: password authentication failed for user "x"', False),
        ("", 'FATAL: database "shop" does not exist', False),
        ("", "fe_sendauth: no password supplied", False),
        ("57P01", "terminating connection due to administrator command", True),
        ("40001", "could not serialize access", True),
        ("53300", "too many connections", True),
        ("42501", "permission denied for table tx", False),
        ("42P01", 'relation "tx" does not exist', False),
        ("23505", "duplicate key value violates unique constraint", False),
    ],
)
def test_what_may_be_gone_at_the_next_try_is_tried_again(state, message, passes):
    assert may_pass(state, message) is passes


def test_names_and_values_cannot_end_before_their_end():
    assert identifier('a"; DROP TABLE b; --') == '"a""; DROP TABLE b; --"'
    assert literal("a'; DROP TABLE b; --\\") == "'a''; DROP TABLE b; --\\'"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        pytest.param({"input": f"{HOST}/tx"}, "--key", id="a table without a key"),
        pytest.param({"key": "id"}, "a key is of tables", id="a key without a table"),
        pytest.param(
            {"input": f"{HOST}/tx", "key": "id", "output": f"{HOST}/tx/dt=1"}, "in each other", id="into itself"
        ),
        pytest.param(
            {"input": f"{HOST}/tx/dt=1", "key": "id", "output": f"{HOST}/public.tx/dt=2"},
            "also the input",
            id="other rows",
        ),
        pytest.param(
            {"input": f"{HOST}/tx", "key": "id", "input_format": Format.CSV}, "no format csv", id="a table of a format"
        ),
    ],
)
def test_settings_about_tables_that_cannot_work_are_refused(changes, told):
    usual = {"input": "s3://lake/in/", "output": "s3://lake/out/"}
    with pytest.raises(BatchError, match=told):
        Settings(**(usual | changes))


def test_the_key_decides_and_runs_over_files_have_none():
    assert "key" not in Settings("s3://lake/in/", "s3://lake/out/").deciding()
    assert Settings(f"{HOST}/tx", "s3://lake/out/", key="id").deciding()["key"] == "id"
