"""What people do with the memory: marks, deleting; and what time does: retention."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

from .query import Filter, _where
from .schema import MemoryFileError, connect, transaction

Verdict = Literal["right", "wrong", "other"]
_AT_ONCE: Final = 2000
"""Events that are deleted in one transaction: a stream must not wait long for its turn."""
STATES_KEPT_US: Final = 90 * 86_400 * 1_000_000
"""Changes of state are kept for a quarter of a year."""


def mark(path: Path, event: int, verdict: Verdict | None, at_us: int, label: str | None = None) -> bool:
    """Keep what a person said of an event; None takes it back. False where there is no such event.

    Raises:
        MemoryFileError: the file can't be written now.

    """
    with _writing(path) as db:
        if db.execute("SELECT 1 FROM events WHERE id = ?", (event,)).fetchone() is None:
            return False
        if verdict is None:
            db.execute("DELETE FROM marks WHERE event_id = ?", (event,))
        else:
            db.execute(
                "INSERT INTO marks VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
                "verdict = excluded.verdict, label = excluded.label, at_us = excluded.at_us",
                (event, verdict, label, at_us),
            )
        return True


def delete(path: Path, which: Filter) -> int:
    """Forget events, their marks and their share of the totals; how many. Clips are files: they stay.

    Raises:
        MemoryFileError: the file can't be written now.

    """
    return _delete(path, which, totals=True, spare_marked=False)


def expire(path: Path, before_us: int, now_us: int) -> int:
    """Forget events that began before an instant, but neither their totals nor those that people marked.

    Raises:
        MemoryFileError: the file can't be written now.

    """
    with _writing(path) as db:
        db.execute("DELETE FROM states WHERE at_us < ?", (min(before_us, now_us - STATES_KEPT_US),))
    gone = _delete(path, Filter(until_us=before_us, retracted=True), totals=False, spare_marked=True)
    with _writing(path) as db:
        db.execute("DELETE FROM clips WHERE id NOT IN (SELECT clip_id FROM events WHERE clip_id NOT NULL)")
    return gone


def shrink(path: Path, max_bytes: int) -> int:
    """Forget the oldest events, a thousandth or so at a time, until what is left fits; how many.

    Raises:
        MemoryFileError: the file can't be written now.

    """
    gone = 0
    while True:
        with contextlib.closing(connect(path, write=False)) as db:
            pages, free, size = (
                db.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("page_count", "freelist_count", "page_size")
            )
            oldest = db.execute(
                "SELECT start_us FROM events WHERE id NOT IN (SELECT event_id FROM marks) "
                "ORDER BY start_us LIMIT 1 OFFSET ?",
                (_AT_ONCE - 1,),
            ).fetchone()
        if (pages - free) * size <= max_bytes or oldest is None:
            return gone
        which = Filter(until_us=oldest[0] + 1, retracted=True)
        gone += _delete(path, which, totals=False, spare_marked=True)


def forget_clips(path: Path) -> int:
    """Forget clips whose file is gone (their budget removed it); how many."""
    with contextlib.closing(connect(path, write=False)) as db:
        known = db.execute("SELECT id, path FROM clips").fetchall()
    gone = [(number,) for number, file in known if not Path(file).exists()]
    if gone:
        with _writing(path) as db:
            db.executemany("DELETE FROM clips WHERE id = ?", gone)
    return len(gone)


def _delete(path: Path, which: Filter, *, totals: bool, spare_marked: bool) -> int:
    gone = 0
    while True:
        with _writing(path) as db:
            where, values = _where(db, which)
            spared = " AND e.id NOT IN (SELECT event_id FROM marks)" if spare_marked else ""
            hour = "((e.start_us / 1000000 + e.offset_s) / 3600)"
            db.execute(
                "CREATE TEMP TABLE doomed AS SELECT e.id, e.stream_id, e.label_id, e.retracted, "
                f"{hour} AS hour, ifnull(e.end_us - e.start_us, 0) AS lasted "
                f"FROM events e WHERE {where}{spared} ORDER BY e.start_us LIMIT {_AT_ONCE}",
                values,
            )
            if totals:
                counted = ", ".join(f"sum(hour % 24 = {h}) AS h{h}" for h in range(24))
                less = ", ".join(f"h{h} = days.h{h} - d.h{h}" for h in range(24))
                for stream in ("stream_id", "0"):
                    db.execute(
                        f"UPDATE days SET events = events - n, lasted_us = lasted_us - lasted, {less} FROM "
                        f"(SELECT {stream} AS s, hour / 24 AS t, label_id AS l, count(*) AS n, "
                        f"sum(lasted) AS lasted, {counted} FROM doomed WHERE NOT retracted GROUP BY 1, 2, 3"
                        ") AS d WHERE stream_id = d.s AND day = d.t AND label_id = d.l"
                    )
                db.execute("DELETE FROM days WHERE events <= 0")
            some = db.execute("DELETE FROM events WHERE id IN (SELECT id FROM doomed)").rowcount
            db.execute("DROP TABLE doomed")
        gone += some
        if some < _AT_ONCE:
            return gone


@contextmanager
def _writing(path: Path) -> Iterator[sqlite3.Connection]:
    if not path.is_file():
        raise MemoryFileError(f"{path}: no memory there yet; a stream with --memory makes it")
    with contextlib.closing(connect(path, write=True)) as db, transaction(db, path):
        yield db
