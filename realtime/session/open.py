"""The composition root: a configuration becomes a source, an engine, a decoder, and a stream of them.

Everybody who runs a stream comes through here: `avel-live`, the library (`avel_live.open`), recordings,
calibration, the benchmark.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from typing import TYPE_CHECKING

from ..config.schema import Config
from ..core.clock import Clock, wall_clock_s
from ..core.errors import UsageError
from ..core.messages import StreamStart
from ..sources.base import Source
from .calibration import ActiveCalibration, apply_calibration, under_flags, with_taught

if TYPE_CHECKING:
    from ...model.runtime.base import Engine
    from ..events import DecoderConfig
    from ..stream.budget import SharedBudget
    from ..stream.loop import Stream
    from ..stream.queue import StatusQueue
    from .taught import Classes


def make_engine(config: Config, progress: Callable[[str], None] | None = None) -> Engine:
    """The networks, warmed up; `progress` is told what a slow start is busy with."""
    from ...model.runtime.base import EngineOptions
    from ...model.runtime.select import load_engine

    engine = load_engine(
        EngineOptions(
            profile=config.profile,
            backend=config.backend,
            precision=config.precision,
            checkpoint=config.checkpoint,
            audio_weights=config.audio_weights,
            visual_weights=config.visual_weights,
            threads=config.threads,
            engines=config.engines,
            progress=progress,
        )
    )
    engine.warm_up()
    return engine


def restarting(engine: Engine, config: Config, reports: StatusQueue, clock: Clock) -> Engine:
    """An engine that is opened again when its runtime fails; what happens is reported."""
    from ..stream.restarting import RestartingEngine

    return RestartingEngine(engine, lambda: make_engine(config), reports, clock)


def decoder_config(config: Config, labels: tuple[str, ...], taught: int = 0) -> DecoderConfig:
    """The decoder's numbers: its defaults, overridden by what was set.

    Args:
        config: what was set.
        labels: of all classes, taught ones before *background*.
        taught: how many were taught.

    """
    from ..events import DecoderConfig, class_set

    given = {
        "enter": config.enter,
        "leave": config.leave,
        "min_duration_s": config.min_event_s,
        "brief": config.brief,
        "hold_s": config.hold_s,
        "cool_down_s": config.cooldown_s,
        "classes": class_set(config.classes, labels) if config.classes else None,
        "ignore": class_set(config.ignore, labels) if config.ignore else None,
    }
    chosen = {name: value for name, value in given.items() if value is not None}
    return DecoderConfig(settle=config.settle, labels=labels, taught=taught, **chosen)  # type: ignore[arg-type]


def decoding(
    config: Config, labels: tuple[str, ...], active: ActiveCalibration, taught: int = 0
) -> DecoderConfig:
    """The decoder's numbers under calibration, flags before it; see `decoder_config`."""
    numbers = under_flags(config, decoder_config(config, labels, taught), with_taught(active.rules, taught))
    return replace(numbers, stated_at=active.temperature)


def of_classes(decoder: DecoderConfig, labels: tuple[str, ...], taught: int = 0) -> DecoderConfig:
    """Numbers that were given without class names, for the classes that the stream has.

    Raises:
        UsageError: they are of other classes, or of another number of them.

    """
    from ...model.labels import LABELS

    if decoder.labels == labels:
        return replace(decoder, taught=taught)
    if decoder.labels != LABELS:
        raise UsageError(
            f"decoder: its labels are not those of the networks ({len(decoder.labels)} and {len(labels)}); "
            "leave labels away"
        )
    return replace(decoder, labels=labels, taught=taught)


def open_stream(
    config: Config,
    source: Source,
    engine: Engine,
    clock: Clock,
    *,
    active: ActiveCalibration | None = None,
    classes: Classes | None = None,
    decoder: DecoderConfig | None = None,
    reports: StatusQueue | None = None,
    heartbeat: Callable[[], None] = lambda: None,
    on_close: Callable[[], None] = lambda: None,
    shared: SharedBudget | None = None,
) -> Stream:
    """A stream of an open source.

    Args:
        config: networks and events; where results go is not looked at.
        source: open already.
        engine: warmed up, made with `config`.
        clock: the one clock.
        active: the calibration in use; None looks for the one that belongs to engine and source.
        classes: what can be said; None takes the networks' and those that the user taught.
        decoder: the decoder's numbers; None takes them from `config` and the calibration.
        reports: what outputs and networks have to say.
        heartbeat: called several times a second.
        on_close: called when the stream is closed.
        shared: the budget of all streams that share the engine; None = this stream is alone.

    Raises:
        ModelFileError: the calibration asked for, or a taught class, is missing, damaged, or made for
            something else.
        UsageError: a class that these networks do not know.

    """
    from ..events import Decoder
    from ..stream.loop import Stream, StreamOptions
    from .taught import classes_of

    info = engine.info
    active = active or apply_calibration(config, info, source.info)
    known = classes or classes_of(config, engine)
    if decoder is None:
        numbers = decoding(config, known.labels, active, known.count)
    else:
        numbers = replace(of_classes(decoder, known.labels, known.count), stated_at=active.temperature)
    start = StreamStart(
        version=version("avel-live"),
        profile=info.profile,
        backend=info.backend,
        precision=info.precision,
        source=source.info,
        labels=known.labels,
        hop_s=config.hop_s,
        settle=numbers.settle,
        device=info.device,
        note="; ".join(note for note in (info.note, active.note, known.note) if note),
        calibration=active.name,
        wall_clock=wall_clock_s() if source.info.live else None,
    )
    return Stream(
        source,
        engine,
        Decoder(numbers),
        start,
        clock,
        StreamOptions(
            hop_s=config.hop_s,
            frames_per_segment=config.most_frames,
            by_change=config.frames != "all",
            sparing=config.frames == "auto",
            duration_s=config.duration_s,
            paced=config.is_live or not config.fast,
        ),
        calibrate=active.calibrate,
        taught=known.taught,
        reports=reports,
        heartbeat=heartbeat,
        on_close=on_close,
        budget=shared.share(config.most_frames, live=source.info.live) if shared is not None else None,
    )
