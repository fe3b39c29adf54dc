"""What travels between the stages: frozen values, instants in nanoseconds on one monotonic axis.

    VideoFrame, AudioBlock          as a device delivers them, on its own clock
      └ sources ─▶ TimedFrame, TimedAudio          on the timeline of the stream
          └ cutter ─▶ SelectedFrame, ClosedSegment          a second, cut
              └ features ─▶ SegmentFeatures ─ window ─▶ Scores ─ decoder ─▶ Settled, Event
                  └ loop ─▶ Hop          everything about one answer
    Status: anything that changes state.   StreamStart, StreamEnd: what holds for all of it

Stream time starts at 0 with the first segment; a stage that needs the wall clock adds
`StreamStart.wall_clock`. Arrays inside messages are never written to after they were sent.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

from ...model.sound import SAMPLE_RATE as SAMPLE_RATE
from .redact import redact
from .states import Severity, State

FRAME_SIZE = 224
"""Side of the square RGB picture that the visual backbones see, in pixels."""


@dataclass(frozen=True, slots=True)
class VideoFrame:
    """One picture as it left a source.

    `t_ns` is the instant of capture on the *source's* time axis: `Clock.now_ns` right after `grab()`
    for a live camera, the presentation time for a file. `image` is [H, W, 3] uint8 RGB at the
    source's own size.
    """

    t_ns: int
    image: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class AudioBlock:
    """Consecutive samples as they left a source, at the source's own rate, already mono.

    `first_sample` counts samples since the device was opened: a jump beyond `first_sample + len`
    is a gap (an overflow), never silence to be guessed. `t_ns` is the instant at which the *last*
    sample of the block was available (callback time for a microphone; presentation time of the end
    of the block for a file).
    """

    t_ns: int
    first_sample: int
    rate: int
    samples: NDArray[np.float32]
    epoch: int = 0
    """Counts how often the device was reopened; sample counters start anew with each epoch."""
    overflow: bool = False
    """Samples were lost right before this block, nobody knows how many (an input overflow)."""


@dataclass(frozen=True, slots=True)
class TimedFrame:
    """A picture on the common timeline: `t_ns` counts from the start of the stream.

    Sources make it with `realtime.sources.picture.timed_frame`: the resizing happens once, at capture.
    """

    t_ns: int
    image: NDArray[np.uint8]
    """[224, 224, 3] RGB, the whole picture squeezed to what the networks see."""
    preview: NDArray[np.uint8] | None = None
    """[h, w, 3] RGB for screens, true proportions, at most 160 wide."""
    original: NDArray[np.uint8] | None = None
    """[H, W, 3] RGB at the source's own size; only where something asked for it (`--record`)."""


@dataclass(frozen=True, slots=True)
class TimedAudio:
    """Sound on the common timeline: `samples` [n] float32 at 16 kHz, the first at `position`.

    `position` counts 16 kHz samples from the start of the stream (position 16000·k opens segment k).
    Successive blocks never overlap; a jump in `position` is sound that was never received.
    """

    position: int
    samples: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class EndOfStream:
    """Nothing more will come; `t_ns` is the stream time at which the stream ended."""

    t_ns: int
    reason: str = ""
    lost: bool = False
    """It ended because the source is lost for good, not because it was over."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One second of the stream: up to `--frames` pictures evenly spaced by time, and its sound.

    `frames` is [N, 224, 224, 3] uint8 RGB, the *distinct* pictures chosen; `frame_weights` [N]
    float32 sums to 1 and says how many of the slots each picture fills (a 5-fps camera fills three
    slots with one picture). N is 0 when the video is missing. `audio` is [16000] float32; where
    samples are missing it holds zeros and `audio_fraction` says so.
    """

    index: int
    start_ns: int
    end_ns: int
    frames: NDArray[np.uint8]
    frame_weights: NDArray[np.float32]
    audio: NDArray[np.float32]
    audio_fraction: float
    """Share of the 16,000 samples that were really received, 0..1."""
    video: bool
    """Whether there is a picture of this very second."""
    sound: bool
    """Whether there is enough sound of this very second to judge it."""
    frames_dropped: int = 0
    frames_late: int = 0
    audio_dropped: int = 0
    preview: NDArray[np.uint8] | None = None
    """The newest picture at a size fit for a screen, [h, w, 3] RGB, true proportions."""
    partial: bool = False
    """The remainder at the end of a file, shorter than a second."""
    frame_ns: tuple[int, ...] = ()
    """Instants of `frames` on the stream's time; empty where nobody knows them."""


