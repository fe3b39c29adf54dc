"""What the memory knows: events by time, class, stream and confidence; totals by hour; states of devices."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from .schema import MemoryFileError, connect, explained


@dataclass(frozen=True)
class Filter:
    """Which events: those that begin in [since, until), of any of the labels and streams; None is all."""

    since_us: int | None = None
    until_us: int | None = None
    labels: tuple[str, ...] = ()
    streams: tuple[str, ...] = ()
    min_confidence: float = 0.0
    retracted: bool = False
    """Also those that were taken back."""
    clips: bool = False
    """Only those with a clip."""


@dataclass(frozen=True)
class Remembered:
    """An event as it is remembered."""

    id: int
    stream: str
    label: str
    start_us: int
    end_us: int | None
    """None while it is open."""
    offset_s: int
    """Local time minus UTC where and when it began."""
    confidence: float
    corrections: int
    retracted: bool
    clip: str | None
    thumbnail: str | None
    clip_start_us: int | None
    verdict: str | None
    """What a person said of it: `right`, `wrong`, `other`."""
    is_label: str | None
    """What it is, where the verdict is `other`."""
    source: str
    model: str
    calibration: str


@dataclass(frozen=True)
class Totals:
    """Events of a range of days (local time); they outlive the events themselves."""

    by_hour: dict[str, tuple[int, ...]]
    """Class → events that began in each of the 24 hours of a day."""
    by_day: dict[int, int]
    """Days since 1970-01-01 → events, for days that have some."""
    lasted_s: dict[str, float]
    """Class → seconds that its events lasted, together."""


@dataclass(frozen=True)
class DeviceState:
    """What a device said last."""

    stream: str
    device: str
    at_us: int
    state: str
    severity: str
    reason: str


_RARE: Final = 5000
_EVENT: Final = (
    "SELECT e.id, s.name, l.name, e.start_us, e.end_us, e.offset_s, e.confidence, e.corrections, "
    "e.retracted, c.path, c.thumbnail, c.start_us, m.verdict, m.label, r.source, r.model, r.calibration "
    "FROM ({chosen}) AS e JOIN streams s ON s.id = e.stream_id JOIN labels l ON l.id = e.label_id "
    "JOIN runs r ON r.id = e.run_id LEFT JOIN clips c ON c.id = e.clip_id "
    "LEFT JOIN marks m ON m.event_id = e.id"
)


class Memory:
    """Reads one file; may be used from several threads, each call by a connection of its own.

    A running stream may write meanwhile. Nothing is kept open between calls.

    Args:
        path: of the file; it need not be there yet, then calls raise.

    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection for several questions to one state of the file.

        Raises:
            MemoryFileError: it can't be read.

        """
        db = connect(self.path, write=False)
        try:
            yield db
        except sqlite3.Error as error:
            raise MemoryFileError(explained(self.path, error)) from error
        finally:
            db.close()

    def events(
        self, which: Filter = Filter(), *, limit: int | None = None, before: tuple[int, int] | None = None,
        oldest_first: bool = False,
    ) -> list[Remembered]:  # fmt: skip
        """Events, newest first.

        Args:
            which: which of them.
            limit: at most so many.
            before: start and id of the last one seen: go on behind it.
            oldest_first: the other way round.

        Raises:
            MemoryFileError: the file can't be read.

        """
        order = "ASC" if oldest_first else "DESC"
        by = f"ORDER BY start_us {order}, id {order} LIMIT {-1 if limit is None else limit}"
        with self.reading() as db:
            # One class (or stream) at a time is in order already, in its index: no sorting of all there is.
            names = which.labels or which.streams
            parts = [which]
            if len(names) > 1:
                by_label = bool(which.labels)
                parts = [
                    replace(which, labels=(name,)) if by_label else replace(which, streams=(name,))
                    for name in names
                ]
            asked, values = [], list[Any]()
            index = " INDEXED BY events_by_confidence" if not names and _rare(db, which) else ""
            for part in parts:
                where, given = _where(db, part)
                if before is not None:
                    where += f" AND (e.start_us, e.id) {'>' if oldest_first else '<'} (?, ?)"
                    given += before
                asked.append(f"SELECT * FROM (SELECT e.* FROM events e{index} WHERE {where} {by})")
                values += given
            chosen = f"SELECT * FROM ({' UNION ALL '.join(asked)}) {by}"
            ask = f"{_EVENT.format(chosen=chosen)} ORDER BY e.start_us {order}, e.id {order}"
            return [_remembered(row) for row in db.execute(ask, values)]

    def event(self, number: int) -> Remembered | None:
        """One event; None where there is none of that number."""
        with self.reading() as db:
            chosen = "SELECT * FROM events WHERE id = ?"
            row = db.execute(_EVENT.format(chosen=chosen), (number,)).fetchone()
            return None if row is None else _remembered(row)

    def marked(self, which: Filter = Filter()) -> list[Remembered]:
        """Events that somebody marked, newest first; see `marks.marked`."""
        with self.reading() as db:
            where, values = _where(db, which)
            # CROSS keeps the order: from the few marks to their events.
            chosen = f"SELECT e.* FROM marks k CROSS JOIN events e ON e.id = k.event_id WHERE {where}"
            ask = f"{_EVENT.format(chosen=chosen)} ORDER BY e.start_us DESC, e.id DESC"
            return [_remembered(row) for row in db.execute(ask, values)]

    def beside(self, number: int) -> list[Remembered]:
        """All events that the clip of an event shows, in order; itself alone where it has none."""
        with self.reading() as db:
            chosen = (
                "SELECT o.* FROM events o JOIN events e ON (o.clip_id = e.clip_id OR o.id = e.id) "
                "WHERE e.id = ? AND (NOT o.retracted OR o.id = e.id)"
            )
            rows = db.execute(f"{_EVENT.format(chosen=chosen)} ORDER BY e.start_us, e.id", (number,))
            return [_remembered(row) for row in rows]

    def count(self, which: Filter = Filter()) -> int:
        """How many events."""
        with self.reading() as db:
            if which in (Filter(), Filter(retracted=True)):
                # Without a condition SQLite counts leaves, not rows.
                ask = "SELECT count(*) FROM events", "SELECT count(*) FROM events WHERE retracted"
                every, back = (int(db.execute(one).fetchone()[0]) for one in ask)
                return every if which.retracted else every - back
            where, values = _where(db, which)
            return int(db.execute(f"SELECT count(*) FROM events e WHERE {where}", values).fetchone()[0])

    def totals(self, since_day: int, until_day: int, streams: Sequence[str] = ()) -> Totals:
        """Totals of days in [since, until), counted from 1970-01-01 in local time.

        Raises:
            MemoryFileError: the file can't be read.

        """
        with self.reading() as db:
            chosen = _numbers(db, "streams", "stream_id", streams) if streams else "stream_id = 0"
            where = f"WHERE {chosen} AND day >= ? AND day < ?"
            names = dict(db.execute("SELECT id, name FROM labels"))
            hours = ", ".join(f"sum(h{h})" for h in range(24))
            ask = f"SELECT label_id, sum(lasted_us) / 1e6, {hours} FROM days {where} GROUP BY label_id"
            classes = sorted((names[row[0]], row) for row in db.execute(ask, (since_day, until_day)))
            ask = f"SELECT day, sum(events) FROM days {where} GROUP BY day"
            return Totals(
                {name: tuple(row[2:]) for name, row in classes},
                dict(db.execute(ask, (since_day, until_day)).fetchall()),
                {name: row[1] for name, row in classes},
            )

    def states(self) -> list[DeviceState]:
        """What every device of every stream said last."""
        with self.reading() as db:
            rows = db.execute(
                "SELECT s.name, d.device, d.at_us, d.state, d.severity, d.reason FROM states d "
                "JOIN streams s ON s.id = d.stream_id WHERE d.id IN "
                "(SELECT max(id) FROM states GROUP BY stream_id, device) ORDER BY s.name, d.device"
            )
            return [DeviceState(*row) for row in rows]

    def history(self, limit: int = 100) -> list[DeviceState]:
        """The newest changes of state, newest first."""
        with self.reading() as db:
            rows = db.execute(
                "SELECT s.name, d.device, d.at_us, d.state, d.severity, d.reason FROM states d "
                "JOIN streams s ON s.id = d.stream_id ORDER BY d.at_us DESC, d.id DESC LIMIT ?",
                (limit,),
            )
            return [DeviceState(*row) for row in rows]

    def streams(self) -> list[str]:
        """Names of all streams that were ever remembered."""
        with self.reading() as db:
            return [row[0] for row in db.execute("SELECT name FROM streams ORDER BY name")]

    def labels(self) -> list[str]:
        """Names of all classes that were ever remembered."""
        with self.reading() as db:
            return [row[0] for row in db.execute("SELECT name FROM labels ORDER BY name")]


def _where(db: sqlite3.Connection, which: Filter) -> tuple[str, list[Any]]:
    """A condition on `events e`. Names are looked up first: the indices hold numbers."""
    parts, values = [f"e.retracted <= {int(which.retracted)}"], list[Any]()
    if which.min_confidence > 0:
        parts.append("e.confidence >= ?")
        values.append(which.min_confidence)
    if which.since_us is not None:
        parts.append("e.start_us >= ?")
        values.append(which.since_us)
    if which.until_us is not None:
        parts.append("e.start_us < ?")
        values.append(which.until_us)
    if which.clips:
        parts.append("e.clip_id IS NOT NULL")
    for table, column, names in (
        ("labels", "e.label_id", which.labels),
        ("streams", "e.stream_id", which.streams),
    ):
        if names:
            parts.append(_numbers(db, table, column, names))
    return " AND ".join(parts), values


def _rare(db: sqlite3.Connection, which: Filter) -> bool:
    """Whether so few events are sure enough that to sort them is less than to look through all in order."""
    if which.min_confidence <= 0 or which.clips:
        return False
    ask = "SELECT count(*) FROM (SELECT 1 FROM events WHERE confidence >= ? LIMIT ?)"
    return int(db.execute(ask, (which.min_confidence, _RARE)).fetchone()[0]) < _RARE


def _numbers(db: sqlite3.Connection, table: str, column: str, names: Sequence[str]) -> str:
    """The condition that a column is one of the numbers of names."""
    marks = ",".join("?" * len(names))
    found = db.execute(f"SELECT id FROM {table} WHERE name IN ({marks})", names).fetchall()
    return f"{column} IN ({','.join(str(row[0]) for row in found)})"


def _remembered(row: tuple[Any, ...]) -> Remembered:
    values = list(row)
    values[8] = bool(values[8])
    return Remembered(*values)
