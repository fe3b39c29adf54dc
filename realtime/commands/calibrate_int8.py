"""`avel calibrate int8`: the flags."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def int8(
    clips: Annotated[
        list[Path] | None,
        typer.Argument(help="recordings, or folders of them; none = watch the camera and the microphone"),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="training data, as `avel train lite` reads it, instead of clips")
    ] = None,
    profile: Annotated[str | None, typer.Option(help="which networks: lite, lite-yamnet, paper")] = None,
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
    from ...calibration.int8 import Int8Settings
    from ..calibrating.int8 import Int8Job, calibrate_int8
    from ..layers import load_config

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
