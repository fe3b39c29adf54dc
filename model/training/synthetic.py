"""Generated features of AVE's layout with a known best answer: the yardstick for the network.

A second of class c shows a unit vector q(c), scaled by `visual_gain`, in one of the grid's four corners of
3×3 cells, and sounds like p(c), scaled by `audio_gain`; all else is white noise of deviation 1. Three kinds
of evidence:

    audio    the sound alone tells class and event; the picture is noise
    visual   the picture alone tells
    joint    neither alone tells: classes share sounds in pairs {c, c+14} and pictures in pairs
             {2i, 2i+1}, so only both name the class; a background second has the sound without the sight,
             the sight without the sound, the sight with a wrong sound, or nothing; and the other
             corners show objects of other classes, so that it takes the sound to know where to look

One video in twenty (`lookalike`) looks and sounds throughout like the next class, so that the best possible
answer is well below 100 %.

Every density is a finite mixture of Gaussians, so the posterior of each second's label is exact:
`bayes` sums over corners, clutter, kinds of background, and all intervals of a video. No network can
do better on average; the labels and intervals are real ones.

A grid cell has fewer channels than there are objects, so that an average over the grid mixes what stands
in its corners; an attention that the sound guides need not.
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
CORNERS: Final = tuple((top, left) for top in (0, GRID - BLOCK) for left in (0, GRID - BLOCK))
"""Where objects stand."""
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
        clutter: how often a corner without the event's object shows another class's (joint only).
        faint: how often a sound or an object is there without telling which it is (joint only).
        lookalike: how often a video of class c has the sounds and sights of class c + 1.
        background: shares of heard only, seen only, mismatched and empty background (joint only).
        seed: of prototypes and noise.

    """

    evidence: Evidence = "joint"
    visual_dim: int = 8
    audio_dim: int = 16
    visual_gain: float = 8.0
    audio_gain: float = 6.0
    clutter: float = 0.7
    faint: float = 0.1
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
        """Unit vectors: sound codes [K, Da] and object codes [K, Dv].

        Orthogonal where there are dimensions enough; random where there are not.
        """
        rng = np.random.default_rng([self.seed, 1])
        both = []
        for codes, dim in ((self.heard, self.audio_dim), (self.seen, self.visual_dim)):
            both.append(_directions(int(codes.max()) + 1, dim, rng))
        return both[0], both[1]

    def nameless(self) -> tuple[Doubles, Doubles]:
        """The sound [Da] and the sight [Dv] that tell of something, but not of what."""
        rng = np.random.default_rng([self.seed, 3])
        return _directions(1, self.audio_dim, rng)[0], _directions(1, self.visual_dim, rng)[0]


def _directions(count: int, dim: int, rng: np.random.Generator) -> Doubles:
    """[count, dim] unit vectors."""
    vectors: Doubles = rng.normal(size=(count, dim))
    if count <= dim:
        vectors = np.linalg.qr(vectors.T)[0].T
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


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
        own = np.where(np.isin(kind, (_EVENT, _SEEN, _MISMATCH)), rng.integers(0, len(CORNERS), shape), -1)
        for corner, (top, left) in enumerate(CORNERS):
            here = np.where((own == corner)[..., None], thing, 0.0)
            if spec.evidence == "joint":
                other = (seen + rng.integers(1, codes, shape)) % codes
                cluttered = (own != corner) & (rng.random(shape) < spec.clutter)
                here = np.where(cluttered[..., None], sight[other], here)
            shown = (spec.visual_gain * here).astype(np.float32)[:, :, None, None]
            visual[:, :, top : top + BLOCK, left : left + BLOCK] += shown
    return visual, audio


def _log_mean_of_others(x: Doubles) -> Doubles:
    """[..., K] → the logarithm of the mean of exp(x) over all other entries, for each entry."""
    others = np.where(np.eye(x.shape[-1], dtype=bool), -np.inf, x[..., None, :])
    mean: Doubles = np.logaddexp.reduce(others, axis=-1) - np.log(x.shape[-1] - 1)
    return mean


def _log_mix(share: float, first: Doubles, second: Doubles | float) -> Doubles:
    """The logarithm of (1 - share) exp(first) + share exp(second)."""
    with np.errstate(divide="ignore"):
        mixed: Doubles = np.logaddexp(np.log1p(-share) + first, np.log(share) + second)
    return mixed