@dataclass(frozen=True, slots=True)
class SelectedFrame:
    """A picture [224, 224, 3] that is part of segment `key` of the grid; each is announced once, in order."""

    key: int
    image: NDArray[np.uint8]
    t_ns: int | None = None
    """Instant on the stream's time; None where nobody knows it: the picture counts as new."""


@dataclass(frozen=True, slots=True)
class ClosedSegment:
    """Segment number `key` of the grid is complete: its second is over, and nothing is waited for."""

    key: int
    segment: Segment
    at_ns: int = 0
    """Instant at which it closed (`Clock.now_ns`)."""
    late: bool = False
    """Whether pictures chosen for it had not been taken yet when it closed: the machine is behind."""


@dataclass(frozen=True, slots=True)
class SegmentFeatures:
    """What the backbones made of one segment; computed once, used by up to ten windows.

    `visual` is [7, 7, Dv] and `audio` [Da], float32. Where `has_video`/`has_audio` is False the array
    is zeros and the network is told by its mask.
    """

    index: int
    visual: NDArray[np.float32]
    audio: NDArray[np.float32]
    has_video: bool
    has_audio: bool
    taught: NDArray[np.float32] | None = None
    """Probabilities of the classes that the user taught, [K]; None where there are none, or nothing was made
    of the segment."""


@dataclass(frozen=True, slots=True)
class Scores:
    """One look of the network at a window of up to ten segments.

    `probabilities` is [T, C] float32 (calibrated softmax; background last), `attention` [T, 7, 7] float32
    summing to 1 per segment: where in the picture the sound was found. `first_index` is the segment index
    of row 0; the last row is the newest segment. `valid` [T] bool: segments that had picture or sound.
    `logits` [T, C] are the raw network outputs before temperature. Taught classes have probabilities, before
    *background*, but no logits: with K of them `logits` is [T, C − K].
    """

    hop: int
    first_index: int
    logits: NDArray[np.float32]
    probabilities: NDArray[np.float32]
    attention: NDArray[np.float32]
    valid: NDArray[np.bool_]
    ood: float = 0.0
    """Out-of-distribution score of the newest segment; higher is stranger."""

    @property
    def newest_index(self) -> int:
        """Index of the newest segment in the window."""
        return self.first_index + len(self.probabilities) - 1


@dataclass(frozen=True, slots=True)
class Settled:
    """The final answer for one second, after every look it was going to get."""

    index: int
    start_s: float
    end_s: float
    label: int
    confidence: float
    looks: int
    probabilities: NDArray[np.float32]
    name: str = ""
    """The label's name."""


EventKind = Literal["start", "update", "end", "retract"]


@dataclass(frozen=True, slots=True)
class Event:
    """A change in the life of one event. `end_s` is None while it is open."""

    kind: EventKind
    id: int
    label: int
    start_s: float
    end_s: float | None
    confidence: float
    name: str = ""
    """The label's name."""


_SEVERITY: Final[dict[State, Severity]] = {
    **dict.fromkeys(("opening", "running", "ended", "loading", "reloaded", "adjusted"), "info"),
    **dict.fromkeys(("stalled", "recovering", "effort", "late", "overloaded", "damaged"), "warning"),
    **dict.fromkeys(("truncated", "incomplete", "failing", "dropping", "overrun"), "warning"),
    **dict.fromkeys(("lost", "failed"), "error"),
}


@dataclass(frozen=True, slots=True)
class Status:
    """A device or the machine changed state, or has something to say.

    `device` is `camera`, `microphone`, `stream`, `machine`, or the name of a sink. Without a `severity`
    it is the usual one of the state; good news (more pictures again) says `info` itself.
    """

    device: str
    state: State
    reason: str
    t_ns: int
    severity: Severity = None  # type: ignore[assignment]
    wall_clock: float | None = None
    """Unix time of stream time 0, where that is what changed."""

    def __post_init__(self) -> None:
        """Fill in the severity; a reason quotes addresses, and says no secret."""
        object.__setattr__(self, "reason", redact(self.reason))
        if self.severity is None:
            # A source or sink from outside may know states of its own.
            object.__setattr__(self, "severity", _SEVERITY.get(self.state, "warning"))  # type: ignore[unreachable]


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What a source turned out to be, once open; for the screen and the `start` record."""

    name: str
    kind: Literal["file", "camera", "microphone", "live", "network"]
    video: str = ""
    audio: str = ""
    duration_s: float | None = None
    live: bool = False
    details: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Names are often addresses; they say no secret."""
        for name in ("name", "video", "audio"):
            object.__setattr__(self, name, redact(getattr(self, name)))


