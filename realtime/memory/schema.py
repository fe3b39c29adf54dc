"""The tables, their versions, and how a file is opened.

    streams ─< runs ─< events >─ labels        clips: files that show events
       └──< states                             days: totals of each hour, that outlive their events
                                               marks: what people said of an event

`PRAGMA user_version` is the version of a file. A step of `MIGRATIONS` leads from each version to the next
and is applied whole or not at all; a file of a version after ours is left alone.

A file is written through a log of its own (WAL) and synchronised at every commit: a process that is killed,
or a machine that loses power, leaves the last commit that was finished. Readers never wait for a writer.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import EISDIR
from pathlib import Path
from typing import Final

from ...model.errors import AvelError

APPLICATION: Final = 0x4156454C
"""`AVEL`: `PRAGMA application_id` of our files."""
BUSY_S: Final = 2.0
"""How long one waits for another writer's commit."""
_TRIES: Final = 5


class MemoryFileError(AvelError, OSError):
    """The memory can't be opened, read or written: one line with the file, the reason, and what to do."""

    exit_code = 5


_FIRST: Final = """
CREATE TABLE streams (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE runs (
    id INTEGER PRIMARY KEY,
    stream_id INTEGER NOT NULL REFERENCES streams (id),
    started_us INTEGER NOT NULL,
    seen_us INTEGER NOT NULL,
    source TEXT NOT NULL,
    model TEXT NOT NULL,
    calibration TEXT NOT NULL,
    version TEXT NOT NULL,
    zone TEXT NOT NULL
) STRICT;
CREATE INDEX runs_of_stream ON runs (stream_id, started_us);
CREATE TABLE labels (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE clips (
    id INTEGER PRIMARY KEY,
    path TEXT NOT NULL UNIQUE,
    thumbnail TEXT,
    start_us INTEGER NOT NULL,
    end_us INTEGER NOT NULL
) STRICT;
CREATE TABLE events (
    id INTEGER PRIMARY KEY,
    run_id INTEGER NOT NULL REFERENCES runs (id),
    stream_id INTEGER NOT NULL REFERENCES streams (id),
    number INTEGER NOT NULL,
    label_id INTEGER NOT NULL REFERENCES labels (id),
    start_us INTEGER NOT NULL,
    end_us INTEGER,
    offset_s INTEGER NOT NULL,
    confidence REAL NOT NULL,
    corrections INTEGER NOT NULL DEFAULT 0,
    retracted INTEGER NOT NULL DEFAULT 0,
    clip_id INTEGER REFERENCES clips (id) ON DELETE SET NULL,
    UNIQUE (run_id, number)
) STRICT;
CREATE INDEX events_by_time ON events (start_us, confidence, label_id, stream_id, retracted);
CREATE INDEX events_by_label ON events (label_id, start_us, confidence, stream_id, retracted);
CREATE INDEX events_by_stream ON events (stream_id, start_us, confidence, label_id, retracted);
CREATE INDEX events_by_clip ON events (clip_id) WHERE clip_id IS NOT NULL;
CREATE INDEX events_shown ON events (start_us, confidence, label_id, stream_id, retracted)
    WHERE clip_id IS NOT NULL;
CREATE TABLE days (
    stream_id INTEGER NOT NULL, -- 0: all together
    day INTEGER NOT NULL,
    label_id INTEGER NOT NULL REFERENCES labels (id),
    events INTEGER NOT NULL,
    lasted_us INTEGER NOT NULL,
    {hours},
    PRIMARY KEY (stream_id, day, label_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE states (
    id INTEGER PRIMARY KEY,
    stream_id INTEGER NOT NULL REFERENCES streams (id),
    device TEXT NOT NULL,
    at_us INTEGER NOT NULL,
    state TEXT NOT NULL,
    severity TEXT NOT NULL,
    reason TEXT NOT NULL
) STRICT;
CREATE INDEX states_of_device ON states (stream_id, device, at_us);
CREATE INDEX states_by_time ON states (at_us);
CREATE TABLE marks (
    event_id INTEGER PRIMARY KEY REFERENCES events (id) ON DELETE CASCADE,
    verdict TEXT NOT NULL CHECK (verdict IN ('right', 'wrong', 'other')),
    label TEXT,
    at_us INTEGER NOT NULL,
    CHECK ((label IS NOT NULL) = (verdict = 'other'))
) STRICT;
CREATE INDEX events_by_confidence ON events (confidence, start_us, label_id, stream_id, retracted);
CREATE INDEX events_retracted ON events (id) WHERE retracted;
CREATE TRIGGER event_begun AFTER INSERT ON events WHEN NOT NEW.retracted BEGIN
    INSERT INTO days (stream_id, day, label_id, events, lasted_us)
    VALUES (0, {new_hour} / 24, NEW.label_id, 0, 0), (NEW.stream_id, {new_hour} / 24, NEW.label_id, 0, 0)
    ON CONFLICT DO NOTHING;
    UPDATE days SET events = events + 1, lasted_us = lasted_us + ifnull(NEW.end_us - NEW.start_us, 0), {more}
    WHERE stream_id IN (0, NEW.stream_id) AND day = {new_hour} / 24 AND label_id = NEW.label_id;
END;
CREATE TRIGGER event_changed AFTER UPDATE OF label_id, start_us, end_us, retracted ON events BEGIN
    UPDATE days SET events = events - 1, lasted_us = lasted_us - ifnull(OLD.end_us - OLD.start_us, 0), {less}
    WHERE NOT OLD.retracted AND stream_id IN (0, OLD.stream_id) AND day = {old_hour} / 24
        AND label_id = OLD.label_id;
    INSERT INTO days (stream_id, day, label_id, events, lasted_us)
    VALUES (0, {new_hour} / 24, NEW.label_id, 0, 0), (NEW.stream_id, {new_hour} / 24, NEW.label_id, 0, 0)
    ON CONFLICT DO NOTHING;
    UPDATE days SET events = events + 1, lasted_us = lasted_us + ifnull(NEW.end_us - NEW.start_us, 0), {more}
    WHERE NOT NEW.retracted AND stream_id IN (0, NEW.stream_id) AND day = {new_hour} / 24
        AND label_id = NEW.label_id;
    DELETE FROM days WHERE events = 0 AND stream_id IN (0, NEW.stream_id)
        AND day IN ({old_hour} / 24, {new_hour} / 24);
END;
"""


