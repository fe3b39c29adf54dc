"""A linear probe on what one sense makes of a second: logistic regression in NumPy, made in milliseconds.

Embeddings are non-negative and heavy-tailed: their square roots, centred on what is heard or seen of nothing
and brought to length 1, are what is compared (Hellinger's distance). Examples are few and dimensions many, so
the weights are searched for among the leading directions of examples and background together, and kept small.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

DIRECTIONS: Final = 192
"""Leading directions that a probe may use at most."""
STRENGTH: Final = 0.0003
"""Of the penalty on squared weights, per unit of example weight; chosen by `tests/bench/taught.py`."""
_STEPS: Final = 30


@dataclass(frozen=True)
class Probe:
    """Log-odds that a second is the event, from one sense.

    Attributes:
        mean: [D] of the square roots, over the background.
        weight: [D].
        bias: added.

    """

    mean: Floats
    weight: Floats
    bias: float

    def __call__(self, embedding: Floats) -> Doubles:
        """[N, D] → [N] log-odds, events and background being equally frequent."""
        return np.asarray(directions(embedding, self.mean) @ self.weight + self.bias, np.float64)


def directions(embedding: Floats, mean: Floats | None) -> Floats:
    """[N, D] embeddings → [N, D] of length 1."""
    roots = np.sqrt(np.maximum(embedding, 0.0, dtype=np.float32))
    if mean is not None:
        roots = roots - mean
    length = np.linalg.norm(roots, axis=1, keepdims=True)
    return np.asarray(roots / np.maximum(length, 1e-6), np.float32)


def centre(background: Floats) -> Floats:
    """[D]: the mean of the square roots of [N, D] embeddings."""
    return np.asarray(np.sqrt(np.maximum(background, 0.0)).mean(axis=0), np.float32)


def fit_probe(
    positive: Floats,
    share: Doubles,
    negative: Floats,
    mean: Floats,
    strength: float = STRENGTH,
) -> Probe:
    """The probe that tells examples from background.

    Args:
        positive: [P, D] embeddings of the event, P ≥ 1.
        share: [P] how much each counts; scaled to sum to 1/2.
        negative: [N, D] embeddings of anything else, N ≥ 1; together they count as much as all examples.
        mean: [D] see `Probe`.
        strength: of the penalty on squared weights.

    """
    x = np.concatenate([directions(positive, mean), directions(negative, mean)]).astype(np.float64)
    y = np.concatenate([np.ones(len(positive)), np.zeros(len(negative))])
    w = np.concatenate([share / share.sum(), np.full(len(negative), 1 / len(negative))]) / 2
    basis = _leading(x)
    coordinates = x @ basis
    weight, bias = _logistic(coordinates, y, w, strength)
    return Probe(mean, np.asarray(basis @ weight, np.float32), float(bias))


def _leading(x: Doubles) -> Doubles:
    """[D, R] orthonormal directions that hold most of [N, D]."""
    if len(x) <= x.shape[1]:  # the smaller of the two matrices of products
        values, vectors = np.linalg.eigh(x @ x.T)
        keep = values > 1e-9 * values[-1]
        values, vectors = values[keep][-DIRECTIONS:], vectors[:, keep][:, -DIRECTIONS:]
        return np.asarray(x.T @ vectors / np.sqrt(values))
    _, vectors = np.linalg.eigh(x.T @ x)
    return np.asarray(vectors[:, -DIRECTIONS:])


def _logistic(x: Doubles, y: Doubles, w: Doubles, strength: float) -> tuple[Doubles, float]:
    """Weights and bias of least weighted log-loss plus `strength` · |weights|², by Newton's steps."""
    features = np.concatenate([x, np.ones((len(x), 1))], axis=1)
    penalty = np.full(features.shape[1], 2 * strength)
    penalty[-1] = 1e-9  # the bias is free
    at = np.zeros(features.shape[1])

    def loss(theta: Doubles) -> float:
        z = features @ theta
        return float(w @ (np.logaddexp(0, z) - y * z) + 0.5 * penalty @ theta**2)

    now = loss(at)
    for _ in range(_STEPS):
        p = 1 / (1 + np.exp(-np.clip(features @ at, -500, 500)))
        gradient = features.T @ (w * (p - y)) + penalty * at
        curvature = (features * (w * p * (1 - p))[:, None]).T @ features + np.diag(penalty)
        step = np.linalg.solve(curvature, gradient)
        size = 1.0
        while (then := loss(at - size * step)) > now and size > 1e-4:
            size /= 2
        at, before, now = at - size * step, now, then
        if before - now < 1e-10:
            break
    return at[:-1], float(at[-1])


def both(first: Doubles, second: Doubles) -> Doubles:
    """Log-odds that two independent things are so: of the product of their probabilities, [N]."""
    # log p = −softplus(−z); log-odds of exp(s) with s = log p₁ + log p₂
    s = -np.logaddexp(0, -first) - np.logaddexp(0, -second)
    return np.asarray(s - np.log(-np.expm1(np.minimum(s, -1e-12))))
