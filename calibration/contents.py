"""What calibration files hold, checked while it is read: numbers and names only, never pictures or sound.

A *calibration* belongs to one checkpoint at one precision: confidence, thresholds, and what a room gave.
A *device* file belongs to one camera with one microphone: the offset between them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from .confidence import Calibrator
from .looks import FUTURES
from .sync import SyncEstimate
from .thresholds import Rules

VERSION = 1

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
