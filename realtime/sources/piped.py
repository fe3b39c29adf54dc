"""A recording that comes through a pipe (a FIFO, standard input): read once, both tracks from one demuxer.

A file is opened for each of its tracks; of a pipe two readers would get half of the bytes each. Here one
demuxer reads along, and packets of the track that nobody asked for yet wait.
"""

from __future__ import annotations

import os
import re
import select
import stat
import threading
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..core.errors import SourceError
from .account import Account
from .packets import Packets
from .pieces import Stamped

if TYPE_CHECKING:
    from av.container import InputContainer

STDIN: Final = Path("-")
_MOST_WAITING: Final = 256 * 2**20
"""Bytes of one track that may wait until the other comes."""
_HEAD: Final = re.compile(
    rb"FLV\x01.\0\0\0\x09\0\0\0|fLaC[\0\x80]\0\0\x22.{4}|RIFF.{4}WAVE|FORM.{4}AIF[FC]"
    rb"|TTA1[\1-\3]\0.{6}|Creative Voi|DKIF\0\0\x20\0.{4}|\0\0[\0\1].ftyp[ -~]{4}|caff\0\x01\0\0desc"
    rb"|riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb|\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa",
    re.DOTALL,
)
"""Beginnings of files of which FFmpeg reads the first of joined ones, or makes one with wrong times."""
_HEAD_BYTES: Final = 12
_LOOK_MS: Final = 100


def named(path: Path) -> str:
    """What a recording is called."""
    return "standard input" if path == STDIN else path.name


def seekable(path: Path) -> Path:
    """Where `path` can be read as a file; standard input may well be one (`< clip.mp4`)."""
    return Path("/dev/stdin") if path == STDIN and stat.S_ISREG(os.fstat(0).st_mode) else path


def is_pipe(path: Path) -> bool:
    """Whether a path can be read once only: standard input, a FIFO, a pipe of the shell (`<(…)`)."""
    return path == STDIN or path.is_fifo()


class Pipe:
    """The bytes of a pipe, as PyAV wants a file; forwards only.

    Args:
        path: FIFO, or `-` for standard input.
        stop: once it is set nobody waits any longer, and the pipe seems to be at its end.

    Raises:
        SourceError: it can't be opened, or standard input is a terminal.

    """

    def __init__(self, path: Path, stop: threading.Event) -> None:
        if path == STDIN and os.isatty(0):
            raise SourceError("--file -: standard input is a terminal; pipe a recording into it")
        try:
            # Without a writer a FIFO would block here, where no stop is heard.
            self._fd = os.dup(0) if path == STDIN else os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        except OSError as error:
            raise SourceError(f"{path}: can't be read ({error.strerror})") from error
        self._stop = stop
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLIN)
        self._tail, self._begun = b"", False
        self.heads = 0
        """Beginnings of files so far, in formats whose joined ones are not read well."""

    def read(self, size: int) -> bytes:
        """At most `size` bytes as soon as there are some; none at the end."""
        while not self._stop.is_set():
            if (chunk := self._some(size)) is not None:
                return chunk
        return b""

    def look_on(self) -> None:
        """Count what begins behind all that was read: a demuxer may have ended there. Waits 0.1 s."""
        if self.heads and self._fd >= 0:
            self._some(_HEAD_BYTES)

    def _some(self, size: int) -> bytes | None:
        """What is there within 0.1 s; None where nothing is."""
        if not self._poll.poll(_LOOK_MS):
            return None
        try:
            chunk = os.read(self._fd, size)
        except BlockingIOError:
            return None
        self._count(chunk)
        return chunk

    def _count(self, chunk: bytes) -> None:
        if not self.heads and self._begun:
            return
        text = self._tail + chunk
        if len(text) < _HEAD_BYTES:
            self._tail = text
            return
        if not self._begun:
            self._begun = True
            if not _HEAD.match(text):
                return
        self.heads += sum(1 for _ in _HEAD.finditer(text))
        # A match may begin with it, and it is too short to be one.
        self._tail = text[-(_HEAD_BYTES - 1) :]

    def close(self) -> None:
        """Close it; its writer is told by the system."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class Shared:
    """Hands the packets of one demuxer to the readers of its tracks.

    Args:
        path: what is read, for messages.
        container: it, opened; nobody else reads from it.
        used: indices of all tracks in use.
        account: takes what the other tracks hold.

    """

    def __init__(self, path: Path, container: InputContainer, used: Sequence[int], account: Account) -> None:
        self._core = Packets(path, container, used[0], used, account)
        self._waiting: dict[int, deque[Stamped]] = {index: deque() for index in used}
        self._bytes = 0
        self._path, self._container, self._used = path, container, used

    def branch(self, own: int) -> Packets:
        """The packets of one track."""
        return _Branch(self, self._core, self._path, self._container, own, self._used)

    def next_of(self, own: int) -> Stamped | None:
        """The next packet of a track; None at the end.

        Raises:
            SourceError: the other track waits for too long.

        """
        if self._waiting[own]:
            one = self._waiting[own].popleft()
            self._bytes -= one.packet.size
            return one
        while (found := self._core.following()) is not None and found.track != own:
            self._waiting[found.track].append(found)
            self._bytes += found.packet.size
            if self._bytes > _MOST_WAITING:
                raise SourceError(
                    f"{named(self._path)}: picture and sound are more than {_MOST_WAITING >> 20} MB apart, "
                    "too far for a pipe; save it to a file first, or leave one out (--camera or --mic none)"
                )
        return found


class _Branch(Packets):
    """One track of what is read once."""

    once = True

    def __init__(self, shared: Shared, core: Packets, *about: Any) -> None:
        super().__init__(*about)
        self._shared, self._core = shared, core
        self.pieces, self.errors = core.pieces, core.errors

    def starts_ns(self) -> dict[int, int]:
        return self._core.starts_ns()

    def following(self) -> Stamped | None:
        one = self._shared.next_of(self._own)
        if one is None:
            self.gave_up, self.ends = self._core.gave_up, self._core.ends
        return one