def _hour(row: str) -> str:
    """The hour of local time that a row of `events` began in, since 1970-01-01 00:00."""
    return f"(({row}.start_us / 1000000 + {row}.offset_s) / 3600)"


def _filled(script: str) -> str:
    """The script with what stands in it once for each hour of the day."""
    parts = {
        "hours": ",\n    ".join(f"h{h} INTEGER NOT NULL DEFAULT 0" for h in range(24)),
        "more": ", ".join(f"h{h} = h{h} + ({_hour('NEW')} % 24 = {h})" for h in range(24)),
        "less": ", ".join(f"h{h} = h{h} - ({_hour('OLD')} % 24 = {h})" for h in range(24)),
        "new_hour": _hour("NEW"),
        "old_hour": _hour("OLD"),
    }
    for name, text in parts.items():
        script = script.replace(f"{{{name}}}", text)
    return script


MIGRATIONS: Final = (_filled(_FIRST),)
"""Entry k leads from version k to k + 1."""
VERSION: Final = len(MIGRATIONS)


def connect(path: Path, *, write: bool) -> sqlite3.Connection:
    """An open file of the present version, made or migrated where `write` allows it.

    Raises:
        MemoryFileError: it is not there, no memory, from a later release, or can't be opened.

    """
    db = None
    try:
        if write:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _make(path)
        elif not path.is_file():
            raise MemoryFileError(f"{path}: no memory there yet; a stream with --memory makes it")
        db = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
        _prepare(db, path, write=write)
    except (OSError, sqlite3.Error) as error:
        if db is not None:
            db.close()
        if isinstance(error, MemoryFileError):
            raise
        raise MemoryFileError(explained(path, error)) from error
    return db


