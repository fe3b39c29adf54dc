"""What a quantisation cost: feature error per layer, agreement of labels with float32, accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ...model.probabilities import softmax
from ...model.profiles import WINDOW
from .samples import Second


class Networks(Protocol):
    """As much of an engine as is needed here."""

    def visual(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """[N, 224, 224, 3] → [N, 7, 7, Dv]."""

    def audio(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """[16000] → [Da]."""

    def head(
        self,
        visual: NDArray[np.float32],
        audio: NDArray[np.float32],
        visual_mask: NDArray[np.bool_],
        audio_mask: NDArray[np.bool_],
    ) -> Any:
        """A window → logits first."""


@dataclass(frozen=True)
class Answers:
    """What an engine says about streams: one row per second.

    Attributes:
        visual: [S, 7, 7, Dv] features.
        audio: [S, Da] features.
        probabilities: [S, C], the mean over all looks at the second.
        newest: [S] labels of the look at which the second was the newest.

    """

    visual: NDArray[np.float32]
    audio: NDArray[np.float32]
    probabilities: NDArray[np.float32]
    newest: NDArray[np.int64]

    @property
    def labels(self) -> NDArray[np.int64]:
        """[S] settled labels."""
        return np.asarray(self.probabilities.argmax(axis=1), np.int64)


@dataclass(frozen=True)
class Cost:
    """What INT8 costs on seconds that were not used to find the ranges.

    Attributes:
        seconds: how many were compared.
        agreement: share of settled labels equal to float32's.
        agreement_newest: the same for provisional labels.
        probability_error: mean absolute difference of probabilities.
        feature_error: relative error (L2) of the visual features.
        cosine: mean cosine between visual features.
        audio_error: relative error of the audio features.
        layers: relative error of the features when only that layer is quantised, worst first.
        accuracy_float: share of right labels in float32, None without labels.
        accuracy_int8: the same in INT8.

    """

    seconds: int
    agreement: float
    agreement_newest: float
    probability_error: float
    feature_error: float
    cosine: float
    audio_error: float
    layers: dict[str, float] = field(default_factory=dict)
    accuracy_float: float | None = None
    accuracy_int8: float | None = None

    def keeps(self, share: float) -> bool:
        """Whether that share of settled labels is float32's, to the nearest second: of 90, 99 % are 89."""
        return round(self.agreement * self.seconds) >= round(share * self.seconds)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, rounded."""
        plain = asdict(self)
        plain["layers"] = {name: round(value, 5) for name, value in self.layers.items()}
        return {name: round(v, 6) if isinstance(v, float) else v for name, v in plain.items()}


def answers(engine: Networks, streams: Sequence[Sequence[Second]], frames: int) -> Answers:
    """Run streams as the live loop does, with at most `frames` pictures a second."""
    visual, audio, probabilities, newest = [], [], [], []
    for stream in streams:
        grids = np.stack([engine.visual(thinned(second.frames, frames)).mean(axis=0) for second in stream])
        sounds = np.stack([engine.audio(second.audio) for second in stream])
        total: list[NDArray[np.float64]] = [np.zeros(0)] * len(stream)
        for end in range(1, len(stream) + 1):
            start = max(0, end - WINDOW)
            here = np.ones(end - start, np.bool_)
            logits = np.asarray(engine.head(grids[start:end], sounds[start:end], here, here)[0], np.float64)
            rows = softmax(logits)
            newest.append(int(rows[-1].argmax()))
            for offset, row in enumerate(rows):
                held = total[start + offset]
                total[start + offset] = row if not held.size else held + row
        visual.append(grids)
        audio.append(sounds)
        looks = [row / row.sum() for row in total]
        probabilities.append(np.stack(looks).astype(np.float32))
    return Answers(
        np.concatenate(visual), np.concatenate(audio), np.concatenate(probabilities), np.asarray(newest)
    )


def compare(
    exact: Answers,
    tested: Answers,
    labels: Sequence[int | None] = (),
    layers: dict[str, float] | None = None,
) -> Cost:
    """The cost of `tested` against `exact`."""
    known = np.array([label is not None for label in labels], np.bool_)
    truth = np.array([-1 if label is None else label for label in labels])
    right = None
    if known.any():
        right = [float((answer.labels[known] == truth[known]).mean()) for answer in (exact, tested)]
    a, b = (answer.visual.reshape(len(answer.visual), -1) for answer in (exact, tested))
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return Cost(
        seconds=len(a),
        agreement=float((exact.labels == tested.labels).mean()),
        agreement_newest=float((exact.newest == tested.newest).mean()),
        probability_error=float(np.abs(exact.probabilities - tested.probabilities).mean()),
        feature_error=relative_error(exact.visual, tested.visual),
        cosine=float(((a * b).sum(axis=1) / np.maximum(lengths, 1e-12)).mean()),
        audio_error=relative_error(exact.audio, tested.audio),
        layers=layers or {},
        accuracy_float=right[0] if right else None,
        accuracy_int8=right[1] if right else None,
    )


def thinned(frames: NDArray[np.uint8], count: int) -> NDArray[np.uint8]:
    """At most `count` of the frames, evenly spaced."""
    if len(frames) <= count:
        return frames
    thin: NDArray[np.uint8] = frames[np.linspace(0, len(frames) - 1, count).round().astype(int)]
    return thin


def relative_error(exact: NDArray[np.float32], tested: NDArray[np.float32]) -> float:
    """‖tested − exact‖ / ‖exact‖."""
    return float(np.linalg.norm(tested - exact) / max(float(np.linalg.norm(exact)), 1e-12))
