"""Holds back what C libraries print while the live screen is up.

ALSA, FFmpeg and OpenCV write warnings straight to file descriptor 2; on a terminal that is being drawn on
they would land in the middle of the picture. They are collected (the newest lines only) and shown when the
screen is gone.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections import deque

_KEPT = 12


class HeldStderr:
    """Redirects descriptor 2 from `start` to `stop`, when it is a terminal; does nothing otherwise."""

    def __init__(self, descriptor: int = 2) -> None:
        self._descriptor = descriptor
        self._saved: int | None = None
        self._lines: deque[str] = deque(maxlen=_KEPT)
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to collect."""
        try:
            if self._saved is not None or not os.isatty(self._descriptor):
                return
            self._saved = os.dup(self._descriptor)
            reader, writer = os.pipe()
            os.dup2(writer, self._descriptor)
            os.close(writer)
        except OSError:
            return
        self._thread = threading.Thread(target=self._collect, args=(reader,), name="stderr", daemon=True)
        self._thread.start()

    def stop(self) -> list[str]:
        """Give the descriptor back; the newest lines that were written meanwhile."""
        if self._saved is None or self._thread is None:
            return []
        os.dup2(self._saved, self._descriptor)
        os.close(self._saved)
        self._saved = None
        # The pipe ends when its last writer is gone; a program started meanwhile may still hold it.
        self._thread.join(0.5)
        return list(self._lines)

    def _collect(self, reader: int) -> None:
        rest = b""
        with contextlib.suppress(OSError), os.fdopen(reader, "rb", buffering=0) as pipe:
            while chunk := pipe.read(65_536):
                *lines, rest = (rest + chunk).split(b"\n")
                rest = rest[-4_096:]
                self._lines.extend(line.decode(errors="replace") for line in lines if line.strip())
        if rest.strip():
            self._lines.append(rest.decode(errors="replace"))
