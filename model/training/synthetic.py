"""Generated features of AVE's layout with a known best answer: the yardstick for the network.

A second of class c shows a unit vector q(c), scaled by `visual_gain`, in one random cell of the grid, and
sounds like p(c), scaled by `audio_gain`; all else is white noise of deviation 1. Three kinds of evidence:

    audio    the sound alone tells class and event; the picture is noise
    visual   the picture alone tells
    joint    neither alone tells: classes share sounds in pairs {c, c+14} and pictures in pairs
             {2i, 2i+1}, so only both name the class; a background second has the sound without the sight,
             the sight without the sound, the sight with a wrong sound, or nothing; and a second object
             of another class often stands in another cell

One video in ten (`lookalike`) looks and sounds throughout like the next class, so that the best possible
answer is well below 100 %.

Every density is a finite mixture of Gaussians, so the posterior of each second's label is exact:
`bayes` sums over places, distractors, kinds of background, and all intervals of a video. No network can
do better on average; the labels and intervals are real ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from ..labels import BACKGROUND, NUM_CLASSES
from ..profiles import GRID, WINDOW
from .annotations import Annotation, Splits, targets
from .data import ArrayData, Floats, Rows

Evidence = Literal["audio", "visual", "joint"]
EVIDENCE: Final[tuple[Evidence, ...]] = ("audio", "visual", "joint")
CELLS: Final = GRID * GRID
Doubles = NDArray[np.float64]

# Kinds of second: the event, and four ways to be background.
_EVENT, _HEARD, _SEEN, _MISMATCH, _NOTHING = range(5)


@dataclass(frozen=True)
class SyntheticSpec:
    """How the features are drawn.

    Attributes:
        evidence: which modality tells.
        visual_dim: width of a grid cell; small, so that the table takes minutes on a CPU.
        audio_dim: width of the sound vector.
        visual_gain: length of an object's vector against noise of deviation 1.
        audio_gain: the same for sounds.
        distractor: how often a second object is in the picture (joint only).
        lookalike: how often a video of class c has the sounds and sights of class c + 1.
        background: shares of heard only, seen only, mismatched and empty background (joint only).
        seed: of prototypes and noise.

    """

    evidence: Evidence = "joint"
    visual_dim: int = 16
    audio_dim: int = 16
    visual_gain: float = 6.0
    audio_gain: float = 4.0
    distractor: float = 0.5
    lookalike: float = 0.1
    background: tuple[float, float, float, float] = (0.3, 0.3, 0.3, 0.1)
    seed: int = 0

    @property
    def heard(self) -> NDArray[np.int64]:
        """[28] sound code of each class."""
        classes = np.arange(BACKGROUND)
        return classes % (BACKGROUND // 2) if self.evidence == "joint" else classes

    @property
    def seen(self) -> NDArray[np.int64]:
        """[28] object code of each class."""
        classes = np.arange(BACKGROUND)
        return classes // 2 if self.evidence == "joint" else classes

    def prototypes(self) -> tuple[Doubles, Doubles]:
        """Sound codes [K, Da] and object codes [K, Dv]: orthonormal vectors and their opposites.

        Raises:
            ValueError: fewer dimensions than half the codes.

        """
        count = int(self.heard.max()) + 1
        if 2 * min(self.visual_dim, self.audio_dim) < count:
            raise ValueError(f"{count} codes need at least {count / 2:.0f} dimensions, got {self}")
        rng = np.random.default_rng([self.seed, 1])
        both = []
        for dim in (self.audio_dim, self.visual_dim):
            axes, _ = np.linalg.qr(rng.normal(size=(dim, dim)))
            both.append(np.concatenate([axes, -axes])[:count] if dim < count else axes[:count])
        return both[0], both[1]


def draw(spec: SyntheticSpec, rows: Sequence[Annotation]) -> tuple[Floats, Floats]:
    """Visual [N, 10, 7, 7, Dv] and audio [N, 10, Da] for annotated videos."""
    rng = np.random.default_rng([spec.seed, 2])
    sound, sight = spec.prototypes()
    codes = len(sound)
    y = targets(rows)
    shape = y.shape
    own = np.array([row.label for row in rows])
    looks = np.where(rng.random(len(own)) < spec.lookalike, (own + 1) % BACKGROUND, own)
    label = np.broadcast_to(looks[:, None], shape)
    visual = rng.standard_normal((*shape, CELLS, spec.visual_dim), np.float32)
    audio = rng.standard_normal((*shape, spec.audio_dim), np.float32)

    heard, seen = spec.heard[label], spec.seen[label]
    if spec.evidence == "joint":
        kind = rng.choice(np.arange(_HEARD, _NOTHING + 1), size=shape, p=spec.background)
    else:
        kind = np.full(shape, _NOTHING)
    kind = np.where(y != BACKGROUND, _EVENT, kind)
    wrong = (heard + rng.integers(1, codes, shape)) % codes
    heard = np.where(kind == _MISMATCH, wrong, heard)

    n, t = np.nonzero(np.isin(kind, (_EVENT, _HEARD, _MISMATCH)))
    if spec.evidence != "visual":
        audio[n, t] += (spec.audio_gain * sound[heard[n, t]]).astype(np.float32)
    if spec.evidence != "audio":
        cell = rng.integers(0, CELLS, shape)
        n, t = np.nonzero(np.isin(kind, (_EVENT, _SEEN, _MISMATCH)))
        visual[n, t, cell[n, t]] += (spec.visual_gain * sight[seen[n, t]]).astype(np.float32)
    if spec.evidence == "joint":
        elsewhere = (cell + rng.integers(1, CELLS, shape)) % CELLS
        other = (seen + rng.integers(1, codes, shape)) % codes
        n, t = np.nonzero(rng.random(shape) < spec.distractor)
        visual[n, t, elsewhere[n, t]] += (spec.visual_gain * sight[other[n, t]]).astype(np.float32)
    return visual.reshape(*shape, GRID, GRID, spec.visual_dim), audio


def _mean_of_others(x: Doubles) -> Doubles:
    """[..., K] → the mean over all other entries, for each entry."""
    return (x.sum(-1, keepdims=True) - x) / (x.shape[-1] - 1)


def likelihood_ratios(spec: SyntheticSpec, visual: Floats, audio: Floats) -> tuple[Doubles, Doubles]:
    """Log density of each second against pure noise, if its class is c and it is event, or background.

    Args:
        spec: how the features were drawn.
        visual: [N, T, 7, 7, Dv].
        audio: [N, T, Da].

    Returns:
        Event [N, T, 28] and background [N, T, 28].

    """
    sound, sight = spec.prototypes()
    g = np.exp(spec.audio_gain * (audio.astype(np.float64) @ sound.T) - spec.audio_gain**2 / 2)
    cells = visual.reshape(*visual.shape[:2], CELLS, -1).astype(np.float64)
    a = np.exp(spec.visual_gain * (cells @ sight.T) - spec.visual_gain**2 / 2)  # [N, T, 49, K]
    s = a.mean(2)
    ones = np.ones((*s.shape[:2], BACKGROUND))
    if spec.evidence == "audio":
        return np.log(g[..., spec.heard]), np.log(ones)
    if spec.evidence == "visual":
        return np.log(s[..., spec.seen]), np.log(ones)
    # One object in one cell and another in another: both sums, less the cases where the cells coincide.
    pairs = np.einsum("ntph,ntpk->nthk", a, a)
    both = (CELLS**2 * s[..., :, None] * s[..., None, :] - pairs) / (CELLS * (CELLS - 1))
    count = s.shape[-1]
    others = (both.sum(-1) - both[..., np.arange(count), np.arange(count)]) / (count - 1)
    rho = spec.distractor
    with_object = ((1 - rho) * s + rho * others)[..., spec.seen]
    without = ((1 - rho) + rho * _mean_of_others(s))[..., spec.seen]
    right, wrong = g[..., spec.heard], _mean_of_others(g)[..., spec.heard]
    k = spec.background
    event = right * with_object
    background = k[0] * right * without + k[1] * with_object + k[2] * wrong * with_object + k[3] * without
    return np.log(event), np.log(background)


def bayes(
    spec: SyntheticSpec, visual: Floats, audio: Floats, prior_rows: Sequence[Annotation]
) -> NDArray[np.float64]:
    """Exact posterior [N, T, 29] of each second's label.

    Args:
        spec: how the features were drawn.
        visual: [N, T, 7, 7, Dv].
        audio: [N, T, Da].
        prior_rows: annotations from which classes and intervals are taken to be drawn, independently;
            half a count is added to every interval.

    """
    event, background = likelihood_ratios(spec, visual, audio)
    length = event.shape[1]
    spans = [(0, 0)] + [(s, e) for s in range(length) for e in range(s + 1, length + 1)]
    index = {span: i for i, span in enumerate(spans)}
    count = np.full(len(spans), 0.5)
    classes = np.full(BACKGROUND, 0.5)
    for row in prior_rows:
        count[index[(row.start, row.end) if row.end > row.start else (0, 0)]] += 1
        classes[row.label] += 1
    gain = np.concatenate([np.zeros_like(event[:, :1]), np.cumsum(event - background, axis=1)], axis=1)
    starts, ends = np.array(spans).T
    score = gain[:, ends] - gain[:, starts]  # [N, spans, 28]
    score = score + background.sum(1)[:, None] + np.log(count / count.sum())[:, None]
    # Class c looks like itself or like c + 1: from the density of each look to that of each class.
    peak = score.max(axis=(1, 2), keepdims=True)
    score = np.exp(score - peak)
    score = (1 - spec.lookalike) * score + spec.lookalike * np.roll(score, -1, axis=2)
    score *= classes / classes.sum()
    score /= score.sum(axis=(1, 2), keepdims=True)
    inside = (np.arange(length)[:, None] >= starts) & (np.arange(length)[:, None] < ends)  # [T, spans]
    posterior = np.zeros((len(event), length, NUM_CLASSES))
    posterior[..., :BACKGROUND] = np.einsum("ts,nsc->ntc", inside.astype(np.float64), score)
    posterior[..., BACKGROUND] = 1.0 - posterior[..., :BACKGROUND].sum(-1)
    return posterior


def synthetic_data(spec: SyntheticSpec, rows: Sequence[Annotation], splits: Splits) -> ArrayData:
    """A data set on these annotations."""
    visual, audio = draw(spec, rows)
    return ArrayData.of(visual, audio, targets(rows), splits)


def bayes_accuracy(spec: SyntheticSpec, data: ArrayData, rows: Sequence[Annotation], test: Rows) -> float:
    """Share of the seconds of these rows that the exact posterior names right."""
    train = [rows[i] for i in data.splits["train"]]
    right = 0
    for part in np.array_split(test, max(1, len(test) // 64)):  # the pairs of cells are large
        posterior = bayes(spec, data.visual[part], data.audio[part], train)
        right += int((posterior.argmax(-1) == data.target[part]).sum())
    return right / (len(test) * WINDOW)