@dataclass(frozen=True, slots=True)
class StreamStart:
    """The stream is open and the networks are loaded: what every later record is to be read with."""

    version: str
    profile: str
    backend: str
    precision: str
    source: SourceInfo
    labels: tuple[str, ...]
    """Class names, background last."""
    hop_s: float
    window: int = 10
    segment_s: float = 1.0
    settle: int = 2
    """Seconds after which an answer is settled (0..9)."""
    device: str = "cpu"
    note: str = ""
    """Why this backend was chosen, or what it fell back from."""
    calibration: str = ""
    """Name of the calibration in use; empty when confidences are raw."""
    wall_clock: float | None = None
    """Unix time of stream time 0, as known at the start (see `Hop.wall_clock`); None for a file."""


LOSS_SHARE: Final = 0.01
"""A track that loses more than this share of itself is said to be incomplete."""
_ROUNDING_S: Final = 0.05
"""Less than this is how containers round and encoders pad."""


@dataclass(frozen=True, slots=True)
class TrackTotals:
    """Where the seconds of one kind of track went; `sources.account` says what is counted where."""

    delivered_s: float = 0.0
    by_stamp_s: float = 0.0
    """Dropped because of time stamps."""
    late_s: float = 0.0
    undecodable_s: float = 0.0
    not_chosen_s: float = 0.0
    """Of tracks that were passed over: no loss, somebody wanted it so."""

    @property
    def lost_s(self) -> float:
        """What was in the input, was wanted, and did not reach the networks."""
        return self.by_stamp_s + self.late_s + self.undecodable_s

    @property
    def share(self) -> float:
        """Lost seconds of all that were wanted, 0..1."""
        wanted = self.delivered_s + self.lost_s
        return self.lost_s / wanted if wanted else 0.0


@dataclass(frozen=True, slots=True)
class Totals:
    """The account of a whole stream."""

    video: TrackTotals = TrackTotals()
    audio: TrackTotals = TrackTotals()

    @property
    def tracks(self) -> dict[str, TrackTotals]:
        """Both, by name."""
        return {"video": self.video, "audio": self.audio}

    @property
    def lost(self) -> dict[str, TrackTotals]:
        """The tracks that lost more than `LOSS_SHARE`, by name."""
        return {
            name: track
            for name, track in self.tracks.items()
            if track.share > LOSS_SHARE and track.lost_s > _ROUNDING_S
        }


@dataclass(frozen=True, slots=True)
class StreamEnd:
    """The stream is over; the last settled seconds and events travel here, with the totals."""

    seconds: float
    hops: int
    skipped: int
    dropped: int
    events: int
    """Events started and not retracted."""
    real_time_factor: float
    """Processor-bound share: time spent working on a second of stream, per second."""
    latency_ms: dict[str, float]
    """`p50`, `p95`, `p99` of segment end → record; empty when there was no hop."""
    skew_ms: float | None
    reason: str = ""
    """Why it ended: `end of file`, `stopped`, or what was lost."""
    last_settled: tuple[Settled, ...] = ()
    """Seconds settled only because the stream ended; in order, after those of all hops."""
    last_events: tuple[Event, ...] = ()
    """Events ended (or retracted) because the stream ended."""
    wall_clock: float | None = None
    """As in the last hop."""
    totals: Totals = Totals()
    """What of the input reached the networks, per track, and what did not."""


@dataclass(frozen=True, slots=True)
class Hop:
    """One answer, and everything that screens and logs may want to know about it."""

    hop: int
    segment: Segment
    scores: Scores
    label: int
    confidence: float
    latency_ms: float
    """Segment end → this record, on the clock of the stream."""
    skipped: int
    """Hops skipped so far because the machine was late."""
    dropped: int
    """Frames and blocks dropped so far."""
    skew_ms: float | None
    """Camera time minus microphone time, where two clocks are in play."""
    frames_per_segment: int
    settled: tuple[Settled, ...] = ()
    events: tuple[Event, ...] = ()
    audio_level_dbfs: float = -120.0
    drift_ppm: float | None = None
    """The microphone's clock against the machine's, positive when slow; None without a microphone."""
    wall_clock: float | None = None
    """Unix time of stream time 0, as the time of day stands at this hop; None for a file."""
