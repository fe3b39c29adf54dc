"""One set of networks for many recordings: loaded once, used for all.

python -m avel_live.realtime.examples.many_recordings RECORDING… > events.csv

For archives of hours there is `avel localize`: in parallel, resumable, with pages. In a notebook:

    from avel_live.realtime.examples.many_recordings import found
    list(found(["a.mp4", "b.mp4"]))
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import avel_live


def found(paths: Iterable[str | Path]) -> Iterator[tuple[str, str, float, float, float]]:
    """(recording, event, start_s, end_s, confidence) of every event; what can't be read is told."""
    engine = avel_live.load_engine()
    try:
        for path in paths:
            try:
                findings = avel_live.localize(path, engine=engine)
            except avel_live.SourceError as error:
                print(error, file=sys.stderr)
                continue
            for event in findings.events:
                yield str(path), event.label, event.start_s, event.end_s, event.confidence
    finally:
        engine.close()


if __name__ == "__main__":
    rows = csv.writer(sys.stdout)
    rows.writerow(("recording", "event", "start_s", "end_s", "confidence"))
    rows.writerows(found(sys.argv[1:]))
