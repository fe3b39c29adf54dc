"""Of `taught.py`: material that does not depend on the class, and the table of all rows."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from avel_live.model.labels import LABELS
from avel_live.model.teach.seconds import sense
from avel_live.model.teach.senses import Senses

sys.path.insert(0, str(Path(__file__).parents[1]))

Row = dict[str, Any]
Arrays = tuple[np.ndarray, ...]


def kept(cache: Path | None, name: str, make: Callable[[], Arrays]) -> Arrays:
    """What was made, from a folder where an earlier run left it."""
    if cache is None:
        return make()
    path = cache / f"{name}.npz"
    if not path.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        np.savez(path, *make())
    with np.load(path) as file:
        return tuple(file[f"arr_{k}"] for k in range(len(file.files)))


def quiet(senses: Senses, data: Path) -> Arrays:
    """Sounds and pictures of every second of twenty minutes in which nothing happens."""
    from support.nothing import FPS, Nothing, NothingSource

    source = NothingSource(Nothing(data))
    heard, seen, frames = [], [], []
    samples: np.ndarray | None = None
    while hasattr(item := source.read(0.0), "samples") or hasattr(item, "image"):
        if hasattr(item, "samples"):
            samples, frames = item.samples, []
            continue
        frames.append(item.image)
        if len(frames) == FPS:
            made = sense(senses, np.stack(frames), samples)
            assert made.audio is not None
            assert made.visual is not None
            heard.append(made.audio.embedding[0]), seen.append(made.visual.embedding[0])
    return np.stack(heard), np.stack(seen)


def real_clips(senses: Senses, folder: Path) -> Arrays:
    """Sounds, pictures and classes of every second of real clips; nothing where there are none."""
    from avel_live.realtime.commands.teach.gather import segments_of, sensed
    from avel_live.realtime.recordings.labelled import is_manifest, read_manifest

    if not is_manifest(folder):
        return ()
    heard, seen, label = [], [], []
    for path, targets in read_manifest(folder, LABELS):
        for segment, target in zip(segments_of(path), targets, strict=False):
            made = sensed(senses, segment)
            if made.audio is not None and made.visual is not None:
                heard.append(made.audio.embedding[0]), seen.append(made.visual.embedding[0])
                label.append(target)
    return np.stack(heard), np.stack(seen), np.array(label)


def spread(values: Iterable[float]) -> str:
    """Mean and spread of shares."""
    got = np.array(list(values))
    return f"{100 * got.mean():.1f} ± {100 * got.std():.1f}"


def table(rows: Sequence[Row]) -> Iterator[str]:
    """Lines of Markdown: a row for each way and number of examples, over classes and draws."""
    groups: dict[tuple[str, int], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row["way"], row["shots"]].append(row)
    classes = sorted({row["class"] for row in rows})
    most = 1 + max((row["draw"] for row in rows), default=0)
    yield f"{len(classes)} classes, up to {most} draws: {', '.join(classes)}"
    heads = (
        "way",
        "examples",
        "classes",
        "recall, %",
        "of the whole head's, %",
        "false s/h of other things, mean (median)",
    )
    heads += ("events/h of nothing, mean (median)", "seconds found in the clips", "false seconds there")
    yield f"| {' | '.join(heads)} |"
    yield "|---" * len(heads) + "|"
    for (way, shots), some in sorted(groups.items()):
        cells = [way, str(shots or "all"), str(len({row["class"] for row in some}))]
        cells.append(spread(row["recall"] for row in some))
        if way == "whole head":
            yield f"| {' | '.join(cells)} | | | | | |"
            continue
        # By ear alone nobody asked the whole head; where it finds less than half, it is no measure.
        share = [min(1.0, row["recall"] / row["whole"]) for row in some if (row["whole"] or 0) >= 0.5]
        cells.append(spread(share) if share else "")
        for name in ("false_s_per_hour", "events_per_hour_of_nothing"):
            got = [row[name] for row in some if name in row]
            cells.append(f"{np.mean(got):.1f} ({np.median(got):.1f})" if got else "")
        clips = [row for row in some if row.get("clip_seconds")]
        found, of = (sum(row[name] for row in clips) for name in ("clip_found", "clip_seconds"))
        cells.append(f"{found} of {of} ({found / of:.0%})" if of else "")
        false, others = (sum(row.get(name, 0) for row in some) for name in ("clip_false", "clip_others"))
        cells.append(f"{false} of {others} ({100 * false / others:.2f} %)" if others else "")
        yield f"| {' | '.join(cells)} |"


def by_class(rows: Sequence[Row], way: str = "taught") -> Iterator[str]:
    """Lines of Markdown: a row for each class, means over draws, for each number of examples."""
    some = [row for row in rows if row["way"] == way]
    shots = sorted({row["shots"] for row in some})
    heads = [f"{n}: {what}" for n in shots for what in ("recall, %", "false s/h", "events/h of nothing")]
    yield f"| {way} | {' | '.join(heads)} |"
    yield "|---" * (len(heads) + 1) + "|"
    for kind in sorted({row["class"] for row in some}):
        cells = [kind]
        for n in shots:
            of = [row for row in some if row["class"] == kind and row["shots"] == n]
            cells.append(f"{100 * np.mean([row['recall'] for row in of]):.0f}" if of else "")
            for name in ("false_s_per_hour", "events_per_hour_of_nothing"):
                got = [row[name] for row in of if name in row]
                cells.append(f"{np.mean(got):.1f}" if got else "")
        yield f"| {' | '.join(cells)} |"


def alike(rows: Sequence[Row], way: str = "taught") -> Iterator[str]:
    """Lines of Markdown: a row for each number of examples, over the draws that have all of them."""
    some = {(row["class"], row["draw"], row["shots"]): row for row in rows if row["way"] == way}
    shots = sorted({n for _, _, n in some})
    draws = [d for d in sorted({k[:2] for k in some}) if all((*d, n) in some for n in shots)]
    yield f"{len({kind for kind, _ in draws})} classes with all of it"
    yield f"| {way} | recall, % | events/h of nothing |\n|---|---|---|"
    for n in shots if draws else ():
        of = [some[(*draw, n)] for draw in draws]
        name = "events_per_hour_of_nothing"
        events = f"{np.mean([row[name] for row in of]):.1f}" if all(name in row for row in of) else ""
        yield f"| {n} | {spread(row['recall'] for row in of)} | {events} |"
