"""TensorRT comes in two flavours that differ in their module, what they build for, and what they run on.

    flavour        for                                 from                          builds without a GPU
    tensorrt       data centre, Jetson, any NVIDIA     NVIDIA's index, JetPack       no: for the GPU at hand
    tensorrt-rtx   RTX: SM75 80 86 89 120 121          PyPI, `avel-live[rtx]`        yes: for those named

Neither is imported before it is used. Not yet run on a GPU.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module, metadata
from typing import Any, Final

from ..errors import BackendError, first_line
from .probe import installed, machine


@dataclass(frozen=True)
class Flavour:
    """What tells one from the other.

    Attributes:
        name: how commands call it.
        module: what is imported.
        title: how messages call it.
        how: to install it.
        capabilities: what it can build for by name, `sm89`; empty = for the GPU at hand only.
        distributions: names under which its version is known.

    """

    name: str
    module: str
    title: str
    how: str
    capabilities: tuple[str, ...] = ()
    distributions: tuple[str, ...] = ()

    def load(self) -> Any:
        """The module.

        Raises:
            BackendError: not installed or unusable; says what to install.

        """
        if not installed(self.module):
            raise BackendError(f"{self.title} is not installed; {self.how}")
        try:
            return import_module(self.module)
        except Exception as error:  # a missing driver shows as ImportError, OSError or RuntimeError
            raise BackendError(f"{self.title} can't be imported ({first_line(error)})") from error

    @property
    def version(self) -> str:
        """Of the installed library; asked without importing it where that is possible."""
        for name in self.distributions:
            try:
                return metadata.version(name)
            except metadata.PackageNotFoundError:  # noqa: PERF203
                continue
        return str(getattr(self.load(), "__version__", ""))


TENSORRT: Final = Flavour(
    "tensorrt",
    "tensorrt",
    "TensorRT's Python runtime",
    "`pip install tensorrt`, or on a Jetson `apt install python3-libnvinfer` and a venv with "
    "--system-site-packages",
    distributions=("tensorrt",),
)
RTX: Final = Flavour(
    "tensorrt-rtx",
    "tensorrt_rtx",
    "TensorRT for RTX",
    "`pip install 'avel-live[rtx]'` (Linux and Windows, x86-64)",
    ("sm75", "sm80", "sm86", "sm89", "sm120", "sm121"),
    ("tensorrt-rtx-cu13", "tensorrt-rtx-cu12", "tensorrt-rtx"),
)
FLAVOURS: Final = {flavour.name: flavour for flavour in (TENSORRT, RTX)}


def capability() -> str:
    """Of the GPU at hand, as `sm89`; empty where there is none, or the driver does not say."""
    found = re.search(r"SM (\d+)\.(\d+)", machine().gpu)
    return f"sm{found[1]}{found[2]}" if found else ""


def gpu_here() -> str:
    """What an engine built here is for: `sm89`, or the GPU's name where that is all there is (a Jetson)."""
    return capability() or machine().gpu


def at_hand() -> Flavour:
    """The flavour to run here: full TensorRT where it is installed, else that for RTX.

    Raises:
        BackendError: neither fits; says what to install.

    """
    here = capability()
    if not gpu_here():
        raise BackendError(
            "TensorRT needs an NVIDIA GPU and none was found; use --backend onnxruntime, or build for a GPU "
            "elsewhere: `avel compile --to tensorrt-rtx --for sm89 --out DIR`"
        )
    if installed(TENSORRT.module):
        return TENSORRT
    if installed(RTX.module):
        if here in RTX.capabilities:
            return RTX
        raise BackendError(
            f"TensorRT for RTX has no code for {machine().gpu or 'this machine'} "
            f"(it knows {', '.join(RTX.capabilities)}); use --backend torch, or full TensorRT: {TENSORRT.how}"
        )
    how = RTX.how if here in RTX.capabilities else TENSORRT.how
    raise BackendError(f"TensorRT is not installed; {how}, or use --backend onnxruntime")


@lru_cache(maxsize=2)
def logger(flavour: Flavour) -> Any:
    """One for the whole process: the library keeps the first it is given, and uses it after we let go.

    It prints nothing; `complaint` holds the first error since it was last emptied.
    """
    trt = flavour.load()

    class Complaints(trt.ILogger):  # type: ignore[misc, name-defined]  # known once it is loaded
        """Keeps the first error."""

        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.complaint = ""

        def log(self, severity: Any, message: str) -> None:
            """Called by the library, from any thread."""
            if severity in (trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR) and not self.complaint:
                self.complaint = " ".join(message.split())[:300]

    return Complaints()
