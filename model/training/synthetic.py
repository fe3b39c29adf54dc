"""Generated features of AVE's layout with a known best answer: the yardstick for the network.

A second of class c shows a unit vector q(c), scaled by `visual_gain`, in a block of 3×3 cells at a random
place of the grid, and sounds like p(c), scaled by `audio_gain`; all else is white noise of deviation 1.
Three kinds of evidence:

    audio    the sound alone tells class and event; the picture is noise
    visual   the picture alone tells
    joint    neither alone tells: classes share sounds in pairs {c, c+14} and pictures in pairs
             {2i, 2i+1}, so only both name the class; a background second has the sound without the sight,
             the sight without the sound, the sight with a wrong sound, or nothing; and most videos show a
             second object of another class all through, which only the sound tells from the first

One video in twenty (`lookalike`) looks and sounds throughout like the next class, so that the best possible
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
BLOCK: Final = 3
"""Side of an object, in cells."""
PLACES: Final = GRID - BLOCK + 1
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
        visual_gain: length of an object's vector in each of its cells, against noise of deviation 1.
        audio_gain: the same for sounds.
        distractor: how often a video has a second object (joint only).
        faint: how often a sound or an object is there without telling which it is (joint only).
        lookalike: how often a video of class c has the sounds and sights of class c + 1.
        background: shares of heard only, seen only, mismatched and empty background (joint only).
        seed: of prototypes and noise.

    """

    evidence: Evidence = "joint"
    visual_dim: int = 16
    audio_dim: int = 16
    visual_gain: float = 4.0
    audio_gain: float = 6.0
    distractor: float = 0.7
    faint: float = 0.2
    lookalike: float = 0.05
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

    def nameless(self) -> tuple[Doubles, Doubles]:
        """The sound [Da] and the sight [Dv] that tell of something, but not of what: orthogonal to all codes.

        Raises:
            ValueError: no dimension is left for them.

        """
        both = []
        for codes in self.prototypes():
            _, size, axes = np.linalg.svd(codes)
            if np.count_nonzero(size > 0.5) == codes.shape[1]:
                raise ValueError(
                    f"{len(codes)} codes leave none of {codes.shape[1]} dimensions for a nameless"
                )
            both.append(axes[-1])
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
    visual = rng.standard_normal((*shape, GRID, GRID, spec.visual_dim), np.float32)
    audio = rng.standard_normal((*shape, spec.audio_dim), np.float32)

    heard, seen = spec.heard[label], spec.seen[label]
    if spec.evidence == "joint":
        kind = rng.choice(np.arange(_HEARD, _NOTHING + 1), size=shape, p=spec.background)
    else:
        kind = np.full(shape, _NOTHING)
    kind = np.where(y != BACKGROUND, _EVENT, kind)
    wrong = (heard + rng.integers(1, codes, shape)) % codes
    heard = np.where(kind == _MISMATCH, wrong, heard)

    noise, thing = sound[heard], sight[seen]
    if spec.evidence == "joint":
        faint_heard, faint_seen = rng.random((2, *shape, 1)) < spec.faint
        some_sound, some_sight = spec.nameless()
        noise = np.where(faint_heard, some_sound, noise)
        thing = np.where(faint_seen, some_sight, thing)
    n, t = np.nonzero(np.isin(kind, (_EVENT, _HEARD, _MISMATCH)))
    if spec.evidence != "visual":
        audio[n, t] += (spec.audio_gain * noise[n, t]).astype(np.float32)
    if spec.evidence != "audio":
        _place(visual, np.isin(kind, (_EVENT, _SEEN, _MISMATCH)), spec.visual_gain * thing, rng)
    if spec.evidence == "joint":
        other = (spec.seen[looks] + rng.integers(1, codes, len(looks))) % codes
        cluttered = np.broadcast_to((rng.random(len(looks)) < spec.distractor)[:, None], shape)
        clutter = np.broadcast_to(sight[other][:, None], (*shape, spec.visual_dim))
        _place(visual, cluttered, spec.visual_gain * clutter, rng)
    return visual, audio


