"""A text file that lines are appended to, for months: rotated by size and by day, safe against a full disk.

    events.jsonl                  the one being written
    events-20260131T060000.jsonl  closed ones, named by the time of their rotation (UTC)

Rotation is a rename within the folder, so a reader sees each line in exactly one file and every file whole.
A line is written with one call and, where the disk refuses it, cut off again: no half lines.
"""

from __future__ import annotations

import contextlib
import errno
import os
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import BinaryIO, Literal

from ..clock import NS_PER_S
from ..errors import OutputError
from ..messages import State
from .base import About

Fsync = Literal["never", "event", "always"]

RETRY_S = 10.0
"""After a write failed, how long lines are given up before the next try."""
_DAY_S = 86_400.0


@dataclass(frozen=True)
class Rotation:
    """When a file is closed and a new one begun, and how many are kept.

    `days` counts calendar days (UTC) when it is 1 or more: a file that began on an earlier day is closed
    at midnight; below 1 it counts hours as a fraction of a day.
    """

    megabytes: float | None = None
    days: float | None = None
    keep: int = 10
    """Closed files kept; the oldest are deleted."""


class RotatingFile:
    """Appends lines to `path`; never raises once it is open, but reports and counts what was lost."""

    def __init__(
        self,
        path: Path,
        name: str,
        about: About,
        *,
        rotation: Rotation | None = None,
        fsync: Fsync = "event",
        header: str | None = None,
    ) -> None:
        """Open the file.

        Raises:
            OutputError: it can't be created or written.

        """
        self.path = path
        self.lost = 0
        """Lines that could not be written."""
        self._name, self._report = name, about.report
        self._rotation = rotation or Rotation()
        self._fsync = fsync
        self._header = header
        self._clock, self._wall_s = about.clock, about.wall_s
        self._file: BinaryIO | None = None
        self._size = 0
        self._opened_s = 0.0
        self._failing = False
        self._retry_ns = 0
        self._lost_told = 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._open()
        except OSError as error:
            raise OutputError(
                f"{path}: can't be written ({error.strerror or error}); give another path or free the disk"
            ) from error

    def begin(self, line: str) -> None:
        """Write `line` now and as the first line of every file that follows."""
        self._header = None
        self.write(line, important=True)
        self._header = line

    def write(self, line: str, *, important: bool = False) -> None:
        """Append one line; `important` ones reach the disk before this returns, unless `fsync` is `never`."""
        if self._failing and self._clock.now_ns() < self._retry_ns:
            self.lost += 1
            return
        try:
            self._rotate_if_due()
            if self._file is None:
                self._open()
            self._append(line.encode() + b"\n")
            if self._fsync == "always" or (self._fsync == "event" and important):
                assert self._file is not None
                os.fsync(self._file.fileno())
        except OSError as error:
            self.lost += 1
            self._fail(error)
        else:
            if self._failing:
                self._failing = False
                missing = self.lost - self._lost_told
                self._lost_told = self.lost
                self._say("running", f"{self.path.name} is written again; {missing} lines were lost")

    def close(self) -> None:
        """Flush and close; safe to call twice."""
        if self._file is None:
            return
        file, self._file = self._file, None
        with contextlib.suppress(OSError):
            if self._fsync != "never":
                os.fsync(file.fileno())
        with contextlib.suppress(OSError):
            file.close()

    # ----------------------------------------------------------------------------------------------

    def _open(self) -> None:
        # Unbuffered: what `write` accepted is in the file, and a failed write leaves nothing behind.
        file = open(self.path, "ab", buffering=0)  # noqa: SIM115 - lives as long as the sink
        try:
            stat = os.fstat(file.fileno())
            self._size = stat.st_size
            self._opened_s = stat.st_mtime if stat.st_size else self._wall_s()
            self._file = file
            self._mend()
            if self._header is not None and self._size == 0:
                self._append(self._header.encode() + b"\n")
        except OSError:
            self._file = None
            file.close()
            raise

    def _mend(self) -> None:
        """A file left by a crash may end within a line: end it, so that the next one stands by itself."""
        if self._size == 0:
            return
        with open(self.path, "rb") as reader:
            reader.seek(-1, os.SEEK_END)
            whole = reader.read(1) == b"\n"
        if not whole:
            self._append(b"\n")

    def _append(self, data: bytes) -> None:
        file = self._file
        assert file is not None
        try:
            written = file.write(data)
            if written != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(file.fileno(), self._size)
            raise
        self._size += len(data)

    def _rotate_if_due(self) -> None:
        if self._file is None or self._size == 0 or not self._due():
            return
        self.close()
        stamp = datetime.fromtimestamp(self._wall_s(), timezone.utc).strftime("%Y%m%dT%H%M%S")
        target = self.path.with_name(f"{self.path.stem}-{stamp}{self.path.suffix}")
        number = 1
        while target.exists():
            target = self.path.with_name(f"{self.path.stem}-{stamp}_{number:02}{self.path.suffix}")
            number += 1
        os.rename(self.path, target)
        for old in self.closed_files()[: -self._rotation.keep]:
            with contextlib.suppress(OSError):
                old.unlink()

    def closed_files(self) -> list[Path]:
        """The rotated files of this log, oldest first."""
        stem, suffix = self.path.stem, self.path.suffix
        pattern = f"{stem}-[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]T[0-9][0-9][0-9][0-9][0-9][0-9]*{suffix}"
        found = [path for path in self.path.parent.glob(pattern) if path.is_file()]
        return sorted(found, key=lambda path: path.stem)

    def _due(self) -> bool:
        rotation = self._rotation
        if rotation.megabytes is not None and self._size >= rotation.megabytes * 1e6:
            return True
        if rotation.days is None:
            return False
        now_s = self._wall_s()
        if rotation.days < 1:
            return now_s - self._opened_s >= rotation.days * _DAY_S
        return now_s // _DAY_S - self._opened_s // _DAY_S >= int(rotation.days)

    def _fail(self, error: OSError) -> None:
        self.close()
        self._retry_ns = self._clock.now_ns() + round(RETRY_S * NS_PER_S)
        if not self._failing:
            self._failing = True
            self._say("failing", f"{self.path}: {error.strerror or error}; going on without it")

    def _say(self, state: State, reason: str) -> None:
        self._report(self._name, state, reason)
