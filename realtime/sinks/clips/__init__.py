"""`--record DIR`: a clip of every event, from a few seconds before it to a few seconds after.

options, here       codec   pictures and sound → packets       ring   the packets of the recent past
sink    which packets become a clip, and when       openclip   the events that share one
beside  thumbnail and record                store   the folder, its names and its budget
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from ...core.options import OUTPUTS, Gt, Option, Seconds
from ..base import About, Sink, SinkOptions


@dataclass(frozen=True)
class ClipOptions(SinkOptions):
    """Clips of events: where, how long, and how many are kept."""

    dir: Annotated[
        Path | None,
        Option("--record", panel=OUTPUTS, metavar="DIR", help="write a clip of every event into this folder"),
    ] = None
    pre_s: Annotated[
        Seconds, Option("--pre", panel=OUTPUTS, metavar="S", help="seconds of a clip before its event")
    ] = 3.0
    post_s: Annotated[
        Seconds, Option("--post", panel=OUTPUTS, metavar="S", help="seconds of a clip after its event")
    ] = 3.0
    keep: Annotated[
        str | None,
        Option(
            "--keep", panel=OUTPUTS, metavar="5GB|30d", help="delete the oldest clips beyond this size or age"
        ),
    ] = None
    max_s: Annotated[float, Gt(0)] = 60.0
    """Longest clip; an event that lasts longer is cut off, and its record says so. What comes before and
    after an event gives way to it."""
    max_fps: Annotated[float, Gt(0)] = 25.0
    """Pictures a second in a clip; those that follow sooner are left out."""

    def build(self, about: About) -> Sink | None:
        """A sink with a thread of its own, that takes pictures and sound as they come."""
        if self.dir is None:
            return None
        from .sink import ClipSink  # the encoder is PyAV's

        return ClipSink(self, about)
