"""What a stream says when the machine is too slow for it: answers skipped, a recording behind its speed."""

from __future__ import annotations

from collections.abc import Iterator

from ..core.clock import NS_PER_S
from ..core.messages import Status

_BEHIND_NS = NS_PER_S
"""How far a replay may be behind its speed without a word."""


class Behind:
    """Says it once, again where it grows worse, and when it is over."""

    def __init__(self) -> None:
        self._skips_told = 0
        self._told_ns = 0

    def after_hop(self, skipped: int, behind_ns: int, end_ns: int) -> Iterator[Status]:
        """What there is to say.

        Args:
            skipped: answers that a live stream did without so far.
            behind_ns: how far a recording is behind its speed.
            end_ns: stream time, for the message.

        """
        if skipped > self._skips_told:
            count, self._skips_told = skipped - self._skips_told, skipped
            many = "1 answer" if count == 1 else f"{count} answers"
            yield Status("machine", "late", f"{many} skipped: the networks take too long", end_ns)
        yield from self._paced(behind_ns, end_ns)

    def _paced(self, behind_ns: int, end_ns: int) -> Iterator[Status]:
        """A recording that can't keep to its speed says so, once and at every doubling; it loses nothing."""
        if behind_ns > max(_BEHIND_NS, 2 * self._told_ns):
            self._told_ns = behind_ns
            reason = (
                f"the recording plays {behind_ns / NS_PER_S:.1f} s behind its speed: too much for this "
                "machine; --fast plays it as fast as can be, --frames 2 (or 1) computes less"
            )
            yield Status("machine", "late", reason, end_ns)
        elif self._told_ns and behind_ns < _BEHIND_NS // 4:
            self._told_ns = 0
            yield Status("machine", "running", "the recording keeps to its speed again", end_ns)
