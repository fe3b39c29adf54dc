"""How good a trained network is: on whole windows, and as a live stream would ask it.

Offline, every second is judged with all ten seconds of its video. A stream has no future: an answer at
once (latency 0) has only the past, a settled one waits. The streaming table says what waiting buys.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..committee import Head
from ..probabilities import softmax
from .data import IGNORE, DataSet, Floats, InRecordings, Place, Rows, batches
from .metrics import Metrics, measure
from .scores import FieldScores, by_recording, field_scores, number, positions
from .scores import to_json as scores_to_json


@dataclass(frozen=True)
class StreamingTable:
    """Accuracy against waiting.

    `by_latency` is fair: every second of every video is judged, `latency` seconds after it (or at the end
    of the video), with all the past there is. `by_past` asks with *exactly* so many seconds of past and of
    future; its cells are over different seconds of the videos, as `counts` says.
    """

    by_latency: Floats
    """[T] accuracy."""
    background_recall: Floats
    """[T] recall of background, by latency."""
    by_past: Floats
    """[T, T] accuracy with p seconds of past (rows) and l of future (columns); NaN where p + l ≥ T."""
    counts: Rows
    """[T, T] seconds judged in each cell of `by_past`."""


@dataclass(frozen=True)
class Evaluation:
    """Everything `avel evaluate` reports."""

    labels: tuple[str, ...]
    split: str
    metrics: Metrics
    streaming: StreamingTable | None
    scores: FieldScores
    """Of the answers that `metrics` are about."""
    online: FieldScores | None
    """Of the answers at once: each second judged when it ends, without any future."""
    psds: dict[str, float] | None = None
    """Polyphonic sound detection scores of `scores`' answers, where they were asked for."""


class _Tally:
    """Right answers and seconds, added up."""

    def __init__(self, *shape: int) -> None:
        self.right, self.count = np.zeros(shape, np.int64), np.zeros(shape, np.int64)

    def add(self, at: tuple[int, ...], predicted: Rows, target: Rows) -> None:
        self.right[at] += int((predicted == target).sum())
        self.count[at] += target.size

    def share(self) -> Floats:
        with np.errstate(invalid="ignore"):
            result: Floats = (self.right / self.count).astype(np.float32)
        return result


def _tally_batch(
    answers: dict[tuple[int, int], Rows],
    target: Rows,
    background: int,
    tallies: tuple[_Tally, _Tally, _Tally],
) -> None:
    """`answers[start, end]` are the classes [B, end − start] that the window start..end gave."""
    exact, latency, quiet = tallies
    length = target.shape[1]
    for (start, end), said in answers.items():
        for second in range(start, end):
            truth = target[:, second]
            there = truth != IGNORE
            exact.add((second - start, end - 1 - second), said[there, second - start], truth[there])
    for wait in range(length):
        for second in range(length):
            said = answers[0, min(second + wait, length - 1) + 1][:, second]
            truth = target[:, second]
            there = truth != IGNORE
            latency.add((wait,), said[there], truth[there])
            still = truth == background
            quiet.add((wait,), said[still], truth[still])


