"""`avel compile`: networks to ONNX files, or to TensorRT engines for this very GPU."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...model.files import atomic_write
from ...model.profiles import PROFILES
from ..core.errors import OutputError, UsageError

if TYPE_CHECKING:
    from ...model.runtime.base import EngineOptions, Precision


def compile_networks(
    to: Annotated[
        str, typer.Option(help="onnx, torch-tensorrt, tensorrt (builder, else trtexec), or tensorrt-rtx")
    ] = "onnx",
    profile: Annotated[str, typer.Option(help=", ".join(PROFILES))] = "lite",
    precision: Annotated[str, typer.Option(help="fp32, fp16 or int8")] = "fp32",
    frames: Annotated[str, typer.Option(help="batch of the two backbones: dynamic or a number")] = "dynamic",
    gpus: Annotated[
        str, typer.Option("--for", help="tensorrt-rtx: GPUs to build for, by capability: sm86,sm89,sm120")
    ] = "",
    out: Annotated[
        Path | None, typer.Option(help="also put the files here; they always go into the engine cache")
    ] = None,
    checkpoint: Annotated[Path | None, typer.Option(help="trained head")] = None,
    visual_weights: Annotated[Path | None, typer.Option(help="weights of the visual network")] = None,
    audio_weights: Annotated[Path | None, typer.Option(help="weights of the audio network")] = None,
    clear: Annotated[bool, typer.Option("--clear", help="empty the engine cache first")] = False,
) -> None:
    """Export the networks to ONNX, or build TensorRT engines for this GPU.

    Whatever is built lands in the engine cache, where `avel-live` finds it: its next start is quick. Engines
    of TensorRT for RTX are built on any machine for GPUs named with --for, into --out: `avel-live --engines`.
    With --to tensorrt --out holds the engines of this GPU for others of its kind, as of a Jetson.
    """
    from ...model.runtime.base import EngineOptions
    from ...model.runtime.cache import EngineCache
    from ..ui.console import Console

    if frames != "dynamic" and not (frames.isdigit() and int(frames) > 0):
        raise UsageError(f"--frames: expected `dynamic` or a number above 0, got {frames!r}")
    console = Console(stderr=True)
    cache = EngineCache()
    if clear:
        console.print(f"removed {cache.clear()} files from {cache.root}", highlight=False)
    with console.status("looking into the engine cache") as status:

        def say(text: str) -> None:
            status.update(text)
            if not console.is_terminal:
                console.print(text, highlight=False)

        options = EngineOptions(
            profile=profile,
            precision=precision,
            checkpoint=checkpoint,
            visual_weights=visual_weights,
            audio_weights=audio_weights,
            progress=say,
        )
        if to == "tensorrt-rtx":
            _build_ahead(options, [name for name in gpus.split(",") if name], out)
            return
        if to == "tensorrt" and out is not None and frames == "dynamic":
            _build_here(options, out)
            return
        paths = _build(to, options, None if frames == "dynamic" else int(frames), say)
    for name, path in paths.items():
        target = _copy(path, out, f"{profile}_{name}{path.suffix}") if out else path
        print(f"{name}: {target} ({target.stat().st_size / 1e6:.1f} MB)")


def _build_ahead(options: EngineOptions, capabilities: list[str], out: Path | None) -> None:
    from ...model.runtime.flavours import RTX
    from ...model.runtime.trt_ahead import build_ahead

    if not capabilities or out is None:
        raise UsageError(
            "--to tensorrt-rtx builds ahead: name GPUs (--for sm86,sm89,sm120) and a folder (--out)"
        )
    try:
        manifest = build_ahead(options, _precision(options.precision), capabilities, out, RTX)
    except OSError as error:
        raise OutputError(f"{out}: can't be written ({error.strerror})") from error
    for name, engine in manifest["engines"].items():
        size = engine["bytes"] / 1e6
        facts = f"{size:.1f} MB, {engine['layers']} layers, {engine['seconds']} s"
        print(f"{name}: {out / engine['file']} ({facts})")


def _build_here(options: EngineOptions, out: Path) -> None:
    from ...model.runtime.flavours import at_hand
    from ...model.runtime.trt_ahead import build_here

    try:
        manifest = build_here(options, _precision(options.precision), out, at_hand())
    except OSError as error:
        raise OutputError(f"{out}: can't be written ({error.strerror})") from error
    for name, engine in manifest["engines"].items():
        print(f"{name}: {out / engine['file']} ({engine['bytes'] / 1e6:.1f} MB)")


def _build(
    to: str, options: EngineOptions, frames: int | None, say: Callable[[str], None]
) -> dict[str, Path]:
    from ...model.profiles import get_profile
    from ...model.runtime.base import HALVES
    from ...model.runtime.cache import EngineCache
    from ...model.runtime.graphs import ensure, wanted
    from ...model.runtime.int8_graphs import find_int8

    profile = get_profile(options.profile)
    precision = _precision(options.precision)
    if to == "onnx":
        half, cache = precision == "fp16", EngineCache(options.cache_dir)
        paths = dict(ensure(wanted(profile, options, frames=frames, half=half), cache, say))
        if frames is None and not half:  # what a CPU runs in place of the head
            ensure(wanted(profile, options, HALVES), cache, say)
        if precision == "int8":
            paths.update(find_int8(profile, options, "cpu").paths)
        return {str(name): path for name, path in paths.items()}
    if frames is not None:
        raise UsageError("--frames is for --to onnx; engines take up to 16 frames at once")
    if to == "tensorrt":
        from ...model.runtime.flavours import at_hand
        from ...model.runtime.trt_plain import engines

        return {str(name): path for name, path in engines(options, precision, at_hand()).items()}
    if to == "torch-tensorrt":
        if precision == "int8":
            raise UsageError("INT8 goes by explicit Q/DQ graphs: use --to tensorrt --precision int8")
        from ...model.runtime.trt_torch import cached

        return {str(name): path for name, path in cached(options, precision).items()}
    raise UsageError(f"--to: expected onnx, torch-tensorrt, tensorrt or tensorrt-rtx, got {to!r}")


def _precision(name: str) -> Precision:
    if name == "fp32":
        return "fp32"
    if name == "fp16":
        return "fp16"
    if name == "int8":
        return "int8"
    raise UsageError(f"--precision: expected fp32, fp16 or int8, got {name!r}")


def _copy(path: Path, folder: Path, name: str) -> Path:
    """Copy atomically."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        atomic_write(folder / name, partial(shutil.copyfile, path))
    except OSError as error:
        raise OutputError(f"{folder}: can't be written ({error.strerror})") from error
    return folder / name
