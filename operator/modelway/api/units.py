"""Durations, percentages, quantities and moments as Kubernetes users write them.

`Duration`, `Percent`, `Quantity` and `Time` are the field types of the resource; `seconds`, `share`,
`canonical_quantity`, `time_of` and `rfc3339` are what `plan` reads and writes.
Both refuse with `ValueError` what the CRD's patterns refuse, so that the schema and the code agree.
"""

import re
from datetime import UTC, datetime
from decimal import ROUND_CEILING, Decimal
from typing import Annotated, Final

from pydantic import AfterValidator, AwareDatetime, Field, PlainSerializer, WithJsonSchema

_DURATION: Final = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$"
_PART: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)")
_SECONDS: Final = {"ms": Decimal("0.001"), "s": Decimal(1), "m": Decimal(60), "h": Decimal(3600)}

_SHARES: Final = "[1-9][0-9]?([.][0-9]{1,4})?|0[.]0{0,3}[1-9][0-9]{0,3}"
_PART_PERCENT: Final = f"^({_SHARES})%$"
_PERCENT: Final = f"^(100|{_SHARES})%$"

_QUANTITY: Final = r"^([0-9]+(?:\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]{1,2})?$"
_LARGEST: Final = Decimal(2**63 - 1)
_MILLI: Final = Decimal("0.001")
_BINARY: Final = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50, "Ei": 2**60}
_DECIMAL: Final = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}


def seconds(duration: str) -> float:
    """A Go duration (`1h30m`, `250ms`) in seconds.

    Raises:
        ValueError: it is no duration, or one that Go and CEL do not know, such as `30d`.
    """
    if not re.match(_DURATION, duration):
        raise ValueError(f"{duration!r} is no duration; write for example 250ms, 30s, 10m or 720h")
    return float(sum(Decimal(number) * _SECONDS[unit] for number, unit in _PART.findall(duration)))


def share(percent: str) -> float:
    """A percentage (`1%`, `0.5%`) as a number from 0 to 1.

    Raises:
        ValueError: it is no percentage, or more than 100%.
    """
    if not re.match(_PERCENT, percent):
        raise ValueError(f"{percent!r} is no percentage; write for example 1% or 0.5%")
    return float(Decimal(percent.removesuffix("%")) / 100)


def quantity_value(quantity: str | int) -> Decimal:
    """A quantity as a number: `500m` is 0.5, `1Ki` is 1024. Kubernetes knows none above 2⁶³-1 and takes that instead.

    Raises:
        ValueError: it is no quantity.
    """
    number, suffix = _parts(quantity)
    if suffix in _BINARY:
        return min(number * _BINARY[suffix], _LARGEST)
    return min(number.scaleb(_DECIMAL[suffix] if suffix in _DECIMAL else int(suffix[1:])), _LARGEST)


def canonical_quantity(quantity: str | int) -> str:
    """A quantity as the API server stores it: `1024Mi` becomes `1Gi`, `0.5` becomes `500m`.

    modelway compares children with what the server gives back; a quantity in another form would look like a change
    at every look. Rules of k8s.io/apimachinery/pkg/api/resource `Quantity.CanonicalizeBytes`.

    Raises:
        ValueError: it is no quantity.
    """
    value, suffix = quantity_value(quantity), _parts(quantity)[1]
    if suffix in _BINARY:
        return _binary(value)
    return _decimal(value) if suffix in _DECIMAL else _exponent(value)


def canonical_resource(quantity: str | int) -> str:
    """A quantity as the API server stores it among a container's resources: canonical, and rounded up to thousandths.

    Raises:
        ValueError: it is no quantity.
    """
    value = quantity_value(quantity)
    if value == value.quantize(_MILLI):
        return canonical_quantity(quantity)
    return _decimal(value.quantize(_MILLI, rounding=ROUND_CEILING))


def time_of(text: str) -> datetime:
    """A moment as Kubernetes writes it, in UTC.

    Raises:
        ValueError: it is none.
    """
    return datetime.fromisoformat(text).astimezone(UTC)


def rfc3339(at: datetime) -> str:
    """A moment as Kubernetes writes it: in UTC, to the second."""
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


