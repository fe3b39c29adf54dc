"""What people said of events, as labelled material: `--from-marks`.

Of a clip only the seconds of marked events are labelled: with what the event really was, with *background*
where it was nothing. All others are unknown, also those in which something happened that was not announced:
marks tell how often an announcement was right, and never what was missed.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ....model.labels import label_index
from ...core.clock import SystemClock
from ...core.errors import SourceError, UsageError
from ...memory import Marked, MemoryFileError, marked
from ...recordings.labelled import HALF, Clip, Progress, recording

if TYPE_CHECKING:
    from ....model.runtime.base import Engine


def marked_clips(memory: Path, engine: Engine, progress: Progress | None = None) -> tuple[list[Clip], str]:
    """Clips with marked events, and a line about what was used.

    Args:
        memory: the file that remembers them.
        engine: looks at the clips.
        progress: told how many are done, of how many.

    Raises:
        UsageError: nothing there can be used.

    """
    try:
        marks = list(marked(memory))
    except MemoryFileError as error:
        raise UsageError(f"--from-marks: {error}") from error
    left_out = Counter[str]()
    files = defaultdict[Path, list[tuple[Marked, int]]](list)
    for one in marks:
        if one.clip is None:
            left_out["without a clip"] += 1
        elif (label := _index(one.label, engine.info.labels)) is None:
            left_out["of a class that these networks do not know"] += 1
        else:
            files[one.clip].append((one, label))
    clips = []
    for number, (file, many) in enumerate(files.items()):
        if progress is not None:
            progress(number, len(files))
        try:
            scores = recording(file, engine, SystemClock())
        except SourceError:
            left_out["in a clip that can't be read"] += len(many)
            continue
        seconds = max((one.first_index + len(one.logits) for one in scores), default=0)
        clips.append(Clip(str(file), scores, targets(many, seconds)))
    used = len(marks) - left_out.total()
    without = "".join(f", {count} {why}" for why, count in left_out.items())
    if not used:
        raise UsageError(
            f"--from-marks: no mark in {memory} can be used ({len(marks)} marks{without}); mark events on "
            "the page, of streams that record clips (--record)"
        )
    return clips, f"marks: {used} of {len(marks)}, in {len(clips)} clips{without and ';'}{without[1:]}"


def targets(marks: Sequence[tuple[Marked, int]], seconds: int) -> NDArray[np.int64]:
    """The class of every second of a clip, −1 where nobody said anything.

    Args:
        marks: events, and the class that each really was.
        seconds: of the clip.

    """
    found = np.full(seconds, -1, np.int64)
    for one, label in reversed(marks):  # the newest is first, and counts
        first, last = round(one.start_s), max(round(one.start_s) + 1, int(one.end_s + HALF))
        found[first:last] = label
    return found


def _index(name: str | None, labels: Sequence[str]) -> int | None:
    if name is None:
        return len(labels) - 1
    try:
        return label_index(name, labels)
    except ValueError:
        return None
