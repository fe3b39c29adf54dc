"""Torch networks to ONNX files. The only place that exports, and one that needs torch.

Run as a module it is the helper process of `graphs`: the live process itself never imports torch when
it runs on ONNX Runtime.

    frames [n, 224, 224, 3] uint8            → grid [n, 7, 7, Dv]        visual, n dynamic or fixed
    patches [n, 96, 64] float32              → sound [n, Da]             audio
    visual, audio, visual_mask, audio_mask   → logits, attention         head, window of ten, batch of one
    visual, audio, visual_mask, audio_mask   → v, a, attention           segment: half of the head, of one
    v, a, visual_mask, audio_mask            → logits                    window: the other half, of ten

Pixels enter as bytes; their normalisation is part of the graph. A committee is one stack (`stacking`), and
what depends on no input is computed here, once.
"""

from __future__ import annotations

import contextlib
import io
import logging
import sys
import warnings
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from ..diia import MultiHeadAttention
from ..errors import AvelError, ModelFileError, first_line
from ..profiles import GRID, WINDOW, Profile
from ..stacking import SegmentHalf, StackedHead, WindowHalf
from .base import HEADS, Network
from .helper import requested
from .networks import build_network
from .outlines import finish

OPSET: Final = 18
INPUTS: Final[dict[Network, tuple[str, ...]]] = {
    "visual": ("frames",),
    "audio": ("patches",),
    "head": ("visual", "audio", "visual_mask", "audio_mask"),
    "segment": ("visual", "audio", "visual_mask", "audio_mask"),
    "window": ("v", "a", "visual_mask", "audio_mask"),
}
OUTPUTS: Final[dict[Network, tuple[str, ...]]] = {
    "visual": ("grid",),
    "audio": ("sound",),
    "head": ("logits", "attention"),
    "segment": ("v", "a", "attention"),
    "window": ("logits",),
}


def example_inputs(network: Network, profile: Profile, count: int = 2) -> tuple[Tensor, ...]:
    """Inputs of the right shape, seeded: `count` frames or patches, one window, or one segment."""
    make = np.random.default_rng(0)
    if network == "visual":
        return (torch.from_numpy(make.integers(0, 256, (count, 224, 224, 3), np.uint8)),)
    if network == "audio":
        return (torch.from_numpy(make.normal(-2, 2, (count, *profile.audio.shape)).astype(np.float32)),)
    grid = make.random((1, WINDOW, GRID, GRID, profile.visual.dim), np.float32)
    sound = make.random((1, WINDOW, profile.audio.dim), np.float32)
    seen, heard = np.ones((1, WINDOW), np.bool_), np.ones((1, WINDOW), np.bool_)
    seen[0, 7:] = heard[0, 8:] = False
    length = 1 if network == "segment" else WINDOW
    return tuple(torch.from_numpy(x[:, :length]) for x in (grid, sound, seen, heard))


class HalfInside(nn.Module):
    """A network that computes in float16 behind the same inputs and float32 outputs."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.half()

    def forward(self, *inputs: Tensor) -> Any:
        """The network's own inputs and outputs."""
        half = (x.half() if x.is_floating_point() else x for x in inputs)
        out = self.network(*half)
        return out.float() if isinstance(out, torch.Tensor) else tuple(x.float() for x in out)


def export_onnx(
    module: nn.Module,
    network: Network,
    profile: Profile,
    target: Path,
    frames: int | None,
    *,
    half: bool = False,
) -> None:
    """Write one self-contained ONNX file, opset 18, and check it.

    Args:
        module: what `build_network` returned.
        network: which graph is made of it.
        profile: for the shapes.
        target: the file.
        frames: fixed batch of the two backbones; None leaves it dynamic.
        half: compute in float16 inside; inputs and outputs stay as they are.

    Raises:
        ModelFileError: the exporter or the checker refuses the graph.

    """
    import onnx

    module, args = prepared(module, network, example_inputs(network, profile, frames or 2))
    if half:
        module = HalfInside(module)
    names: dict[str, Any] = {"input_names": list(INPUTS[network]), "output_names": list(OUTPUTS[network])}
    dynamic = network not in HEADS and frames is None
    try:
        with quiet(), torch.inference_mode():
            try:
                axes = {INPUTS[network][0]: {0: "n"}, OUTPUTS[network][0]: {0: "n"}} if dynamic else None
                torch.onnx.export(
                    module, args, str(target), opset_version=OPSET, dynamo=False, dynamic_axes=axes, **names
                )
            except (ImportError, TypeError, NotImplementedError):
                # A torch whose TorchScript exporter is gone; the newer one needs onnxscript.
                shapes = ({0: torch.export.Dim("n", min=1, max=1024)},) if dynamic else None
                program: Any = torch.onnx.export(
                    module, args, opset_version=OPSET, dynamo=True, dynamic_shapes=shapes, **names
                )
                program.save(str(target), external_data=False)
        graph = onnx.load(target)
        finish(graph)
        graph.doc_string = f"avel-live {profile.name} {network}"
        onnx.checker.check_model(graph, full_check=True)
        onnx.save(graph, target)
    except ModelFileError:
        raise
    except Exception as error:  # exporters raise every kind
        raise ModelFileError(
            f"{profile.name} {network}: can't be exported to ONNX ({first_line(error)})"
        ) from error


def prepared(module: Any, network: Network, args: tuple[Tensor, ...]) -> tuple[nn.Module, tuple[Tensor, ...]]:
    """What is exported of a network, and inputs for that: of a head one stack, or half of it."""
    if network not in HEADS:
        return module, args
    stack = StackedHead(module).eval()
    if network == "head":
        return stack, args
    half = SegmentHalf(stack)
    if network == "segment":
        return half.eval(), args
    with torch.inference_mode():
        v, a, _ = half(*args)
    return WindowHalf(stack).eval(), (v.clone(), a.clone(), *args[2:])


@contextlib.contextmanager
def quiet() -> Any:
    """Keep the exporters' chatter off the terminal."""
    attention = MultiHeadAttention.manual
    MultiHeadAttention.manual = True  # fewer, plainer nodes than the exporter's own spelling of sdpa
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)
        MultiHeadAttention.manual = attention


def main() -> int:
    """Serve the graphs that were asked for; the name of each on standard output as it begins."""
    try:
        profile, requests = requested(sys.stdin.buffer)
        for network, given, frames, half, target in requests:
            print(network, flush=True)
            module = build_network(network, profile, given)
            export_onnx(module, network, profile, target, frames, half=half)
    except AvelError as error:
        print(error, file=sys.stderr)
        return 4
    except OSError as error:
        print(f"{error.filename or 'a graph'}: can't be written ({error.strerror or error})", file=sys.stderr)
        return 5
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