def _parts(quantity: str | int) -> tuple[Decimal, str]:
    match = re.match(_QUANTITY, str(quantity))
    if match is None:
        raise ValueError(f"{quantity!r} is no quantity; write for example 500m, 2, 512Mi or 1Gi")
    return Decimal(match[1]), match[2] or ""


def _binary(value: Decimal) -> str:
    if value != value.to_integral_value() or value < 1024:
        return _decimal(value)
    whole, unit = int(value), ""
    for name, _ in sorted(_BINARY.items(), key=lambda item: item[1]):
        if whole % 1024:
            break
        whole, unit = whole // 1024, name
    return f"{whole}{unit}"


def _decimal(value: Decimal) -> str:
    units = sorted(_DECIMAL.items(), key=lambda item: -item[1])
    return _largest_whole(value, units)


def _exponent(value: Decimal) -> str:
    powers = [(f"e{power}" if power else "", power) for power in range(18, -10, -3)]
    return _largest_whole(value, powers)


def _largest_whole(value: Decimal, units: list[tuple[str, int]]) -> str:
    """`value` with the largest unit that leaves a whole number, rounded up at 10⁻⁹ as Kubernetes does."""
    if value == 0:
        return "0"
    nano = int((value.scaleb(9)).to_integral_value(rounding=ROUND_CEILING))
    for unit, power in units:
        whole, rest = divmod(nano, 10 ** (power + 9))
        if rest == 0:
            return f"{whole}{unit}"
    raise AssertionError("a whole number of nanos always fits the last unit")


def _checked_duration(value: str) -> str:
    if seconds(value) <= 0:
        raise ValueError(f"{value!r} is no time at all")
    return value


def _in_utc(at: datetime) -> datetime:
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{at.isoformat()} is not in the years 1 to 9999 of UTC") from None


Time = Annotated[AwareDatetime, AfterValidator(_in_utc), PlainSerializer(rfc3339, return_type=str)]
"""A moment with any offset, which is kept in UTC and written to the second."""

Duration = Annotated[
    str,
    Field(max_length=32),
    AfterValidator(_checked_duration),
    WithJsonSchema(
        {
            "type": "string",
            "maxLength": 32,
            "x-kubernetes-validations": [
                {
                    "rule": f"self.matches('{_DURATION.replace(chr(92), chr(92) * 2)}')"
                    " && duration(self) > duration('0s')",
                    "message": "must be a duration such as 250ms, 30s, 10m or 720h, and more than nothing",
                }
            ],
        }
    ),
]
"""A positive Go duration of hours, minutes, seconds and milliseconds."""


def _matches(pattern: str, message: str) -> WithJsonSchema:
    rule = {"rule": f"self.matches('{pattern}')", "message": message}
    return WithJsonSchema({"type": "string", "maxLength": 16, "x-kubernetes-validations": [rule]})


Percent = Annotated[
    str,
    Field(max_length=16, pattern=_PERCENT),
    _matches(_PERCENT, "must be a percentage such as 1%, 0.5% or 100%, and more than 0%"),
]
"""A percentage, more than 0 % and at most 100 %, with at most four decimals."""

PartPercent = Annotated[
    str,
    Field(max_length=16, pattern=_PART_PERCENT),
    _matches(_PART_PERCENT, "must be a percentage such as 1% or 0.5%, more than 0% and less than 100%"),
]
"""A percentage, more than 0 % and less than 100 %, with at most four decimals."""

_QUANTITY_SCHEMA: Final = {
    "anyOf": [{"type": "integer"}, {"type": "string"}],
    "minimum": 0,
    "pattern": _QUANTITY,
    "maxLength": 32,
}

Quantity = Annotated[str | int, AfterValidator(canonical_quantity), WithJsonSchema(_QUANTITY_SCHEMA)]
"""A Kubernetes quantity that is not negative: `500m`, `2`, `512Mi`. Parsed into its canonical text, so that two ways to
write one quantity are one revision."""

ResourceQuantity = Annotated[str | int, AfterValidator(canonical_resource), WithJsonSchema(_QUANTITY_SCHEMA)]
"""A quantity of a container's resources."""
