"""The head in two halves, for a window that slides: what was made of a segment a second ago is still there.

    segment   [1, 1, …]                     → V, A [M, 1, d], attention [1, 1, 7, 7]   once for each segment
    window    ten of them, and the masks    → logits [1, 10, C]                        at every look

Most of the head's work is what it makes of the 49 cells of each picture, which no other segment has a say in.
A segment always goes in alone, so that its numbers are the same whether they were kept or are made anew.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

KEPT: Final = 80
"""Segments that are remembered: ten for each of eight streams that share an engine. One takes some 20 kB."""


def takes(session: Any) -> frozenset[str]:
    """Names of a session's inputs: a head of one modality has no use for the other one."""
    return frozenset(one.name for one in session.get_inputs())


def only(inputs: Mapping[str, NDArray[Any]], names: frozenset[str]) -> dict[str, NDArray[Any]]:
    """Those of the inputs that have such names."""
    return {name: array for name, array in inputs.items() if name in names}


class _Segment(NamedTuple):
    """What went in, and what came of it."""

    visual: Floats
    v: Floats
    a: Floats
    attention: Floats


class SlidingHead:
    """Looks at windows of ten segments.

    Args:
        segment: session of the first half.
        window: session of the second one.
        kept: segments that are remembered.

    """

    def __init__(self, segment: Any, window: Any, *, kept: int = KEPT) -> None:
        self._kept = kept
        self._segment, self._window = segment, window
        self._segment_takes, self._window_takes = takes(segment), takes(window)
        self._known: OrderedDict[bytes, _Segment] = OrderedDict()

    def __call__(
        self,
        visual: Floats,
        audio: Floats,
        visual_mask: NDArray[np.bool_],
        audio_mask: NDArray[np.bool_],
    ) -> tuple[Floats, Floats]:
        """[1, 10, …] each → logits [1, 10, C], attention [1, 10, 7, 7]."""
        rows = [
            self._look(visual[:, one], audio[:, one], visual_mask[:, one], audio_mask[:, one])
            for one in (slice(at, at + 1) for at in range(audio.shape[1]))
        ]
        inputs = {
            "v": np.concatenate([row.v for row in rows], axis=1),
            "a": np.concatenate([row.a for row in rows], axis=1),
            "visual_mask": visual_mask,
            "audio_mask": audio_mask,
        }
        (logits,) = self._window.run(["logits"], only(inputs, self._window_takes))
        return logits, np.concatenate([row.attention for row in rows], axis=1)

    def _look(
        self, visual: Floats, audio: Floats, seen: NDArray[np.bool_], heard: NDArray[np.bool_]
    ) -> _Segment:
        # A few cells of the picture tell segments apart; whether it is the same one, all of it says.
        few = visual[0, 0, ::3, ::3]
        key = b"".join((audio.tobytes(), few.tobytes(), seen.tobytes(), heard.tobytes()))
        known = self._known.get(key)
        if known is not None and np.array_equal(known.visual, visual):
            self._known.move_to_end(key)
            return known
        inputs = {"visual": visual, "audio": audio, "visual_mask": seen, "audio_mask": heard}
        made = self._segment.run(["v", "a", "attention"], only(inputs, self._segment_takes))
        self._known[key] = new = _Segment(visual.copy(), *made)
        self._known.move_to_end(key)
        if len(self._known) > self._kept:
            self._known.popitem(last=False)
        return new