@contextmanager
def transaction(db: sqlite3.Connection, path: Path) -> Iterator[None]:
    """All that is written meanwhile, or none of it.

    Raises:
        MemoryFileError: it can't be written now (a full disk, a lock); nothing of it is kept.

    """
    try:
        db.execute("BEGIN IMMEDIATE")
        try:
            yield
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
    except sqlite3.Error as error:
        raise MemoryFileError(explained(path, error)) from error


def explained(path: Path, error: Exception) -> str:
    """What went wrong with a file, on one line, and what to do."""
    said = getattr(error, "strerror", None) or str(error)
    if "not a database" in said or "malformed" in said:
        return f"{path}: no memory, or damaged ({said}); move it away, a new one is made"
    if "disk is full" in said or "No space" in said:
        return f"{path}: the disk is full; free some room"
    if "locked" in said:
        return f"{path}: somebody else keeps it locked ({said})"
    return f"{path}: the memory can't be used ({said})"


def _prepare(db: sqlite3.Connection, path: Path, *, write: bool) -> None:
    # At one instant: another stream or process may be making the tables.
    with _snapshot(db):
        version, application = _number(db, "user_version"), _number(db, "application_id")
        tables = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if version and application != APPLICATION:
        raise MemoryFileError(f"{path}: a database of another program; give memory.path another name")
    if version > VERSION:
        raise MemoryFileError(
            f"{path}: written by a later release (version {version}, this one knows {VERSION}); "
            "update avel-live"
        )
    if not version and tables:
        raise MemoryFileError(f"{path}: a database of another program; give memory.path another name")
    if write:
        _use_log(db)
        db.execute("PRAGMA synchronous = FULL")
        if version < VERSION:
            _migrate(db)
    elif version < VERSION:
        if not version:
            raise MemoryFileError(f"{path}: no memory; a stream with --memory makes one")
        connect(path, write=True).close()  # once: readers know no old tables
    db.execute("PRAGMA foreign_keys = ON")
    db.execute("PRAGMA cache_size = -8000")
    if not write:
        db.execute("PRAGMA query_only = ON")


def _make(path: Path) -> None:
    """An empty file that only its owner may read, unless there is one.

    One that is there is not even opened: to close a file ends every lock that this process has on it, those
    of its other streams' connections among them.
    """
    if path.is_dir():
        raise IsADirectoryError(EISDIR, os.strerror(EISDIR), str(path))
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))


def _use_log(db: sqlite3.Connection) -> None:
    """Write through a log. Where others do so to a new file just now SQLite refuses without waiting."""
    for _ in range(_TRIES):
        try:
            db.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            refused = error
        with suppress(sqlite3.OperationalError):
            db.execute("BEGIN IMMEDIATE")  # waits for them
            db.execute("ROLLBACK")
    raise refused


@contextmanager
def _snapshot(db: sqlite3.Connection) -> Iterator[None]:
    """What is read meanwhile is the file at one instant."""
    db.execute("BEGIN")
    try:
        yield
    finally:
        db.execute("ROLLBACK")


def _migrate(db: sqlite3.Connection) -> None:
    """From the version of the file to ours, in one transaction; another process may do it meanwhile."""
    db.execute("BEGIN IMMEDIATE")
    try:
        version = _number(db, "user_version")
        for step in MIGRATIONS[version:]:
            for statement in _statements(step):
                db.execute(statement)
        db.execute(f"PRAGMA user_version = {VERSION}")
        db.execute(f"PRAGMA application_id = {APPLICATION}")
        db.execute("COMMIT")
    except BaseException:
        db.execute("ROLLBACK")
        raise


def _statements(script: str) -> list[str]:
    """Its statements, one by one: `executescript` would commit what is open."""
    found, begun = [], ""
    for line in script.splitlines(keepends=True):
        begun += line
        if sqlite3.complete_statement(begun):
            found.append(begun)
            begun = ""
    return found


def _number(db: sqlite3.Connection, pragma: str) -> int:
    return int(db.execute(f"PRAGMA {pragma}").fetchone()[0])
