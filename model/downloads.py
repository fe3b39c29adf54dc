"""Public weight files: fetched once, checked, resumable, and never needed where a file is given.

Files live in `$AVEL_WEIGHTS_DIR`, or else the user's cache folder. A file that lies there already is
checked and used, so a machine without network needs only the file in the right place.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
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


_HUB: Final = "https://github.com"
FILES: Final[dict[str, PublicFile]] = {
    "vgg19-keras": PublicFile(
        "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5",
        f"{_HUB}/fchollet/deep-learning-models/releases/download/v0.1/"
        "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "md5:253f8cb515780f3b799900260a226db6",
        "VGG-19, Keras' ImageNet weights without top",
    ),
    "vgg19-torchvision": PublicFile(
        "vgg19-dcbb9e9d.pth",
        "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth",
        "sha256:dcbb9e9d",
        "VGG-19, torchvision's weights",
    ),
    "vggish": PublicFile(
        "vggish-10086976.pth",
        f"{_HUB}/harritaylor/torchvggish/releases/download/v0.1/vggish-10086976.pth",
        "sha256:10086976",
        "VGGish, torch port",
    ),
    "yamnet": PublicFile(
        "yamnet_spectra_in.tflite",
        "https://raw.githubusercontent.com/google-coral/coralmicro/"
        "c9f665b0a8b973d35cb9d383b3e92e9f14b4dd72/models/yamnet_spectra_in.tflite",
        "sha256:0a266465c46718f3fcc4137366be82882a8c93bfcc4f0278581a11d11dddcdf9",
        "YAMNet, int8",
    ),
}

Progress = Callable[[int, int | None], None]
"""Called with bytes had so far and bytes in all (None where the server does not say)."""


def check_digest(path: Path, digest: str) -> str | None:
    """None where the file is the expected one, else what its digest really is."""
    algorithm, _, want = digest.partition(":")
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

    def __init__(self, part: Path, progress: Progress | None = None, timeout_s: float = 30.0) -> None:
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
                        if self.progress is not None:
                            self.progress(have, total)
                if total is not None and have < total:
                    raise requests.ConnectionError(f"the server stopped after {have} of {total} bytes")
        os.replace(self.part, output_file)
        return None


def _bar(what: str) -> AbstractContextManager[Any]:
    """A progress bar on stderr, where somebody is looking."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        return nullcontext()
    return Progress(
        TextColumn(f"fetching {what}"), BarColumn(), DownloadColumn(), TimeRemainingColumn(), console=console
    )


def fetch(name: str, *, folder: Path | None = None, files: dict[str, PublicFile] = FILES) -> Path:
    """Path of a public weight file, fetched and checked if it is not there yet.

    Args:
        name: a key of `FILES`.
        folder: where to keep it; `weights_dir()` if not given.
        files: the register to look in.

    Raises:
        ModelFileError: it can't be fetched, or is not the file it should be; says where to put it by hand.

    """
    import pooch
    import requests

    item = files[name]
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
        with _bar(item.what) as bar:
            progress: Progress | None = None
            if bar is not None:
                task = bar.add_task(item.what, total=None)

                def progress(done: int, total: int | None) -> None:
                    bar.update(task, completed=done, total=total)

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
