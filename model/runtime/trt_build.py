"""Building TensorRT engines from our ONNX graphs, by either flavour's Python builder or by `trtexec`.

Networks are strongly typed: the precision is what the graph says (float32, float16, or explicit Q/DQ pairs),
which every TensorRT since 10 reads alike.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ..errors import BackendError
from ..files import atomic_write
from ..profiles import FRAME_SHAPE, FRAMES_PER_SEGMENT, Profile
from .base import Network
from .flavours import RTX, TENSORRT, Flavour, capability, logger
from .probe import installed


class Batch(NamedTuple):
    """The input of a network that takes one frame or many at once."""

    name: str
    shape: tuple[int, ...]
    most: int

    @classmethod
    def of(cls, network: Network, profile: Profile) -> Batch | None:
        """None for the head, whose window is fixed."""
        if network == "visual":
            return cls("frames", FRAME_SHAPE, FRAMES_PER_SEGMENT)
        return cls("patches", profile.audio.shape, 1) if network == "audio" else None


class Plan(NamedTuple):
    """An engine as bytes, and how many layers the network had that it was built of."""

    data: bytes
    layers: int


def trtexec_command(
    batch: Batch | None,
    onnx: Path,
    engine: Path,
    timing_cache: Path,
    program: str = "trtexec",
    *,
    measure: bool = False,
) -> list[str]:
    """The `trtexec` call that builds the same engine as `build`.

    Args:
        batch: the input whose size varies.
        onnx: the graph.
        engine: to be written.
        timing_cache: kept between builds.
        program: where `trtexec` is.
        measure: also run the engine at its largest batch, and print calls a second.

    """
    command = [
        program,
        f"--onnx={onnx}",
        f"--saveEngine={engine}",
        "--stronglyTyped",
        f"--timingCacheFile={timing_cache}",
    ]
    if not measure:
        command.append("--skipInference")
    if batch is not None:
        tail = "x".join(str(n) for n in batch.shape)
        one, many = f"{batch.name}:1x{tail}", f"{batch.name}:{batch.most}x{tail}"
        command += [f"--minShapes={one}", f"--optShapes={many}", f"--maxShapes={many}"]
    return command


def build_engine(batch: Batch | None, onnx: Path, target: Path, timing_cache: Path, flavour: Flavour) -> None:
    """Build an engine for this GPU, by the Python builder or else by `trtexec`.

    Raises:
        BackendError: neither is installed, or the build failed.

    """
    if flavour is RTX or installed(flavour.module):
        here = capability()
        named = (here,) if here in flavour.capabilities else ()
        target.write_bytes(build(flavour, batch, onnx, timing_cache, named).data)
        return
    if shutil.which("trtexec") is None:
        raise BackendError("neither TensorRT's Python package nor `trtexec` is installed")
    result = subprocess.run(
        trtexec_command(batch, onnx, target, timing_cache), capture_output=True, text=True, check=False
    )
    if result.returncode or not target.is_file():
        last = (result.stderr.strip() or result.stdout.strip() or "no output").splitlines()[-1]
        raise BackendError(f"trtexec failed on {onnx.name}: {last}")


def build(
    flavour: Flavour,
    batch: Batch | None,
    onnx: Path,
    timing_cache: Path | None = None,
    capabilities: Sequence[str] = (),
) -> Plan:
    """An engine by the Python builder.

    Args:
        flavour: which library builds.
        batch: the input whose size varies.
        onnx: the graph.
        timing_cache: full TensorRT's, kept between builds; that for RTX measures nothing while it builds.
        capabilities: of the flavour's; none = the GPU at hand.

    Raises:
        BackendError: the library is missing, or refuses the graph.

    """
    trt = flavour.load()
    log = logger(flavour)
    log.complaint = ""
    builder = trt.Builder(log)
    # TensorRT 11 has only strongly typed networks, and may have dropped the flag that asks for them.
    flag = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    definition = builder.create_network(0 if flag is None else 1 << int(flag))
    parser = trt.OnnxParser(definition, log)
    if not parser.parse(onnx.read_bytes()):
        reason = str(parser.get_error(0).desc()) if parser.num_errors else "no reason given"
        raise BackendError(f"{flavour.title} can't read {onnx.name}: {' '.join(reason.split())[:300]}")
    config = builder.create_builder_config()
    if flavour is TENSORRT and timing_cache is not None:
        known = timing_cache.read_bytes() if timing_cache.is_file() else b""
        config.set_timing_cache(config.create_timing_cache(known), ignore_mismatch=True)
    if capabilities:
        config.num_compute_capabilities = len(capabilities)
        for at, name in enumerate(capabilities):
            config.set_compute_capability(getattr(trt.ComputeCapability, name.upper()), at)
    if batch is not None:
        sizes = builder.create_optimization_profile()
        many = (batch.most, *batch.shape)
        sizes.set_shape(batch.name, (1, *batch.shape), many, many)
        config.add_optimization_profile(sizes)
    plan = builder.build_serialized_network(definition, config)
    if plan is None:
        what = f" for {', '.join(capabilities)}" if capabilities else ""
        raise BackendError(
            f"{flavour.title} could not build {onnx.name}{what}: {log.complaint or 'no reason'}"
        )
    if flavour is TENSORRT and timing_cache is not None:
        atomic_write(timing_cache, bytes(config.get_timing_cache().serialize()))
    return Plan(bytes(plan), int(definition.num_layers))
