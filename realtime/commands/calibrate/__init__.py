"""`avel calibrate`: confidence, thresholds, this room, and the camera-microphone offset."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from ....model.profiles import PROFILES
from ...config.typed import make_app

app = make_app(
    no_args_is_help=True,
    help="Confidence that means something, thresholds that hold, a room, and a clap that aligns the devices.",
)

_Data = Annotated[
    Path | None, typer.Option("--data", help="labelled clips (MANIFEST.tsv), or a folder in AVE's layout")
]
_Marks = Annotated[
    bool,
    typer.Option("--from-marks", help="what people said of events on the page; with --data, beside it"),
]
_Split = Annotated[str, typer.Option(help="which split of AVE's layout")]
_Profile = Annotated[str | None, typer.Option(help=f"which networks: {', '.join(PROFILES)}")]
_Backend = Annotated[str | None, typer.Option(help="auto, torch, onnxruntime, tensorrt")]
_Precision = Annotated[str | None, typer.Option(help="auto, fp32, fp16, bf16, int8")]
_Checkpoint = Annotated[Path | None, typer.Option(help="a trained head instead of the shipped one")]
_Calibration = Annotated[
    str | None, typer.Option(help="a calibration to start from; `none` = raw confidences")
]
_Output = Annotated[
    Path | None, typer.Option("--output", "-o", help="write here instead of the user's data folder")
]
_Plot = Annotated[Path | None, typer.Option(help="also draw a PNG")]
_DryRun = Annotated[bool, typer.Option("--dry-run", help="report only; store nothing")]
_Camera = Annotated[str | None, typer.Option(help="index, device, or stream address")]
_Mic = Annotated[str | None, typer.Option(help="name or part of it, or index")]
_File = Annotated[Path | None, typer.Option("--file", help="a recording instead of live devices")]
_Config = Annotated[Path | None, typer.Option(help="read this file instead of ./avel.toml")]


def _loaded(config: Path | None, **flags: Any) -> Any:
    from ...config.load import load_config

    given = {name: value for name, value in flags.items() if value is not None}
    return load_config(given, path=config).config


@app.command("int8")
def quantise(
    clips: Annotated[
        list[Path] | None,
        typer.Argument(help="recordings, or folders of them; none = watch the camera and the microphone"),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="training data, as `avel train lite` reads it, instead of clips")
    ] = None,
    profile: _Profile = None,
    minutes: Annotated[float, typer.Option(min=0.2, max=1440, help="how long to watch live devices")] = 5.0,
    agreement: Annotated[
        float, typer.Option(min=0, max=1, help="least share of seconds whose label must stay the same")
    ] = 0.99,
    size: Annotated[int, typer.Option(min=4, help="seconds that ranges are measured on")] = 48,
    check_seconds: Annotated[int, typer.Option(min=3, help="held-out seconds that are compared")] = 90,
    checkpoint: Annotated[Path | None, typer.Option(help="a trained head instead of the shipped one")] = None,
    visual_weights: Annotated[Path | None, typer.Option(help="weights of the visual network")] = None,
    audio_weights: Annotated[Path | None, typer.Option(help="weights of the audio network")] = None,
    camera: Annotated[str | None, typer.Option(help="index, device, or stream address")] = None,
    mic: Annotated[str | None, typer.Option(help="name or part of it, or index")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="install into this folder")] = None,
    json_out: Annotated[Path | None, typer.Option("--json", help="write the report here")] = None,
    ship: Annotated[bool, typer.Option("--ship", hidden=True)] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="report only; install nothing")] = False,
    config: Annotated[Path | None, typer.Option(help="read this file instead of ./avel.toml")] = None,
) -> None:
    """Quantise the visual network to INT8, for the CPU and for TensorRT, and report what that costs.

    A third of the material is held out; a calibration that changes too many labels there is refused.
    """
    from ....calibration.int8 import Int8Settings
    from ...config.load import load_config
    from .int8 import Int8Job, calibrate_int8

    flags = {
        "profile": profile,
        "checkpoint": checkpoint,
        "visual_weights": visual_weights,
        "audio_weights": audio_weights,
        "camera": camera,
        "mic": mic,
    }
    given = {name: value for name, value in flags.items() if value is not None}
    calibrate_int8(
        load_config(given, path=config).config,
        Int8Job(clips or [], data, minutes, output, json_out, ship, dry_run),
        Int8Settings(
            size=size,
            check_seconds=check_seconds,
            agreement=agreement,
            seven_bits=False if ship else None,
        ),
    )


@app.command("confidence")
def fit_confidence(
    data: _Data = None,
    from_marks: _Marks = False,
    method: Annotated[
        Literal["temperature", "vector"], typer.Option(help="one number, or one per class")
    ] = "temperature",
    judge: Annotated[
        Path | None, typer.Option(help="fit and store nothing: say what this calibration is worth here")
    ] = None,
    split: _Split = "val",
    profile: _Profile = None,
    backend: _Backend = None,
    precision: _Precision = None,
    checkpoint: _Checkpoint = None,
    output: _Output = None,
    plot: _Plot = None,
    json_out: Annotated[Path | None, typer.Option("--json", help="write the figures here")] = None,
    dry_run: _DryRun = False,
    config: _Config = None,
) -> None:
    """Fit how sure to be, by seconds of future, on labelled material.

    The work folder of `avel train lite` is labelled material too: scenes composed from what it kept back. So
    are marks, whose seconds are those of what was announced: they say how often that was right.
    """
    from .confidence import calibrate_confidence
    from .material import Fit

    loaded = _loaded(config, profile=profile, backend=backend, precision=precision, checkpoint=checkpoint)
    calibrate_confidence(loaded, Fit(data, split, output, plot, json_out, dry_run, from_marks), method, judge)


@app.command("thresholds")
def fit_thresholds(
    data: _Data = None,
    from_marks: _Marks = False,
    background: Annotated[
        list[Path] | None,
        typer.Option(help="recordings in which nothing of interest happens (repeatable)"),
    ] = None,
    max_false_alarms: Annotated[
        str | None, typer.Option(help="budget, all classes together: 1/hour, 3/day")
    ] = None,
    split: _Split = "val",
    profile: _Profile = None,
    backend: _Backend = None,
    precision: _Precision = None,
    checkpoint: _Checkpoint = None,
    calibration: _Calibration = None,
    output: _Output = None,
    plot: _Plot = None,
    dry_run: _DryRun = False,
    config: _Config = None,
) -> None:
    """Choose every class's thresholds for event F1, or for a false-alarm budget.

    Marks say nothing of events that were missed; beside them, --data should hold some.
    """
    from .material import Fit
    from .thresholds import calibrate_thresholds

    loaded = _loaded(
        config,
        profile=profile,
        backend=backend,
        precision=precision,
        checkpoint=checkpoint,
        calibration=calibration,
    )
    calibrate_thresholds(
        loaded,
        Fit(data, split, output, plot, None, dry_run, from_marks),
        list(background or []),
        max_false_alarms,
    )


@app.command("background")
def measure_room(
    minutes: Annotated[float, typer.Option(min=0.5, max=1440, help="how long to listen and look")] = 5.0,
    max_false_alarms: Annotated[
        str, typer.Option(help="what the proposed thresholds aim at: 1/hour, 3/day")
    ] = "1/hour",
    file: _File = None,
    camera: _Camera = None,
    mic: _Mic = None,
    profile: _Profile = None,
    backend: _Backend = None,
    precision: _Precision = None,
    checkpoint: _Checkpoint = None,
    calibration: _Calibration = None,
    output: _Output = None,
    apply: Annotated[bool, typer.Option("--apply", help="store the proposed thresholds")] = False,
    config: _Config = None,
) -> None:
    """Measure this room while nothing happens. Only numbers are kept, never pictures or sound."""
    from .room import calibrate_background

    loaded = _loaded(
        config,
        file=file,
        fast=True if file else None,
        camera=camera,
        mic=mic,
        profile=profile,
        backend=backend,
        precision=precision,
        checkpoint=checkpoint,
        calibration=calibration,
    )
    calibrate_background(loaded, minutes, max_false_alarms, output, apply=apply)


@app.command("sync")
def measure_offset(
    seconds: Annotated[float, typer.Option(min=5, max=120, help="how long to watch")] = 12.0,
    max_offset: Annotated[
        float, typer.Option(min=0.05, max=3, help="search offsets up to this many seconds")
    ] = 0.5,
    file: _File = None,
    camera: _Camera = None,
    mic: _Mic = None,
    plot: _Plot = None,
    dry_run: _DryRun = False,
    config: _Config = None,
) -> None:
    """Measure the camera-microphone offset: clap five times, unevenly, before the camera."""
    from .sync import calibrate_sync

    loaded = _loaded(config, file=file, fast=True if file else None, camera=camera, mic=mic)
    calibrate_sync(loaded, seconds, max_offset, plot, dry_run=dry_run)
