"""A text file that lines are appended to, for months: rotated by size and by day, safe against a full disk.

    events.jsonl                     the one being written
    events-20260131T060000.jsonl     closed ones, named by the time of their rotation (UTC)
    events-20260131T060000_01.jsonl  the next one, where the clock does not say a later time

Rotation is a rename within the folder, so a reader sees each line in exactly one file and every file whole.
Names only ever grow: whatever the clock does, their order is the order of the lines, and the oldest go.
A line is written with one call and, where the disk refuses it, cut off again: no half lines.
A file that somebody else renamed, removed or emptied (logrotate) is begun anew with the next line.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from stat import S_ISREG
from typing import BinaryIO, Literal

from ..core.clock import NS_PER_S
from ..core.errors import OutputError
from ..core.states import State
from .base import About

Fsync = Literal["never", "event", "always"]

RETRY_S = 10.0
"""After a write failed, how long lines are given up before the next try."""
_DAY_S = 86_400.0
_BEGUN = "user.avel.begun"
"""Extended attribute with the Unix time of a file's first line, where the file system has such."""
_ISO = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?\+00:00")
_FIRST_LINES = 65_536


@dataclass(frozen=True)
class Rotation:
    """When a file is closed and a new one begun, and how many are kept.

    `days` counts calendar days (UTC) when it is 1 or more: a file that began on an earlier day is closed
    at midnight; below 1 it counts hours as a fraction of a day. A file begins with its first line, however
    often the program was started since.
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
        mode: int = 0o600,
    ) -> None:
        """Open the file. A new one has the permissions `mode`, and a new folder what it takes to get there.

        Raises:
            OutputError: it can't be created or written.

        """
        self.path = path
        self.lost = 0
        """Lines that could not be written."""
        self._name, self._report = name, about.report
        self._rotation = rotation or Rotation()
        self._fsync = fsync
        self._header, self._mode = header, mode
        self._clock, self._wall_s = about.clock, about.wall_s
        self._file: BinaryIO | None = None
        self._size = 0
        self._begun_s = 0.0
        self._regular = True
        """Not a pipe or a device, which nobody rotates."""
        self._failing = False
        self._retry_ns = 0
        self._lost_told = 0
        try:
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

    def head(self, line: str) -> None:
        """Let every file that follows begin with `line`."""
        self._header = line

    def write(self, line: str, *, important: bool = False) -> None:
        """Append one line; `important` ones reach the disk before this returns, unless `fsync` is `never`."""
        if self._failing and self._clock.now_ns() < self._retry_ns:
            self.lost += 1
            return
        try:
            self.refresh()
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
        """Flush and close, and say what was lost and not said yet; safe to call twice."""
        self._shut()
        missing, self._lost_told = self.lost - self._lost_told, self.lost
        if missing:
            self._say("failing", f"{self.path.name} is closed; {missing} lines were lost")

    def _shut(self) -> None:
        if self._file is None:
            return
        file, self._file = self._file, None
        with contextlib.suppress(OSError):
            if self._fsync != "never":
                os.fsync(file.fileno())
        with contextlib.suppress(OSError):
            file.close()

    def refresh(self) -> None:
        """Begin anew where the file is no longer ours: renamed, removed, or emptied by somebody else.

        Raises:
            OSError: the new file can't be made.

        """
        if self._file is None or not self._regular:
            return
        ours = os.fstat(self._file.fileno())
        try:
            there = os.stat(self.path)
        except FileNotFoundError:
            there = None
        same = there is not None and (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)
        if not same or ours.st_size < self._size:
            self._shut()
            self._open()

    # ----------------------------------------------------------------------------------------------

    def _open(self) -> None:
        folder_mode = self._mode | (self._mode & 0o444) >> 2  # whoever may read may go in
        self.path.parent.mkdir(mode=folder_mode, parents=True, exist_ok=True)
        # Unbuffered: what `write` accepted is in the file, and a failed write leaves nothing behind.
        file = open(self.path, "ab", buffering=0, opener=self._opener)  # noqa: SIM115 - lives as long as the sink
        try:
            stat = os.fstat(file.fileno())
            self._size, self._regular = stat.st_size, S_ISREG(stat.st_mode)
            self._file = file
            self._begun_s = self._first_line_s(stat.st_mtime) if stat.st_size else self._begin_now()
            self._mend()
            if self._header is not None and self._size == 0:
                self._append(self._header.encode() + b"\n")
        except OSError:
            self._file = None
            file.close()
            raise

    def _opener(self, path: str, flags: int) -> int:
        """A new file is private from the first moment, and then as asked, whatever the umask says."""
        try:
            descriptor = os.open(path, flags | os.O_EXCL, 0o600)
        except FileExistsError:
            return os.open(path, flags, 0o600)
        if self._mode != 0o600:
            os.chmod(path, self._mode)
        return descriptor

    def _begin_now(self) -> float:
        """The file begins now; what is noted with it outlives this process."""
        now_s = self._wall_s()
        assert self._file is not None
        with contextlib.suppress(OSError, AttributeError):
            os.setxattr(self._file.fileno(), _BEGUN, f"{now_s:.0f}".encode())
        return now_s

    def _first_line_s(self, changed_s: float) -> float:
        """When the first line of the file was written, Unix seconds.

        It is noted with the file. Where that can't be: the file before it was closed then; or the first
        line says when it was; or, of a recording's log, the last change.
        """
        with contextlib.suppress(OSError, AttributeError, ValueError):
            return float(os.getxattr(self.path, _BEGUN))
        with contextlib.suppress(ValueError, IndexError):
            stamp = self._closed()[-1][0][0]
            return datetime.strptime(stamp, "%Y%m%dT%H%M%S").replace(tzinfo=timezone.utc).timestamp()
        with open(self.path, "rb") as file:
            said = _ISO.search(file.read(_FIRST_LINES))
        if said:
            with contextlib.suppress(ValueError):
                return datetime.fromisoformat(said[0].decode()).timestamp()
        return changed_s

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
        if self._file is None or not self._regular or self._size == 0 or not self._due():
            return
        self._shut()
        wanted = datetime.fromtimestamp(self._wall_s(), timezone.utc).strftime("%Y%m%dT%H%M%S"), 0
        if closed := self._closed():
            (stamp, number), _ = closed[-1]
            wanted = max(wanted, (stamp, number + 1))
        name = f"{wanted[0]}_{wanted[1]:02}" if wanted[1] else wanted[0]
        os.rename(self.path, self.path.with_name(f"{self.path.stem}-{name}{self.path.suffix}"))
        for old in self.closed_files()[: -self._rotation.keep]:
            with contextlib.suppress(OSError):
                old.unlink()

    def closed_files(self) -> list[Path]:
        """The rotated files of this log, oldest first."""
        return [path for _, path in self._closed()]

    def _closed(self) -> list[tuple[tuple[str, int], Path]]:
        """Time and number of every rotated file, and the file; oldest first."""
        stem, suffix = re.escape(self.path.stem), re.escape(self.path.suffix)
        ours = re.compile(rf"{stem}-(\d{{8}}T\d{{6}})(?:_(\d+))?{suffix}")
        found = ((ours.fullmatch(path.name), path) for path in self.path.parent.iterdir())
        return sorted(((m[1], int(m[2] or 0)), path) for m, path in found if m and path.is_file())

    def _due(self) -> bool:
        rotation = self._rotation
        if rotation.megabytes is not None and self._size >= rotation.megabytes * 1e6:
            return True
        if rotation.days is None:
            return False
        now_s = self._wall_s()
        # A clock that was set back knows nothing of a later beginning.
        self._begun_s = min(self._begun_s, now_s)
        if rotation.days < 1:
            return now_s - self._begun_s >= rotation.days * _DAY_S
        return now_s // _DAY_S - self._begun_s // _DAY_S >= int(rotation.days)

    def _fail(self, error: OSError) -> None:
        self._shut()
        self._retry_ns = self._clock.now_ns() + round(RETRY_S * NS_PER_S)
        if not self._failing:
            self._failing = True
            self._say("failing", f"{self.path}: {error.strerror or error}; going on without it")

    def _say(self, state: State, reason: str) -> None:
        self._report(self._name, state, reason)
