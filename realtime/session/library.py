"""The library's front door: streams, engines and devices in one call each (exported by `avel_live`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..config.load import config_from, load_config
from ..config.schema import Config
from ..core.clock import Clock, SystemClock
from ..events import DecoderConfig
from ..sources.base import Source
from .open import make_engine, open_stream, restarting
from .sources import addressed, make_source

if TYPE_CHECKING:
    from ...model.runtime.base import Engine
    from ..sources.portaudio import InputDevice
    from ..sources.probe import CameraDevice
    from ..stream.loop import Stream

BackendName = Literal["auto", "torch", "onnxruntime", "tensorrt"]
PrecisionName = Literal["auto", "fp32", "fp16", "bf16", "int8"]


def open(
    source: str | int | Path | Source | Callable[[Clock], Source] = "camera",
    *,
    mic: str | int | None = "default",
    profile: str = "lite",
    backend: BackendName = "auto",
    precision: PrecisionName = "auto",
    checkpoint: Path | str | None = None,
    calibration: Path | str | None = None,
    speed: float | None = None,
    hop_s: float = 1.0,
    decoder: DecoderConfig | None = None,
    taught: Sequence[str] = (),
    engine: Engine | None = None,
    clock: Clock | None = None,
) -> Stream:
    """Open a source and the networks; the stream begins when it is iterated or run.

    Args:
        source: what to look at and listen to:
            `"camera"`, `"0"`, `0`, `"/dev/video0"`, `"csi:0"` a camera of this machine, beside `mic`;
            `"camera:http://…"` a network camera's picture, beside `mic`;
            `"rtsp://…"`, `"http://…"` a network stream with its own picture and sound;
            `"clip.mp4"`, a `Path` a recording; `"demo"` the clip that comes with the package;
            a `Source` of yours (opened here), or a callable that makes one for the stream's clock.
        mic: microphone beside a camera: name or part of it, index, `None` for none. Not looked at where the
            source brings its own sound.
        profile: which networks: `lite`, `lite-yamnet`, `full`, `paper`, or one that you registered.
        backend: what computes.
        precision: in which numbers.
        checkpoint: a trained head instead of the shipped one.
        calibration: name or file; `"none"` for raw confidences; None takes what belongs to the networks.
        speed: of a recording, in stream seconds per second; None = as fast as the machine can.
        hop_s: seconds between answers: 0.25, 0.5, or a whole number from 1 to 10.
        decoder: thresholds and durations; None takes the defaults under calibration.
        taught: of the classes that you taught (`avel teach`) only these; empty takes all that fit the
            networks, `("none",)` none.
        engine: networks that are shared with other streams (`load_engine`); not closed with the stream.
        clock: the one clock; a `ManualClock` makes replays of days.

    Raises:
        SourceError: it can't be opened; the message names candidates and the fix.
        ModelFileError: a weight, checkpoint or calibration file is missing or wrong.
        BackendError: the backend can't run here.
        UsageError: arguments that contradict each other.

    """
    plain = config_from(
        {
            "profile": profile,
            "backend": backend,
            "precision": precision,
            "checkpoint": checkpoint,
            "calibration": None if calibration is None else str(calibration),
            "hop_s": hop_s,
            "taught": tuple(taught),
            "speed": speed or 1.0,
            "fast": speed is None,
        }
    )
    the_clock = clock or SystemClock()
    if isinstance(source, str | int | Path):
        config = addressed(plain, source, mic)
        made = make_source(config, the_clock)
    else:
        # The configuration speaks of devices; they are not looked at.
        config, made = plain, source if isinstance(source, Source) else source(the_clock)
    return _opened(config, made, the_clock, engine, decoder)


def from_config(config: Path | str | Mapping[str, Any]) -> Stream:
    """A stream as `avel-live` would run it: source, networks, thresholds; outputs are yours to give to `run`.

    Args:
        config: a file like `avel.toml`, or its keys as a mapping, nested or dotted:
            `{"url": "rtsp://…", "enter": 0.6}`.

    Raises:
        UsageError: unknown key, wrong value, contradiction, unreadable file; one line.
        SourceError, ModelFileError, BackendError: as `open`.

    """
    if isinstance(config, Mapping):
        settings = config_from(config)
    else:
        settings = load_config({}, path=Path(config), environ={}).config
    clock = SystemClock()
    return _opened(settings, make_source(settings, clock), clock, None, None)


def _opened(
    config: Config, source: Source, clock: Clock, shared: Engine | None, decoder: DecoderConfig | None
) -> Stream:
    from ..stream.queue import StatusQueue

    reports = StatusQueue()
    with ExitStack() as stack:
        stack.callback(source.close)
        live = source.info.live
        if not live:
            source.open()  # what can't be read is said before the networks are loaded
        engine = shared
        if engine is None:
            engine = restarting(make_engine(config), config, reports, clock)
            stack.callback(engine.close)
        if live:
            source.open()  # only now: whatever devices deliver while networks load would be late
        own = engine if shared is None else None
        stream = open_stream(
            config,
            source,
            engine,
            clock,
            decoder=decoder,
            reports=reports,
            on_close=own.close if own is not None else lambda: None,
        )
        stack.pop_all()
    return stream


def load_engine(
    profile: str = "lite",
    *,
    backend: BackendName = "auto",
    precision: PrecisionName = "auto",
    checkpoint: Path | str | None = None,
    threads: int | None = None,
) -> Engine:
    """The networks, warmed up; share them between streams that are run one after the other or in one thread.

    Args:
        profile: `lite`, `lite-yamnet`, `full`, `paper`, or one that you registered.
        backend: what computes; `auto` chooses by what is installed and fastest here.
        precision: in which numbers; `auto` by backend and processor.
        checkpoint: a trained head instead of the shipped one.
        threads: processor threads; None leaves it to the runtime.

    Returns:
        an engine; `close` it when the last stream is over.

    Raises:
        ModelFileError: a weight or checkpoint file is missing or wrong.
        BackendError: the backend can't run here.

    """
    return make_engine(
        config_from(
            {
                "profile": profile,
                "backend": backend,
                "precision": precision,
                "checkpoint": checkpoint,
                "threads": threads,
            }
        )
    )


def cameras() -> list[CameraDevice]:
    """Cameras of this machine; `spec` of each is what `open` takes."""
    from ..sources.probe import cameras as found

    return found()


def microphones() -> list[InputDevice]:
    """Microphones of this machine; `name` (or part of it) and `index` are what `mic=` takes.

    Raises:
        SourceError: PortAudio is not installed; the message has the line that installs it.

    """
    from ..sources.portaudio import input_devices

    return input_devices()
