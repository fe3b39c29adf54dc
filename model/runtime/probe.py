"""What this machine has: CPU features, GPU, installed runtimes. Found without importing any of them."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Final

_FEATURES: Final = (
    "avx2",
    "avx_vnni",
    "avx512f",
    "avx512_vnni",
    "avx512_bf16",
    "amx_int8",
    "amx_bf16",
    "asimddp",
    "i8mm",
    "bf16",
)
_RUNTIMES: Final = (
    "torch",
    "onnxruntime",
    "onnxruntime-gpu",
    "torch-tensorrt",
    "torch-tensorrt-rtx",
    "tensorrt",
    "tensorrt-rtx",
    "onnxscript",
)


@dataclass(frozen=True)
class Machine:
    """The facts that the choice of a runtime rests on.

    Attributes:
        cpu: the CPU's name.
        cores: cores this process may use.
        features: which of the instruction sets that matter it has.
        gpu: name and compute capability of the first NVIDIA GPU, empty without one.
        versions: installed runtimes by distribution name.

    """

    cpu: str
    cores: int
    features: frozenset[str]
    gpu: str
    versions: dict[str, str]

    @property
    def fast_int8(self) -> bool:
        """Whether 8-bit products are exact and quick: VNNI, AMX, or ARM's dot product.

        Without them x86 adds pairs of products in 16 bits, which saturates with 8-bit weights: wrong
        answers, and little gain.
        """
        return bool(self.features & {"avx_vnni", "avx512_vnni", "amx_int8", "asimddp", "i8mm"})

    @property
    def fast_bf16(self) -> bool:
        """Whether bfloat16 products are done by the CPU itself."""
        return bool(self.features & {"avx512_bf16", "amx_bf16", "bf16"})

    def describe(self) -> str:
        """One line for people."""
        sets = ", ".join(name for name in _FEATURES if name in self.features) or "no vector extensions known"
        gpu = f"; GPU {self.gpu}" if self.gpu else "; no GPU"
        return f"{self.cpu}, {self.cores} core{'s' * (self.cores > 1)} ({sets}){gpu}"


@lru_cache(maxsize=1)
def machine() -> Machine:
    """Look once."""
    info = _cpuinfo()
    words = f"{info.get('flags', '')} {info.get('Features', '')}".split()
    versions = {}
    for name in _RUNTIMES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:  # noqa: PERF203
            continue
    return Machine(
        info.get("model name") or platform.processor() or platform.machine(),
        usable_cores(),
        frozenset(word for word in words if word in _FEATURES),
        _gpu(),
        versions,
    )


def usable_cores() -> int:
    """How many cores this process may run on."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        return os.cpu_count() or 1


def cpu_has_bf16() -> bool:
    """Whether the CPU multiplies bfloat16 itself."""
    return machine().fast_bf16


def installed(module: str) -> bool:
    """Whether a module could be imported, without importing it."""
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _cpuinfo() -> dict[str, str]:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return {}
    pairs = (line.partition(":") for line in text.split("\n\n")[0].splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def _gpu() -> str:
    """From the driver's own tool; a Jetson has no such tool but a device-tree model."""
    if shutil.which("nvidia-smi"):
        command = ["nvidia-smi", "--query-gpu=name,compute_cap", "--format=csv,noheader"]
        try:
            result = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
        except (OSError, subprocess.SubprocessError):
            pass
        else:
            if lines := result.stdout.strip().splitlines():
                name, _, capability = lines[0].partition(",")
                return f"{name.strip()} (SM {capability.strip()})"
    tegra = Path("/proc/device-tree/model")
    if Path("/etc/nv_tegra_release").exists() and tegra.exists():
        return tegra.read_text().strip("\0\n ")
    return ""
