"""One configuration: a frozen, validated schema that flags, environment and `avel.toml` all fill.

Precedence, highest first: flag, environment (`AVEL_CAMERA`, `AVEL_MQTT__URL`), the file given with
`--config` (or `AVEL_CONFIG`), else `./avel.toml`, else `avel.toml` in the user's configuration folder,
else the default that stands here and nowhere else. Names carry their unit. A key that does not exist is
an error that names the nearest one. The command line is generated from this schema (`Flag`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from .errors import UsageError

ENV_PREFIX = "AVEL_"
FILE_NAME = "avel.toml"
NONE = "none"
"""What `--camera` and `--mic` are set to when there shall be none."""

# Environment names that are not keys of the schema: where to find the file, where to keep downloads.
_OTHER_ENV = {"AVEL_CONFIG", "AVEL_CACHE"}


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
        None, description="publish to a broker: mqtt[s]://[user@]host[:port][/topic]"
    )
    topic: str = "avel"
    """First level of every topic."""
    username: str | None = None
    password: str | None = Field(None, repr=False)
    ca_file: Path | None = None
    client_id: str | None = None
    discovery: bool = True
    """Announce the sensor to Home Assistant."""
    discovery_prefix: str = "homeassistant"
    buffer: int = Field(10_000, ge=1)
    """Messages kept while the broker is away."""


class WebhookOptions(_Group):
    """HTTP POST of every event."""

    url: Annotated[str | None, _flag("--webhook", panel=_OUTPUT, metavar="URL")] = Field(
        None, description="POST every event as JSON"
    )
    secret: str | None = Field(None, repr=False)
    """Key of the HMAC-SHA256 signature."""
    timeout_s: float = Field(5.0, gt=0)
    retries: int = Field(8, ge=0)
    buffer: int = Field(1_000, ge=1)


class MetricsOptions(_Group):
    """Prometheus metrics and /healthz."""

    port: Annotated[int | None, _flag("--metrics", panel=_OUTPUT, metavar="PORT")] = Field(
        None, ge=0, le=65535, description="serve Prometheus metrics and /healthz on this port"
    )
    host: str = "127.0.0.1"


class ExecOptions(_Group):
    """A program to run on every event."""

    command: Annotated[str | None, _flag("--exec", panel=_OUTPUT, metavar="CMD")] = Field(
        None, description="run a program on every event (no shell; the event as JSON on its stdin)"
    )
    timeout_s: float = Field(10.0, gt=0)


class RecordOptions(_Group):
    """Clips of events."""

    dir: Annotated[Path | None, _flag("--record", panel=_OUTPUT, metavar="DIR")] = Field(
        None, description="write a clip of every event into this folder"
    )
    pre_s: Annotated[Seconds, _flag("--pre", panel=_OUTPUT, metavar="S")] = Field(
        3.0, description="seconds of a clip before its event"
    )
    post_s: Annotated[Seconds, _flag("--post", panel=_OUTPUT, metavar="S")] = Field(
        3.0, description="seconds of a clip after its event"
    )
    keep: Annotated[str | None, _flag("--keep", panel=_OUTPUT, metavar="5GB|30d")] = Field(
        None, description="delete the oldest clips beyond this size or age"
    )
    max_s: float = Field(60.0, gt=0)
    """Longest clip."""


class LogOptions(_Group):
    """Files that results are written to."""

    jsonl: Annotated[Path | None, _flag("--log", panel=_OUTPUT, metavar="FILE")] = Field(
        None, description="also write JSONL to this file"
    )
    csv: Annotated[Path | None, _flag("--csv", panel=_OUTPUT, metavar="FILE")] = Field(
        None, description="write events as CSV to this file"
    )
    rotate_mb: float | None = Field(None, gt=0)
    rotate_days: float | None = Field(None, gt=0)
    keep_files: int = Field(10, ge=1)
    fsync: Literal["never", "event", "always"] = "event"


class Config(BaseSettings):
    """Everything that can be set."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True)

    # Source
    file: Annotated[Path | None, _flag("--file", panel=_SOURCE, metavar="PATH")] = Field(
        None, description="replay a recording as a stream"
    )
    url: Annotated[str | None, _flag("--url", panel=_SOURCE, metavar="URL")] = Field(
        None, description="a network stream that carries picture and sound (rtsp://, http://)"
    )
    demo: Annotated[bool, _flag("--demo", panel=_SOURCE)] = Field(
        False, description="replay the clip that comes with the program"
    )
    camera: Annotated[str, _flag("--camera", panel=_SOURCE, metavar="N|PATH|URL|none")] = Field(
        "0", description="camera: index, device, stream address, or none"
    )
    mic: Annotated[str, _flag("--mic", panel=_SOURCE, metavar="NAME|INDEX|none")] = Field(
        "default", description="microphone: name or part of it, index, or none"
    )
    speed: Annotated[float, _flag("--speed", panel=_SOURCE, metavar="X")] = Field(
        1.0, gt=0, le=1000, description="replay X times as fast as real time"
    )
    fast: Annotated[bool, _flag("--fast", panel=_SOURCE)] = Field(
        False, description="replay as fast as the machine can; nothing is dropped"
    )
    loop: Annotated[bool, _flag("--loop", panel=_SOURCE)] = Field(
        False, description="start the recording anew when it ends; time goes on"
    )
    start_s: Annotated[Seconds, _flag("--start", panel=_SOURCE, metavar="S")] = Field(
        0.0, description="begin the recording here"
    )
    duration_s: Annotated[float | None, _flag("--duration", panel=_SOURCE, metavar="S")] = Field(
        None, gt=0, description="stop after this many seconds of stream"
    )
    size: Annotated[str | None, _flag("--size", panel=_SOURCE, metavar="WxH")] = Field(
        None, pattern=r"^\d+x\d+$", description="picture size to ask the camera for"
    )
    fps: Annotated[float | None, _flag("--fps", panel=_SOURCE)] = Field(
        None, gt=0, le=1000, description="pictures a second to ask the camera for"
    )
    channel: Annotated[int | None, _flag("--channel", panel=_SOURCE)] = Field(
        None, ge=1, description="microphone channel to use, from 1; all are mixed otherwise"
    )
    sync_offset_ms: Annotated[float | None, _flag("--sync-offset", panel=_SOURCE, metavar="MS")] = Field(
        None,
        ge=-5000,
        le=5000,
        description="shift the camera's time by this; overrides what calibration measured",
    )

    # Network
    profile: Annotated[str, _flag("--profile", panel=_MODEL)] = Field(
        "lite", description="which networks: lite, lite-yamnet, paper"
    )
    backend: Annotated[
        Literal["auto", "torch", "onnxruntime", "tensorrt"], _flag("--backend", panel=_MODEL)
    ] = Field("auto", description="what computes: auto, torch, onnxruntime, tensorrt")
    precision: Annotated[
        Literal["auto", "fp32", "fp16", "bf16", "int8"], _flag("--precision", panel=_MODEL)
    ] = Field("auto", description="auto, fp32, fp16, bf16, int8")
    checkpoint: Annotated[Path | None, _flag("--checkpoint", panel=_MODEL, metavar="FILE")] = Field(
        None, description="a trained head (.safetensors) instead of the shipped one"
    )
    audio_weights: Annotated[Path | None, _flag("--audio-weights", panel=_MODEL, metavar="FILE")] = Field(
        None, description="weights of the audio network"
    )
    visual_weights: Annotated[Path | None, _flag("--visual-weights", panel=_MODEL, metavar="FILE")] = Field(
        None, description="weights of the visual network"
    )
    threads: Annotated[int | None, _flag("--threads", panel=_MODEL)] = Field(
        None, ge=1, le=1024, description="processor threads for the networks"
    )
    calibration: Annotated[str | None, _flag("--calibration", panel=_MODEL, metavar="NAME|FILE")] = Field(
        None, description="a calibration made by `avel calibrate`; none = raw confidences"
    )
    hop_s: Annotated[float, _flag("--hop", panel=_MODEL, metavar="S")] = Field(
        1.0, description="seconds between answers: 0.25, 0.5, or a whole number from 1 to 10"
    )
    frames: Annotated[
        Literal["auto", "16", "8", "4", "2"], BeforeValidator(str), _flag("--frames", panel=_MODEL)
    ] = Field(
        "auto",
        description="pictures a second that the network sees: 16, 8, 4, 2; auto = 16, fewer when a live "
        "stream is too much for the machine",
    )

    # Events
    settle: Annotated[int, _flag("--settle", panel=_EVENTS, metavar="S")] = Field(
        2, ge=0, le=9, description="seconds of future that a second's final answer waits for"
    )
    enter: Annotated[Probability | None, _flag("--enter", panel=_EVENTS)] = Field(
        None, description="confidence at which an event begins; overrides calibration"
    )
    leave: Annotated[Probability | None, _flag("--leave", panel=_EVENTS)] = Field(
        None, description="confidence below which an event ends; overrides calibration"
    )
    min_event_s: Annotated[Seconds | None, _flag("--min-event", panel=_EVENTS, metavar="S")] = Field(
        None, description="shorter events are not reported"
    )
    hold_s: Annotated[Seconds | None, _flag("--hold", panel=_EVENTS, metavar="S")] = Field(
        None, description="an event outlives gaps up to this long"
    )
    cooldown_s: Annotated[Seconds | None, _flag("--cooldown", panel=_EVENTS, metavar="S")] = Field(
        None, description="quiet time after an event before the next of its class"
    )
    classes: Annotated[Names, _flag("--classes", panel=_EVENTS, metavar="NAME")] = Field(
        (), description="report only these classes (repeat the flag)"
    )
    ignore: Annotated[Names, _flag("--ignore", panel=_EVENTS, metavar="NAME")] = Field(
        (), description="never report these classes (repeat the flag)"
    )

    # Outputs
    json_: Annotated[bool, _flag("--json", panel=_OUTPUT)] = Field(
        False, alias="json", description="JSONL on stdout, schema 1"
    )
    log: LogOptions = LogOptions()
    mqtt: MqttOptions = MqttOptions()
    webhook: WebhookOptions = WebhookOptions()
    metrics: MetricsOptions = MetricsOptions()
    exec: ExecOptions = ExecOptions()
    record: RecordOptions = RecordOptions()
    notify: Annotated[bool, _flag("--notify", panel=_OUTPUT)] = Field(
        False, description="desktop notification when an event begins"
    )

    # Running
    no_ui: Annotated[bool, _flag("--no-ui", panel=_RUN)] = Field(
        False, description="plain lines instead of the live screen"
    )
    name: Annotated[str | None, _flag("--name", panel=_RUN)] = Field(
        None, description="what this stream is called in messages and logs"
    )
    debug: Annotated[bool, _flag("--debug", panel=_RUN)] = Field(
        False, description="show the trace of an error"
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
        """Only what is handed in: `load_config` merges the layers itself, to know each value's origin."""
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


@dataclass(frozen=True)
class Key:
    """One leaf of the schema: `path` is dotted as in the file (`mqtt.url`)."""

    path: str
    info: FieldInfo
    flag: Flag | None

    @property
    def env(self) -> str:
        """Name in the environment."""
        return ENV_PREFIX + self.path.replace(".", "__").upper()


def keys(model: type[BaseModel] = Config, prefix: str = "") -> Iterator[Key]:
    """Every leaf of the schema, in order."""
    for name, info in model.model_fields.items():
        path = prefix + (info.alias or name)
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            yield from keys(info.annotation, f"{path}.")
        else:
            yield Key(path, info, next((m for m in info.metadata if isinstance(m, Flag)), None))


def value_of(config: Config, path: str) -> Any:
    """The value at a dotted path."""
    value: Any = config
    for part in path.split("."):
        value = getattr(value, "json_" if part == "json" else part)
    return value


@dataclass(frozen=True)
class Loaded:
    """A configuration and, for every dotted path, where its value came from."""

    config: Config
    origins: Mapping[str, str]


def load_config(
    flags: Mapping[str, Any] | None = None,
    *,
    path: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> Loaded:
    """Merge the layers and validate once.

    Args:
        flags: dotted path → value, only those that were given.
        path: the file to read; None looks for one.
        environ: stands in for `os.environ` in tests.

    Raises:
        UsageError: unknown key, wrong value, contradiction, unreadable file; one line.

    """
    environ = os.environ if environ is None else environ
    known = [key.path for key in keys()]
    file = _find_file(path, environ)
    layers: list[tuple[str, dict[str, Any]]] = []
    if file is not None:
        layers.append((str(file), _from_file(file, known)))
    layers.append(("environment", _from_environment(environ, known)))
    layers.append(("flag", dict(flags or {})))

    merged: dict[str, Any] = {}
    origins = dict.fromkeys(known, "default")
    for origin, values in layers:
        for key, value in values.items():
            _put(merged, key, value)
            origins[key] = f"environment {_env_name(key)}" if origin == "environment" else origin
    try:
        return Loaded(Config(**merged), origins)
    except ValidationError as error:
        raise UsageError(_explain(error, origins)) from error


def _env_name(path: str) -> str:
    return ENV_PREFIX + path.replace(".", "__").upper()


def _put(tree: dict[str, Any], path: str, value: Any) -> None:
    *groups, leaf = path.split(".")
    for group in groups:
        tree = tree.setdefault(group, {})
    tree[leaf] = value


def _flatten(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _near(name: str, known: list[str]) -> str:
    near = get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean {near[0]}?" if near else "; `avel config show` lists all keys"


def _find_file(path: Path | None, environ: Mapping[str, str]) -> Path | None:
    if path is None and environ.get("AVEL_CONFIG"):
        path = Path(environ["AVEL_CONFIG"])
    if path is not None:
        if not path.is_file():
            raise UsageError(f"configuration {path}: no such file")
        return path
    from platformdirs import user_config_path

    for candidate in (Path(FILE_NAME), user_config_path("avel-live") / FILE_NAME):
        if candidate.is_file():
            return candidate
    return None


def _from_file(file: Path, known: list[str]) -> dict[str, Any]:
    try:
        tree = TomlConfigSettingsSource(Config, file)()
    except (OSError, ValueError) as error:
        raise UsageError(f"configuration {file}: not readable as TOML ({error})") from error
    values = dict(_flatten(tree))
    for key in values:
        if key not in known:
            raise UsageError(f"configuration {file}: unknown key {key!r}{_near(key, known)}")
    return values


def _from_environment(environ: Mapping[str, str], known: list[str]) -> dict[str, Any]:
    names = {_env_name(path): path for path in known}
    for name in environ:
        if name.startswith(ENV_PREFIX) and name not in names and name not in _OTHER_ENV:
            raise UsageError(f"environment: unknown variable {name}{_near(name, list(names))}")
    return {path: environ[name] for name, path in names.items() if environ.get(name)}


def _explain(error: ValidationError, origins: Mapping[str, str]) -> str:
    """The first problem, on one line, with the key and where its value came from."""
    first = error.errors(include_url=False)[0]
    path = ".".join(str(part) for part in first["loc"] if not isinstance(part, int))
    message = first["msg"].removeprefix("Value error, ")
    if not path:
        return message
    origin = origins.get(path, "")
    given = first.get("input")
    source = f" ({origin})" if origin not in ("", "default") else ""
    return f"{path}{source}: {message[0].lower()}{message[1:]}, got {given!r}"


__all__ = [
    "ENV_PREFIX",
    "NONE",
    "Config",
    "Flag",
    "Key",
    "Loaded",
    "keys",
    "load_config",
    "value_of",
]
