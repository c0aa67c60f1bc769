"""Time zones as the store keeps them: the moments at which their offset changes."""

from collections.abc import Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from lycosa.errors import Invalid
from lycosa.procedures import UtcOffsetInput

# The store keeps up to 64 changes of a zone; two a year is the rule.
_YEARS = 20
_MOST_OFFSETS = 64
_DAY = 86400
# The window that a moment lies in may have begun a month before.
_BACK = 40 * _DAY
_FRESH = 30 * _DAY


def utc_offsets(time_zone: str, at: float) -> list[UtcOffsetInput]:
    """Minutes that a zone is ahead of UTC around a moment (unix seconds) and at every change in 20 years from it on.

    Raises Invalid for a zone that is not known here, or whose offsets are no whole minutes.
    """
    try:
        zone = ZoneInfo(time_zone)
    except (OSError, ValueError, KeyError) as problem:
        raise _invalid_zone(
            f"time_zone {time_zone[:80]!r} is not in this machine's zone database (package tzdata)"
        ) from problem
    moment = max(0, int(at) - _BACK)
    offsets: list[UtcOffsetInput] = [{"starts_at": moment, "minutes": _minutes(zone, moment)}]
    until = moment + _YEARS * 366 * _DAY
    while moment < until and len(offsets) < _MOST_OFFSETS:
        following = moment + _DAY
        if _minutes(zone, following) != offsets[-1]["minutes"]:
            changes_at = _change(zone, moment, following)
            offsets.append({"starts_at": changes_at, "minutes": _minutes(zone, changes_at)})
        moment = following
    return offsets


def is_fresh(table: Sequence[Sequence[int]], at: float) -> bool:
    """Whether a stored table was read from the zone database less than a month ago.

    Laws about time change and tables end, so an older one is to be read anew.
    """
    return bool(table) and table[0][0] + _BACK > at - _FRESH


def _change(zone: ZoneInfo, before: int, after: int) -> int:
    """The first second in (before, after] at which the offset is no longer that of `before`."""
    minutes = _minutes(zone, before)
    while after - before > 1:
        middle = (before + after) // 2
        if _minutes(zone, middle) == minutes:
            before = middle
        else:
            after = middle
    return after


def _minutes(zone: ZoneInfo, at: int) -> int:
    offset = datetime.fromtimestamp(at, UTC).astimezone(zone).utcoffset()
    assert offset is not None
    seconds = int(offset.total_seconds())
    if seconds % 60:
        raise _invalid_zone(f"time_zone {zone.key} is {seconds} s from UTC, no whole minutes")
    return seconds // 60


def _invalid_zone(message: str) -> Invalid:
    return Invalid(message, code="INVALID_ARGUMENT", details={"argument": "time_zone"})