def _place(visual: Floats, where: NDArray[np.bool_], vectors: Doubles, rng: np.random.Generator) -> None:
    """Add each second's vector [N, T, Dv] to a block of cells at a random place, where there is an object."""
    top, left = rng.integers(0, PLACES, (2, *where.shape))
    n, t = np.nonzero(where)
    for i in range(BLOCK):
        for j in range(BLOCK):
            visual[n, t, top[n, t] + i, left[n, t] + j] += vectors[n, t].astype(np.float32)


def _mean_of_others(x: Doubles) -> Doubles:
    """[..., K] → the mean over all other entries, for each entry."""
    others: Doubles = (x.sum(-1, keepdims=True) - x) / (x.shape[-1] - 1)
    return others


def _sound_ratio(spec: SyntheticSpec, audio: Floats, codes: Doubles) -> Doubles:
    """[N, T, Da] → [N, T, K]: density with the sound of each code, against noise."""
    ratio: Doubles = np.exp(spec.audio_gain * (audio.astype(np.float64) @ codes.T) - spec.audio_gain**2 / 2)
    return ratio


def _sight_ratio(spec: SyntheticSpec, visual: Floats, codes: Doubles) -> Doubles:
    """[N, T, 7, 7, Dv] → [N, T, K]: density with an object of each code at any place, against noise."""
    cell = spec.visual_gain * (visual.astype(np.float64) @ codes.T) - spec.visual_gain**2 / 2
    blocks = np.lib.stride_tricks.sliding_window_view(cell, (BLOCK, BLOCK), axis=(2, 3))
    ratio: Doubles = np.exp(blocks.sum(axis=(-2, -1))).mean(axis=(2, 3))
    return ratio


def likelihood_ratios(spec: SyntheticSpec, visual: Floats, audio: Floats) -> tuple[Doubles, Doubles, Doubles]:
    """Log density against pure noise of each second, if its class is c and it is event, or background.

    Args:
        spec: how the features were drawn.
        visual: [N, T, 7, 7, Dv].
        audio: [N, T, Da].

    Returns:
        Event [N, T, 28], background [N, T, 28], and a factor [N, 28] of the whole video: its second object.

    """
    sound, sight = spec.prototypes()
    g, s = _sound_ratio(spec, audio, sound), _sight_ratio(spec, visual, sight)  # [N, T, K]
    ones = np.ones((*s.shape[:2], BACKGROUND))
    if spec.evidence == "audio":
        return np.log(g[..., spec.heard]), np.log(ones), np.zeros_like(ones[:, 0])
    if spec.evidence == "visual":
        return np.log(s[..., spec.seen]), np.log(ones), np.zeros_like(ones[:, 0])
    some_sound, some_sight = (vector[None] for vector in spec.nameless())
    faint_sound = spec.faint * _sound_ratio(spec, audio, some_sound)
    faint_sight = spec.faint * _sight_ratio(spec, visual, some_sight)
    sight_there = (1 - spec.faint) * s[..., spec.seen] + faint_sight
    right = (1 - spec.faint) * g[..., spec.heard] + faint_sound
    wrong = (1 - spec.faint) * _mean_of_others(g)[..., spec.heard] + faint_sound
    k = spec.background
    background = k[0] * right + k[1] * sight_there + k[2] * wrong * sight_there + k[3]
    # Codes are orthogonal, so two objects' log ratios add even where they overlap: the second object, there
    # in every second or in none, is a factor of its own.
    whole = np.log(s).sum(1)
    others = np.where(np.eye(whole.shape[1], dtype=bool), -np.inf, whole[:, None])  # [N, own code, another]
    peak = others.max(-1)
    mean = peak + np.log(np.exp(others - peak[..., None]).sum(-1) / (whole.shape[1] - 1))
    clutter = np.logaddexp(np.log(1 - spec.distractor), np.log(spec.distractor) + mean)
    return np.log(right * sight_there), np.log(background), clutter[:, spec.seen]


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
    event, background, video = likelihood_ratios(spec, visual, audio)
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
    score = score + (background.sum(1) + video)[:, None] + np.log(count / count.sum())[:, None]
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
