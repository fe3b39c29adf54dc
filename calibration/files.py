"""Calibration files: versioned JSON, checked on reading, written atomically, refused where out of place.

A *calibration* belongs to one checkpoint at one precision: confidence, thresholds, and what a room gave.
A *device* file belongs to one camera with one microphone: the offset between them.

    <data folder>/calibration/<checkpoint, 16 digits>-<precision>.json
    <data folder>/devices/<camera and microphone>.json

The data folder is `model.files.data_dir`: `AVEL_DATA_DIR`, or `avel-live` among the user's data.

Only numbers and names are stored, never pictures or sound.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ..model.errors import ModelFileError
from ..model.files import all_stored, atomic_write, data_dir, stored
from .confidence import Calibrator
from .looks import FUTURES
from .places import calibration_path as calibration_path
from .places import new_calibration_path as new_calibration_path
from .sync import SyncEstimate
from .thresholds import Rules

VERSION = 1
_LARGEST_FILE = 4_000_000

Finite = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Probability = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Devices(_Part):
    """The pair that something was measured with, by the names the system gives them."""

    camera: str
    microphone: str

    def __str__(self) -> str:
        return f"{self.camera} + {self.microphone}"


class Confidence(_Part):
    """A `Calibrator`: temperatures [10], or scale and bias [10][C] for vector scaling."""

    method: Literal["temperature", "vector"]
    temperatures: list[Positive] | None = None
    scale: list[list[Finite]] | None = None
    bias: list[list[Finite]] | None = None
    seconds: Count
    """Labelled seconds it was fitted on."""
    ece_before: Finite
    ece_after: Finite

    @classmethod
    def of(cls, c: Calibrator, seconds: int, ece_before: float, ece_after: float) -> Confidence:
        """From a fit."""
        if c.method == "temperature":
            return cls(
                method="temperature",
                temperatures=c.temperatures.tolist(),
                seconds=seconds,
                ece_before=ece_before,
                ece_after=ece_after,
            )
        return cls(
            method="vector",
            scale=c.scale.tolist(),
            bias=c.bias.tolist(),
            seconds=seconds,
            ece_before=ece_before,
            ece_after=ece_after,
        )

    def calibrator(self, classes: int) -> Calibrator:
        """The rule from logits to probabilities."""
        if self.method == "temperature":
            return Calibrator.from_temperatures(self.temperatures or [], classes)
        return Calibrator("vector", np.asarray(self.scale), np.asarray(self.bias))


class Thresholds(_Part):
    """Per event class, by name; see `thresholds.Rules`."""

    enter: dict[str, Probability]
    leave: dict[str, Probability]
    min_duration_s: dict[str, Annotated[float, Field(ge=0, le=600, allow_inf_nan=False)]]
    event_f1: Finite | None = None
    max_false_alarms_per_hour: Positive | None = None
    false_alarms: Count | None = None
    background_hours: Positive | None = None
    devices: Devices | None = None
    """Set where the thresholds were chosen in front of one pair of devices (`avel calibrate background`)."""

    @classmethod
    def of(cls, rules: Rules, labels: Sequence[str], **facts: object) -> Thresholds:
        """From chosen rules; `labels` with *background* last."""
        names = labels[: len(rules.enter)]
        return cls.model_validate(
            {
                "enter": dict(zip(names, rules.enter.tolist(), strict=True)),
                "leave": dict(zip(names, rules.leave.tolist(), strict=True)),
                "min_duration_s": dict(zip(names, rules.min_duration_s.tolist(), strict=True)),
                **facts,
            }
        )

    def rules(self, labels: Sequence[str]) -> Rules:
        """As arrays in the order of the labels (*background* last, left out)."""
        names = labels[:-1]
        return Rules(
            np.array([self.enter[n] for n in names]),
            np.array([self.leave[n] for n in names]),
            np.array([self.min_duration_s[n] for n in names]),
        )


class Room(_Part):
    """What a place is like while nothing happens."""

    minutes: Positive
    noise_dbfs: Finite
    loud_dbfs: Finite
    brightness: Finite
    motion: Finite
    highest: dict[str, Probability]
    false_alarms: dict[str, Count]
    devices: Devices | None = None


class Calibration(_Part):
    """One calibration file."""

    format: Literal["avel-calibration"] = "avel-calibration"
    version: int = VERSION
    made: str
    """When, ISO 8601."""
    checkpoint: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    profile: str
    precision: str
    labels: Annotated[list[str], Field(min_length=2)]
    confidence: Confidence | None = None
    thresholds: Thresholds | None = None
    room: Room | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Calibration:
        classes = len(self.labels)
        if len(set(self.labels)) != classes:
            raise ValueError("labels repeat")
        c = self.confidence
        if c is not None:
            if c.method == "temperature" and len(c.temperatures or []) != FUTURES:
                raise ValueError(f"expected {FUTURES} temperatures")
            if c.method == "vector" and any(
                len(rows or []) != FUTURES or any(len(r) != classes for r in rows or [])
                for rows in (c.scale, c.bias)
            ):
                raise ValueError(f"expected scale and bias of {FUTURES} × {classes}")
        t = self.thresholds
        if t is not None:
            events = set(self.labels[:-1])
            for name in ("enter", "leave", "min_duration_s"):
                if set(getattr(t, name)) != events:
                    raise ValueError(f"thresholds.{name}: the classes are not those of the labels")
            if any(t.leave[n] > t.enter[n] for n in events):
                raise ValueError("thresholds: leave above enter")
        return self

    @property
    def name(self) -> str:
        """What the screen and the log call it."""
        return f"{self.checkpoint[:8]}-{self.precision}"


class DeviceFile(_Part):
    """Offset of one camera with one microphone; camera time minus microphone time."""

    format: Literal["avel-devices"] = "avel-devices"
    version: int = VERSION
    made: str
    devices: Devices
    offset_ms: Annotated[float, Field(ge=-5000, le=5000, allow_inf_nan=False)]
    low_ms: Finite
    high_ms: Finite
    events: Count
    kind: Literal["flash", "clap"]

    @classmethod
    def of(cls, found: SyncEstimate, devices: Devices, made: str) -> DeviceFile:
        """From a measurement."""
        return cls(
            made=made,
            devices=devices,
            offset_ms=found.offset_ms,
            low_ms=found.low_ms,
            high_ms=found.high_ms,
            events=found.events,
            kind=found.kind,
        )

    def __str__(self) -> str:
        return f"{self.offset_ms:+.0f} ms ± {(self.high_ms - self.low_ms) / 2:.0f}"


def device_path(devices: Devices) -> Path:
    """Where the file of a pair of devices is written; readable, and unique by a digest of both names."""
    text = f"{devices.camera}\n{devices.microphone}"
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    slug = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60]
    return data_dir() / "devices" / f"{slug}-{digest}.json"


AnyFile = TypeVar("AnyFile", Calibration, DeviceFile)


def load_calibration(path: Path) -> Calibration:
    """Read and check a calibration.

    Raises:
        ModelFileError: missing, unreadable, damaged, or of another version; one line with the fix.

    """
    return _load(path, Calibration, "avel calibrate confidence")


def load_device(devices: Devices) -> DeviceFile | None:
    """What was measured for this pair; None where nothing was.

    Raises:
        ModelFileError: there is a file, but it is damaged.

    """
    path = stored("devices", device_path(devices).name)
    if not path.is_file():
        return None
    found = _load(path, DeviceFile, "avel calibrate sync")
    return found if found.devices == devices else None


def stored_devices() -> tuple[list[DeviceFile], list[ModelFileError]]:
    """Every pair that was measured, and what is wrong with files that can't be read."""
    found: list[DeviceFile] = []
    wrong: list[ModelFileError] = []
    for path in all_stored("devices", "*.json"):
        try:
            found.append(_load(path, DeviceFile, "avel calibrate sync"))
        except ModelFileError as error:  # noqa: PERF203 - a handful of files; one bad one hides no other
            wrong.append(error)
    return found, wrong


