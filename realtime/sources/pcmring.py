"""A ring of samples between an audio callback and one reader: no lock, nothing allocated while writing.

One writer, one reader. Each owns one counter; both are plain integers, whose assignment is atomic. When
the reader is more than the capacity late, the writer skips the block and goes on counting: the reader
sees a jump of the counter, never a mixture of old and new.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_RECORDS = 4096


class PcmRing:
    """Room for `capacity` sample frames of `channels` float32 values."""

    def __init__(self, capacity: int, channels: int) -> None:
        self._data = np.zeros((capacity, channels), np.float32)
        self._capacity = capacity
        self._first = np.zeros(_RECORDS, np.int64)
        self._start = np.zeros(_RECORDS, np.int64)
        self._length = np.zeros(_RECORDS, np.int64)
        self._stamp = np.zeros(_RECORDS, np.int64)
        self._overflow = np.zeros(_RECORDS, np.bool_)
        self._counter = 0  # sample frames offered since the beginning
        self._written = 0  # sample frames stored
        self._freed = 0  # sample frames read
        self._records_written = 0
        self._records_read = 0
        self._pending_overflow = False
        self.dropped = 0

    def write(self, data: NDArray[np.float32], t_ns: int, overflow: bool) -> None:
        """Copy [n, channels] sample frames; called by the callback only."""
        n = len(data)
        room = self._capacity - (self._written - self._freed)
        if n > room or self._records_written - self._records_read >= _RECORDS:
            self._counter += n
            self.dropped += n
            self._pending_overflow = self._pending_overflow or overflow
            return
        at = self._written % self._capacity
        head = min(n, self._capacity - at)
        self._data[at : at + head] = data[:head]
        if head < n:
            self._data[: n - head] = data[head:]
        r = self._records_written % _RECORDS
        self._first[r] = self._counter
        self._start[r] = self._written
        self._length[r] = n
        self._stamp[r] = t_ns
        self._overflow[r] = overflow or self._pending_overflow
        self._pending_overflow = False
        self._counter += n
        self._written += n
        self._records_written += 1

    def read(self) -> list[tuple[int, int, bool, NDArray[np.float32]]]:
        """Everything unread: (number of the first sample, stamp, overflow before it, [n, channels])."""
        out = []
        end = self._records_written
        while self._records_read < end:
            r = self._records_read % _RECORDS
            n, start = int(self._length[r]), int(self._start[r])
            at = start % self._capacity
            head = min(n, self._capacity - at)
            block = np.concatenate((self._data[at : at + head], self._data[: n - head]))
            out.append((int(self._first[r]), int(self._stamp[r]), bool(self._overflow[r]), block))
            self._freed = start + n
            self._records_read += 1
        return out
