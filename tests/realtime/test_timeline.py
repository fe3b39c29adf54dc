"""Two clocks, one timeline: simulated crystals, jitter and overflows, without sleeping."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import psutil
import pytest
from avel_live.realtime.core.messages import SAMPLE_RATE, AudioBlock, ClosedSegment, TimedAudio
from avel_live.realtime.sources.clocks import AudioTimeline, ClockFit, DriftResampler, FrameTimeline
from avel_live.realtime.stream.cutter import Cutter
from hypothesis import given, settings
from hypothesis import strategies as st
from support.clocks import START_NS, SimulatedMicrophone


class Run:
    """Feeds a timeline and a cutter from a simulated microphone and keeps count of everything."""

    def __init__(self, microphone: SimulatedMicrophone) -> None:
        self.microphone = microphone
        self.timeline = AudioTimeline(START_NS)
        self.cutter = Cutter(live=True, video=False)
        self.skew_ms: list[float] = []
        self.segments: list[int] = []
        self.end = 0
        self.overlaps = 0
        self.audio: list[TimedAudio] = []
        self.keep = microphone.signal is not None
        self.memory: list[int] = []

    def go(self, seconds: float) -> Run:
        process = psutil.Process()
        next_look = 0.0
        for block in self.microphone.blocks(seconds):
            for audio in self.timeline.push(block):
                self._take(audio)
            stream_ns = block.t_ns - START_NS
            self._cut(self.cutter.advance(stream_ns))
            # What the resampler will put out next, and where that really belongs.
            sample, position = self._placed()
            if sample is not None:
                self.skew_ms.append(1e3 * (position / SAMPLE_RATE - self.microphone.true_s(sample)))
            if stream_ns / 1e9 > next_look:
                next_look += 600.0
                self.memory.append(process.memory_info().rss)
        return self

    def _placed(self) -> tuple[float | None, int]:
        t = self.timeline
        if t._resampler is None:
            return None, 0
        return t._resampler_base + t._resampler.consumed, t._next

    def _take(self, audio: TimedAudio) -> None:
        self.overlaps += audio.position < self.end
        self.end = audio.position + len(audio.samples)
        if self.keep:
            self.audio.append(audio)
        self._cut(self.cutter.push(audio))

    def _cut(self, cuts: list[object]) -> None:
        self.segments += [c.segment.index for c in cuts if isinstance(c, ClosedSegment)]

    @property
    def p99_ms(self) -> float:
        return float(np.percentile(np.abs(self.skew_ms), 99))


@pytest.mark.parametrize(
    ("ppm", "block", "overflow_every_s"),
    [(300.0, 800, 60.0), (-300.0, 800, 60.0), (300.0, 80, 60.0), (0.0, 256, 0.0)],
)
def test_skew_stays_below_twenty_milliseconds(ppm: float, block: int, overflow_every_s: float) -> None:
    minutes = 20 if block == 800 else 4
    run = Run(SimulatedMicrophone(ppm=ppm, block=block, overflow_every_s=overflow_every_s)).go(60 * minutes)
    assert run.p99_ms <= 20.0
    assert run.overlaps == 0
    assert run.segments == list(range(len(run.segments)))
    assert len(run.segments) >= 60 * minutes - 2


@pytest.mark.slow
@pytest.mark.parametrize("ppm", [300.0, -300.0])
def test_a_day_stays_below_twenty_milliseconds_with_constant_memory(ppm: float) -> None:
    run = Run(SimulatedMicrophone(ppm=ppm, overflow_every_s=60.0, seed=7)).go(24 * 3600)
    worst = np.max(np.abs(run.skew_ms))
    print(f"{ppm:+.0f} ppm: p99 {run.p99_ms:.1f} ms, worst {worst:.1f} ms; {run.timeline.report}")
    assert run.p99_ms <= 20.0
    assert run.overlaps == 0
    assert run.segments == list(range(len(run.segments)))
    assert len(run.segments) >= 24 * 3600 - 2
    # The lists of this test itself grow by some 32 bytes a block and 36 a segment.
    own = 864_000 * 40 + 86_400 * 40
    assert run.memory[-1] - run.memory[6] < own + 20e6


def test_an_uncorrected_crystal_would_be_far_off() -> None:
    """What the fit is for: 300 ppm are more than a second an hour."""
    run = Run(SimulatedMicrophone(ppm=300.0, outliers=0.0)).go(1200)
    report = run.timeline.report
    assert report.corrected_ms == pytest.approx(360.0, abs=25.0)
    assert report.drift_ppm == pytest.approx(300.0, abs=40.0)
    assert report.gaps == 0


def test_sound_after_an_overflow_is_where_it_belongs() -> None:
    """Samples lost without number: the hole is in the timeline, and what comes later is not shifted."""
    mic = SimulatedMicrophone(
        rate=48_000, block=480, jitter_ms=10.0, overflow_every_s=6.0, overflow_ms=(150.0, 150.0), outliers=0.0
    )
    run = Run(mic).go(10.0)
    report = run.timeline.report
    assert report.gaps == 1
    assert report.lost_ms == pytest.approx(150.0, abs=10.0)
    assert abs(run.skew_ms[-1]) < 10.0


def test_samples_lost_without_notice_are_found() -> None:
    mic = SimulatedMicrophone(
        rate=16_000,
        block=160,
        jitter_ms=5.0,
        overflow_every_s=30.0,
        overflow_ms=(80.0, 80.0),
        flagged=False,
        outliers=0,
    )
    run = Run(mic).go(55.0)
    assert run.timeline.report.gaps == 1
    assert run.timeline.report.lost_ms == pytest.approx(80.0, abs=10.0)
    assert abs(run.skew_ms[-1]) < 10.0


def test_a_counter_that_jumps_is_a_gap_of_exactly_that_length() -> None:
    timeline = AudioTimeline(0, settle_s=0.0)
    rate, n = 16_000, 1600
    counters = [k * n for k in range(20)] + [k * n + 4000 for k in range(20, 40)]
    out = [
        a
        for c in counters
        for a in timeline.push(AudioBlock(round((c + n) / rate * 1e9), c, rate, np.ones(n, np.float32)))
    ]
    out += timeline.finish()
    heard = np.zeros(counters[-1] + n + 100, bool)
    for a in out:
        assert not heard[a.position : a.position + len(a.samples)].any()
        heard[a.position : a.position + len(a.samples)] = True
    missing = np.flatnonzero(~heard[: counters[-1] + n - 10]) - 20 * n
    assert len(missing) == pytest.approx(4000, abs=16)


def test_a_pause_without_loss_is_no_gap() -> None:
    """Callbacks that all came late (a busy machine) and caught up: not one sample moves."""
    timeline = AudioTimeline(0)
    rate, n = 48_000, 480
    end = 0
    for k in range(2000):
        arrival = (k + 1) * 0.01
        if 900 < k < 990:
            arrival = max(arrival, 9.9)  # nothing for 0.9 s, then everything at once
        for a in timeline.push(AudioBlock(round(arrival * 1e9), k * n, rate, np.ones(n, np.float32))):
            assert end == 0 or a.position == end
            end = a.position + len(a.samples)
    assert timeline.report.gaps == 0
    assert abs(end / SAMPLE_RATE - 20.0) < 0.05


def test_a_reopened_device_starts_where_its_sound_belongs() -> None:
    timeline = AudioTimeline(0)
    ends: list[tuple[int, int]] = []
    for epoch, rate, start_s in ((0, 44_100, 0.0), (1, 48_000, 9.0)):
        n = rate // 100
        for k in range(400):
            t_ns = round((start_s + (k + 1) / 100) * 1e9)
            block = AudioBlock(t_ns, k * n, rate, np.full(n, 0.1, np.float32), epoch)
            ends += [(a.position, a.position + len(a.samples)) for a in timeline.push(block)]
    gaps = [(b[0] - a[1]) for a, b in pairwise(ends)]
    assert all(g >= 0 for g in gaps)
    assert max(gaps) == pytest.approx(5 * SAMPLE_RATE, abs=SAMPLE_RATE * 0.02)
    assert ends[-1][1] == pytest.approx(13 * SAMPLE_RATE, abs=SAMPLE_RATE * 0.03)


def test_correction_is_inaudible() -> None:
    """A tone from a crystal 300 ppm off, with jitter: no click, and no pitch that wanders audibly."""
    rate, seconds, f = 48_000, 60, 1000.0
    mic = SimulatedMicrophone(rate=rate, block=480, ppm=300.0, outliers=0.0)
    t = np.arange(int(rate * (seconds + 1))) / mic.true_rate
    mic.signal = (0.5 * np.sin(2 * np.pi * f * t)).astype(np.float32)
    run = Run(mic).go(seconds)
    pcm = np.concatenate([a.samples for a in run.audio])
    window = SAMPLE_RATE // 50
    snr, pitch = [], []
    for k in range(50, len(pcm) // window - 2):
        x = pcm[k * window : (k + 1) * window].astype(np.float64)
        n = np.arange(window) / SAMPLE_RATE
        spectrum = np.fft.rfft(x * np.hanning(window), 1 << 16)
        peak = int(np.argmax(np.abs(spectrum)))
        a, b, c = np.log(np.abs(spectrum[peak - 1 : peak + 2]))
        found = (peak + 0.5 * (a - c) / (a - 2 * b + c)) * SAMPLE_RATE / (1 << 16)
        basis = np.stack([np.sin(2 * np.pi * found * n), np.cos(2 * np.pi * found * n)], 1)
        fit = basis @ np.linalg.lstsq(basis, x, rcond=None)[0]
        snr.append(10 * np.log10(np.sum(fit**2) / np.sum((x - fit) ** 2)))
        pitch.append(1200 * np.log2(found / f))
    assert min(snr) > 60.0  # dB: a click or a dropped sample would show at once
    assert np.max(np.abs(pitch)) < 3.0  # cents; an ear hears about five
    assert abs(np.mean(pitch)) < 0.1


@settings(max_examples=25, deadline=None)
@given(
    ppm=st.floats(-300, 300),
    jitter_ms=st.floats(0, 30),
    block_s=st.sampled_from([0.01, 0.025, 0.1]),
    rate=st.sampled_from([8000, 16_000, 44_100, 48_000]),
    seed=st.integers(0, 2**16),
)
def test_fit_finds_any_crystal(ppm: float, jitter_ms: float, block_s: float, rate: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    fit = ClockFit(rate)
    n = round(block_s * rate)
    seconds = 240
    for k in range(1, round(seconds / block_s)):
        true = k * n / rate * (1 + ppm * 1e-6)
        outlier = rng.uniform(0, 1.0) if rng.random() < 0.05 else 0.0
        fit.observe(
            k * n, START_NS + round((true + rng.uniform(-jitter_ms, jitter_ms) / 1e3 + outlier) * 1e9)
        )
    # The median's own error: three of its standard deviations, and a bias of the one-sided outliers.
    per_bin = 1 / block_s
    sigma_ms = jitter_ms / np.sqrt(per_bin)
    now = seconds * rate
    true_ns = START_NS + round(seconds * (1 + ppm * 1e-6) * 1e9)
    assert abs(fit.time_ns(now) - true_ns) / 1e6 < 1.0 + 0.06 * jitter_ms + sigma_ms
    assert abs(fit.drift_ppm - ppm) < 5.0 + 12 * sigma_ms


@settings(max_examples=25, deadline=None)
@given(
    rate=st.sampled_from([8000, 16_000, 22_050, 44_100, 48_000, 96_000]),
    cuts=st.lists(st.integers(1, 3000), min_size=1, max_size=40),
    ppm=st.floats(-500, 500),
)
def test_resampling_in_chunks_equals_resampling_whole(rate: int, cuts: list[int], ppm: float) -> None:
    x = np.random.default_rng(0).standard_normal(sum(cuts)).astype(np.float32)
    ratio = rate / SAMPLE_RATE * (1 + ppm * 1e-6)
    chunked, whole = DriftResampler(rate), DriftResampler(rate)
    out, at = [], 0
    for n in cuts:
        out.append(chunked.process(x[at : at + n], ratio))
        at += n
    out.append(chunked.flush())
    reference = np.concatenate([whole.process(x, ratio), whole.flush()])
    joined = np.concatenate(out)
    assert len(joined) == len(reference)
    assert len(joined) == pytest.approx(len(x) / ratio, abs=2)
    np.testing.assert_allclose(joined, reference, atol=1e-5)


@given(st.lists(st.integers(-(10**9), 10**10), max_size=50), st.integers(-300, 300))
def test_frames_never_run_backwards(stamps: list[int], delay_ms: int) -> None:
    timeline = FrameTimeline(0, delay_ms * 1_000_000)
    out = [t for s in stamps if (t := timeline.stamp(s)) is not None]
    assert out == sorted(set(out))
    assert all(t >= 0 for t in out)


def test_frames_are_moved_by_the_delay_of_the_camera() -> None:
    assert FrameTimeline(1_000, 120_000_000).stamp(500_001_000) == 380_000_000
