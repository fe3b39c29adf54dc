"""One configuration: a frozen schema that flags, environment and `avel.toml` all fill.

Every default stands here, or in the options of the output it belongs to, and nowhere else; names carry their
unit. The command line is generated from this schema; `config.load` merges what was given where, and checks
it. A field whose default is a `SinkOptions` registers an output.
"""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Literal

from ..core.options import (
    EVENTS,
    NETWORK,
    OUTPUTS,
    RUNNING,
    SOURCE,
    Ge,
    Gt,
    Le,
    Names,
    Option,
    Options,
    Probability,
    Seconds,
)
from ..sinks.base import OUTPUT_WAIT_S, SinkOptions
from ..sinks.clips import ClipOptions
from ..sinks.desktop import NotifyOptions
from ..sinks.exec import ExecOptions
from ..sinks.log import LogOptions
from ..sinks.memory import MemoryOptions
from ..sinks.metrics import MetricsOptions
from ..sinks.mqtt import MqttOptions
from ..sinks.web import WebOptions
from ..sinks.webhook import WebhookOptions

NONE = "none"
"""What `--camera` and `--mic` are set to when there shall be none."""

Frames = Literal["auto", "1", "2", "4", "8", "16", "all"]
"""What `--frames` takes."""


def folded(name: str) -> str:
    """A class name as it is compared: without regard to case, `_` and spaces."""
    return " ".join(name.replace("_", " ").lower().split())


