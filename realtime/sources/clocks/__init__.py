"""From device time to the common timeline.

    AudioBlock (counter, callback instants) ─ ClockFit ─▶ rate, offset ─ DriftResampler ─▶ TimedAudio
    VideoFrame (stamp at grab) ────────────────────────────────── FrameTimeline ──▶ stream time

What is measured, and what can't be
-----------------------------------
*Drift* is the rate of the microphone's crystal against the machine's monotonic clock, in parts per
million. It is observable without any content: the sample counter is the crystal, and the instants of
the callbacks are the machine. `ClockFit` estimates it over the last minutes.

*Skew* is camera time minus microphone time: by how much a picture is placed later on the timeline than
the sound of the same instant. It has two parts. The varying part (drift, lost samples, the start of a
device) is measured and removed here: what is left, the distance between where the fitted clock puts a
sample and where the resampler has placed it, is reported as `skew_ms`. The constant part, the delay
inside the camera and the sound card before the machine hears of anything, leaves no trace in the
arrival times; it is found once with a flash and a beep (`avel calibrate sync`) and given as
`camera_delay_ms`, by which every frame is moved earlier.
"""

from .audio import AudioTimeline, SkewReport
from .clockfit import ClockFit, FitOptions
from .frames import FrameTimeline
from .resampler import DriftResampler

__all__ = ["AudioTimeline", "ClockFit", "DriftResampler", "FitOptions", "FrameTimeline", "SkewReport"]
