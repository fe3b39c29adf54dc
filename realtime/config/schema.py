"""One configuration: a frozen, validated schema that flags, environment and `avel.toml` all fill.

Every default stands here and nowhere else; names carry their unit. The command line is generated from
this schema (`Flag`); `realtime.config.load` merges what was given where.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

NONE = "none"
"""What `--camera` and `--mic` are set to when there shall be none."""


@dataclass(frozen=True)
class Flag:
    """How a key appears on the command line: its spellings and the heading it stands under."""

    names: tuple[str, ...]
    panel: str
    metavar: str | None = None


def _flag(*names: str, panel: str, metavar: str | None = None) -> Flag:
    return Flag(names, panel, metavar)


def _split(value: object) -> object:
    """Several names in one string (environment) are separated by `;`: class names contain commas."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(";") if part.strip())
    return value


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Probability = Annotated[float, Field(ge=0, le=1)]

_SOURCE, _MODEL, _EVENTS, _OUTPUT, _RUN = "Source", "Network", "Events", "Outputs", "Running"


class _Group(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class MqttOptions(_Group):
    """Messages to an MQTT broker."""

    url: Annotated[str | None, _flag("--mqtt", panel=_OUTPUT, metavar="URL")] = Field(
        default=None, description="publish to a broker: mqtt[s]://[user@]host[:port][/topic]"
    )
    topic: str = "avel"
    """First level of every topic."""
    username: str | None = None
    password: str | None = Field(default=None, repr=False)
    ca_file: Path | None = None
    client_id: str | None = None
    discovery: bool = True
    """Announce the sensor to Home Assistant."""
    discovery_prefix: str = "homeassistant"
    buffer: int = Field(default=10_000, ge=1)
    """Messages kept while the broker is away."""


class WebhookOptions(_Group):
    """HTTP POST of every event."""

    url: Annotated[str | None, _flag("--webhook", panel=_OUTPUT, metavar="URL")] = Field(
        default=None, description="POST every event as JSON"
    )
    secret: str | None = Field(default=None, repr=False)
    """Key of the HMAC-SHA256 signature."""
    timeout_s: float = Field(default=5.0, gt=0)
    retries: int = Field(default=8, ge=0)
    buffer: int = Field(default=1_000, ge=1)


class MetricsOptions(_Group):
    """Prometheus metrics and /healthz."""

    port: Annotated[int | None, _flag("--metrics", panel=_OUTPUT, metavar="PORT")] = Field(
        default=None, ge=0, le=65535, description="serve Prometheus metrics and /healthz on this port"
    )
    host: str = "127.0.0.1"
    token: str | None = Field(default=None, repr=False)
    """Bearer token that readers must show; needed on any other address than loopback."""


class ExecOptions(_Group):
    """A program to run on every event."""

    command: Annotated[str | None, _flag("--exec", panel=_OUTPUT, metavar="CMD")] = Field(
        default=None, description="run a program on every event (no shell; the event as JSON on its stdin)"
    )
    timeout_s: float = Field(default=10.0, gt=0)


class RecordOptions(_Group):
    """Clips of events."""

    dir: Annotated[Path | None, _flag("--record", panel=_OUTPUT, metavar="DIR")] = Field(
        default=None, description="write a clip of every event into this folder"
    )
    pre_s: Annotated[Seconds, _flag("--pre", panel=_OUTPUT, metavar="S")] = Field(
        default=3.0, description="seconds of a clip before its event"
    )
    post_s: Annotated[Seconds, _flag("--post", panel=_OUTPUT, metavar="S")] = Field(
        default=3.0, description="seconds of a clip after its event"
    )
    keep: Annotated[str | None, _flag("--keep", panel=_OUTPUT, metavar="5GB|30d")] = Field(
        default=None, description="delete the oldest clips beyond this size or age"
    )
    max_s: float = Field(default=60.0, gt=0)
    """Longest clip."""


class LogOptions(_Group):
    """Files that results are written to."""

    jsonl: Annotated[Path | None, _flag("--log", panel=_OUTPUT, metavar="FILE")] = Field(
        default=None, description="also write JSONL to this file"
    )
    csv: Annotated[Path | None, _flag("--csv", panel=_OUTPUT, metavar="FILE")] = Field(
        default=None, description="write events as CSV to this file"
    )
    rotate_mb: float | None = Field(default=None, gt=0)
    rotate_days: float | None = Field(default=None, gt=0)
    keep_files: int = Field(default=10, ge=1)
    fsync: Literal["never", "event", "always"] = "event"


class Config(BaseSettings):
    """Everything that can be set."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True)

    # Source
    file: Annotated[Path | None, _flag("--file", panel=_SOURCE, metavar="PATH")] = Field(
        default=None, description="replay a recording as a stream"
    )
    url: Annotated[str | None, _flag("--url", panel=_SOURCE, metavar="URL")] = Field(
        default=None, description="a network stream that carries picture and sound (rtsp://, http://)"
    )
    demo: Annotated[bool, _flag("--demo", panel=_SOURCE)] = Field(
        default=False, description="replay the clip that comes with the program"
    )
    camera: Annotated[str, _flag("--camera", panel=_SOURCE, metavar="N|PATH|URL|none")] = Field(
        default="0", description="camera: index, device, stream address, or none"
    )
    mic: Annotated[str, _flag("--mic", panel=_SOURCE, metavar="NAME|INDEX|none")] = Field(
        default="default", description="microphone: name or part of it, index, or none"
    )
    speed: Annotated[float, _flag("--speed", panel=_SOURCE, metavar="X")] = Field(
        default=1.0, gt=0, le=1000, description="replay X times as fast as real time"
    )
    fast: Annotated[bool, _flag("--fast", panel=_SOURCE)] = Field(
        default=False, description="replay as fast as the machine can; nothing is dropped"
    )
    loop: Annotated[bool, _flag("--loop", panel=_SOURCE)] = Field(
        default=False, description="start the recording anew when it ends; time goes on"
    )
    start_s: Annotated[Seconds, _flag("--start", panel=_SOURCE, metavar="S")] = Field(
        default=0.0, description="begin the recording here"
    )
    duration_s: Annotated[float | None, _flag("--duration", panel=_SOURCE, metavar="S")] = Field(
        default=None, gt=0, description="stop after this many seconds of stream"
    )
    size: Annotated[str | None, _flag("--size", panel=_SOURCE, metavar="WxH")] = Field(
        default=None, pattern=r"^\d+x\d+$", description="picture size to ask the camera for"
    )
    fps: Annotated[float | None, _flag("--fps", panel=_SOURCE)] = Field(
        default=None, gt=0, le=1000, description="pictures a second to ask the camera for"
    )
    channel: Annotated[int | None, _flag("--channel", panel=_SOURCE)] = Field(
        default=None, ge=1, description="microphone channel to use, from 1; all are mixed otherwise"
    )
    sync_offset_ms: Annotated[float | None, _flag("--sync-offset", panel=_SOURCE, metavar="MS")] = Field(
        default=None,
        ge=-5000,
        le=5000,
        description="shift the camera's time by this; overrides what calibration measured",
    )

    # Network
    profile: Annotated[str, _flag("--profile", panel=_MODEL)] = Field(
        default="lite", description="which networks: lite, lite-yamnet, paper"
    )
    backend: Annotated[
        Literal["auto", "torch", "onnxruntime", "tensorrt"], _flag("--backend", panel=_MODEL)
    ] = Field(default="auto", description="what computes: auto, torch, onnxruntime, tensorrt")
    precision: Annotated[
        Literal["auto", "fp32", "fp16", "bf16", "int8"], _flag("--precision", panel=_MODEL)
    ] = Field(default="auto", description="auto, fp32, fp16, bf16, int8")
    checkpoint: Annotated[Path | None, _flag("--checkpoint", panel=_MODEL, metavar="FILE")] = Field(
        default=None, description="a trained head (.safetensors) instead of the shipped one"
    )
    audio_weights: Annotated[Path | None, _flag("--audio-weights", panel=_MODEL, metavar="FILE")] = Field(
        default=None, description="weights of the audio network"
    )
    visual_weights: Annotated[Path | None, _flag("--visual-weights", panel=_MODEL, metavar="FILE")] = Field(
        default=None, description="weights of the visual network"
    )
    threads: Annotated[int | None, _flag("--threads", panel=_MODEL)] = Field(
        default=None, ge=1, le=1024, description="processor threads for the networks"
    )
    calibration: Annotated[str | None, _flag("--calibration", panel=_MODEL, metavar="NAME|FILE")] = Field(
        default=None, description="a calibration made by `avel calibrate`; none = raw confidences"
    )
    hop_s: Annotated[float, _flag("--hop", panel=_MODEL, metavar="S")] = Field(
        default=1.0, description="seconds between answers: 0.25, 0.5, or a whole number from 1 to 10"
    )
    frames: Annotated[
        Literal["auto", "16", "8", "4", "2"], BeforeValidator(str), _flag("--frames", panel=_MODEL)
    ] = Field(
        default="auto",
        description="pictures a second that the network sees: 16, 8, 4, 2; auto = 16, fewer when a live "
        "stream is too much for the machine",
    )

    # Events
    settle: Annotated[int, _flag("--settle", panel=_EVENTS, metavar="S")] = Field(
        default=2, ge=0, le=9, description="seconds of future that a second's final answer waits for"
    )
    enter: Annotated[Probability | None, _flag("--enter", panel=_EVENTS)] = Field(
        default=None, description="confidence at which an event begins; overrides calibration"
    )
    leave: Annotated[Probability | None, _flag("--leave", panel=_EVENTS)] = Field(
        default=None, description="confidence below which an event ends; overrides calibration"
    )
    veto: Annotated[float | None, _flag("--veto", panel=_EVENTS, metavar="SCORE")] = Field(
        default=None,
        description="seconds whose out-of-distribution score (`ood` of a hop) is above this are background",
    )
    min_event_s: Annotated[Seconds | None, _flag("--min-event", panel=_EVENTS, metavar="S")] = Field(
        default=None, description="shorter events are not reported"
    )
    brief: Annotated[Probability | None, _flag("--brief", panel=_EVENTS)] = Field(
        default=None, description="confidence that an event shorter than two seconds must reach"
    )
    hold_s: Annotated[Seconds | None, _flag("--hold", panel=_EVENTS, metavar="S")] = Field(
        default=None, description="an event outlives gaps up to this long"
    )
    cooldown_s: Annotated[Seconds | None, _flag("--cooldown", panel=_EVENTS, metavar="S")] = Field(
        default=None, description="quiet time after an event before the next of its class"
    )
    classes: Annotated[Names, _flag("--classes", panel=_EVENTS, metavar="NAME")] = Field(
        default=(), description="report only these classes (repeat the flag)"
    )
    ignore: Annotated[Names, _flag("--ignore", panel=_EVENTS, metavar="NAME")] = Field(
        default=(), description="never report these classes (repeat the flag)"
    )

    # Outputs
    json_: Annotated[bool, _flag("--json", panel=_OUTPUT)] = Field(
        default=False, alias="json", description="JSONL on stdout, schema 1"
    )
    log: LogOptions = LogOptions()
    mqtt: MqttOptions = MqttOptions()
    webhook: WebhookOptions = WebhookOptions()
    metrics: MetricsOptions = MetricsOptions()
    exec: ExecOptions = ExecOptions()
    record: RecordOptions = RecordOptions()
    notify: Annotated[bool, _flag("--notify", panel=_OUTPUT)] = Field(
        default=False, description="desktop notification when an event begins"
    )

    # Running
    no_ui: Annotated[bool, _flag("--no-ui", panel=_RUN)] = Field(
        default=False, description="plain lines instead of the live screen"
    )
    name: Annotated[str | None, _flag("--name", panel=_RUN)] = Field(
        default=None, description="what this stream is called in messages and logs"
    )
    debug: Annotated[bool, _flag("--debug", panel=_RUN)] = Field(
        default=False, description="show the trace of an error"
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what is handed in: `realtime.config.load` merges them itself, to know each value's origin."""
        return (init_settings,)

    @model_validator(mode="after")
    def _consistent(self) -> Config:
        if self.hop_s not in (0.25, 0.5) and self.hop_s not in range(1, 11):
            raise ValueError(f"hop_s: expected 0.25, 0.5 or a whole number from 1 to 10, got {self.hop_s:g}")
        if self.enter is not None and self.leave is not None and self.leave > self.enter:
            raise ValueError(f"leave {self.leave:g} is above enter {self.enter:g}; an event could never hold")
        given = [name for name in ("file", "url", "demo") if getattr(self, name)]
        if len(given) > 1:
            raise ValueError(f"--{given[0]} and --{given[1]} exclude each other; give one")
        if given:
            for name in ("camera", "mic"):
                value = getattr(self, name)
                if value not in (NONE, type(self).model_fields[name].default):
                    raise ValueError(
                        f"--{name} {value} and --{given[0]} exclude each other; "
                        f"with --{given[0]} only `--{name} none` makes sense"
                    )
        if self.camera == NONE and self.mic == NONE:
            raise ValueError(
                "camera and mic are both none: there is nothing to see or hear; give one of them"
            )
        return self

    @property
    def is_live(self) -> bool:
        """Whether devices (or a network stream) are read rather than a recording."""
        return self.file is None and not self.demo
