"""Sound as people record it: opposite phase, sound fields, wobbling stamps, a rate that changes."""

from __future__ import annotations

import subprocess
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from avel_live.realtime.core.clock import NS_PER_S
from avel_live.realtime.core.errors import SourceError
from avel_live.realtime.core.messages import SAMPLE_RATE, Status
from avel_live.realtime.sources.steady import Sound, SteadyStamps
from hypothesis import given
from hypothesis import strategies as st
from support.media import needs_ffmpeg
from support.played import Played

BEEP = "0.5*sin(2*PI*1000*t)*between(mod(t,1),0.5,0.6)"


def channels(path: Path, *gains: float, layout: str, codec: tuple[str, ...] = ("pcm_s16le",)) -> Path:
    """Three beeps, on each channel with its own gain."""
    source = f"aevalsrc='{'|'.join(f'{gain}*{BEEP}' for gain in gains)}':s=48000:d=3" + layout
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", source, "-c:a", *codec, str(path)]
    subprocess.run(command, check=True, timeout=60)
    return path


def told(played: Played) -> list[str]:
    return [i.reason for i in played.items if isinstance(i, Status)]


@needs_ffmpeg
@pytest.mark.parametrize(
    ("gains", "layout", "codec"),
    [
        ((1, -1), ":c=stereo", ("pcm_s16le",)),
        ((0.4, -1), ":c=stereo", ("pcm_s16le",)),
        ((1, -1), ":c=stereo", ("aac", "-b:a", "192k")),
        ((1, -1, 0, 0, 0, 0), ":c=5.1", ("flac",)),
        ((1, 0, 0, -1), ":c=4.0", ("pcm_s16le",)),
    ],
)
def test_channels_that_cancel_out_are_heard_and_said(
    gains: tuple[float, ...], layout: str, codec: tuple[str, ...], tmp_path: Path
) -> None:
    suffix = {"aac": "m4a", "flac": "flac"}.get(codec[0], "wav")
    played = Played(channels(tmp_path / f"clip.{suffix}", *gains, layout=layout, codec=codec))
    assert played.beeps() == pytest.approx([0.5, 1.5, 2.5], abs=0.012)
    assert np.abs(played.sound()).max() == pytest.approx(0.5, abs=0.08)
    (line,) = told(played)
    assert "opposite phase" in line
    assert f"of {len(gains)}" in line


@needs_ffmpeg
@pytest.mark.parametrize("gains", [(1, 1), (1, 0), (0, 1), (1, -0.1)])
def test_channels_that_do_not_are_mixed_without_a_word(gains: tuple[float, ...], tmp_path: Path) -> None:
    played = Played(channels(tmp_path / "clip.wav", *gains, layout=":c=stereo"))
    assert np.abs(played.sound()).max() == pytest.approx(0.5 * abs(sum(gains)) / 2, abs=0.02)
    assert told(played) == []


@needs_ffmpeg
@pytest.mark.parametrize("back", [(1, 0, 0, -1), (1, -0.7, 0, -0.7), (1, -1, 0, 0)])
def test_a_sound_field_is_heard_from_every_side(back: tuple[float, ...], tmp_path: Path) -> None:
    """First-order ambisonics (ACN: W, Y, Z, X) in Opus: from behind, X is W turned over."""
    codec = ("libopus", "-mapping_family", "2", "-b:a", "256k")
    played = Played(channels(tmp_path / "clip.opus", *back, layout="", codec=codec))
    assert np.abs(played.sound()).max() == pytest.approx(0.5, abs=0.1)
    assert played.beeps() == pytest.approx([0.5, 1.5, 2.5], abs=0.012)


@needs_ffmpeg
def test_one_channel_of_a_recording_can_be_chosen(tmp_path: Path) -> None:
    wav = channels(tmp_path / "clip.wav", 0.2, 1, layout=":c=stereo")
    loudest = [float(np.abs(Played(wav, channel=k).sound()).max()) for k in (1, 2)]
    assert loudest == pytest.approx([0.1, 0.5], abs=0.01)
    with pytest.raises(SourceError, match=r"clip\.wav: no channel 3 in the sound: it has 2"):
        Played(wav, channel=3)


