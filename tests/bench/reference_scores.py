"""Scores of made-up events by sed_eval, which `tests/model/test_scores.py` compares ours with.

    pip install sed_eval==0.2.1 && python tests/bench/reference_scores.py > tests/data/sed_eval.json

It runs without our code, in an environment of its own: sed_eval brings librosa and more.
"""

from __future__ import annotations

import json
import math
import sys
from typing import Any

import numpy as np

Event = tuple[int, float, float]
NAMES = ("c0", "c1", "c2")


def recording(rng: np.random.Generator) -> dict[str, list[Event]]:
    """True events, and answers that are more or less they."""
    there: list[Event] = []
    for _ in range(int(rng.integers(0, 7))):
        start = round(float(rng.uniform(0, 20)), 2)
        there.append((int(rng.integers(3)), start, round(start + float(rng.uniform(0.1, 6)), 2)))
    said: list[Event] = []
    for label, start, end in there:
        if rng.random() < 0.8:
            onset = round(max(0.0, start + float(rng.normal(0, 0.15))), 2)
            offset = round(max(onset + 0.05, end + float(rng.normal(0, 0.8))), 2)
            said.append((label if rng.random() < 0.75 else int(rng.integers(3)), onset, offset))
    for _ in range(int(rng.integers(0, 3))):
        start = round(float(rng.uniform(0, 20)), 2)
        said.append((int(rng.integers(3)), start, round(start + float(rng.uniform(0.1, 6)), 2)))
    return {"said": said, "there": there}


def number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def told(metric: Any) -> dict[str, Any]:
    overall, mean = metric.results_overall_metrics(), metric.results_class_wise_average_metrics()
    classes = [metric.results_class_wise_metrics()[name] for name in NAMES]
    rates = ("substitution_rate", "deletion_rate", "insertion_rate")
    return {
        "precision": number(overall["f_measure"]["precision"]),
        "recall": number(overall["f_measure"]["recall"]),
        "f1": number(overall["f_measure"]["f_measure"]),
        "error_rate": number(overall["error_rate"]["error_rate"]),
        "macro_f1": number(mean["f_measure"]["f_measure"]),
        "rates": [number(overall["error_rate"][name]) for name in rates],
        "classes": [
            [number(one["f_measure"]["f_measure"]), number(one["error_rate"]["error_rate"])]
            for one in classes
        ],
    }


def main() -> None:
    """Print all of it as JSON."""
    from dcase_util.containers import MetaDataContainer
    from sed_eval.sound_event import EventBasedMetrics, SegmentBasedMetrics

    rows = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        recordings = [recording(rng) for _ in range(6)]
        segment_s = 1.0 if seed % 2 else 0.5
        segment = SegmentBasedMetrics(list(NAMES), time_resolution=segment_s)
        event = EventBasedMetrics(list(NAMES), t_collar=0.2, percentage_of_length=0.5)
        for k, one in enumerate(recordings):
            there, said = (
                MetaDataContainer(
                    [
                        {"filename": f"{k}.wav", "event_label": NAMES[label], "onset": start, "offset": end}
                        for label, start, end in one[kind]
                    ]
                )
                for kind in ("there", "said")
            )
            segment.evaluate(there, said)
            event.evaluate(there, said)
        scores = {"segment": told(segment), "event": told(event)}
        rows.append({"segment_s": segment_s, "recordings": recordings, **scores})
    json.dump(rows, sys.stdout)


if __name__ == "__main__":
    main()
