"""What a running stream adds to the memory. Rows are collected by the caller and kept in one short
transaction, so that several streams and readers share a file and nobody holds it for long.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .schema import connect, transaction
from .times import offset_s


@dataclass(frozen=True)
class Run:
    """A stream from its start to its end: what all its events have in common."""

    stream: str
    started_us: int
    source: str
    model: str
    """Profile, backend, precision."""
    calibration: str
    """Its name; empty for raw confidences."""
    version: str
    zone: str
    """The local time of the place, as it calls itself (`Europe/Berlin`)."""


@dataclass(frozen=True)
class EventRow:
    """What is known of an event now; replaces what was known of the same `number` of the run."""

    number: int
    label: str
    start_us: int
    end_us: int | None
    confidence: float
    retracted: bool = False
    correction: bool = False
    """Whether this changes what was said before."""
    offset_s: int | None = None
    """Local time minus UTC where it happened; None takes that of this machine."""


@dataclass(frozen=True)
class StateRow:
    """A device changed state."""

    device: str
    at_us: int
    state: str
    severity: str
    reason: str


@dataclass(frozen=True)
class ClipRow:
    """A file that shows events of a run."""

    path: str
    thumbnail: str | None
    start_us: int
    end_us: int
    numbers: tuple[int, ...]
    """Its events."""


Row = EventRow | StateRow | ClipRow


class Writer:
    """Adds to one file. Not for several threads at once.

    Raises:
        MemoryFileError: it can't be opened.

    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._db = connect(path, write=True)

    def begin(self, run: Run) -> int:
        """A new run; its number.

        Raises:
            MemoryFileError: it can't be written now.

        """
        with transaction(self._db, self.path):
            return _begin(self._db, run)

    def add(self, run: int, rows: Iterable[Row], seen_us: int = 0) -> None:
        """Keep rows, all of them or none, and that the run was alive at `seen_us`.

        Raises:
            MemoryFileError: they can't be written now (a full disk, a lock); nothing of them is kept.

        """
        with transaction(self._db, self.path):
            stream = self._db.execute("SELECT stream_id FROM runs WHERE id = ?", (run,)).fetchone()[0]
            self._db.execute("UPDATE runs SET seen_us = max(seen_us, ?) WHERE id = ?", (seen_us, run))
            for row in rows:
                if isinstance(row, EventRow):
                    _event(self._db, run, stream, row)
                elif isinstance(row, StateRow):
                    self._db.execute(
                        "INSERT INTO states (stream_id, device, at_us, state, severity, reason) "
                        "VALUES (?, ?, ?, ?, ?, ?)",
                        (stream, row.device, row.at_us, row.state, row.severity, row.reason),
                    )
                else:
                    _clip(self._db, run, row)

    def replace(self, run: Run, rows: Sequence[EventRow]) -> int:
        """Keep a whole run at once, in the place of the same one (stream, source, start) if it is known.

        Returns:
            how many events.

        Raises:
            MemoryFileError: it can't be written now; nothing has changed.

        """
        with transaction(self._db, self.path):
            known = self._db.execute(
                "SELECT r.id FROM runs r JOIN streams s ON s.id = r.stream_id "
                "WHERE s.name = ? AND r.source = ? AND r.started_us = ?",
                (run.stream, run.source, run.started_us),
            ).fetchone()
            number = _begin(self._db, run) if known is None else int(known[0])
            stream = self._db.execute("SELECT stream_id FROM runs WHERE id = ?", (number,)).fetchone()[0]
            self._db.execute("UPDATE events SET retracted = 1 WHERE run_id = ? AND NOT retracted", (number,))
            for row in rows:
                _event(self._db, number, stream, row)
        return len(rows)

    def close_open(self, stream: str, run: int) -> int:
        """End what earlier runs of a stream left open because they were killed: at their last sign of life.

        Returns:
            how many.

        """
        with transaction(self._db, self.path):
            cursor = self._db.execute(
                "UPDATE events SET corrections = corrections + 1, end_us = "
                "max(start_us, (SELECT seen_us FROM runs WHERE id = run_id)) "
                "WHERE end_us IS NULL AND NOT retracted AND run_id != ? "
                "AND stream_id = (SELECT id FROM streams WHERE name = ?)",
                (run, stream),
            )
            return cursor.rowcount

    def close(self) -> None:
        """Release the file; safe to call twice."""
        self._db.close()


def _begin(db: sqlite3.Connection, run: Run) -> int:
    db.execute("INSERT OR IGNORE INTO streams (name) VALUES (?)", (run.stream,))
    what = (run.source, run.model, run.calibration, run.version, run.zone, run.stream)
    cursor = db.execute(
        "INSERT INTO runs (stream_id, started_us, seen_us, source, model, calibration, version, zone) "
        "SELECT id, ?, ?, ?, ?, ?, ?, ? FROM streams WHERE name = ?",
        (run.started_us, run.started_us, *what),
    )
    assert cursor.lastrowid is not None
    return cursor.lastrowid


def _event(db: sqlite3.Connection, run: int, stream: int, row: EventRow) -> None:
    db.execute("INSERT OR IGNORE INTO labels (name) VALUES (?)", (row.label,))
    away_s = offset_s(row.start_us) if row.offset_s is None else row.offset_s
    db.execute(
        "INSERT INTO events (run_id, stream_id, number, label_id, start_us, end_us, offset_s, confidence, "
        "retracted) SELECT ?, ?, ?, id, ?, ?, ?, ?, ? FROM labels WHERE name = ? "
        "ON CONFLICT (run_id, number) DO UPDATE SET label_id = excluded.label_id, "
        "start_us = excluded.start_us, end_us = excluded.end_us, confidence = excluded.confidence, "
        "retracted = excluded.retracted, corrections = corrections + ?",
        (run, stream, row.number, row.start_us, row.end_us, away_s, row.confidence, row.retracted, row.label,
         row.correction),
    )  # fmt: skip


def _clip(db: sqlite3.Connection, run: int, row: ClipRow) -> None:
    db.execute(
        "INSERT INTO clips (path, thumbnail, start_us, end_us) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (path) DO UPDATE SET thumbnail = excluded.thumbnail",
        (row.path, row.thumbnail, row.start_us, row.end_us),
    )
    db.executemany(
        "UPDATE events SET clip_id = (SELECT id FROM clips WHERE path = ?) WHERE run_id = ? AND number = ?",
        [(row.path, run, number) for number in row.numbers],
    )
