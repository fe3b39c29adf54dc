"""Confidence that means something: temperature and vector scaling, by seconds of future.

    p = softmax(z / T_f)                  temperature (Guo et al., ICML 2017, §4.2)
    p = softmax(w_f ⊙ z + b_f)            vector scaling (same place)

f is how many seconds after the judged one the network had seen: 0 for the answer given at once, 9 for
the last look of a ten-second window. A provisional answer is less sure, so each f has its own fit.

Both problems are convex with a Hessian of one and of 58 rows, so Newton's method solves them exactly in a
dozen steps of NumPy (the literature's LBFGS finds the same minimum): nothing here needs torch or SciPy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..model.probabilities import softmax
from .looks import FUTURES, Looks

Method = Literal["temperature", "vector"]
Floats = NDArray[np.float64]

MIN_SECONDS = 100
"""Fewer labelled seconds than this at one `future_s` and the fit over all of them is used there."""
_FLATTEST, _SHARPEST = 1e-3, 1e3
"""Limits of 1 / T: perfectly separable data would otherwise send it to infinity."""


@dataclass(frozen=True)
class Calibrator:
    """Logits to probabilities. `scale` and `bias` are [10, C]; row f holds w_f and b_f.

    A temperature is stored as the scale 1 / T in every class and a bias of zero, so one rule applies both.
    """

    method: Method
    scale: Floats
    bias: Floats

    def __post_init__(self) -> None:
        """Reject what could never be a calibration."""
        if self.scale.ndim != 2 or self.scale.shape[0] != FUTURES or self.scale.shape != self.bias.shape:
            raise ValueError(
                f"expected scale and bias [{FUTURES}, classes], got {self.scale.shape} and {self.bias.shape}"
            )
        if not (np.isfinite(self.scale).all() and np.isfinite(self.bias).all()):
            raise ValueError("scale and bias must be finite")
        if self.method == "temperature" and (self.scale <= 0).any():
            raise ValueError("temperatures must be above 0")

    @classmethod
    def identity(cls, classes: int) -> Calibrator:
        """Plain softmax: T = 1 everywhere."""
        return cls.from_temperatures(np.ones(FUTURES), classes)

    @classmethod
    def from_temperatures(cls, temperatures: ArrayLike, classes: int) -> Calibrator:
        """One temperature for each `future_s` [10]."""
        inverse = 1.0 / np.asarray(temperatures, np.float64)
        return cls("temperature", np.repeat(inverse[:, None], classes, axis=1), np.zeros((FUTURES, classes)))

    @property
    def classes(self) -> int:
        """Width of the logits it was made for."""
        return int(self.scale.shape[1])

    @property
    def temperatures(self) -> Floats:
        """[10]; for vector scaling the inverse of the mean scale, which is what a person can compare."""
        return np.asarray(1.0 / self.scale.mean(axis=1), np.float64)

    def apply(self, logits: NDArray[np.float32], future_s: ArrayLike) -> NDArray[np.float32]:
        """Calibrated probabilities.

        Args:
            logits: [N, C], raw network outputs.
            future_s: [N] or one number: seconds of future each row was judged with. Between whole
                seconds the fits are interpolated; more than 9 counts as 9.

        Returns:
            [N, C] float32, rows summing to 1.

        """
        future = np.clip(np.asarray(future_s, np.float64), 0, FUTURES - 1)
        low = np.floor(future).astype(np.int64)
        high = np.minimum(low + 1, FUTURES - 1)
        part = (future - low)[..., None]
        scale = (1 - part) * self.scale[low] + part * self.scale[high]
        bias = (1 - part) * self.bias[low] + part * self.bias[high]
        return softmax(np.asarray(logits, np.float64) * scale + bias).astype(np.float32)

    def of_window(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probabilities [T, C] of a live window whose last row is the newest second."""
        return self.apply(logits, np.arange(len(logits) - 1, -1, -1))


def fit_temperature(logits: ArrayLike, targets: ArrayLike) -> float:
    """The temperature of least NLL.

    Args:
        logits: [N, C].
        targets: [N] class indices.

    Returns:
        T, within 0.001 .. 1000.

    Raises:
        ValueError: no samples, or logits that are not finite.

    """
    z, y = _checked(logits, targets)
    z = z - z[np.arange(len(z)), y][:, None]  # relative to the target: NLL = mean log Σ exp(β z)
    low, high = np.log(_FLATTEST), np.log(_SHARPEST)
    x = 0.0  # log β: keeps β positive; dNLL/dβ has the same sign as dNLL/dlog β
    for _ in range(100):
        beta = np.exp(x)
        p = softmax(beta * z)
        mean = (p * z).sum(axis=1)
        slope = float(mean.mean())
        curvature = float(((p * z**2).sum(axis=1) - mean**2).mean())
        if slope > 0:
            high = x
        else:
            low = x
        step = -slope / (curvature * beta + slope) if curvature * beta + slope > 0 else np.inf
        nxt = x + step
        if not low < nxt < high:
            nxt = 0.5 * (low + high)
        if abs(nxt - x) < 1e-10:
            x = nxt
            break
        x = nxt
    return float(np.exp(-x))


