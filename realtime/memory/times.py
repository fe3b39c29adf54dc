"""Instants as people write them, and the local time beside UTC.

yesterday   today   now   2h   3d   2026-11-29   2026-11-29 14:30   2026-11-29T14:30:00+01:00   14:30
"""

from __future__ import annotations

import os
import re
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Final

US: Final = 1_000_000
_AGO: Final = re.compile(r"(\d{1,6})\s*(m|min|h|d|w)(?: ago)?")
_UNITS: Final = {"m": 60, "min": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_LOCALTIME: Final = Path("/etc/localtime")


def moment_us(text: str, now: datetime, *, end: bool = False) -> int:
    """An instant, from what a person wrote; a bare day or `yesterday` is its beginning.

    Args:
        text: as above. Without an offset it is local time, as `now` has it.
        now: the present, with its zone.
        end: a day means its end (for `--until`).

    Raises:
        ValueError: it is none of these.

    """
    words = " ".join(text.strip().lower().split())
    if match := _AGO.fullmatch(words):
        return micro(now - timedelta(seconds=int(match[1]) * _UNITS[match[2]]))
    if words == "now":
        return micro(now)
    days = {"today": 0, "yesterday": 1}
    if words in days:
        return _day(now.date() - timedelta(days=days[words]), now, end)
    if match := re.fullmatch(r"(\d{1,2}):(\d\d)", words):
        return micro(_local(datetime(now.year, now.month, now.day, int(match[1]), int(match[2])), now))
    if re.fullmatch(r"\d{4}-\d\d-\d\d", words):
        return _day(date.fromisoformat(words), now, end)
    try:
        # Python 3.10 knows no Z.
        at = datetime.fromisoformat(re.sub(r"z$", "+00:00", words).replace("t", "T"))
    except ValueError:
        raise ValueError(
            f"{text!r} is no time; write yesterday, 2h, 3d, 14:30, 2026-11-29 or 2026-11-29T14:30+01:00"
        ) from None
    return micro(at if at.tzinfo else _local(at, now))


def micro(at: datetime) -> int:
    """Microseconds since 1970, UTC."""
    return (at - datetime(1970, 1, 1, tzinfo=timezone.utc)) // timedelta(microseconds=1)


def local(at_us: int, offset: int) -> datetime:
    """The instant in the local time that stood `offset` seconds before UTC."""
    zone = timezone(timedelta(seconds=offset))
    return datetime(1970, 1, 1, tzinfo=timezone.utc).astimezone(zone) + timedelta(microseconds=at_us)


def iso(at_us: int, offset: int) -> str:
    """As `2026-11-29T14:30:00.250+01:00`."""
    return local(at_us, offset).isoformat(timespec="milliseconds")


def offset_s(at_us: int) -> int:
    """Local time of this machine minus UTC, at an instant."""
    away = datetime.fromtimestamp(at_us // US).astimezone().utcoffset()
    return 0 if away is None else round(away.total_seconds())


def zone_name() -> str:
    """What the local time of this machine calls itself: `Europe/Berlin`, or `CET`."""
    if named := os.environ.get("TZ", "").lstrip(":"):
        return named
    target = os.path.realpath(_LOCALTIME)
    return target.partition("zoneinfo/")[2] or datetime.now().astimezone().tzname() or "UTC"


def _day(day: date, now: datetime, end: bool) -> int:
    at = datetime(day.year, day.month, day.day) + timedelta(days=int(end))
    return micro(_local(at, now))


def _local(at: datetime, now: datetime) -> datetime:
    """A time of day that the place of `now` shows: with its own zone where it has one that knows summers."""
    return at.replace(tzinfo=now.tzinfo) if not isinstance(now.tzinfo, timezone) else at.astimezone()
