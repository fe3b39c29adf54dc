"""What was found in every second of a recording: a table of 130 bytes a row that goes to disk as it grows.

Rows are filled while looks at them still come, and written, in order, when none can come any more. What reads
them reads them in order: memory is the same for a minute and for a week.
"""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, overload

import numpy as np
from numpy.typing import NDArray

from ..core.messages import Settled

BINS: Final = 32
"""Bars of the waveform per second."""
LOOKS: Final = 10
TOP: Final = 3
_IN_MEMORY: Final = 8 << 20
_CHUNK: Final = 4096
"""Rows read at a time."""
_ROW: Final = np.dtype(
    [
        ("settled", "?"),
        ("looks", "u1"),
        ("label", "i2"),
        ("confidence", "u2"),
        ("start_s", "f8"),
        ("end_s", "f8"),
        ("top", "i2", TOP),
        ("top_p", "u2", TOP),
        ("seen", "u1"),
        ("look", "i2", LOOKS),
        ("look_p", "u2", LOOKS),
        ("peaks", "u1", BINS),
    ]
)


class SecondTable:
    """One row for every second from 0, whether anything is known of it or not.

    Args:
        labels: class names, background last.
        late: seconds that looks and settled answers may be behind the newest second (a minute unseen is
            settled at once, see `events.decoder.MAX_UNSEEN`).

    """

    def __init__(self, labels: tuple[str, ...], late: int = 80) -> None:
        self.labels = labels
        self._late = late
        # Lives as long as the table, and vanishes with it.
        self._file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115
        weakref.finalize(self, self._file.close)
        self._written = 0
        self._open: dict[int, NDArray[Any]] = {}

    def __len__(self) -> int:
        return self._written

    # Writing --------------------------------------------------------------------------------------

    def look(self, second: int, label: int, p: float) -> None:
        """One answer about a second; the first ten are kept."""
        row = self._row(second)
        if row is not None and (seen := int(row["seen"])) < LOOKS:
            row["look"][seen], row["look_p"][seen], row["seen"] = label, _of(p, 1000), seen + 1

    def peaks(self, second: int, peaks: bytes) -> None:
        """Its waveform."""
        row = self._row(second)
        if row is not None:
            row["peaks"] = np.frombuffer(peaks, np.uint8)

    def settle(self, settled: Settled) -> None:
        """Its final answer."""
        row = self._row(settled.index)
        if row is None:
            return
        order = np.argsort(-settled.probabilities, kind="stable")[:TOP]
        row["settled"], row["looks"] = True, min(settled.looks, 255)
        row["label"], row["confidence"] = settled.label, _of(settled.confidence, 10_000)
        row["start_s"], row["end_s"] = round(settled.start_s, 3), round(settled.end_s, 3)
        row["top"][: len(order)] = order
        row["top_p"][: len(order)] = [_of(float(p), 1000) for p in settled.probabilities[order]]

    def advance(self, newest: int) -> None:
        """Write what is too old for anything more to be said of it."""
        self._write(newest - self._late)

    def finish(self) -> None:
        """Write the rest."""
        self._write(max(self._open, default=self._written - 1) + 1)

    def _row(self, second: int) -> NDArray[Any] | None:
        if second < self._written:
            return None
        if second not in self._open:
            row = np.zeros((), _ROW)
            row["top"] = -1
            self._open[second] = row
        return self._open[second]

    def _write(self, below: int) -> None:
        empty = np.zeros((), _ROW).tobytes()
        while self._written < below:
            row = self._open.pop(self._written, None)
            self._file.write(empty if row is None else row.tobytes())
            self._written += 1

    # Reading, after `finish` ------------------------------------------------------------------------

    def chunks(self, first: int = 0) -> Iterator[NDArray[Any]]:
        """The rows from `first` on, some thousand at a time."""
        while first < self._written:
            count = min(_CHUNK, self._written - first)
            yield self.read(first, count)
            first += count

    def read(self, first: int, count: int) -> NDArray[Any]:
        """Some rows."""
        self._file.seek(first * _ROW.itemsize)
        return np.frombuffer(self._file.read(count * _ROW.itemsize), _ROW)

    @property
    def waveform(self) -> bytes:
        """`BINS` peaks (0..255) of every second: 2.8 MB for a day."""
        return b"".join(rows["peaks"].tobytes() for rows in self.chunks())

    def record(self, second: int, row: NDArray[Any]) -> dict[str, Any]:
        """A settled second as a record of schema 1."""
        return {
            "type": "segment",
            "index": second,
            "start_s": float(row["start_s"]),
            "end_s": float(row["end_s"]),
            "label": self.labels[row["label"]],
            "confidence": int(row["confidence"]) / 10_000,
            "looks": int(row["looks"]),
        }

    def top(self, row: NDArray[Any]) -> list[tuple[str, float]]:
        """The surest labels of the settled answer."""
        pairs = zip(row["top"].tolist(), row["top_p"].tolist(), strict=True)
        return [(self.labels[label], p / 1000) for label, p in pairs if label >= 0] if row["settled"] else []

    def answers(self, row: NDArray[Any]) -> list[tuple[int, float]]:
        """The looks, oldest first."""
        seen = int(row["seen"])
        pairs = zip(row["look"][:seen].tolist(), row["look_p"][:seen].tolist(), strict=True)
        return [(label, p / 1000) for label, p in pairs]