def fit_vector(logits: ArrayLike, targets: ArrayLike, *, penalty: float = 1e-3) -> tuple[Floats, Floats]:
    """Scale and bias [C] of least NLL.

    Args:
        logits: [N, C].
        targets: [N].
        penalty: weight of ‖w − w₀‖² + ‖b‖² with w₀ = 1 / T of the plain temperature. A class that the
            data does not hold would otherwise run to minus infinity.

    Raises:
        ValueError: no samples, or logits that are not finite.

    """
    z, y = _checked(logits, targets)
    count, classes = z.shape
    start = np.concatenate([np.full(classes, 1.0 / fit_temperature(z, y)), np.zeros(classes)])
    truth = np.zeros_like(z)
    truth[np.arange(count), y] = 1.0

    def loss(theta: Floats) -> float:
        s = z * theta[:classes] + theta[classes:]
        top = s.max(axis=1, keepdims=True)
        nll = np.log(np.exp(s - top).sum(axis=1)) + top[:, 0] - s[np.arange(count), y]
        return float(nll.mean() + penalty * ((theta - start) ** 2).sum())

    theta, value = start.copy(), loss(start)
    for _ in range(50):
        p = softmax(z * theta[:classes] + theta[classes:])
        pz, wrong = p * z, p - truth
        slope = np.concatenate([(wrong * z).mean(axis=0), wrong.mean(axis=0)]) + 2 * penalty * (theta - start)
        cross = np.diag(pz.mean(axis=0)) - pz.T @ p / count
        curvature = np.block(
            [
                [np.diag((pz * z).mean(axis=0)) - pz.T @ pz / count, cross],
                [cross.T, np.diag(p.mean(axis=0)) - p.T @ p / count],
            ]
        )
        step = np.linalg.solve(curvature + 2 * penalty * np.eye(2 * classes), slope)
        size = 1.0
        while (new := loss(theta - size * step)) > value - 1e-4 * size * float(slope @ step) and size > 1e-8:
            size *= 0.5
        if not new < value - 1e-12:
            break
        theta, value = theta - size * step, new
    return theta[:classes], theta[classes:]


def fit(looks: Looks, method: Method = "temperature", *, min_seconds: int = MIN_SECONDS) -> Calibrator:
    """Fit every `future_s` that has at least `min_seconds` of labelled seconds; the rest share one fit.

    Raises:
        ValueError: no looks at all.

    """
    classes = looks.logits.shape[1]
    scale = np.empty((FUTURES, classes))
    bias = np.zeros((FUTURES, classes))

    def one(part: Looks) -> tuple[Floats | float, Floats | float]:
        if method == "vector":
            return fit_vector(part.logits, part.targets)
        return 1.0 / fit_temperature(part.logits, part.targets), 0.0

    counts = np.bincount(looks.future_s, minlength=FUTURES)
    shared = one(looks) if (counts < min_seconds).any() else None
    for future in range(FUTURES):
        if counts[future] >= min_seconds or shared is None:
            scale[future], bias[future] = one(looks.at(future))
        else:
            scale[future], bias[future] = shared
    return Calibrator(method, scale, bias)


def cross_fits(
    looks: Looks,
    method: Method = "temperature",
    *,
    folds: int = 10,
    seed: int = 0,
    min_seconds: int = MIN_SECONDS,
    progress: Callable[[int, int], None] | None = None,
) -> dict[int, Calibrator]:
    """For every clip (group) a calibrator that never saw it.

    With no more clips than `folds` this is leave-one-clip-out. What these say of their clips is the honest
    "after" where there is no second set of data.

    Raises:
        ValueError: fewer than two clips.

    """
    ids = np.unique(looks.groups)
    if len(ids) < 2:
        raise ValueError("cross-fitting needs at least two clips of different recordings")
    fold_of = np.random.default_rng(seed).permutation(len(ids)) % min(folds, len(ids))
    total = int(fold_of.max()) + 1
    found: dict[int, Calibrator] = {}
    for k in range(total):
        held = ids[fold_of == k]
        fitted = fit(looks[~np.isin(looks.groups, held)], method, min_seconds=min_seconds)
        found |= dict.fromkeys((int(group) for group in held), fitted)
        if progress is not None:
            progress(k + 1, total)
    return found


def apply_each(looks: Looks, fits: dict[int, Calibrator]) -> NDArray[np.float32]:
    """Probabilities [N, C], every look through its own clip's calibrator."""
    out = np.empty(looks.logits.shape, np.float32)
    for group, fitted in fits.items():
        held = looks.groups == group
        out[held] = fitted.apply(looks.logits[held], looks.future_s[held])
    return out


def _checked(logits: ArrayLike, targets: ArrayLike) -> tuple[Floats, NDArray[np.int64]]:
    z, y = np.asarray(logits, np.float64), np.asarray(targets, np.int64)
    if z.ndim != 2 or len(z) == 0 or y.shape != (len(z),):
        raise ValueError(f"expected logits [N, C] and targets [N] with N ≥ 1, got {z.shape} and {y.shape}")
    if not np.isfinite(z).all():
        raise ValueError("logits hold NaN or infinity")
    return z, y
