"""Clips on disk: private files that appear whole or not at all, and a budget that removes the oldest.

Several streams may share a folder: a file in the making is locked by whoever writes it, its name is taken.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ...core.clock import wall_clock_s
from ...core.errors import OutputError, UsageError

SUFFIXES: Final = (".mp4", ".json", ".jpg")
_UNITS: Final = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_OURS: Final = re.compile(r"^(\d{8}T\d{6}Z|t\d{6,}\.\d)_[a-z0-9_]+_[a-z0-9_]+_e\d+(-\d+)?$")

_LATER_S: Final = 0.01
_ABANDONED_S: Final = 86_400.0
"""Age at which a file in the making is nobody's, where files can't be locked."""


@dataclass(frozen=True)
class Budget:
    """How much and how long to keep; None means without limit."""

    max_bytes: int | None = None
    max_age_s: float | None = None

    @classmethod
    def parse(cls, text: str | None, name: str = "--keep") -> Budget:
        """Read `5GB`, `30d`, or both: `5GB,30d`; errors call it `name`.

        Raises:
            UsageError: neither a size (K, M, G, T bytes) nor an age (h or d).

        """
        max_bytes: int | None = None
        max_age_s: float | None = None
        for part in (text or "").replace(" ", "").split(","):
            size = re.fullmatch(r"(\d{1,15}(?:\.\d+)?)([KMGT]?)i?B", part, re.IGNORECASE)
            age = re.fullmatch(r"(\d{1,9}(?:\.\d+)?)([hd])", part, re.IGNORECASE)
            if size and max_bytes is None:
                max_bytes = int(float(size[1]) * _UNITS[size[2].upper()])
            elif age and max_age_s is None:
                max_age_s = float(age[1]) * {"h": 3600, "d": 86400}[age[2].lower()]
            elif part:
                raise UsageError(f"{name} {text}: expected a size like 5GB, an age like 30d, or 5GB,30d")
        if text is not None and max_bytes is None and max_age_s is None:
            raise UsageError(f"{name} {text!r}: expected a size like 5GB, an age like 30d, or 5GB,30d")
        return cls(max_bytes, max_age_s)


class ClipStore:
    """A folder of clips, each `STEM.mp4` with `STEM.json` and `STEM.jpg` beside it.

    Only files that carry a name made here are ever removed.

    Raises:
        OutputError: the folder can't be made or written.

    """

    def __init__(self, folder: Path, budget: Budget, *, sweep: bool = True) -> None:
        self.folder, self._budget = folder, budget
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise OutputError(f"--record {folder}: can't be written ({error.strerror})") from error
        # What a crash left half-written; not where another sink of ours is still at it.
        for path in folder.glob(".*.part") if sweep else ():
            _remove_if_left(path)

    def free_stem(self, stem: str) -> str:
        """`stem`, or `stem-2`, `stem-3`, … when clips of that name exist."""
        candidate, number = stem, 1
        while any((self.folder / f"{candidate}{suffix}").exists() for suffix in SUFFIXES):
            number += 1
            candidate = f"{stem}-{number}"
        return candidate

    @contextlib.contextmanager
    def clip(self, stem: str) -> Iterator[tuple[str, Path]]:
        """As `fresh`, for the video of a clip called `stem`, or `stem-2`, … where that is somebody's.

        Yields:
            the stem, which is taken from now on, and the file.

        """
        number = 1
        while True:
            free = self.free_stem(stem if number == 1 else f"{stem}-{number}")
            part = _make(self.folder / f".{free}.mp4.part")
            if part is not None:
                # Somebody may have finished a clip of this name between the look and the taking.
                if self.free_stem(free) == free:
                    break
                path, file = part
                path.unlink(missing_ok=True)
                os.close(file)
            number += 1
        with self._placed(f"{free}.mp4", *part) as path:
            yield free, path

    @contextlib.contextmanager
    def fresh(self, name: str) -> Iterator[Path]:
        """An empty private file that takes the name `name` if the block ends well, and vanishes otherwise."""
        temporary = self.folder / f".{name}.part"
        _remove_if_left(temporary)
        part = _make(temporary)
        if part is None:
            raise FileExistsError(errno.EEXIST, "somebody else writes it", str(temporary))
        with self._placed(name, *part) as path:
            yield path

    @contextlib.contextmanager
    def _placed(self, name: str, temporary: Path, file: int) -> Iterator[Path]:
        try:
            yield temporary
            os.replace(temporary, self.folder / name)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        finally:
            os.close(file)

    def write(self, name: str, data: bytes) -> None:
        """A whole small file."""
        with self.fresh(name) as path:
            path.write_bytes(data)

    def write_json(self, name: str, value: dict[str, Any]) -> None:
        """A record beside its clip."""
        self.write(name, (json.dumps(value, ensure_ascii=False, indent=2) + "\n").encode())

    def prune(self, now_s: float, newest: str = "") -> int:
        """Remove the oldest clips beyond the budget; how many went.

        Args:
            now_s: Unix time.
            newest: stem of the clip just written. Where a clock was set back its time of change is moved
                behind those of the others, so that they stay in the order in which they were written.

        """
        clips: dict[str, tuple[float, int]] = {}
        for path in self.folder.iterdir():
            if path.suffix in SUFFIXES and _OURS.match(path.stem):
                with contextlib.suppress(FileNotFoundError):
                    stat = path.stat()
                    mtime, size = clips.get(path.stem, (0.0, 0))
                    clips[path.stem] = (max(mtime, stat.st_mtime), size + stat.st_size)
        if newest in clips:
            mtime, size = clips[newest]
            others = max((m for stem, (m, _) in clips.items() if stem != newest), default=mtime - 1)
            if mtime <= others:
                clips[newest] = others + _LATER_S, size
                for suffix in SUFFIXES:
                    with contextlib.suppress(OSError):
                        os.utime(self.folder / f"{newest}{suffix}", (clips[newest][0],) * 2)
        total = sum(size for _, size in clips.values())
        removed = 0
        for stem, (mtime, size) in sorted(clips.items(), key=lambda item: item[1][0]):
            too_old = self._budget.max_age_s is not None and now_s - mtime > self._budget.max_age_s
            too_much = self._budget.max_bytes is not None and total > self._budget.max_bytes
            if not too_old and not too_much:
                break
            for suffix in SUFFIXES:
                (self.folder / f"{stem}{suffix}").unlink(missing_ok=True)
            total -= size
            removed += 1
        return removed


def _make(path: Path) -> tuple[Path, int] | None:
    """A new private file with a lock on it, and its descriptor; None where there is one of that name."""
    while True:
        try:
            file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        except FileExistsError:
            return None
        try:
            _lock(file)
            if os.fstat(file).st_nlink:
                return path, file
        except BlockingIOError:
            pass
        except OSError:  # no locks here
            return path, file
        # Taken for something left behind, between its making and its locking.
        os.close(file)


def _lock(file: int) -> None:
    """Lock an open file for as long as it is open.

    Raises:
        BlockingIOError: somebody else holds it.
        OSError: files can't be locked here.

    """
    try:
        import fcntl
    except ImportError as error:  # Windows removes no open file: its lock is being open
        raise OSError(errno.ENOSYS, "no file locks") from error
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _remove_if_left(path: Path) -> None:
    """Remove what a crash left half-written; not what another stream is writing."""
    try:
        file = os.open(path, os.O_RDWR)
    except OSError:
        return
    try:
        _lock(file)
        path.unlink(missing_ok=True)
    except BlockingIOError:
        pass
    except OSError:
        with contextlib.suppress(OSError):
            if wall_clock_s() - path.stat().st_mtime > _ABANDONED_S:
                path.unlink()
    finally:
        os.close(file)
