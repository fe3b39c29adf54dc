"""Re-recordings: what a room and a camera do to a clip, and what they leave as it was."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from avel_live.model.runtime.base import EngineOptions
from avel_live.model.runtime.select import load_engine
from avel_live.model.training.lite.audio_data import decode
from avel_live.realtime.core.clock import SystemClock
from avel_live.realtime.recordings.labelled import recording
from support import kept_looks
from support.media import make_clip
from support.rerecord import FPS, Camera, loudspeaker, pictures, played, rerecord

RATE = 16_000
ECHO = np.zeros(4000, np.float32)
ECHO[[0, 900, 3100]] = 1.0, 0.5, 0.2
"""A room with two walls."""


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds, a flash and a beep at 1.4 s."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    return make_clip(path, seconds=3, fps=25, size=(320, 180), flashes=(1.4,), rate=44_100)


def test_a_seed_makes_the_same_file_and_another_seed_another_one(clip: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        rerecord(clip, tmp_path / f"{name}.mp4", seed, [ECHO])
    a, b, c = ((tmp_path / f"{name}.mp4").read_bytes() for name in "abc")
    assert a == b
    assert a != c
    assert not list(tmp_path.glob("*.part"))


def test_picture_and_sound_keep_their_times(clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "take" / "clip.mp4"
    rerecord(clip, out, 3, [ECHO])
    bright = np.array([image.mean() for image in pictures(out)])
    assert abs(len(bright) / FPS - 3) < 1.5 / FPS
    flash = int(bright.argmax())
    heard = decode(out).astype(np.float64)
    assert abs(len(heard) / RATE - 3) < 0.1
    loud = np.square(heard[: len(heard) // 160 * 160].reshape(-1, 160)).mean(1)
    onset = int((loud > loud.max() / 4).argmax()) / 100
    assert abs(flash / FPS - 1.4) <= 1 / FPS
    assert abs(onset - 1.4) < 0.05
    with av.open(str(out)) as container:
        assert container.streams.audio[0].rate == RATE


def test_a_small_loudspeaker_has_no_bass() -> None:
    t = np.arange(RATE) / RATE
    wave = (np.sin(2 * np.pi * 40 * t) + np.sin(2 * np.pi * 1500 * t)).astype(np.float32)
    for seed in range(5):
        spectrum = np.abs(np.fft.rfft(loudspeaker(np.random.default_rng(seed), wave)))
        assert spectrum[40] < 0.25 * spectrum[1500]


def test_what_is_played_stands_above_the_noise_of_the_room_and_is_never_clipped() -> None:
    t = np.arange(4 * RATE) / RATE
    wave = (np.sin(2 * np.pi * 800 * t) * (t < 2)).astype(np.float32)
    for seed in range(5):
        heard = played(np.random.default_rng(seed), wave, ECHO)
        assert heard.shape == wave.shape
        assert 10 ** (-30.1 / 20) < np.abs(heard).max() < 10 ** (-5.9 / 20)
        loud, still = heard[RATE : 2 * RATE], heard[3 * RATE :]
        assert 0 < np.square(still).mean() < 0.5 * np.square(loud).mean()


def test_a_camera_keeps_its_place_and_every_picture_has_its_own_noise() -> None:
    half = np.zeros((180, 320, 3), np.uint8)
    half[:, 160:] = 255
    for seed in range(8):
        camera = Camera(np.random.default_rng(seed))
        first, second = camera.film(half), camera.film(half)
        assert first.shape == (camera.height, camera.width, 3)
        assert (first != second).any()
        assert np.abs(first.astype(int) - second).mean() < 25
        assert first[:, camera.width // 2 + 60 :].mean() > first[:, : camera.width // 2 - 60].mean()


def test_kept_features_say_what_the_stream_said(clip: Path, tmp_path: Path) -> None:
    engine = load_engine(EngineOptions(profile="lite", threads=1))
    (clip.parent / "MANIFEST.tsv").write_text(
        "file\tclass\tsegments_audible_and_visible\tduration_s\nclip.mp4\tBark\t1\t3.0\n"
    )
    live = recording(clip, engine, SystemClock())
    for _ in range(2):  # made, then read
        (kept,) = kept_looks.clips(clip.parent, engine, tmp_path / "kept")
        assert [s.first_index for s in kept.scores] == [s.first_index for s in live]
        for ours, theirs in zip(kept.scores, live, strict=True):
            np.testing.assert_array_equal(ours.logits, theirs.logits)
    assert len(list((tmp_path / "kept").glob("*.npz"))) == 1
    engine.close()
