"""INT8 material from a folder of training data: streams of seconds, each photograph in one of them."""

from __future__ import annotations

import csv
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from avel_live.model.errors import ModelFileError
from avel_live.model.labels import BACKGROUND, EVENT_NAMES, LABELS
from avel_live.realtime.commands.calibrate.int8_scenes import FRAMES, SECONDS, from_training_data

KINDS = {"Bark": "Bark", "Clock": "Clock", "_bg": "_bg", "_person": "_person"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two photographs of each kind, each of one colour, and a tone for each kind that is heard."""
    folder = tmp_path_factory.mktemp("data")
    rows = []
    for number, kind in enumerate(KINDS):
        for copy in range(2):
            path = folder / "photos" / kind / f"{copy}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            colour = np.full((240, 320, 3), (30 + 60 * number, 100 * copy, 40), np.uint8)
            cv2.imwrite(str(path), colour)
            rows.append((f"{kind}/{copy}.png", kind, "made", "CC0-1.0", ""))
    with (folder / "photos" / "MANIFEST.tsv").open("w", newline="") as file:
        csv.writer(file, delimiter="\t").writerows([("file", "class", "source", "licence", "note"), *rows])
    for kind in ("Bark", "Clock", "Male_speech", "Female_speech", "_bg"):
        path = folder / "audio" / kind / "tone.wav"
        path.parent.mkdir(parents=True)
        tone = (0.3 * np.sin(np.arange(24_000) / 9) * 32_767).astype(np.int16)
        with av.open(str(path), "w") as out:
            stream = out.add_stream("pcm_s16le", rate=16_000, layout="mono")
            frame = av.AudioFrame.from_ndarray(tone[None], "s16", "mono")
            frame.sample_rate = 16_000
            out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
    return folder


def test_every_photograph_is_one_stream_of_whole_seconds(data: Path) -> None:
    streams = list(from_training_data(data, LABELS))
    assert len(streams) == 2 * len(KINDS)
    for stream in streams:
        assert len(stream) == SECONDS
        for second in stream:
            assert second.frames.shape == (FRAMES, 224, 224, 3)
            assert second.audio.shape == (16_000,)
            assert second.audio.any()
        assert len({second.label for second in stream}) == 1
    labels = [stream[0].label for stream in streams]
    assert labels.count(EVENT_NAMES.index("Bark")) == labels.count(BACKGROUND) == 2
    plain = {tuple(stream[0].frames[0, 0, 0]) for stream in streams}
    assert len(plain) == len(streams)  # the first picture of each is the photograph itself


def test_the_same_seed_makes_the_same_streams(data: Path) -> None:
    one, two = (list(from_training_data(data, LABELS, seed=3)) for _ in range(2))
    for a, b in zip(one, two, strict=True):
        assert all(
            (x.frames == y.frames).all() and (x.audio == y.audio).all() for x, y in zip(a, b, strict=True)
        )


def test_a_folder_without_photographs_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"photos/MANIFEST\.tsv"):
        list(from_training_data(tmp_path, LABELS))


def test_a_head_of_own_classes_is_not_measured_on_aves(data: Path) -> None:
    with pytest.raises(ModelFileError, match=r"its 29 classes are not the 3 of the checkpoint \('Own 0'"):
        list(from_training_data(data, ("Own 0", "Own 1", "background")))
