"""Looks: what the network said about one second, when it had seen so many seconds of what came after.

A second is looked at by up to ten windows: first with no future at all, last with nine seconds of it.
`Looks` holds many such answers with the truth beside them; everything in `confidence` starts from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..model.profiles import WINDOW

FUTURES = WINDOW
"""`future_s` runs from 0 to FUTURES − 1."""

Head = Callable[[NDArray[np.float32], NDArray[np.float32]], NDArray[np.float32]]
"""Features of a window, visual [T, 7, 7, Dv] and audio [T, Da], T ≤ 10 → logits [T, C]."""


@dataclass(frozen=True)
class Looks:
    """`logits` [N, C] float32, `targets` [N], `future_s` [N] 0..9, `groups` [N] (which clip)."""

    logits: NDArray[np.float32]
    targets: NDArray[np.int64]
    future_s: NDArray[np.int64]
    groups: NDArray[np.int64]

    def __post_init__(self) -> None:
        """Check that the arrays fit each other."""
        n = len(self.logits)
        if self.logits.ndim != 2 or not all(
            x.shape == (n,) for x in (self.targets, self.future_s, self.groups)
        ):
            raise ValueError("looks: expected logits [N, C] and targets, future_s, groups [N]")
        if n and not (self.future_s.min() >= 0 and self.future_s.max() < FUTURES):
            raise ValueError(f"looks: future_s must lie in 0..{FUTURES - 1}")
        if n and not (self.targets.min() >= 0 and self.targets.max() < self.logits.shape[1]):
            raise ValueError(f"looks: targets must lie in 0..{self.logits.shape[1] - 1}")

    def __len__(self) -> int:
        return len(self.logits)

    def __getitem__(self, index: Any) -> Looks:
        return Looks(self.logits[index], self.targets[index], self.future_s[index], self.groups[index])

    def at(self, future_s: int) -> Looks:
        """Only the answers that had this many seconds of future."""
        return self[self.future_s == future_s]

    @classmethod
    def gather(cls, parts: Iterable[Looks]) -> Looks:
        """All of them, in order.

        Raises:
            ValueError: none.

        """
        many = list(parts)
        if not many:
            raise ValueError("no labelled seconds")
        return cls(
            np.concatenate([p.logits for p in many]),
            np.concatenate([p.targets for p in many]),
            np.concatenate([p.future_s for p in many]),
            np.concatenate([p.groups for p in many]),
        )


def of_window(
    logits: NDArray[np.float32], first_index: int, targets: Sequence[int] | NDArray[np.int64], group: int
) -> Looks:
    """The answers of one live window.

    Args:
        logits: [T, C], the last row the newest second.
        first_index: which second of the clip row 0 is.
        targets: the truth for every second of the clip; seconds beyond it are left out, and so are those
            marked −1 (unknown).
        group: the clip.

    """
    seconds = first_index + np.arange(len(logits))
    truth = np.asarray(targets, np.int64)
    known = seconds < len(truth)
    known[known] = truth[seconds[known]] >= 0
    seconds = seconds[known]
    return Looks(
        np.asarray(logits, np.float32)[known],
        truth[seconds],
        first_index + len(logits) - 1 - seconds,
        np.full(len(seconds), group, np.int64),
    )


def of_clip(
    head: Head,
    visual: NDArray[np.float32],
    audio: NDArray[np.float32],
    targets: Sequence[int] | NDArray[np.int64],
    group: int,
) -> Iterator[Looks]:
    """Every look a live stream would have taken at a clip, from its features.

    Args:
        head: the network's head.
        visual: [S, 7, 7, Dv], one row per second, S of any length.
        audio: [S, Da].
        targets: [S], −1 where unknown.
        group: the clip.

    """
    for end in range(1, len(audio) + 1):
        start = max(0, end - WINDOW)
        yield of_window(head(visual[start:end], audio[start:end]), start, targets, group)
