"""Choosing a runtime: `load_engine` is the only door the rest of the program uses."""

from __future__ import annotations

from ..errors import BackendError
from .base import Engine, EngineOptions


def load_engine(options: EngineOptions) -> Engine:
    """The networks of a profile on the backend asked for.

    Raises:
        BackendError: the backend can't run here; says what to install.
        ModelFileError: a weight file is missing or damaged.

    """
    if options.backend in ("auto", "torch"):
        from .torch_engine import TorchEngine

        return TorchEngine(options)
    raise BackendError(f"backend {options.backend!r} is not available; use --backend torch")