def _load(path: Path, kind: type[AnyFile], command: str) -> AnyFile:
    again = f"make it again with `{command}`"
    if not path.is_file():
        raise ModelFileError(f"calibration {path}: no such file; {again}")
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise ModelFileError(f"calibration {path}: too large to be one; {again}")
        tree = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ModelFileError(f"calibration {path}: not readable as JSON ({error}); {again}") from error
    wanted = kind.model_fields["format"].default
    if not isinstance(tree, dict) or tree.get("format") != wanted:
        got = tree.get("format") if isinstance(tree, dict) else type(tree).__name__
        raise ModelFileError(f"calibration {path}: expected format {wanted!r}, got {got!r}; {again}")
    if tree.get("version") != VERSION:
        raise ModelFileError(
            f"calibration {path}: expected version {VERSION}, got {tree.get('version')!r}; {again}"
        )
    try:
        return kind.model_validate_json(json.dumps(tree))
    except (ValidationError, ValueError, RecursionError) as error:
        raise ModelFileError(f"calibration {path}: {_first(error)}; {again}") from error


def _first(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        return f"{where}: {first['msg']}" if where else str(first["msg"])
    return str(error).splitlines()[0]


def save(path: Path, content: Calibration | DeviceFile) -> None:
    """Write atomically: a reader sees the old file or the whole new one.

    Raises:
        OSError: the folder or the file can't be written.

    """
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content.model_dump(mode="json", exclude_none=True), indent=1, ensure_ascii=False)
    atomic_write(path, text + "\n", fsync=True)


def check_fits(
    found: Calibration,
    where: str,
    *,
    checkpoint: str,
    precision: str,
    labels: Sequence[str],
    devices: Devices | None = None,
) -> None:
    """Refuse a calibration that was made for something else.

    Args:
        found: the calibration.
        where: how the user knows it, for the message.
        checkpoint: SHA-256 of the head in use.
        precision: of the engine in use.
        labels: of the head in use.
        devices: in use; None for recordings.

    Raises:
        ModelFileError: with the reason.

    """

    def refuse(what: str, made_for: str, here: str, fix: str) -> ModelFileError:
        return ModelFileError(f"calibration {where}: made for {what} {made_for}, but {here} is in use; {fix}")

    if found.checkpoint != checkpoint:
        raise refuse(
            "checkpoint",
            found.checkpoint[:12],
            checkpoint[:12] or "none",
            "run `avel calibrate confidence` for this one, or give --calibration none",
        )
    if found.precision != precision:
        raise refuse(
            "precision", found.precision, precision, f"use --precision {found.precision}, or calibrate again"
        )
    if list(found.labels) != list(labels):
        raise refuse("other labels", f"({len(found.labels)})", f"{len(labels)} labels", "calibrate again")
    made_with = found.thresholds.devices if found.thresholds else None
    if made_with is not None and devices is not None and made_with != devices:
        raise refuse(
            "the devices",
            str(made_with),
            str(devices),
            "run `avel calibrate background` with these, or give --calibration none",
        )