@dataclass(frozen=True)
class Config(Options):
    """Everything that can be set."""

    # Source
    file: Annotated[
        Path | None,
        Option("--file", panel=SOURCE, metavar="PATH", help="replay a recording as a stream; - for stdin"),
    ] = None
    url: Annotated[
        str | None,
        Option(
            "--url",
            panel=SOURCE,
            metavar="URL",
            help="a network stream that carries picture and sound (rtsp://, http://)",
        ),
    ] = None
    demo: Annotated[
        bool, Option("--demo", panel=SOURCE, help="replay the clip that comes with the program")
    ] = False
    camera: Annotated[
        str,
        Option(
            "--camera",
            panel=SOURCE,
            metavar="N|PATH|URL|none",
            help="camera: index, device, stream address, or none",
        ),
    ] = "0"
    mic: Annotated[
        str,
        Option(
            "--mic",
            panel=SOURCE,
            metavar="NAME|INDEX|none",
            help="microphone: name or part of it, index, or none",
        ),
    ] = "default"
    speed: Annotated[
        float,
        Gt(0),
        Le(1000),
        Option("--speed", panel=SOURCE, metavar="X", help="replay X times as fast as real time"),
    ] = 1.0
    fast: Annotated[
        bool,
        Option("--fast", panel=SOURCE, help="replay as fast as the machine can; nothing is dropped"),
    ] = False
    loop: Annotated[
        bool, Option("--loop", panel=SOURCE, help="start the recording anew when it ends; time goes on")
    ] = False
    start_s: Annotated[
        Seconds, Option("--start", panel=SOURCE, metavar="S", help="begin the recording here")
    ] = 0.0
    duration_s: Annotated[
        Annotated[float, Gt(0)] | None,
        Option("--duration", panel=SOURCE, metavar="S", help="stop after this many seconds of stream"),
    ] = None
    size: Annotated[
        str | None,
        Option(
            "--size",
            panel=SOURCE,
            metavar="WxH",
            help="picture size to ask the camera for",
            form="WIDTHxHEIGHT, such as 1280x720",
            pattern=r"\d+x\d+",
        ),
    ] = None
    fps: Annotated[
        Annotated[float, Gt(0), Le(1000)] | None,
        Option("--fps", panel=SOURCE, help="pictures a second to ask the camera for"),
    ] = None
    rtsp_transport: Annotated[
        Literal["auto", "tcp", "udp"],
        Option(
            "--rtsp-transport",
            panel=SOURCE,
            help="how RTSP carries its packets; auto tries tcp, and udp where a server has nothing else",
        ),
    ] = "auto"
    hwaccel: Annotated[
        Literal["none", "auto", "vaapi", "cuda", "videotoolbox", "v4l2"],
        Option(
            "--hwaccel",
            panel=SOURCE,
            help="hardware that decodes recordings and network streams; the CPU does where it can't",
        ),
    ] = "none"
    video_track: Annotated[
        Annotated[int, Ge(1)] | None,
        Option(
            "--video-track",
            panel=SOURCE,
            metavar="N",
            affects="findings",
            help="picture track of a recording, from 1; FFmpeg's choice otherwise",
        ),
    ] = None
    audio_track: Annotated[
        Annotated[int, Ge(1)] | None,
        Option(
            "--audio-track",
            panel=SOURCE,
            metavar="N",
            affects="findings",
            help="sound track of a recording, from 1; FFmpeg's choice otherwise",
        ),
    ] = None
    channel: Annotated[
        Annotated[int, Ge(1)] | None,
        Option(
            "--channel", panel=SOURCE, help="channel of the sound to use, from 1; all are mixed otherwise"
        ),
    ] = None
    sync_offset_ms: Annotated[
        Annotated[float, Ge(-5000), Le(5000)] | None,
        Option(
            "--sync-offset",
            panel=SOURCE,
            metavar="MS",
            help="shift the picture's time by this; overrides what calibration measured",
        ),
    ] = None

    # Network
    profile: Annotated[
        str, Option("--profile", panel=NETWORK, affects="findings", help="which networks: {profiles}")
    ] = "lite"
    backend: Annotated[
        Literal["auto", "torch", "onnxruntime", "tensorrt"],
        Option(
            "--backend",
            panel=NETWORK,
            affects="findings",
            help="what computes: auto, torch, onnxruntime, tensorrt",
        ),
    ] = "auto"
    precision: Annotated[
        Literal["auto", "fp32", "fp16", "bf16", "int8"],
        Option("--precision", panel=NETWORK, affects="findings", help="auto, fp32, fp16, bf16, int8"),
    ] = "auto"
    engines: Annotated[
        Path | None,
        Option(
            "--engines",
            panel=NETWORK,
            metavar="DIR",
            affects="findings",
            help="TensorRT engines that `avel compile --to tensorrt-rtx` built ahead",
        ),
    ] = None
    checkpoint: Annotated[
        Path | None,
        Option(
            "--checkpoint",
            panel=NETWORK,
            metavar="FILE",
            affects="findings",
            help="a trained head (.safetensors) instead of the shipped one",
        ),
    ] = None
    audio_weights: Annotated[
        Path | None,
        Option(
            "--audio-weights",
            panel=NETWORK,
            metavar="FILE",
            affects="findings",
            help="weights of the audio network",
        ),
    ] = None
    visual_weights: Annotated[
        Path | None,
        Option(
            "--visual-weights",
            panel=NETWORK,
            metavar="FILE",
            affects="findings",
            help="weights of the visual network",
        ),
    ] = None
    threads: Annotated[
        Annotated[int, Ge(1), Le(1024)] | None,
        Option("--threads", panel=NETWORK, help="processor threads for the networks"),
    ] = None
    calibration: Annotated[
        str | None,
        Option(
            "--calibration",
            panel=NETWORK,
            metavar="NAME|FILE",
            affects="findings",
            help="a calibration made by `avel calibrate`; default: yours, else the package's; none: raw",
        ),
    ] = None
    hop_s: Annotated[
        float,
        Option(
            "--hop",
            panel=NETWORK,
            metavar="S",
            help="seconds between answers: 0.25, 0.5, or a whole number from 1 to 10",
        ),
    ] = 1.0
    frames: Annotated[
        Frames,
        Option(
            "--frames",
            panel=NETWORK,
            affects="findings",
            help="pictures a second that the network computes at most, where something changes: 1, 2, 4, 8, "
            "16; all = 16 by time, changed or not; auto = 4, 2 while those say the same, fewer when a live "
            "stream is too much for the machine",
        ),
    ] = "auto"

    # Events
    settle: Annotated[
        int,
        Ge(0),
        Le(9),
        Option(
            "--settle",
            panel=EVENTS,
            metavar="S",
            affects="decoding",
            help="seconds of future that a second's final answer waits for",
        ),
    ] = 2
    enter: Annotated[
        Probability | None,
        Option(
            "--enter",
            panel=EVENTS,
            affects="decoding",
            help="confidence at which an event begins; overrides calibration",
        ),
    ] = None
    leave: Annotated[
        Probability | None,
        Option(
            "--leave",
            panel=EVENTS,
            affects="decoding",
            help="confidence below which an event ends; overrides calibration",
        ),
    ] = None
    veto: Annotated[
        float | None,
        Option(
            "--veto",
            panel=EVENTS,
            metavar="SCORE",
            affects="findings",
            help="seconds whose out-of-distribution score (`ood` of a hop) is above this are background; "
            "default: off, as no limit spares true events",
        ),
    ] = None
    min_event_s: Annotated[
        Seconds | None,
        Option(
            "--min-event",
            panel=EVENTS,
            metavar="S",
            affects="decoding",
            help="shorter events are not reported",
        ),
    ] = None
    brief: Annotated[
        Probability | None,
        Option(
            "--brief",
            panel=EVENTS,
            affects="decoding",
            help="confidence that an event shorter than two seconds must reach",
        ),
    ] = None
    hold_s: Annotated[
        Seconds | None,
        Option(
            "--hold",
            panel=EVENTS,
            metavar="S",
            affects="decoding",
            help="an event outlives gaps up to this long",
        ),
    ] = None
    cooldown_s: Annotated[
        Seconds | None,
        Option(
            "--cooldown",
            panel=EVENTS,
            metavar="S",
            affects="decoding",
            help="quiet time after an event before the next of its class",
        ),
    ] = None
    classes: Annotated[
        Names,
        Option(
            "--classes",
            panel=EVENTS,
            metavar="NAME",
            affects="decoding",
            help="report only these classes (repeat the flag)",
        ),
    ] = ()
    ignore: Annotated[
        Names,
        Option(
            "--ignore",
            panel=EVENTS,
            metavar="NAME",
            affects="decoding",
            help="never report these classes (repeat the flag)",
        ),
    ] = ()

    taught: Annotated[
        Names,
        Option(
            "--taught",
            panel=EVENTS,
            metavar="NAME,…|none",
            affects="findings",
            help="of the classes that you taught (`avel teach`) only these; none = the shipped ones alone "
            "(default: all that fit the networks)",
        ),
    ] = ()

    # Outputs
    json: Annotated[bool, Option("--json", panel=OUTPUTS, help="JSONL on stdout, schema 1")] = False
    output_wait_s: Annotated[
        Seconds,
        Option(
            "--output-wait",
            panel=OUTPUTS,
            metavar="S",
            help="how long a recording waits for an output that takes nothing, before it counts losses",
        ),
    ] = OUTPUT_WAIT_S
    log: LogOptions = LogOptions()
    metrics: MetricsOptions = MetricsOptions()
    mqtt: MqttOptions = MqttOptions()
    webhook: WebhookOptions = WebhookOptions()
    exec: ExecOptions = ExecOptions()
    clips: ClipOptions = ClipOptions()
    memory: MemoryOptions = MemoryOptions()
    web: WebOptions = WebOptions()
    notify: NotifyOptions = NotifyOptions()

    # Running
    no_ui: Annotated[
        bool, Option("--no-ui", panel=RUNNING, help="plain lines instead of the live screen")
    ] = False
    follow: Annotated[
        str | None,
        Option(
            "--follow",
            panel=RUNNING,
            metavar="URL",
            help="avel serve: also show and remember the events that other boxes publish to this broker",
        ),
    ] = None
    streams_file: Annotated[
        Path | None,
        Option(
            "--streams-file",
            panel=RUNNING,
            metavar="FILE",
            help="avel serve: keep streams added, changed and removed on the page in this file, not in the "
            "data folder's streams.json",
        ),
    ] = None
    name: Annotated[
        str | None,
        Option("--name", panel=RUNNING, help="what this stream is called in messages, topics and file names"),
    ] = None
    strict: Annotated[
        bool,
        Option(
            "--strict",
            panel=RUNNING,
            help="exit with 3 when more than 1 % of picture or sound did not reach the networks",
        ),
    ] = False
    debug: Annotated[bool, Option("--debug", panel=RUNNING, help="show the trace of an error")] = False

    def __post_init__(self) -> None:
        """Refuse what contradicts itself.

        Raises:
            ValueError: which keys, and what to do.

        """
        if self.hop_s not in (0.25, 0.5) and self.hop_s not in range(1, 11):
            raise ValueError(f"hop_s: expected 0.25, 0.5 or a whole number from 1 to 10, got {self.hop_s:g}")
        if self.enter is not None and self.leave is not None and self.leave > self.enter:
            raise ValueError(f"leave {self.leave:g} is above enter {self.enter:g}; an event could never hold")
        ignored = {folded(name) for name in self.ignore}
        if both := [name for name in self.classes if folded(name) in ignored]:
            raise ValueError(f"classes and ignore both name {both[0]!r}; take it out of one of them")
        given = [name for name in ("file", "url", "demo") if getattr(self, name)]
        if len(given) > 1:
            raise ValueError(f"--{given[0]} and --{given[1]} exclude each other; give one")
        if given:
            for name in ("camera", "mic"):
                value = getattr(self, name)
                if value not in (NONE, getattr(type(self), name)):
                    raise ValueError(
                        f"--{name} {value} and --{given[0]} exclude each other; "
                        f"with --{given[0]} only `--{name} none` makes sense"
                    )
        if self.camera == NONE and self.mic == NONE:
            raise ValueError(
                "camera and mic are both none: there is nothing to see or hear; give one of them"
            )

    @property
    def is_live(self) -> bool:
        """Whether devices (or a network stream) are read rather than a recording."""
        return self.file is None and not self.demo

    @property
    def most_frames(self) -> int | None:
        """Pictures a second at most; None = as many as the machine holds."""
        return {"auto": None, "all": 16}[self.frames] if self.frames in ("auto", "all") else int(self.frames)

    @property
    def stream_name(self) -> str:
        """What the stream is called in messages and names."""
        from .naming import unnamed  # hashes: not for `--help`

        where = self.file and self.file.absolute()
        return self.name or unnamed(where, self.demo, self.url, self.camera, self.mic)

    @property
    def outputs(self) -> dict[str, SinkOptions]:
        """The options of every output, by the name of their group, in order."""
        groups = ((one.name, getattr(self, one.name)) for one in fields(self))
        return {name: group for name, group in groups if isinstance(group, SinkOptions)}
