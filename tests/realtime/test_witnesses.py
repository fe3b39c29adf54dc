"""What counts as a witness of its own when a calibration is fitted and judged; no NaN in JSON."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from avel_live.calibration.report import assess
from avel_live.realtime.commands.calibrate.features import window_scores
from avel_live.realtime.core.text import finite
from avel_live.realtime.recordings.labelled import Clip, distinct, groups_of, looks_of
from avel_live.realtime.recordings.witnesses import origin, witnesses

BG = 3


def clip(seed: int, name: str = "", of: str = "", *, event: bool = True) -> Clip:
    """Ten seconds of made-up answers, with an event in the middle."""
    rng = np.random.default_rng(seed)
    targets = np.full(10, BG)
    targets[3:7] = rng.integers(0, BG) if event else BG
    logits = rng.normal(0, 1, (10, BG + 1)).astype(np.float32)
    logits[np.arange(10), targets] += 2
    return Clip(name, tuple(window_scores(k, 0, logits[: k + 1]) for k in range(10)), targets, of)


def test_the_same_content_under_two_names_and_excerpts_of_one_recording_are_one_witness() -> None:
    clips = [
        clip(1, "a"),
        clip(2, "b", "v"),
        clip(1, "a again"),
        clip(3, "c", "v"),
        clip(4, "d"),
        clip(2, "e", "w"),
    ]
    groups = groups_of(clips)
    assert groups[0] == groups[2]
    assert groups[1] == groups[3] == groups[5]  # by its recording, and by its content
    assert len(set(groups)) == 3
    assert [c.name for c in distinct(clips)] == ["a", "b", "c", "d"]
    assert assess(looks_of(clips), rounds=20).clips == 3
    joined = witnesses([("x", ""), ("", "y"), ("x", "y"), ("",), ("",)])
    assert joined[0] == joined[1] == joined[2]
    assert len(set(joined)) == 3


@pytest.mark.parametrize(
    ("row", "file", "expected"),
    [
        ({"source": "repo:video/7fRaV39Y-2o_50000_60000.mp4"}, "a.mp4", "7fRaV39Y-2o"),
        ({"source": "repo:video/4LcMAREn89c_000013.mp4"}, "a.mp4", "4LcMAREn89c"),
        ({"youtube_id": "4LcMAREn89c", "source": "VGGSound"}, "a.mp4", "4LcMAREn89c"),
        ({"source": ""}, "yard_12.5_20.mp4", "yard"),
        ({}, "in/7fRaV39Y-2o_70000_80000.mp4", "7fRaV39Y-2o"),
        ({}, "clip_001.mp4", ""),  # a number, not a time
        ({}, "take_20_3.mp4", ""),  # no span
    ],
)
def test_whence_a_clip_is(row: dict[str, str], file: str, expected: str) -> None:
    assert origin(row, Path(file)) == expected


def test_one_witness_or_no_event_is_no_ground_for_a_fit() -> None:
    with pytest.raises(ValueError, match="two clips of different recordings"):
        assess(looks_of([clip(1, "a"), clip(1, "b"), clip(1, "c")]))
    with pytest.raises(ValueError, match="two clips of different recordings"):
        assess(looks_of([clip(1, of="v"), clip(2, of="v")]))
    quiet = [clip(k, event=False) for k in range(5)]
    with pytest.raises(ValueError, match="no labelled second holds an event"):
        assess(looks_of(quiet))
    assert assess(looks_of([*quiet, clip(9)]), rounds=20).clips == 6


def test_json_never_says_nan() -> None:
    figures = {"a": float("nan"), "b": [1.0, (float("inf"), 2)], "c": {"d": -math.inf, "e": "x", "f": None}}
    said = json.dumps(finite(figures), allow_nan=False)
    assert json.loads(said) == {"a": None, "b": [1.0, [None, 2]], "c": {"d": None, "e": "x", "f": None}}
