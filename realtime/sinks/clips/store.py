"""Clips on disk: private files that appear whole or not at all, and a budget that removes the oldest."""

from __future__ import annotations

import contextlib
import json
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ...errors import OutputError, UsageError

SUFFIXES: Final = (".mp4", ".json", ".jpg")
_UNITS: Final = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_OURS: Final = re.compile(r"^(\d{8}T\d{6}Z|t\d{6,}\.\d)_[a-z0-9_]+_[a-z0-9_]+_e\d+(-\d+)?$")


@dataclass(frozen=True)
class Budget:
    """How much and how long to keep; None means without limit."""

    max_bytes: int | None = None
    max_age_s: float | None = None

    @classmethod
    def parse(cls, text: str | None) -> Budget:
        """Read `5GB`, `30d`, or both: `5GB,30d`.

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
                raise UsageError(f"--keep {text}: expected a size like 5GB, an age like 30d, or 5GB,30d")
        if text is not None and max_bytes is None and max_age_s is None:
            raise UsageError(f"--keep {text!r}: expected a size like 5GB, an age like 30d, or 5GB,30d")
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
            path.unlink(missing_ok=True)

    def free_stem(self, stem: str) -> str:
        """`stem`, or `stem-2`, `stem-3`, … when clips of that name exist."""
        candidate, number = stem, 1
        while any((self.folder / f"{candidate}{suffix}").exists() for suffix in SUFFIXES):
            number += 1
            candidate = f"{stem}-{number}"
        return candidate

    @contextlib.contextmanager
    def fresh(self, name: str) -> Iterator[Path]:
        """An empty private file that takes the name `name` if the block ends well, and vanishes otherwise."""
        temporary = self.folder / f".{name}.part"
        os.close(os.open(temporary, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600))
        try:
            yield temporary
            os.replace(temporary, self.folder / name)
        finally:
            temporary.unlink(missing_ok=True)

    def write(self, name: str, data: bytes) -> None:
        """A whole small file."""
        with self.fresh(name) as path:
            path.write_bytes(data)

    def write_json(self, name: str, value: dict[str, Any]) -> None:
        """A record beside its clip."""
        self.write(name, (json.dumps(value, ensure_ascii=False, indent=2) + "\n").encode())

    def prune(self, now_s: float) -> int:
        """Remove the oldest clips beyond the budget; how many went.

        Args:
            now_s: Unix time.

        """
        clips: dict[str, tuple[float, int]] = {}
        for path in self.folder.iterdir():
            if path.suffix in SUFFIXES and _OURS.match(path.stem):
                with contextlib.suppress(FileNotFoundError):
                    stat = path.stat()
                    mtime, size = clips.get(path.stem, (0.0, 0))
                    clips[path.stem] = (max(mtime, stat.st_mtime), size + stat.st_size)
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
