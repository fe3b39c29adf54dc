"""Where this program keeps what is the user's, and how a file is written: whole, or not at all.

    variable            else (on Linux)                     holds
    AVEL_CACHE_DIR      ~/.cache/avel-live                  engines: can be made again
    AVEL_WEIGHTS_DIR    ~/.cache/avel-live/weights          public weights: can be fetched again
    AVEL_DATA_DIR       ~/.local/share/avel-live            calibrations, INT8 graphs: measured here

Each variable is read in one function, those below. `AVEL_CACHE_DIR` does not move the weights: large files
that were fetched once are not to be fetched again for a cache of its own.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

SHIPPED: Final = Path(__file__).parent / "weights"
"""Weights that come with the package."""

_APP: Final = "avel-live"
_counter = itertools.count()


def cache_dir() -> Path:
    """What was made once and can be made again: `AVEL_CACHE_DIR`, or the user's cache folder."""
    from platformdirs import user_cache_path

    return _set("AVEL_CACHE_DIR") or user_cache_path(_APP, appauthor=False)


def weights_dir() -> Path:
    """Public weights: `AVEL_WEIGHTS_DIR`, or a folder in the user's cache."""
    from platformdirs import user_cache_path

    return _set("AVEL_WEIGHTS_DIR") or user_cache_path(_APP, appauthor=False) / "weights"


def data_dir() -> Path:
    """What was measured here and is to be kept: `AVEL_DATA_DIR`, or the user's data folder."""
    from platformdirs import user_data_path

    return _set("AVEL_DATA_DIR") or user_data_path(_APP, appauthor=False)


def stored(folder: str, name: str) -> Path:
    """A file in a folder of `data_dir()`, to be read.

    Calibrations were once kept in the user's data folder whatever `AVEL_DATA_DIR` said: what lies only
    there is still found.
    """
    path, former = data_dir() / folder / name, _former_data_dir() / folder / name
    return former if former.is_file() and not path.is_file() else path


def all_stored(folder: str, pattern: str) -> list[Path]:
    """The files that `stored` would find under names like `pattern`, sorted by name."""
    found = {
        path.name: path for at in (_former_data_dir(), data_dir()) for path in (at / folder).glob(pattern)
    }
    return [found[name] for name in sorted(found)]


def _former_data_dir() -> Path:
    from platformdirs import user_data_path

    return user_data_path(_APP)


def _set(variable: str) -> Path | None:
    given = os.environ.get(variable)
    return Path(given).expanduser() if given else None


@contextlib.contextmanager
def scratch(path: Path, suffix: str = ".tmp") -> Iterator[Path]:
    """A name beside `path` that nobody else uses, hidden; what lies there at the end is removed.

    Args:
        path: what it is made for; its folder must exist.
        suffix: how the name ends, where a writer cares.

    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{next(_counter)}{suffix}")
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def replacing(path: Path, *, fsync: bool = False) -> Iterator[Path]:
    """Where to write what is to lie at `path`: it gets there once the block has ended well.

    A reader sees the old file or the whole new one; after an error, the old one. A file that was there keeps
    its permissions.

    Args:
        path: the file; its folder must exist.
        fsync: return only when the disk has it, so that it outlives a power cut.

    Raises:
        OSError: the file can't be written.

    """
    with scratch(path) as temporary:
        yield temporary
        with contextlib.suppress(FileNotFoundError):
            temporary.chmod(stat.S_IMODE(path.stat().st_mode))
        if fsync:
            _sync(temporary)
        os.replace(temporary, path)
        if fsync:
            _sync(path.parent)


def atomic_write(
    path: Path, content: bytes | str | Iterable[str] | Callable[[Path], object], *, fsync: bool = False
) -> None:
    """Write a file whole or not at all; see `replacing`.

    Args:
        path: the file; its folder must exist.
        content: bytes; text, kept as UTF-8 with the line ends that it has, whole or in pieces; or what writes
            to the path given.
        fsync: return only when the disk has it.

    Raises:
        OSError: the file can't be written.

    """
    with replacing(path, fsync=fsync) as temporary:
        if callable(content):
            content(temporary)
        elif isinstance(content, bytes):
            temporary.write_bytes(content)
        else:
            # What is no text (half of a name's bytes) must not cost the whole file.
            with temporary.open("w", encoding="utf-8", errors="replace", newline="") as file:
                file.writelines([content] if isinstance(content, str) else content)


def _sync(path: Path) -> None:
    """Flush a file or a folder to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
