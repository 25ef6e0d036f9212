import json
import logging

import pytest
import structlog

from modelway.cli import logs


def lines(capsys):
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_line_is_time_level_event_and_what_belongs_to_it(capsys):
    logs.configure(form="json")
    structlog.get_logger().info("fetched", bytes=3, path=logs.__name__)
    (line,) = lines(capsys)
    assert list(line) == ["time", "level", "event", "bytes", "path"]
    assert (line["level"], line["event"], line["bytes"]) == ("info", "fetched", 3)


def test_libraries_log_alike_and_tell_their_name(capsys):
    logs.configure(form="json")
    logging.getLogger("some.library").warning("bad %s", "request")
    (line,) = lines(capsys)
    assert (line["event"], line["level"], line["logger"]) == ("bad request", "warning", "some.library")


def test_an_exception_is_one_line(capsys):
    logs.configure(form="json")
    try:
        _ = 1 / 0
    except ZeroDivisionError:
        structlog.get_logger().exception("broken")
    (line,) = lines(capsys)
    assert "ZeroDivisionError" in line["exception"]


@pytest.mark.parametrize("name", ["httpx", "aiohttp.access", "asyncio"])
def test_chatter_and_urls_of_libraries_are_left_out(capsys, name):
    logs.configure(form="json")
    logging.getLogger(name).info("HTTP Request: GET https://host/?signature=top-secret")
    assert lines(capsys) == []


@pytest.mark.parametrize(
    ("options", "environ", "seen"),
    [
        ({}, {}, ["info"]),
        ({}, {"MODELWAY_LOG_LEVEL": "debug"}, ["debug", "info"]),
        ({"level": "error"}, {"MODELWAY_LOG_LEVEL": "debug"}, []),
        ({}, {"MODELWAY_LOG_LEVEL": "nonsense"}, ["info"]),
    ],
)
def test_the_level_is_the_options_else_the_environments(capsys, options, environ, seen):
    logs.configure(form="json", environ=environ, **options)
    structlog.get_logger().debug("a")
    structlog.get_logger().info("b")
    assert [line["level"] for line in lines(capsys)] == seen


def test_text_is_for_people(capsys):
    logs.configure(form="console")
    structlog.get_logger().info("fetched", bytes=3)
    shown = capsys.readouterr().err
    assert "fetched" in shown
    assert "bytes=3" in shown
    assert "{" not in shown
