"""When batch jobs run, and which day they are about: the types of `schedule` and `dateOffset`."""

from typing import Annotated, Final

from pydantic import AfterValidator, Field, WithJsonSchema

from modelway.api.units import seconds

_LONGEST_OFFSET: Final = "8784h"


def _cron_field(number: str, names: str = "") -> str:
    """A field of a schedule as github.com/robfig/cron/v3 reads it, which Kubernetes uses."""
    value = f"({number}|{names})" if names else f"({number})"
    item = f"([*?]|{value}(-{value})?)(/[1-9][0-9]{{0,2}})?"
    return f"{item}(,{item})*"


def _words(*names: str) -> str:
    """Any of the names, in capitals or not."""
    return "|".join("".join(f"[{letter}{letter.upper()}]" for letter in name) for name in names)


_MONTHS: Final = _words("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS: Final = _words("sun", "mon", "tue", "wed", "thu", "fri", "sat")
SCHEDULE: Final = (
    "^("
    + " +".join(
        (
            _cron_field("[0-5]?[0-9]"),
            _cron_field("[01]?[0-9]|2[0-3]"),
            _cron_field("0?[1-9]|[12][0-9]|3[01]"),
            _cron_field("0?[1-9]|1[0-2]", _MONTHS),
            _cron_field("[0-6]", _DAYS),
        )
    )
    + "|@(yearly|annually|monthly|weekly|daily|midnight|hourly))$"
)
"""What a schedule looks like. A range that runs backwards passes, and is told in the condition."""


def _checked_offset(value: str) -> str:
    if abs(offset_seconds(value)) > seconds(_LONGEST_OFFSET):
        raise ValueError(f"{value!r} is more than a year")
    return value


def offset_seconds(offset: str) -> float:
    """A duration that may be negative (`-24h`) in seconds.

    Raises:
        ValueError: it is none.
    """
    return -seconds(offset[1:]) if offset.startswith("-") else seconds(offset)


DateOffset = Annotated[
    str,
    Field(max_length=32),
    AfterValidator(_checked_offset),
    WithJsonSchema(
        {
            "type": "string",
            "maxLength": 32,
            "x-kubernetes-validations": [
                {
                    "rule": "self.matches('^-?([0-9]+([.][0-9]+)?(ms|s|m|h))+$')"
                    f" && duration(self) <= duration('{_LONGEST_OFFSET}')"
                    f" && duration(self) >= duration('-{_LONGEST_OFFSET}')",
                    "message": "must be a duration such as -24h or 30m, and no more than a year",
                }
            ],
        }
    ),
]
"""A Go duration that may be negative."""
