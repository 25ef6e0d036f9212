"""The rhythm of the week: in which hour a window lies, and what is told of what was learnt. Pure.

Hours are those of clocks on a wall, for people's habits follow these: where clocks go back an hour comes twice, and
where they go forward one is left out.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

from modelway.api.batch_dates import UTC_NAME, zone_of
from modelway.api.monitoring import Monitoring, Reference
from modelway.api.monitoring_status import SeasonalityStatus
from modelway.plan.monitoring.family import Family
from modelway.stats.drift_season import LEARNT, Hour, Season

_HOUR: Final = 3600
_LONGEST: Final = timedelta(minutes=61)
"""Windows of an hour take some seconds more."""


def clock_of(given: Monitoring) -> str | None:
    """The time zone by which hours of the week are told apart; None where they are not to be."""
    reference = given.reference or Reference()
    return (reference.time_zone or UTC_NAME) if reference.seasonality == "HourOfWeek" else None


def hour_of(given: Monitoring, begun_at: datetime, ended_at: datetime) -> Hour | None:
    """The hour in which the middle of a window lies.

    None where hours are not told apart, where nobody knows the time zone, and of a window that is longer than an hour:
    such a one comes after the operator was away, and its rows are of several.
    """
    clock = clock_of(given)
    if clock is None or ended_at - begun_at > _LONGEST:
        return None
    try:
        local = (begun_at + (ended_at - begun_at) / 2).astimezone(zone_of(clock))
    except ValueError:
        return None
    return Hour(int(local.replace(tzinfo=UTC).timestamp()) // _HOUR, clock)


def status_of(family: Family | None) -> SeasonalityStatus | None:
    """What is known of the rhythm of some features."""
    season = family.season if family is not None else None
    if season is None:
        return None
    if season.used is None:
        return SeasonalityStatus(state="Learning", until=_until(season))
    return SeasonalityStatus(state="Learnt", features=len(season.seasonal))


def words(family: Family, given: Monitoring) -> str:
    """What is to be added to "as usual"."""
    clock, season = clock_of(given), family.season
    if clock is not None and (problem := _problem(clock)):
        return f"; hours of the week are not told apart: {problem}"
    if season is None or season.used == (False,) * len(season.places):
        return ""
    if season.used is None:
        until = f"{_until(season):%Y-%m-%d %H:%M} UTC at least"
        return f"; what is usual in each hour of the week is being learnt until {until}"
    return " in this hour of the week"


def _problem(clock: str) -> str:
    try:
        zone_of(clock)
    except ValueError as error:
        return str(error)
    return ""


def _until(season: Season) -> datetime:
    local = datetime.fromtimestamp((season.began + LEARNT) * _HOUR, UTC)
    return local.replace(tzinfo=zone_of(season.clock)).astimezone(UTC)
