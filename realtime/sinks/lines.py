"""Whole lines on a stream whose reader may stop reading, or go away: standard output.

A write to a full pipe blocks, and Python begins it anew after every signal: a reader that stopped reading
would hold the program for ever, Ctrl-C or not. So each piece of a line waits for room first, in short looks.
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
import select
import threading
from collections.abc import Callable
from typing import Final, TextIO

from ..core.clock import NS_PER_S, Clock, SystemClock
from ..core.errors import OutputError

_PIECE: Final = 512 if not hasattr(select, "PIPE_BUF") else select.PIPE_BUF
"""Bytes that a pipe with room takes without blocking."""
_LOOK_MS: Final = 100
_LAST_S: Final = 2.0
"""How long a reader may take when the stream has been asked to end."""
_GONE: Final = frozenset({errno.EPIPE, errno.EIO, errno.ENXIO, errno.ECONNRESET})
"""What a write says when its reader hung up: a pipe, a terminal, a socket."""


class LineWriter:
    """Writes lines, one after another, each whole or not at all.

    Args:
        stream: where to; one without a descriptor (a `StringIO`) is simply written to.
        clock: measures the waits.
        wait_s: how long to wait for a reader that takes nothing. What is written then is lost and counted,
            and not waited for until there is room.
        stop: set when the stream is asked to end: a wait is then short, once.
        gone: called once when the reader is gone; later lines go nowhere. Without it that is an error.

    """

    def __init__(
        self,
        stream: TextIO,
        clock: Clock | None = None,
        *,
        wait_s: float = math.inf,
        stop: threading.Event | None = None,
        gone: Callable[[], None] | None = None,
    ) -> None:
        self.lost = 0
        """Lines that the reader did not take."""
        self._stream, self._clock = stream, clock or SystemClock()
        self._wait_s, self._stop, self._gone = wait_s, stop, gone
        self._descriptor = _descriptor(stream)
        self._rest = b""
        """Of a line that was begun."""
        self._in_vain = self._over = False

    def write(self, line: str) -> None:
        """Write one line, given without its end.

        Raises:
            BrokenPipeError: the reader is gone, and nobody wanted to be called then.
            OutputError: the disk is full, or the stream is closed.

        """
        if self._over:
            return
        try:
            if self._descriptor is None:
                self._stream.write(line + "\n")
                self._stream.flush()
                return
            self._rest = self._sent(self._rest)
            if self._rest or not self._room():
                self.lost += 1
                return
            text = (line + "\n").encode(self._stream.encoding or "utf-8", "backslashreplace")
            self._rest = self._sent(text)
        except (OSError, ValueError) as error:
            self._failed(error)

    def close(self) -> None:
        """Write what is left of a line, and say on standard error what was lost; safe to call twice."""
        if self._over or self._descriptor is None:
            return
        with contextlib.suppress(OSError, ValueError, OutputError):
            self._rest = self._sent(self._rest)
        self._over = True
        if self.lost:
            message = f"standard output: {self.lost} lines were lost, its reader did not take them\n"
            with contextlib.suppress(OSError):
                os.write(2, message.encode())

    def _sent(self, data: bytes) -> bytes:
        """Write as much as there is room for; the rest."""
        assert self._descriptor is not None
        while data and self._room():
            with contextlib.suppress(BlockingIOError):
                data = data[os.write(self._descriptor, data[:_PIECE]) :]
        return data

    def _room(self) -> bool:
        """Wait until a piece can be written."""
        assert self._descriptor is not None
        poll = select.poll()
        poll.register(self._descriptor, select.POLLOUT)
        if poll.poll(0):
            self._in_vain = False
            return True
        began_ns, allowed_s, stopped = self._clock.now_ns(), self._wait_s, False
        while not self._in_vain:
            if poll.poll(_LOOK_MS):
                return True
            waited_s = (self._clock.now_ns() - began_ns) / NS_PER_S
            if not stopped and self._stop is not None and self._stop.is_set():
                stopped, allowed_s = True, min(allowed_s, waited_s + _LAST_S)
            self._in_vain = waited_s >= allowed_s
        return False

    def _failed(self, error: Exception) -> None:
        hung_up = isinstance(error, BrokenPipeError) or getattr(error, "errno", 0) in _GONE
        if hung_up and self._gone is not None:
            self._over = True
            self._gone()
        elif isinstance(error, BrokenPipeError):
            raise error
        else:
            why = getattr(error, "strerror", None) or error
            raise OutputError(f"standard output can't be written ({why}); is the disk full?") from error


def _descriptor(stream: TextIO) -> int | None:
    """Of a stream that can be waited for."""
    if not hasattr(select, "poll"):
        return None
    try:
        stream.flush()
        return stream.fileno()
    except (OSError, ValueError, AttributeError):
        return None
