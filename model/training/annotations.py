"""AVE's `Annotations.txt` and split lists: one row per video, labels rebuilt from it.

A row is `Category&VideoID&good&start&end`: integer seconds, end exclusive. The published file has 4143
rows without a header line, copies of it have one; a wrong guess would shift every row against the
features, silently, so the header is recognised by its content. One row (26) is 0–0: background all through.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelFileError
from ..labels import BACKGROUND, LABELS, NUM_CLASSES, label_index
from ..profiles import WINDOW

Splits = dict[str, NDArray[np.int64]]
SPLITS: Final = ("train", "val", "test")
_ID_LISTS: Final = {"train": "trainSet.txt", "val": "valSet.txt", "test": "testSet.txt"}


@dataclass(frozen=True)
class Annotation:
    """One video: the event `label` from second `start` until before second `end`."""

    label: int
    video: str
    start: int
    end: int


def _parse(path: Path, number: int, line: str, length: int) -> Annotation:
    fields = line.split("&")
    if len(fields) != 5:
        raise ModelFileError(
            f"{path}:{number}: expected Category&VideoID&quality&start&end, got {len(fields)} fields"
        )
    category, video, _, first, last = fields
    try:
        start, end = int(first), int(last)
    except ValueError as error:
        raise ModelFileError(
            f"{path}:{number}: start and end must be whole seconds, got {first!r}, {last!r}"
        ) from error
    if not 0 <= start <= end <= length:
        raise ModelFileError(f"{path}:{number}: expected 0 ≤ start ≤ end ≤ {length}, got {start} and {end}")
    try:
        return Annotation(label_index(category), video, start, end)
    except ValueError as error:
        raise ModelFileError(f"{path}:{number}: {error}") from error


def read_annotations(path: Path, length: int = WINDOW) -> tuple[Annotation, ...]:
    """All rows in the file's order, which is the order of the feature files.

    Raises:
        ModelFileError: missing, or a line that can't be read; names the line.

    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ModelFileError(f"annotations {path}: can't be read ({error})") from error
    numbered = [(n, line.strip()) for n, line in enumerate(lines, 1) if line.strip()]
    if not numbered:
        raise ModelFileError(f"annotations {path}: the file is empty")
    head = numbered[0][1].split("&")
    if len(head) == 5 and not head[3].strip().isdigit() and not head[4].strip().isdigit():
        numbered = numbered[1:]  # "Category&VideoID&Quality&StartTime&EndTime"
    return tuple(_parse(path, n, line, length) for n, line in numbered)


def targets(rows: Sequence[Annotation], length: int = WINDOW) -> NDArray[np.int64]:
    """[N, length] class of each second, background where the event is not."""
    seconds = np.arange(length)
    start = np.array([row.start for row in rows])[:, None]
    end = np.array([row.end for row in rows])[:, None]
    label = np.array([row.label for row in rows])[:, None]
    return np.where((seconds >= start) & (seconds < end), label, BACKGROUND).astype(np.int64)


def _order(path: Path, count: int) -> NDArray[np.int64]:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            rows = np.asarray(file["order"][()], np.int64)
    except (OSError, KeyError) as error:
        raise ModelFileError(f"split {path}: can't be read ({error}); fetch it again") from error
    if rows.ndim != 1 or len(rows) == 0 or rows.min() < 0 or rows.max() >= count:
        raise ModelFileError(
            f"split {path}: rows must be within 0..{count - 1}, got shape {rows.shape}"
            + (f", {rows.min()}..{rows.max()}" if rows.size else "")
        )
    return rows


def _listed(path: Path, rows: Sequence[Annotation]) -> NDArray[np.int64]:
    """Rows named by a list of ids or of whole annotation lines.

    Some ids occur twice with different events; a whole line tells them apart, a bare id takes both.
    """
    by_id: dict[str, list[int]] = {}
    for index, row in enumerate(rows):
        by_id.setdefault(row.video, []).append(index)
    chosen: list[int] = []
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), 1):
        line = line.strip()
        if not line:
            continue
        if "&" not in line:
            found = by_id.get(line, [])
        elif number == 1 and not line.rsplit("&", 1)[1].strip().isdigit():
            continue  # a header
        else:
            wanted = _parse(path, number, line, WINDOW)
            found = [i for i in by_id.get(wanted.video, []) if rows[i] == wanted]
        if not found:
            raise ModelFileError(f"{path}:{number}: {line!r} is not in Annotations.txt")
        chosen += found
    return np.array(chosen, np.int64)


def read_splits(folder: Path, rows: Sequence[Annotation]) -> Splits:
    """Row numbers of train, val and test: from `*_order.h5`, or else from `trainSet.txt` … lists.

    Raises:
        ModelFileError: neither is there, or a row occurs in two splits.

    """
    splits: Splits = {}
    for name in SPLITS:
        order, listed = folder / f"{name}_order.h5", folder / _ID_LISTS[name]
        if order.is_file():
            splits[name] = _order(order, len(rows))
        elif listed.is_file():
            splits[name] = _listed(listed, rows)
        else:
            raise ModelFileError(
                f"{folder}: no {order.name} and no {listed.name}; get them from the AVE data set"
            )
    for i, first in enumerate(SPLITS):
        for second in SPLITS[i + 1 :]:
            both = np.intersect1d(splits[first], splits[second])
            if len(both):
                raise ModelFileError(
                    f"{folder}: {len(both)} rows are both in {first} and in {second}, e.g. row {both[0]}"
                )
    return splits


def shared_videos(rows: Sequence[Annotation], splits: Splits) -> dict[tuple[str, str], int]:
    """How many video ids occur in two splits (the published lists have a few: the same film twice)."""
    count = len(rows)  # rows beyond are the noisy set's, which has no ids
    ids = {name: {rows[i].video for i in chosen if i < count} for name, chosen in splits.items()}
    names = [name for name in SPLITS if name in ids]
    return {(a, b): len(ids[a] & ids[b]) for i, a in enumerate(names) for b in names[i + 1 :]}


def generate(count: int = 4143, seed: int = 0) -> tuple[tuple[Annotation, ...], Splits]:
    """Annotations of AVE's statistics where AVE's own are not at hand: classes, intervals, splits.

    Two thirds of the videos are all event; the others have one run of 1–9 seconds. Splits in AVE's
    proportions (3339 / 402 / 402).
    """
    rng = np.random.default_rng(seed)
    rows = []
    for index in range(count):
        start, end = 0, WINDOW
        if rng.random() > 0.664:
            length = int(rng.integers(1, WINDOW))
            anywhere = int(rng.integers(0, WINDOW - length + 1))
            start = (0, WINDOW - length, anywhere)[int(rng.integers(3))]
            end = start + length
        rows.append(Annotation(int(rng.integers(NUM_CLASSES - 1)), f"generated{index:05d}", start, end))
    order = rng.permutation(count)
    held = round(count * 402 / 4143)
    splits = {"train": order[2 * held :], "val": order[:held], "test": order[held : 2 * held]}
    return tuple(rows), splits


def write_annotations(path: Path, rows: Sequence[Annotation], labels: Sequence[str] = LABELS) -> None:
    """The published format, without a header."""
    lines = (f"{labels[r.label]}&{r.video}&good&{r.start}&{r.end}\n" for r in rows)
    path.write_text("".join(lines), encoding="utf-8")
