"""The clock of a stream's sender, as far as it can be told from the packets that arrive."""

from __future__ import annotations

from collections import deque

import numpy as np

from ...clock import NS_PER_S


class SenderClock:
    """Maps the sender's presentation times to stream time, and tells where the present is. Pure.

    Stream time = presentation time + `shift`. The present = now + the largest (stream time - arrival)
    of the last 15 to 30 seconds: the packet that was delayed least. Where packets usually come later than
    that (a radio link), the present is held back by as much, up to two seconds: better late than missing.
    """

    _BUCKET_NS = 15 * NS_PER_S
    _FREE_NS = 150_000_000
    _MOST_NS = 2 * NS_PER_S

    def __init__(self) -> None:
        self._shift: int | None = None
        self._best: int | None = None
        self._previous: int | None = None
        self._bucket_ns = 0
        self._present = 0
        self._late: deque[int] = deque(maxlen=512)
        self._count = 0
        self.held_ns = 0
        """By how much the present is held back for packets that usually come late."""

    def place(self, pts_ns: int, now_ns: int) -> int:
        """Stream time of an item with this presentation time that arrived now."""
        if self._shift is None:
            present = self.present_ns(now_ns)
            self._shift = (0 if present is None else present) - pts_ns
        stream_ns = pts_ns + self._shift
        lead = stream_ns - now_ns
        if self._best is None or now_ns - self._bucket_ns > self._BUCKET_NS:
            self._previous, self._best, self._bucket_ns = self._best, lead, now_ns
        else:
            self._best = max(self._best, lead)
        self._late.append(self._lead() - lead)
        self._count += 1
        if self._count % 64 == 0:
            usual = int(np.percentile(self._late, 95))
            self.held_ns = min(max(usual - self._FREE_NS, 0), self._MOST_NS)
        return stream_ns

    def reconnected(self) -> None:
        """Presentation times start anew; stream time goes on."""
        self._shift = None
        self._late.clear()

    def present_ns(self, now_ns: int) -> int | None:
        """Where the stream's present is; never runs backwards. None before the first item."""
        if self._best is None:
            return None
        self._present = max(self._present, now_ns + self._lead() - self.held_ns)
        return self._present

    def _lead(self) -> int:
        return max(v for v in (self._best, self._previous) if v is not None)
