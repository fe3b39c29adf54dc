"""For people with their own capture: push one second of frames and samples, get one answer.

No thread, no clock, no device. The same second through `avel_live.open` gives the same answer, bit for bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from ...model.level import SILENCE_DBFS, level_dbfs
from ..config.load import config_from
from ..core.clock import NS_PER_S
from ..core.errors import UsageError
from ..core.messages import (
    SAMPLE_RATE,
    ClosedSegment,
    Event,
    Hop,
    Segment,
    Settled,
    SourceInfo,
    TimedAudio,
    TimedFrame,
)
from ..events import Decoder, DecoderConfig
from ..sources.detectors import NumberGuard
from ..stream.budget import LEVELS
from ..stream.cutter import Cut, Cutter
from ..stream.judge import Judge
from .calibration import apply_calibration
from .open import decoding, of_classes
from .taught import classes_of

if TYPE_CHECKING:
    from ...model.runtime.base import Engine

_CONTEXT_S: Final = 0.1
"""Sound of the second before that the resampler is given, so that no seam is heard."""


class Localizer:
    """Takes seconds in order; use one for each stream.

    Args:
        engine: the networks (`avel_live.load_engine`); not closed here.
        decoder: thresholds and durations; None takes the defaults under calibration.
        calibration: name or file; `"none"` for raw confidences; None takes what belongs to the engine.
        frames: pictures a second that are computed at most, where something changes; `"all"` for sixteen by
            time, changed or not; as `--frames`.
        taught: names of classes that you taught (`avel teach`); empty takes all that fit the engine, and
            `("none",)` none.

    Raises:
        ModelFileError: the calibration asked for, or a taught class, is missing, damaged, or made for
            something else.
        UsageError: `frames` is none of these.

    """

    def __init__(
        self,
        engine: Engine,
        *,
        decoder: DecoderConfig | None = None,
        calibration: str | Path | None = None,
        frames: str = "auto",
        taught: Sequence[str] = (),
    ) -> None:
        named = None if calibration is None else str(calibration)
        config = config_from({"calibration": named, "frames": frames, "taught": tuple(taught)})
        info = engine.info
        classes = classes_of(config, engine)
        active = apply_calibration(config, info, SourceInfo("pushed", "file"))
        self.labels: tuple[str, ...] = classes.labels
        """Class names, background last."""
        numbers = (
            decoding(config, classes.labels, active, classes.count)
            if decoder is None
            else replace(of_classes(decoder, classes.labels, classes.count), stated_at=active.temperature)
        )
        self._judge = Judge(
            engine,
            Decoder(numbers),
            calibrate=active.calibrate,
            by_change=config.frames != "all",
            sparing=config.frames == "auto",
            taught=classes.taught,
        )
        self._frames = config.most_frames or LEVELS[0]
        self.last_settled: tuple[Settled, ...] = ()
        """Seconds that were settled only by `finish`."""
        self._second = 0
        self._before = np.zeros(0, np.float32)
        self._rate = 0
        self._finished = False

    def push(
        self,
        frames: Any,
        audio: Any,
        *,
        rate: int = SAMPLE_RATE,
        times_s: Any | None = None,
    ) -> Hop:
        """The next second.

        Args:
            frames: pictures of this second in order, [N, H, W, 3] uint8 RGB (or a list of [H, W, 3]), any
                size and any number; squeezed to 224×224 as a camera's are. Some are looked at, evenly spaced
                by time (`frames` above). None or empty: nothing was seen.
            audio: sound of this second, [rate] or [rate, channels] in [-1, 1) (or int16); channels are
                averaged, any rate is resampled to 16 kHz here. Fewer samples are a second that lacks some
                at its end. None or empty: nothing was heard.
            rate: samples per second of `audio`.
            times_s: when each picture was taken, [N] seconds from the start of this second; None = evenly.

        Returns:
            the answer: its label is provisional; `settled` and `events` are what became known with it.

        Raises:
            UsageError: a shape, type or rate that makes no sense.

        """
        from ..sources.picture import timed_frame

        if self._finished:
            raise UsageError("the localizer was finished; make a new one for a new stream")
        pictures = _pictures(frames)
        stamps = _stamps(times_s, len(pictures))
        segment = _cut(
            [timed_frame(ns, image) for ns, image in zip(stamps, pictures, strict=True)],
            self._sound(audio, rate),
            self._frames,
        )
        start_ns = self._second * NS_PER_S
        segment = replace(
            segment,
            index=self._second,
            start_ns=start_ns,
            end_ns=start_ns + NS_PER_S,
            frame_ns=tuple(start_ns + ns for ns in segment.frame_ns),
        )
        judgement = self._judge.close(ClosedSegment(self._second, segment))
        assert judgement is not None, "with a hop of one second every segment is looked at"
        self._second += 1
        return Hop(
            hop=judgement.hop,
            segment=segment,
            scores=judgement.scores,
            label=judgement.label,
            confidence=judgement.confidence,
            latency_ms=0.0,
            skipped=0,
            dropped=0,
            skew_ms=None,
            frames_per_segment=self._frames,
            settled=judgement.step.settled,
            events=judgement.step.events,
            audio_level_dbfs=level_dbfs(segment.audio) if segment.sound else SILENCE_DBFS,
        )

    def skip(self, seconds: int = 1) -> None:
        """So many seconds were neither seen nor heard; the window holds a hole there."""
        if seconds < 0:
            raise UsageError(f"skip: expected 0 seconds or more, got {seconds}")
        self._second += seconds
        self._before = np.zeros(0, np.float32)

    def finish(self) -> list[Event]:
        """The stream is over: events that end (or are taken back) because of it; see also `last_settled`."""
        step = self._judge.decoder.finish(float(self._second))
        if not self._finished:
            self._finished, self.last_settled = True, step.settled
        return list(step.events)

    def _sound(self, audio: Any, rate: int) -> NDArray[np.float32]:
        """One second at 16 kHz, mono; at most 16,000 samples."""
        if rate < 1000:
            raise UsageError(f"rate: expected samples per second, 1000 or more, got {rate}")
        samples = _mono(audio)
        if len(samples) > rate:
            raise UsageError(f"audio: expected at most {rate} samples for a second, got {len(samples)}")
        if rate == SAMPLE_RATE or not len(samples):
            self._before = np.zeros(0, np.float32)
            return samples
        import soxr

        if rate != self._rate:
            self._before = np.zeros(0, np.float32)
        whole = np.concatenate((self._before, samples))
        wanted = round(len(samples) * SAMPLE_RATE / rate)
        out: NDArray[np.float32] = soxr.resample(whole, rate, SAMPLE_RATE)
        self._rate, self._before = rate, samples[-round(_CONTEXT_S * rate) :].copy()
        out = out[-wanted:] if len(out) >= wanted else np.pad(out, (0, wanted - len(out)))
        return np.ascontiguousarray(out, np.float32)


def _pictures(frames: Any) -> list[NDArray[np.uint8]]:
    """[H, W, 3] uint8 RGB each.

    Raises:
        UsageError: another shape or type.

    """
    images = [] if frames is None else [np.asarray(image) for image in frames]
    for image in images:
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
            raise UsageError(
                f"frames: expected [H, W, 3] uint8 RGB each, got {image.dtype} of shape {image.shape}"
            )
    return images


def _stamps(times_s: Any | None, count: int) -> list[int]:
    """Nanoseconds within the second, rising.

    Raises:
        UsageError: another number of instants than of pictures, or not within the second, or not in order.

    """
    if times_s is None:
        return [k * NS_PER_S // count for k in range(count)]
    stamps = [round(float(t) * NS_PER_S) for t in times_s]
    ordered = all(a < b for a, b in pairwise(stamps))
    if len(stamps) != count or not ordered or (stamps and not 0 <= stamps[0] <= stamps[-1] < NS_PER_S):
        raise UsageError(f"times_s: expected {count} rising instants from 0 up to 1 s, got {list(times_s)}")
    return stamps


def _mono(audio: Any) -> NDArray[np.float32]:
    """[n] float32.

    Raises:
        UsageError: another shape or type.

    """
    samples = np.zeros(0, np.float32) if audio is None else np.asarray(audio)
    if samples.dtype == np.int16:
        samples = samples.astype(np.float32) / np.float32(32768)
    if samples.ndim == 2:
        samples = samples.mean(axis=1, dtype=np.float32)
    if samples.ndim != 1 or samples.dtype.kind != "f":
        raise UsageError(
            "audio: expected [n] or [n, channels] float32 or int16, "
            f"got {samples.dtype} of shape {samples.shape}"
        )
    return np.ascontiguousarray(samples, np.float32)


def _cut(frames: list[TimedFrame], samples: NDArray[np.float32], most: int) -> Segment:
    """One second as the live stream cuts it: the same pictures are chosen, with the same weights."""
    cutter = Cutter(live=False, video=bool(frames), audio=bool(len(samples)))
    cutter.frames_per_segment = most
    cuts: list[Cut] = []
    guarded, _ = NumberGuard().clean(samples)
    if len(guarded):
        cuts += cutter.push(TimedAudio(0, guarded))
    for frame in frames:
        cuts += cutter.push(frame)
    cuts += cutter.finish(NS_PER_S)
    return next(cut.segment for cut in cuts if isinstance(cut, ClosedSegment))