def _of(p: float, parts: int) -> int:
    """A probability in so many parts of one, rounded as records are."""
    return round(parts * round(p, len(str(parts)) - 1))


class Seconds(Sequence[dict[str, Any]]):
    """Every settled second, as records of schema 1; read from the table whenever they are asked for."""

    def __init__(self, table: SecondTable) -> None:
        self._table = table
        self._count = sum(int(rows["settled"].sum()) for rows in table.chunks())

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for record, _ in self.with_top():
            yield record

    def with_top(self) -> Iterator[tuple[dict[str, Any], list[tuple[str, float]]]]:
        """Every record, with its surest labels."""
        first = 0
        for rows in self._table.chunks():
            for k in np.flatnonzero(rows["settled"]):
                yield self._table.record(first + int(k), rows[k]), self._table.top(rows[k])
            first += len(rows)

    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[dict[str, Any], ...]: ...
    def __getitem__(self, index: int | slice) -> dict[str, Any] | tuple[dict[str, Any], ...]:
        if isinstance(index, slice):
            return tuple(self)[index]
        wanted = index + self._count if index < 0 else index
        first = 0
        for rows in self._table.chunks():
            settled = np.flatnonzero(rows["settled"])
            if 0 <= wanted < len(settled):
                return self._table.record(first + int(settled[wanted]), rows[settled[wanted]])
            wanted, first = wanted - len(settled), first + len(rows)
        raise IndexError(index)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    __hash__ = None  # type: ignore[assignment]


class BySecond(Mapping[int, list[Any]]):
    """Something about each second by its index, read from the table; seconds without it are left out."""

    def __init__(self, table: SecondTable, *, top: bool) -> None:
        self._table, self._field = table, "settled" if top else "seen"
        self._of = table.top if top else table.answers

    def __iter__(self) -> Iterator[int]:
        first = 0
        for rows in self._table.chunks():
            yield from (first + int(k) for k in np.flatnonzero(rows[self._field]))
            first += len(rows)

    def __len__(self) -> int:
        return sum(int(np.count_nonzero(rows[self._field])) for rows in self._table.chunks())

    def __getitem__(self, second: int) -> list[Any]:
        if not 0 <= second < len(self._table):
            raise KeyError(second)
        row = self._table.read(second, 1)[0]
        if not row[self._field]:
            raise KeyError(second)
        return self._of(row)

    def every(self) -> Iterator[list[Any]]:
        """That of every second from 0 to the last that has some, in order; empty where there is none."""
        last = max(self, default=-1)
        second = 0
        for rows in self._table.chunks():
            for row in rows:
                if second > last:
                    return
                yield self._of(row)
                second += 1
