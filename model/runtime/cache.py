"""The engine cache: what was exported or compiled once, found again, and never trusted blindly.

An entry is two files in one folder: the artefact, named after its own content, and a small JSON beside it
that names the artefact, its SHA-256 and the key it was made for. The JSON is written last and by
rename, so a reader sees a whole entry or none. An entry whose file is damaged, missing or foreign (its key
is not the one asked for) counts as absent and is made anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from ..checkpoint import file_sha256
from ..errors import ModelFileError
from ..files import atomic_write, cache_dir, scratch


class CacheError(ModelFileError):
    """The engine cache can't be written."""


Key = Mapping[str, str]
"""What an artefact depends on, by name: weights, code, shapes, precision, runtime version, GPU."""


def default_root() -> Path:
    """In the folder that `files.cache_dir` names."""
    return cache_dir() / "engines"


def digest(key: Key) -> str:
    """A short name for a key: the same for the same entries in any order."""
    return hashlib.sha256(json.dumps(sorted(key.items())).encode()).hexdigest()[:20]


class EngineCache:
    """Artefacts by key, in one folder.

    Args:
        root: the folder; made on the first `put`.

    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or default_root()

    def _card(self, name: str, key: Key) -> Path:
        return self.root / f"{name}-{digest(key)}.json"

    def get(self, name: str, key: Key) -> Path | None:
        """The artefact made for exactly this key, or None where there is none that can be trusted."""
        card = self._card(name, key)
        try:
            entry = json.loads(card.read_text())
            if entry["key"] != dict(key):
                return None
            path = self.root / Path(entry["file"]).name
            if file_sha256(path) != entry["sha256"]:
                return None
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return path

    def put(self, name: str, key: Key, suffix: str, write: Callable[[Path], None]) -> Path:
        """Have `write` make the artefact at a scratch path, then enter it.

        Raises:
            CacheError: the folder can't be written.

        """
        card = self._card(name, key)
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with scratch(self.root / card.stem, suffix) as made:
                write(made)
                sha256 = file_sha256(made)
                path = self.root / f"{card.stem}-{sha256[:8]}{suffix}"
                os.replace(made, path)
            self._sweep(card.stem, keep=path)
            atomic_write(card, json.dumps({"key": dict(key), "file": path.name, "sha256": sha256}, indent=1))
        except OSError as error:
            raise CacheError(
                f"engine cache {self.root}: can't be written ({error.strerror or error}); "
                "set AVEL_CACHE_DIR to a folder that can"
            ) from error
        return path

    def get_or_put(self, name: str, key: Key, suffix: str, write: Callable[[Path], None]) -> Path:
        """The cached artefact, or a new one; two processes that want the same one make it once."""
        if (found := self.get(name, key)) is not None:
            return found
        with self.locked():
            return self.get(name, key) or self.put(name, key, suffix, write)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the cache's lock: builders wait for each other, readers never do."""
        import fcntl

        try:
            self.root.mkdir(parents=True, exist_ok=True)
            lock = (self.root / ".lock").open("w")
        except OSError as error:
            raise CacheError(
                f"engine cache {self.root}: can't be written ({error.strerror or error}); "
                "set AVEL_CACHE_DIR to a folder that can"
            ) from error
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def clear(self) -> int:
        """Remove every entry; how many files went."""
        files = [path for path in self.root.glob("*") if path.is_file() and path.name != ".lock"]
        for path in files:
            path.unlink(missing_ok=True)
        return len(files)

    def _sweep(self, stem: str, keep: Path) -> None:
        for old in self.root.glob(f"{stem}-*"):
            if old != keep:
                old.unlink(missing_ok=True)