def evaluate(
    model: Head,
    data: DataSet,
    split: str = "test",
    *,
    batch: int = 64,
    streaming: bool = True,
    temperature: float = 1.0,
    with_psds: bool = False,
) -> Evaluation:
    """Judge a network on a split.

    The features of a video are read and projected once; the 55 windows of the streaming table only repeat
    the small network that relates segments.

    Args:
        model: in any mode; it is put back into it.
        data: the data set.
        split: train, val or test.
        batch: videos at a time.
        streaming: make the streaming table too.
        temperature: divides the logits before the softmax (calibrated confidence).
        with_psds: score all thresholds, too (needs sed_scores_eval).

    """
    rows = data.splits[split]
    device = next(model.parameters()).device
    background = len(data.labels) - 1
    length = data.target.shape[1]
    tallies = (_Tally(length, length), _Tally(length), _Tally(length))
    mode, logits, at_once = model.training, [], []
    model.eval()
    with torch.inference_mode():
        for piece in batches(data, rows, batch):
            inputs = (piece.visual, piece.audio, piece.visual_mask, piece.audio_mask)
            tokens = model.tokens(*(torch.from_numpy(x).to(device) for x in inputs))
            answers: dict[tuple[int, int], Rows] = {}
            latest: list[Floats] = []
            spans = [(s, e) for s in range(length) for e in range(s + 1, length + 1)]
            for start, end in spans if streaming else [(0, length)]:
                out = model.decide(tokens.cut(start, end)).float().cpu().numpy()
                answers[start, end] = out.argmax(-1)
                if (start, end) == (0, length):
                    logits.append(out)
                if start == 0 and streaming:
                    latest.append(out[:, end - 1])
            if streaming:
                at_once.append(np.stack(latest, axis=1))
                _tally_batch(answers, piece.target, background, tallies)
    model.train(mode)
    probabilities = softmax(np.concatenate(logits) / temperature)
    table = None
    if streaming:
        exact, latency, quiet = tallies
        table = StreamingTable(latency.share(), quiet.share(), exact.share(), exact.count)
    places = data.places(rows) if isinstance(data, InRecordings) else None
    truth = data.target[rows]

    def scored(p: NDArray[np.floating[Any]]) -> FieldScores:
        answers = by_recording(places, p.argmax(-1), truth, p.max(-1))
        return field_scores(*answers, len(data.labels))

    return Evaluation(
        data.labels,
        split,
        measure(probabilities, truth, places),
        table,
        scored(probabilities),
        scored(softmax(np.concatenate(at_once) / temperature)) if streaming else None,
        _psds(probabilities, truth, places) if with_psds else None,
    )


def _psds(p: NDArray[np.floating[Any]], truth: Rows, places: list[Place] | None) -> dict[str, float]:
    from .psds import psds

    if places is None:
        return psds(p, truth)
    at, whole = positions(places, truth)
    there = at != IGNORE
    joined = np.zeros((*at.shape, p.shape[-1]), p.dtype)
    joined[there] = p.reshape(-1, p.shape[-1])[at[there]]
    return psds(joined, whole)


def to_json(result: Evaluation) -> dict[str, Any]:
    """Plain values; NaN becomes null."""
    m = result.metrics
    plain: dict[str, Any] = {
        "split": result.split,
        "videos": m.videos,
        "seconds": m.seconds,
        "accuracy": number(m.accuracy),
        "video_oracle": number(m.oracle),
        "event_accuracy": number(m.event_accuracy),
        "background_recall": number(m.background_recall),
        "macro_f1": number(m.macro_f1),
        "calibration_error": number(m.calibration_error),
        "event_f1": {k: {n: number(v) for n, v in s._asdict().items()} for k, s in m.event_f1.items()},
        "classes": {
            name: {n: v if n == "support" else number(v) for n, v in score._asdict().items()}
            for name, score in zip(result.labels, m.classes, strict=True)
        },
        "confusion": m.confusion.tolist(),
        **scores_to_json(result.scores),
        **({"psds": {k: number(v) for k, v in result.psds.items()}} if result.psds is not None else {}),
    }
    if result.streaming is not None:
        s = result.streaming
        plain["streaming"] = {
            "accuracy_by_latency_s": [number(x) for x in s.by_latency],
            "background_recall_by_latency_s": [number(x) for x in s.background_recall],
            "accuracy_by_past_and_latency_s": [[number(x) for x in row] for row in s.by_past],
            "seconds_by_past_and_latency_s": s.counts.tolist(),
        }
    if result.online is not None and result.streaming is not None:
        accuracy = number(result.streaming.by_latency[0])
        plain["online"] = {"accuracy": accuracy, **scores_to_json(result.online)}
    return plain
