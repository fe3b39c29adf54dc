"""`avel calibrate background`: this room while nothing happens."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ....calibration.background import QuietSecond, measure_room
from ....calibration.contents import Room, Thresholds
from ....calibration.thresholds import Rules
from ...config.schema import Config
from ...core.clock import SystemClock
from ...core.errors import UsageError
from ...core.messages import Hop, Scores
from ...events.config import DecoderConfig
from ...recordings.labelled import hops, settled
from ...session.calibration import apply_calibration, devices_of, under_flags
from ...ui.console import Console
from .decoding import decode_with
from .material import engine_of
from .store import per_hour_of, store


def calibrate_background(
    config: Config, minutes: float, budget: str, output: Path | None, *, apply: bool
) -> None:
    """`avel calibrate background`."""
    from ...session.sources import make_source

    per_hour = per_hour_of(budget)
    console = Console(stderr=True)
    clock = SystemClock()
    heard: list[QuietSecond] = []
    with engine_of(config, console) as engine, console.status("") as status:
        info = engine.info
        decoder = DecoderConfig(settle=config.settle, labels=info.labels)
        source = make_source(config, clock)
        source.open()
        devices = devices_of(source.info)
        applied = apply_calibration(config, info, source.info, bundled=False)
        scores: list[Scores] = []

        for hop in hops(source, engine, clock, duration_s=minutes * 60):
            scores.append(hop.scores)
            heard.append(_quiet_second(hop))
            left = minutes * 60 - len(heard)
            status.update(f"keep things as they are while nothing happens: {max(0, left):.0f} s left")
    posteriors = settled(scores, applied.calibrate, decoder)
    seconds = [
        QuietSecond(s.level_dbfs, s.brightness, s.motion, p) for s, p in zip(heard, posteriors, strict=False)
    ]
    used = under_flags(config, decoder, applied.rules)
    rules = Rules(used.per_class("enter"), used.per_class("leave"), used.per_class("min_duration_s"))
    try:
        room = measure_room(seconds, rules, decode_with(decoder), max_per_hour=per_hour)
    except ValueError as error:
        raise UsageError(f"background: {error}; listen longer") from error
    from .views import room_view

    Console().print(room_view(room, info.labels))
    if not apply:
        console.print("nothing stored; --apply stores the proposed thresholds for these devices")
        return
    names = info.labels[:-1]
    stored = Room(
        minutes=room.seconds / 60,
        noise_dbfs=room.noise_dbfs,
        loud_dbfs=room.loud_dbfs,
        brightness=room.brightness,
        motion=room.motion,
        highest=dict(zip(names, room.highest.tolist(), strict=True)),
        false_alarms=dict(zip(names, room.per_class.tolist(), strict=True)),
        devices=devices,
    )
    made = Thresholds.of(
        room.proposed,
        info.labels,
        max_false_alarms_per_hour=per_hour,
        false_alarms=room.false_alarms.count,
        background_hours=room.false_alarms.hours,
        devices=None if devices is None else devices.model_dump(),
    )
    store(info, output, console, dry_run=False, thresholds=made, room=stored)


def _quiet_second(record: Hop) -> QuietSecond:
    frames = record.segment.frames
    grey = frames.mean(axis=(1, 2, 3), dtype=np.float64) / 255 if len(frames) else np.zeros(1)
    moved = 0.0
    if len(frames) > 1:
        moved = float(np.abs(np.diff(frames.astype(np.int16), axis=0)).mean() / 255)
    return QuietSecond(record.audio_level_dbfs, float(grey.mean()), moved, record.scores.probabilities[-1])
