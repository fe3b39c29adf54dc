"""A made-up stream for screens and sinks: every value chosen, nothing computed by a network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from avel_live.model.labels import BACKGROUND, LABELS, label_index
from avel_live.realtime.core.messages import Hop, Scores, Segment, SourceInfo, StreamEnd, StreamStart
from avel_live.realtime.events import Decoder, DecoderConfig

STORY = "....BBBB..CCCCC.BBB....BB"
NAMES = {"B": "Bark", "C": "Baby cry, infant cry", "M": "Male speech, man speaking", "F": "Frying (food)"}


def make_start(**changes: object) -> StreamStart:
    start = StreamStart(
        version="0.1.0",
        profile="lite",
        backend="onnxruntime",
        precision="fp32",
        source=SourceInfo("garden.mp4", "file", "640×360 25 fps", "48 kHz stereo", duration_s=25.0),
        labels=LABELS,
        hop_s=1.0,
        device="CPU, 2 threads",
    )
    return replace(start, **changes)  # type: ignore[arg-type]


def make_preview(index: int, height: int = 90, width: int = 160) -> np.ndarray:
    """A sunset over a lawn with a ball that rolls on: something to recognise in twenty cells."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    sky = np.stack([90 + 1.2 * y, 120 + 0.6 * y, 200 - 0.6 * y], axis=-1)
    lawn = np.stack([50 + 0 * y, 110 + 0.3 * (x % 20), 60 + 0 * y], axis=-1)
    image = np.where((y > 0.62 * height)[..., None], lawn, sky)
    centre = (20 + 11 * index) % width
    ball = (x - centre) ** 2 + (y - 0.68 * height) ** 2 < (0.16 * height) ** 2
    image[ball] = (225, 140, 60)
    return np.clip(image, 0, 255).astype(np.uint8)


def make_segment(index: int, *, video: bool = True, sound: bool = True) -> Segment:
    return Segment(
        index=index,
        start_ns=index * 10**9,
        end_ns=(index + 1) * 10**9,
        frames=np.zeros((16 if video else 0, 224, 224, 3), np.uint8),
        frame_weights=np.full(16 if video else 0, 1 / 16, np.float32),
        audio=np.zeros(16_000, np.float32),
        audio_fraction=1.0 if sound else 0.0,
        video=video,
        sound=sound,
        preview=make_preview(index) if video else None,
    )


def make_scores(index: int, story: str = STORY, *, seed: int = 0) -> Scores:
    """A window over `story`; the newest second is unsure, older ones are surer."""
    rows = []
    first = max(0, index - 9)
    for k in range(first, index + 1):
        rng = np.random.default_rng(seed * 1000 + k)
        p = rng.dirichlet(np.full(len(LABELS), 0.3))
        name = NAMES.get(story[k % len(story)])
        label = BACKGROUND if name is None else label_index(name)
        sure = 0.55 + 0.3 * rng.random() if k == index else 0.72 + 0.25 * rng.random()
        p = p * (1 - sure)
        p[label] += sure
        rows.append(p)
    attention = np.full((len(rows), 7, 7), 0.2 / 49, np.float32)
    for row, k in enumerate(range(first, index + 1)):
        column = min(6, int(((20 + 11 * k) % 160) / 160 * 7))
        attention[row, 4, column] += 0.5
        attention[row, 5, column] += 0.3
    probabilities = np.asarray(rows, np.float32)
    return Scores(
        hop=index,
        first_index=first,
        logits=np.log(np.maximum(probabilities, 1e-9)),
        probabilities=probabilities,
        attention=attention,
        valid=np.ones(len(rows), dtype=bool),
    )


def make_stream(
    hops: int, story: str = STORY, config: DecoderConfig | None = None
) -> tuple[StreamStart, list[Hop], StreamEnd]:
    """`hops` seconds of the story, through the real decoder."""
    decoder = Decoder(config or DecoderConfig())
    records = []
    for index in range(hops):
        scores = make_scores(index, story)
        step = decoder.push(scores)
        label, confidence = decoder.provisional()
        records.append(
            Hop(
                hop=index,
                segment=make_segment(index),
                scores=scores,
                label=label,
                confidence=confidence,
                latency_ms=round(41.0 + 7 * np.sin(index), 1),
                skipped=0,
                dropped=0,
                skew_ms=None,
                frames_per_segment=16,
                settled=step.settled,
                events=step.events,
                audio_level_dbfs=round(-30.0 + 12 * np.sin(0.7 * index), 1),
            )
        )
    last = decoder.finish()
    end = StreamEnd(
        seconds=float(hops),
        hops=hops,
        skipped=0,
        dropped=0,
        events=decoder.event_count,
        real_time_factor=0.061,
        latency_ms={"p50": 41.2, "p95": 47.9, "p99": 48.3},
        skew_ms=None,
        reason="end of file",
        last_settled=last.settled,
        last_events=last.events,
    )
    return make_start(), records, end


def only_events(records: Sequence[Hop], end: StreamEnd) -> list[object]:
    return [event for record in records for event in record.events] + list(end.last_events)
