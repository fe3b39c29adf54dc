"""Public weight files: fetched once, checked, resumable, and never needed where a file is given.

Files live in `$AVEL_WEIGHTS_DIR`, or else the user's cache folder. A file that lies there already is
checked and used, so a machine without network needs only the file in the right place.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from .errors import ModelFileError
from .files import weights_dir

_BLOCK: Final = 1 << 16


@dataclass(frozen=True)
class PublicFile:
    """A file at a public place, and how to know that it is the right one."""

    file: str
    url: str
    digest: str
    """`algorithm:hex`; for SHA-256 the hex may be the beginning only, as torch's file names carry it."""
    what: str

    def find(self) -> Path:
        """Path of the file, fetched if it is not there yet; see `fetch`."""
        return fetch(self)


Progress = Callable[[int, int | None], None]
"""Called with bytes had so far and bytes in all (None where the server does not say)."""
Watch = Callable[[PublicFile], AbstractContextManager[Progress]]
"""Opened for as long as a file is being fetched; what it gives is told how far that is."""


@contextmanager
def _unwatched(_: PublicFile) -> Iterator[Progress]:
    yield lambda done, total: None


_watch: Watch = _unwatched


@contextmanager
def watched(watch: Watch) -> Iterator[None]:
    """Have this process's downloads watched inside the block: weights are fetched deep within loading."""
    global _watch
    before, _watch = _watch, watch
    try:
        yield
    finally:
        _watch = before


def check_digest(path: Path, digest: str) -> str | None:
    """None where the file is the expected one, else what its digest really is."""
    algorithm, _, want = digest.partition(":")
    import hashlib

    hasher = hashlib.new(algorithm)
    with path.open("rb") as file:
        while chunk := file.read(_BLOCK):
            hasher.update(chunk)
    got = hasher.hexdigest()
    return None if got.startswith(want) else got


class ResumingDownloader:
    """A `pooch` downloader that continues where an interrupted download stopped.

    Bytes go to `NAME.part` beside the target; a server that understands ranges is asked for the rest only.
    """

    def __init__(self, part: Path, progress: Progress, timeout_s: float = 30.0) -> None:
        self.part = part
        self.progress = progress
        self.timeout_s = timeout_s

    def __call__(self, url: str, output_file: Any, pooch: Any, check_only: bool = False) -> bool | None:
        """What pooch calls; `output_file` is the path of its own temporary file."""
        import requests

        if check_only:
            return bool(requests.head(url, timeout=self.timeout_s, allow_redirects=True).ok)
        have = self.part.stat().st_size if self.part.exists() else 0
        headers = {"Range": f"bytes={have}-"} if have else {}
        with requests.get(url, headers=headers, stream=True, timeout=self.timeout_s) as reply:
            complete = reply.status_code == requests.codes.requested_range_not_satisfiable and have
            if not complete:
                reply.raise_for_status()
                if reply.status_code != requests.codes.partial_content:
                    have = 0  # the server starts over
                length = reply.headers.get("Content-Length")
                total = have + int(length) if length is not None else None
                with self.part.open("ab" if have else "wb") as file:
                    for chunk in reply.iter_content(_BLOCK):
                        file.write(chunk)
                        have += len(chunk)
                        self.progress(have, total)
                if total is not None and have < total:
                    raise requests.ConnectionError(f"the server stopped after {have} of {total} bytes")
        os.replace(self.part, output_file)
        return None


def fetch(item: PublicFile, *, folder: Path | None = None, watch: Watch | None = None) -> Path:
    """Path of a public weight file, fetched and checked if it is not there yet.

    Args:
        item: which.
        folder: where to keep it; `weights_dir()` if not given.
        watch: see `watched`.

    Raises:
        ModelFileError: it can't be fetched, or is not the file it should be; says where to put it by hand.

    """
    import hashlib

    import pooch
    import requests

    folder = folder or weights_dir()
    path = folder / item.file
    by_hand = f"fetch {item.url} elsewhere and put it at {path} (or set AVEL_WEIGHTS_DIR)"
    if path.is_file():
        if (got := check_digest(path, item.digest)) is None:
            return path
        raise ModelFileError(
            f"weights {path}: expected {item.digest}…, got {got[:16]}…; delete the file, or {by_hand}"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (watch or _watch)(item) as progress:
            # Pooch checks whole digests only; a name that carries the beginning of one is checked below.
            algorithm, _, digits = item.digest.partition(":")
            whole = len(digits) == hashlib.new(algorithm).digest_size * 2
            pooch.get_logger().setLevel("ERROR")
            pooch.retrieve(
                item.url,
                known_hash=item.digest if whole else None,
                fname=item.file,
                path=folder,
                downloader=ResumingDownloader(folder / f"{item.file}.part", progress),
            )
    except (requests.RequestException, OSError) as error:
        reason = type(error).__name__
        raise ModelFileError(
            f"{item.what}: can't be fetched ({reason}); run again to go on where it stopped, or {by_hand}"
        ) from error
    except ValueError as error:  # pooch: the digest is wrong; it has removed its copy
        raise ModelFileError(
            f"{item.what}: what came from {item.url} is not the expected file ({item.digest}); {by_hand}"
        ) from error
    if (got := check_digest(path, item.digest)) is not None:
        path.unlink()
        raise ModelFileError(
            f"{item.what}: what came from {item.url} is not the expected file "
            f"(expected {item.digest}…, got {got[:16]}…); {by_hand}"
        )
    return path
