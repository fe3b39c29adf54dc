"""What of picture and sound did not reach the networks, in words."""

from __future__ import annotations

from collections.abc import Mapping

from ..core.messages import TrackTotals


def what_is_missing(lost: Mapping[str, TrackTotals]) -> str:
    """`12.0 of 48.0 s of video (25 %) did not reach the networks (11.8 s without a place …)`.

    Args:
        lost: by track, as `messages.Totals.lost` has them.

    """
    return "; ".join(_of_track(name, track) for name, track in lost.items())


def _of_track(name: str, track: TrackTotals) -> str:
    causes = {
        "that no time stamp gives a place": track.by_stamp_s,
        "too late": track.late_s,
        "that can't be decoded": track.undecodable_s,
    }
    parts = ", ".join(f"{seconds:.1f} s {cause}" for cause, seconds in causes.items() if seconds >= 0.05)
    return (
        f"{track.lost_s:.1f} of {track.delivered_s + track.lost_s:.1f} s of {name} ({track.share:.0%}) "
        f"did not reach the networks ({parts or 'in many small pieces'})"
    )
