"""Every number of the decoder in one frozen, validated place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ...model.labels import LABELS, label_index
from ..core.errors import UsageError

PerClass = float | tuple[float, ...]
"""One value for all event classes, or one per class (a value for *background* may follow, unused)."""

_LEAVE_SHARE = 0.4

BRIEF_S = 2.0
"""AVE's shortest event: what is shorter is more often a slip than one that lasts."""

MAX_SETTLE = 9
"""The last look at a second comes nine seconds after it: the window has ten segments."""


@dataclass(frozen=True)
class DecoderConfig:
    """How looks are fused, when a second is settled, and what makes an event.

    The defaults of `enter`, `leave`, `margin`, `brief` and `hold_s` were chosen for event F1 on streams
    composed from photographs and recordings that the bundled heads were not trained on
    (`tests/bench/flicker.py --composed`): a class enters when it is more likely than not, stays while it is
    a good guess, more likely than nothing, and no other is clearly better, and a second by itself must be
    surer.
    Calibration replaces `enter`, `leave` and `min_duration_s` with one value per class.
    """

    settle: int = 2
    """Seconds of future a second is given before its answer is final, 0..9."""

    pool: Literal["log", "linear"] = "log"
    """Space of the weighted mean of the looks: `log` is the logarithmic opinion pool (a mean of logits,
    so that calibration by temperature carries over), `linear` the mean of probabilities."""
    context_floor: float = 0.3
    """Weight of a look without any context, relative to one with all it can use; 1 weighs all alike."""
    past_full: int = 4
    """Valid seconds before a second beyond which more past adds no weight to a look."""
    future_full: int = 3
    """Valid seconds after a second beyond which more future adds no weight to a look."""

    enter: PerClass = 0.50
    """Probability from which a class may take a second."""
    leave: PerClass | None = None
    """Probability below which the class that holds loses the next second; None: 2/5 of `enter` (0.20)."""
    margin: float = 0.40
    """Another event must beat the class that holds by more than this to take a second from it."""
    background_competes: bool = True
    """Whether an event class must also be more probable than *background*, to enter and to stay.
    Calibrated thresholds that were chosen with background in view may switch it off."""

    min_duration_s: PerClass = 1.0
    """Events that turn out shorter than this are never announced; above one second an event is announced
    when what is settled of it is that long."""
    brief: float = 0.70
    """What is shorter than two seconds is an event only if its mean probability reaches this; until then
    it is not announced."""
    hold_s: PerClass = 0.0
    """Gaps up to this long are bridged: one event, not two. The looks' fusion bridges what is a slip."""
    cool_down_s: PerClass = 0.0
    """After an event of a class ended, none of that class starts for this long."""
    classes: frozenset[int] | None = None
    """Only these classes make events; None for all."""
    ignore: frozenset[int] = frozenset()
    """These classes never make events."""

    early: bool = True
    """Announce an event as soon as a provisional answer says so, and retract it if the settled answer
    disagrees. False: announce only what is settled and long enough; nothing is ever retracted."""
    update_step: float = 0.10
    """An open event is reported again when its confidence moved by this much."""

    stated_at: float = 1.0
    """Temperature at which the looks' confidences were stated (the package's own calibration). They are
    reported as stated; every threshold here is held against what they are at temperature 1, so that a
    calibration that ships says how sure to be and changes no decision."""
    segment_s: float = 1.0
    """Length of a segment: second k of the stream is [k, k + 1) × `segment_s`."""
    labels: tuple[str, ...] = LABELS
    """Names of all classes, *background* last."""
    taught: int = 0
    """How many of them the user taught, those just before *background*: each is judged by itself, and where
    no look sees one its probability is 0, not merely small."""

    def __post_init__(self) -> None:
        """Refuse what makes no sense, saying which option and what it may be."""
        for one in fields(self):
            value = getattr(self, one.name)
            if one.name != "labels" and isinstance(value, (float, tuple)) and not np.isfinite(value).all():
                raise UsageError(f"{one.name} must be finite, got {value}")
        if not 0 <= self.settle <= MAX_SETTLE:
            raise UsageError(f"settle must be 0 to {MAX_SETTLE} seconds, got {self.settle}")
        if not 0 < self.context_floor <= 1:
            raise UsageError(f"context_floor must be in (0, 1], got {self.context_floor}")
        if self.past_full < 1 or self.future_full < 1:
            raise UsageError("past_full and future_full must be at least 1 second")
        if self.stated_at <= 0:
            raise UsageError(f"stated_at must be a positive temperature, got {self.stated_at}")
        if self.segment_s <= 0:
            raise UsageError(f"segment_s must be positive, got {self.segment_s}")
        enter, leave = self.per_class("enter"), self.per_class("leave")
        if ((enter < 0) | (enter > 1) | (leave < 0)).any():
            raise UsageError("enter and leave thresholds must be probabilities, 0 to 1")
        if (leave > enter).any():
            worst = int(np.argmax(leave - enter))
            raise UsageError(
                f"the leave threshold must not exceed the enter threshold; class {worst} has "
                f"enter {enter[worst]:.2f} and leave {leave[worst]:.2f}"
            )
        for name in ("min_duration_s", "hold_s", "cool_down_s"):
            if (self.per_class(name) < 0).any():
                raise UsageError(f"{name} must not be negative")
        if not 0 <= self.brief <= 1:
            raise UsageError(f"brief must be a probability, 0 to 1, got {self.brief}")
        if self.margin < 0 or self.update_step < 0:
            raise UsageError("margin and update_step must not be negative")
        self._check_classes()

    def _check_classes(self) -> None:
        """Refuse a choice of classes that contradicts itself, or leaves none: nothing would ever be said."""
        both = sorted((self.classes or frozenset()) & self.ignore)
        if both:
            names = ", ".join(repr(self.labels[k]) if k < self.num_classes else str(k) for k in both)
            raise UsageError(f"classes and ignore both name {names}; take it out of one of them")
        if not self.wanted().any():
            raise UsageError(
                "classes and ignore leave no class that could make an event; "
                "background is none: name an event, or ignore fewer"
            )

    @property
    def num_classes(self) -> int:
        """Classes, *background* included."""
        return len(self.labels)

    @property
    def background(self) -> int:
        """Index of *background*."""
        return self.num_classes - 1

    def per_class(self, name: str) -> NDArray[np.float64]:
        """The option `name` as one value per event class, [num_classes - 1]."""
        value: PerClass | None = getattr(self, name)
        events = self.num_classes - 1
        if value is None:
            return _LEAVE_SHARE * self.per_class("enter")
        if isinstance(value, (int, float)):
            return np.full(events, float(value))
        if len(value) not in (events, self.num_classes):
            raise UsageError(f"{name} must be one number or {events}, got {len(value)}")
        return np.asarray(value[:events], dtype=np.float64)

    def wanted(self) -> NDArray[np.bool_]:
        """Which event classes may make events, [num_classes - 1]."""
        chosen = range(self.num_classes - 1) if self.classes is None else self.classes
        return np.asarray([k in chosen and k not in self.ignore for k in range(self.num_classes - 1)])


def class_set(names: Iterable[str], labels: Sequence[str] = LABELS) -> frozenset[int]:
    """Indices of classes given by name, as on the command line.

    Raises:
        UsageError: an unknown class; the message names the nearest ones.

    """
    try:
        return frozenset(label_index(name, labels) for name in names)
    except ValueError as error:
        raise UsageError(str(error)) from None
