"""How every modelway process logs: one line per event, its name first, the rest as keys and values.

JSON where a machine reads it, columns where a person does: standard error is a terminal, or
MODELWAY_LOG_FORMAT=console. Logs go to standard error, so that what a command prints can be piped. Records of libraries
that use the standard library's logging (kopf, asyncio) go through the same chain and look the same.
"""

import logging
import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import orjson
import structlog

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor, WrappedLogger

# Libraries that say at INFO what our own lines already say, or that would write request URLs, which can hold secrets.
QUIET = ("httpx", "httpcore", "asyncio", "aiohttp", "urllib3")
FIRST_KEYS = ("time", "level", "event")


def configure(*, level: str | None = None, form: str | None = None, environ: Mapping[str, str] = os.environ) -> None:
    """Set up logging for this process. Called once, by the command that runs.

    Args:
        level: debug, info, warning or error; left out: MODELWAY_LOG_LEVEL, else info.
        form: json or console; left out: MODELWAY_LOG_FORMAT, else console on a terminal and json elsewhere.
        environ: where the defaults are looked up.

    """
    wanted = (level or environ.get("MODELWAY_LOG_LEVEL") or "info").upper()
    threshold = logging.getLevelNamesMapping().get(wanted, logging.INFO)
    console = (
        form or environ.get("MODELWAY_LOG_FORMAT") or ("console" if sys.stderr.isatty() else "json")
    ) == "console"

    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
    ]
    render: list[Processor] = (
        [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), timestamp_key="time")]
        if console
        else [structlog.processors.format_exc_info, _first_keys_first, structlog.processors.JSONRenderer(_dumps)]
    )
    structlog.configure(
        processors=[*shared, *render],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),  # a line at once: several workers write
    )

    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(threshold)
    for name in QUIET:
        logging.getLogger(name).setLevel(max(threshold, logging.WARNING))


def _first_keys_first(_logger: "WrappedLogger", _method: str, event: "EventDict") -> "EventDict":
    return {key: event[key] for key in FIRST_KEYS if key in event} | {
        key: value for key, value in event.items() if key not in FIRST_KEYS
    }


def _dumps(event: dict[str, Any], **_options: object) -> str:
    return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY).decode()
