"""Weights of a network in a safetensors file: whole on disk or not there, and loaded with a clear word."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from ..errors import ModelFileError, first_line
from ..files import replacing

if TYPE_CHECKING:
    from torch import Tensor, nn

Stored = Literal["float32", "float16", "int8"]
"""How floating-point weights are kept on disk; `int8`: matrices in eight bits with a scale for each row,
the rest as float16."""
SCALE: Final = "/scale"
"""After a matrix's name: the scales of its rows."""


def save_weights(
    path: Path, network: nn.Module, header: dict[str, str] | None = None, *, stored: Stored = "float16"
) -> None:
    """Write atomically: a reader sees the old file or the whole new one.

    Args:
        path: target `.safetensors`.
        network: whose weights.
        header: what the file says of itself.
        stored: how much of the weights is kept.

    """
    from safetensors.torch import save_file

    tensors: dict[str, Tensor] = {}
    for name, value in network.state_dict().items():
        tensors |= _packed(name, value, stored)
    with replacing(path) as temporary:
        save_file(tensors, temporary, header)


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

    try:
        network.load_state_dict(read_weights(path))
    except (SafetensorError, RuntimeError, OSError) as error:
        raise ModelFileError(f"{what} {path}: missing or damaged ({first_line(error)}){advice}") from error


def read_weights(path: Path) -> dict[str, Tensor]:
    """What `save_weights` wrote, by name, as float32.

    Raises:
        SafetensorError, OSError: missing, or not such a file.
        RuntimeError: scales that do not fit their matrix.

    """
    from safetensors.torch import load_file

    kept = load_file(path)
    weights = {name: value.float() for name, value in kept.items() if not name.endswith(SCALE)}
    for name, value in kept.items():
        if name.endswith(SCALE):
            matrix = name.removesuffix(SCALE)
            if matrix not in weights:
                raise RuntimeError(f"{name} without {matrix}")
            weights[matrix] = weights[matrix] * value.float()
    return weights


def _packed(name: str, value: Tensor, stored: Stored) -> dict[str, Tensor]:
    import torch

    if not value.is_floating_point() or stored == "float32":
        return {name: value.contiguous()}
    if stored == "float16" or value.dim() != 2:
        return {name: value.to(torch.float16).contiguous()}
    scale = value.abs().amax(dim=1, keepdim=True).clamp(min=1e-12) / 127
    return {name: torch.round(value / scale).to(torch.int8), f"{name}{SCALE}": scale.float()}