def _sound_ratio(spec: SyntheticSpec, audio: Floats, codes: Doubles) -> Doubles:
    """[N, T, Da] → [N, T, K]: log density with the sound of each code, against noise."""
    ratio: Doubles = spec.audio_gain * (audio.astype(np.float64) @ codes.T) - spec.audio_gain**2 / 2
    return ratio


def _sight_ratio(spec: SyntheticSpec, visual: Floats, codes: Doubles) -> Doubles:
    """[N, T, 7, 7, Dv] → [N, T, corners, K]: log density of each corner with each object, against noise."""
    cell = spec.visual_gain * (visual.astype(np.float64) @ codes.T) - spec.visual_gain**2 / 2
    return np.stack([cell[:, :, i : i + BLOCK, j : j + BLOCK].sum(axis=(2, 3)) for i, j in CORNERS], axis=2)


def likelihood_ratios(spec: SyntheticSpec, visual: Floats, audio: Floats) -> tuple[Doubles, Doubles]:
    """Log density against pure noise of each second, if its class is c and it is event, or background.

    Args:
        spec: how the features were drawn.
        visual: [N, T, 7, 7, Dv].
        audio: [N, T, Da].

    Returns:
        Event [N, T, 28], background [N, T, 28].

    """
    sound, sight = spec.prototypes()
    g, s = _sound_ratio(spec, audio, sound), _sight_ratio(spec, visual, sight)
    nothing = np.zeros((*g.shape[:2], BACKGROUND))
    if spec.evidence == "audio":
        return g[..., spec.heard], nothing
    if spec.evidence == "visual":
        return np.logaddexp.reduce(s, axis=2)[..., spec.seen] - np.log(len(CORNERS)), nothing
    some_sound, some_sight = (vector[None] for vector in spec.nameless())
    faint_sound = _sound_ratio(spec, audio, some_sound)
    right = _log_mix(spec.faint, g[..., spec.heard], faint_sound)
    wrong = _log_mix(spec.faint, _log_mean_of_others(g)[..., spec.heard], faint_sound)
    # A corner with the event's own object, and one with clutter or nothing; any corner may be the own.
    own = _log_mix(spec.faint, s[..., spec.seen], _sight_ratio(spec, visual, some_sight))
    rest = _log_mix(1 - spec.clutter, _log_mean_of_others(s)[..., spec.seen], 0.0)
    around = rest.sum(axis=2)
    there = np.logaddexp.reduce(own - rest, axis=2) - np.log(len(CORNERS)) + around
    kinds = np.stack([right + around, there, wrong + there, around])
    shares = np.log(spec.background).reshape(-1, 1, 1, 1)
    return right + there, np.logaddexp.reduce(kinds + shares, axis=0)


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
    return posterior(spec, *likelihood_ratios(spec, visual, audio), prior_rows)


def posterior(
    spec: SyntheticSpec, event: Doubles, background: Doubles, prior_rows: Sequence[Annotation]
) -> NDArray[np.float64]:
    """Exact posterior [N, T, 29] from what each second says; see `bayes`.

    Args:
        spec: how the features were drawn.
        event: [N, T, 28], `background` [N, T, 28]: of `likelihood_ratios`; 0 in both: nothing was seen or
            heard of that second, as of one that is still to come.
        background: see there.
        prior_rows: see `bayes`.

    """
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
    answer = np.zeros((len(event), length, NUM_CLASSES))
    answer[..., :BACKGROUND] = np.einsum("ts,nsc->ntc", inside.astype(np.float64), score)
    answer[..., BACKGROUND] = 1.0 - answer[..., :BACKGROUND].sum(-1)
    return answer


def synthetic_data(spec: SyntheticSpec, rows: Sequence[Annotation], splits: Splits) -> ArrayData:
    """A data set on these annotations."""
    visual, audio = draw(spec, rows)
    return ArrayData.of(visual, audio, targets(rows), splits)


def bayes_accuracy(spec: SyntheticSpec, data: ArrayData, rows: Sequence[Annotation], test: Rows) -> float:
    """Share of the seconds of these rows that the exact posterior names right."""
    train = [rows[i] for i in data.splits["train"]]
    right = 0
    for part in np.array_split(test, max(1, len(test) // 64)):  # the pairs of cells are large
        named = bayes(spec, data.visual[part], data.audio[part], train)
        right += int((named.argmax(-1) == data.target[part]).sum())
    return right / (len(test) * WINDOW)