def wobbling(path: Path, jitter_ms: float, spike_every: int, spike_ms: float) -> Path:
    """Ten seconds of a steady tone as a browser writes it: Opus packets of 20 ms, stamped late."""
    rng = np.random.default_rng(1)
    rate, packets = 48_000, []
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format = rate, "mono", "flt"
    encoder.time_base = Fraction(1, rate)
    encoder.open()
    for k in range(500):
        t = (np.arange(960) + 960 * k) / rate
        tone = (0.5 * np.sin(2 * np.pi * 1000 * t)).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(tone[None], "flt", "mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, 960 * k, Fraction(1, rate)
        packets += encoder.encode(frame)
    with av.open(str(path), "w") as out:
        track = out.add_stream("libopus", rate=rate, layout="mono")
        last = -1
        for k, packet in enumerate(packets):
            late = spike_ms if spike_every and k and k % spike_every == 0 else 0.0
            last = round(max(last + 1, 20 * k + rng.uniform(-jitter_ms, jitter_ms) + late))
            packet.pts = packet.dts = last
            packet.time_base, packet.duration, packet.stream = Fraction(1, 1000), 20, track
            out.mux(packet)
    return path


@pytest.mark.parametrize(
    ("jitter_ms", "every", "spike_ms"), [(0, 0, 0), (5, 7, 90), (5, 25, 400), (45, 0, 0), (20, 11, 150)]
)
def test_stamps_that_wobble_cost_no_sound(
    jitter_ms: float, every: int, spike_ms: float, tmp_path: Path
) -> None:
    played = Played(wobbling(tmp_path / "clip.mkv", jitter_ms, every, spike_ms))
    sound = played.sound()[SAMPLE_RATE : 9 * SAMPLE_RATE]
    assert told(played) == []
    assert np.mean(np.abs(sound) < 1e-4) < 0.01
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound)))) ** 2
    hertz = np.fft.rfftfreq(len(sound), 1 / SAMPLE_RATE)
    tone = spectrum[(hertz > 900) & (hertz < 1100)].sum()
    assert 1 - tone / spectrum.sum() < 0.001


@needs_ffmpeg
def test_a_rate_that_changes_within_a_transport_stream_keeps_every_beep(tmp_path: Path) -> None:
    parts = []
    for k, (rate, layout) in enumerate([(48_000, "stereo"), (44_100, "mono"), (32_000, "stereo")]):
        part = tmp_path / f"{k}.ts"
        source = f"aevalsrc='{BEEP}':s={rate}:d=3"
        command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", source, "-c:a", "aac", "-channel_layout"]
        command += [layout, "-muxdelay", "0", "-output_ts_offset", str(3 * k), str(part)]
        subprocess.run(command, check=True, timeout=60)
        parts.append(part.read_bytes())
    path = tmp_path / "joined.ts"
    path.write_bytes(b"".join(parts))
    played = Played(path)
    assert played.beeps() == pytest.approx([k + 0.5 for k in range(9)], abs=0.03)
    covered = sum(len(block.samples) for block in played.blocks) / SAMPLE_RATE
    assert covered == pytest.approx(9.0, abs=0.15)


@given(
    offs_ms=st.lists(st.integers(-30, 30), min_size=30, max_size=60),
    spikes=st.lists(
        st.tuples(st.integers(1, 25), st.integers(-300, 300)), max_size=4, unique_by=lambda s: s[0]
    ),
    hole_ms=st.integers(100, 5000),
)
def test_a_hole_is_believed_where_it_is_and_spikes_are_not(
    offs_ms: list[int], spikes: list[tuple[int, int]], hole_ms: int
) -> None:
    """Packets of 20 ms; stamps wobble, some stray far, and in the middle something is really missing."""
    stamps, placed, samples = SteadyStamps(), [], np.zeros(320, np.float32)
    stray = dict(spikes)
    offs_ms = [0, *offs_ms]
    for k, off in enumerate(offs_ms * 2):
        true_ms = 20 * k + (hole_ms if k >= len(offs_ms) else 0)
        wobble = 0 if k == len(offs_ms) else off + stray.get(k, 0)
        placed += stamps.push(Sound((true_ms + wobble) * 1_000_000, SAMPLE_RATE, samples))
    placed += stamps.finish()
    assert len(placed) == 2 * len(offs_ms)
    for k, sound in enumerate(placed):
        true_ms = 20 * k + (hole_ms if k >= len(offs_ms) else 0)
        assert abs(sound.t_ns / 1e6 - true_ms) <= 65
    assert stamps.hole_ns / NS_PER_S == pytest.approx(hole_ms / 1000, abs=0.065)
