"""Folders of engines, with a manifest that says what they are: built ahead, or on one of many like devices.

    build_ahead              on any machine, for GPUs that are named (TensorRT for RTX)
    build_here               for the GPU at hand, to be carried to others of its kind (a Jetson's)

    DIR/manifest.json        flavour, version, capabilities, profile, precision; of each engine the digests of
                             its graph and weights, its size and SHA-256
    DIR/lite_visual.engine …

Whoever starts with such a folder gets a reason where anything differs from what is needed: another library,
another GPU, other weights, a file cut short.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from ..checkpoint import file_sha256
from ..errors import BackendError, ModelFileError
from ..files import atomic_write
from ..profiles import get_profile
from .base import NETWORKS, EngineOptions, Network, Precision
from .flavours import FLAVOURS, RTX, Flavour, gpu_here
from .networks import network_digest
from .precisions import graphs_in
from .trt_build import Batch, build

FORMAT: Final = "avel-engines-1"
MANIFEST: Final = "manifest.json"
_MAGIC: Final = b"vtrt"
"""How a plan of TensorRT for RTX begins."""


def build_ahead(
    options: EngineOptions,
    precision: Precision,
    capabilities: Sequence[str],
    folder: Path,
    flavour: Flavour,
    networks: Sequence[Network] = NETWORKS,
) -> dict[str, Any]:
    """Build engines into a folder and write its manifest; needs no GPU.

    Args:
        options: profile, weights, cache.
        precision: fp32, fp16 or int8.
        capabilities: `sm86` and so on; one engine serves all, its code is that of the lowest.
        folder: made if it is not there.
        flavour: one that builds for capabilities by name.
        networks: which of the three.

    Returns:
        the manifest.

    Raises:
        BackendError: the library is missing, does not know a capability, or refuses a graph.

    """
    unknown = [name for name in capabilities if name not in flavour.capabilities]
    if unknown or not capabilities:
        raise BackendError(
            f"{flavour.title} builds for {', '.join(flavour.capabilities) or 'the GPU at hand only'}, "
            f"not {', '.join(unknown) or 'nothing'}"
        )
    if precision == "fp32" and "sm75" in capabilities and "visual" in networks:
        raise BackendError("TensorRT for RTX builds no fp32 engine of the eye for sm75; use --precision fp16")
    if "sm75" in capabilities and len(capabilities) > 1:
        raise BackendError(
            "sm75 needs a folder of its own: an engine's code is that of its lowest capability"
        )
    profile = get_profile(options.profile)
    say = options.progress or (lambda _: None)
    graphs = graphs_in(options, precision, networks)
    folder.mkdir(parents=True, exist_ok=True)
    built: dict[str, Any] = {}
    for network, onnx in graphs.items():
        say(f"building {network} in {precision} for {', '.join(capabilities)}")
        begin = time.monotonic()
        plan = build(flavour, Batch.of(network, profile), onnx, None, capabilities)
        path = folder / f"{profile.name}_{network}.engine"
        atomic_write(path, plan.data)
        built[network] = _entry(network, options, onnx, path) | {
            "layers": plan.layers,
            "seconds": round(time.monotonic() - begin, 1),
        }
    return _write(folder, flavour, capabilities, options, precision, built)


def build_here(
    options: EngineOptions, precision: Precision, folder: Path, flavour: Flavour
) -> dict[str, Any]:
    """Engines for the GPU at hand, from the cache or built now, as a folder for others of its kind.

    Args:
        options: profile, weights, cache.
        precision: fp32, fp16 or int8.
        folder: made if it is not there.
        flavour: see `flavours.at_hand`.

    Returns:
        the manifest.

    Raises:
        BackendError: the library is missing, or refuses a graph.

    """
    from .trt_plain import engines

    made = engines(options, precision, flavour)
    graphs = graphs_in(options, precision, list(made))
    folder.mkdir(parents=True, exist_ok=True)
    built: dict[str, Any] = {}
    for network, engine in made.items():
        path = folder / f"{options.profile}_{network}.engine"
        atomic_write(path, partial(shutil.copyfile, engine))
        built[network] = _entry(network, options, graphs[network], path)
    return _write(folder, flavour, [gpu_here()], options, precision, built)


def _entry(network: Network, options: EngineOptions, onnx: Path, path: Path) -> dict[str, Any]:
    """What the manifest says of one engine."""
    return {
        "file": path.name,
        "graph": file_sha256(onnx),
        "weights": network_digest(network, get_profile(options.profile), options.given(network)),
        "bytes": path.stat().st_size,
        "sha256": file_sha256(path),
    }


def _write(
    folder: Path,
    flavour: Flavour,
    capabilities: Sequence[str],
    options: EngineOptions,
    precision: Precision,
    built: Mapping[str, Any],
) -> dict[str, Any]:
    """Last of all: a folder without a manifest is none."""
    manifest = {
        "format": FORMAT,
        "flavour": flavour.name,
        "version": flavour.version,
        "capabilities": list(capabilities),
        "profile": options.profile,
        "precision": precision,
        "engines": dict(built),
    }
    atomic_write(folder / MANIFEST, json.dumps(manifest, indent=1))
    return manifest


def read_ahead(
    folder: Path,
    options: EngineOptions,
    *,
    version: str | None = None,
    gpu: str | None = None,
    networks: Sequence[Network] = NETWORKS,
) -> tuple[Flavour, Precision, dict[Network, Path]]:
    """The engines of a folder, once everything about them fits.

    Args:
        folder: what `build_ahead` wrote.
        options: profile, precision and weights that are wanted.
        version: of the library; None = the installed one's.
        gpu: what `gpu_here` would say; None = ask it.
        networks: which are needed.

    Raises:
        BackendError: they are for another library or GPU.
        ModelFileError: no such folder, damaged, or of other weights; each says what to do.

    """
    manifest = _read(folder / MANIFEST)
    flavour = FLAVOURS[manifest["flavour"]]
    again = f"; build them again with `avel compile --to {flavour.name}`"
    profile = get_profile(options.profile)
    if manifest["profile"] != profile.name:
        raise ModelFileError(
            f"engines {folder}: for profile {manifest['profile']!r}, not {profile.name!r}{again}"
        )
    if options.precision not in ("auto", manifest["precision"]):
        raise ModelFileError(
            f"engines {folder}: in {manifest['precision']}, but --precision is {options.precision}{again}"
        )
    have = flavour.version if version is None else version
    if manifest["version"] != have:
        raise BackendError(
            f"engines {folder}: built by {flavour.title} {manifest['version']}, installed is {have}{again}"
        )
    here = gpu_here() if gpu is None else gpu
    if here not in manifest["capabilities"]:
        raise BackendError(
            f"engines {folder}: for {', '.join(manifest['capabilities'])}, "
            f"but the GPU here is {here or 'none'}{_way_out(here, flavour, again)}"
        )
    return (
        flavour,
        manifest["precision"],
        {n: _engine(folder, n, manifest["engines"], options, flavour, again) for n in networks},
    )


def _way_out(here: str, flavour: Flavour, again: str) -> str:
    """What to do with engines for other GPUs."""
    if not here:
        return "; leave --engines out: the CPU needs none"
    if flavour.capabilities and here not in flavour.capabilities:
        return f"; {flavour.title} has no code for that one: use --backend torch, or full TensorRT"
    return again


def _engine(
    folder: Path,
    network: Network,
    built: Mapping[str, Any],
    options: EngineOptions,
    flavour: Flavour,
    again: str,
) -> Path:
    """Path of an engine, held against its entry."""
    if (entry := built.get(network)) is None:
        raise ModelFileError(f"engines {folder}: {network} is missing{again}")
    path = folder / Path(entry["file"]).name
    if entry["weights"] != network_digest(network, get_profile(options.profile), options.given(network)):
        raise ModelFileError(
            f"engine {path}: built from other {network} weights, or an earlier version of that network{again}"
        )
    if not path.is_file():
        raise ModelFileError(f"engine {path}: no such file{again}")
    with path.open("rb") as file:
        if flavour is RTX and file.read(len(_MAGIC)) != _MAGIC:
            raise ModelFileError(f"engine {path}: not an engine of TensorRT for RTX{again}")
    if path.stat().st_size != entry["bytes"] or file_sha256(path) != entry["sha256"]:
        raise ModelFileError(f"engine {path}: damaged or cut short{again}")
    return path


def _read(path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(path.read_text())
    except OSError as error:
        raise ModelFileError(
            f"engines {path.parent}: {path.name} can't be read ({error.strerror})"
        ) from error
    except ValueError as error:
        raise ModelFileError(f"engines {path}: damaged ({error})") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise ModelFileError(f"engines {path}: expected format {FORMAT!r}; build them with this version")
    wanted = {"flavour", "version", "capabilities", "profile", "precision", "engines"}
    if missing := sorted(wanted - set(manifest)):
        raise ModelFileError(f"engines {path}: {', '.join(missing)} missing; build them again")
    if manifest["flavour"] not in FLAVOURS:
        raise ModelFileError(f"engines {path}: unknown flavour {manifest['flavour']!r}")
    return manifest
