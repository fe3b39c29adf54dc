"""Weights of a network in a safetensors file: whole on disk or not there, and loaded with a clear word."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ModelFileError, first_line

if TYPE_CHECKING:
    from torch import nn


def save_weights(
    path: Path, network: nn.Module, header: dict[str, str] | None = None, *, half: bool = True
) -> None:
    """Write atomically: a reader sees the old file or the whole new one.

    Args:
        path: target `.safetensors`.
        network: whose weights.
        header: what the file says of itself.
        half: store floating-point weights as float16.

    """
    import torch
    from safetensors.torch import save_file

    tensors = {
        name: (value.to(torch.float16) if half and value.is_floating_point() else value).contiguous()
        for name, value in network.state_dict().items()
    }
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        save_file(tensors, temporary, header)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def load_weights(network: nn.Module, path: Path, what: str, advice: str = "") -> None:
    """Fill a network with the weights of a file, as float32.

    Args:
        network: to fill.
        path: what `save_weights` wrote.
        what: these weights are, for the message.
        advice: what to do about it, appended to the message.

    Raises:
        ModelFileError: the file is missing or does not fit.

    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        network.load_state_dict({name: value.float() for name, value in load_file(path).items()})
    except (SafetensorError, RuntimeError, OSError) as error:
        raise ModelFileError(f"{what} {path}: missing or damaged ({first_line(error)}){advice}") from error
