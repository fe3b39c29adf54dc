"""Writes the outlines that ship: `python -m avel_live.model.runtime.outline_maker`. Needs torch."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..checkpoint import read_info
from ..profiles import FULL, LITE, LITE_YAMNET, Profile
from .base import HEADS, Network
from .constants import fold_constants
from .export import INPUTS, OPSET, OUTPUTS, example_inputs, prepared, quiet
from .networks import build_network, head_path
from .outlines import ELSEWHERE, FOLDER, config_name


def outlined(module: nn.Module, network: Network, profile: Profile) -> Any:
    """An `onnx.ModelProto` of a network, its weights named and left out.

    Args:
        module: what `build_network` returned.
        network: which graph is made of it.
        profile: for the shapes.

    """
    import onnx

    module, args = prepared(module, network, example_inputs(network, profile))
    axes = None if network in HEADS else {INPUTS[network][0]: {0: "n"}, OUTPUTS[network][0]: {0: "n"}}
    written = io.BytesIO()
    with quiet(), torch.inference_mode():
        # Every weight keeps its name: no folding, and no normalisation fused into a convolution.
        torch.onnx.export(
            module,
            args,
            written,  # type: ignore[arg-type]  # files work, and are said to
            opset_version=OPSET,
            dynamo=False,
            do_constant_folding=False,
            training=torch.onnx.TrainingMode.PRESERVE,
            dynamic_axes=axes,
            input_names=list(INPUTS[network]),
            output_names=list(OUTPUTS[network]),
        )
    model = onnx.load_from_string(written.getvalue())
    weights = set(module.state_dict())
    fold_constants(model, keep=weights)
    for tensor in model.graph.initializer:
        if tensor.name in weights:
            for field in ("raw_data", "float_data"):
                tensor.ClearField(field)
            tensor.data_location = onnx.TensorProto.EXTERNAL
            tensor.external_data.add(key="location", value=ELSEWHERE)
    return model


def wanted() -> dict[Path, tuple[Network, Profile]]:
    """What ships, by file."""
    files: dict[Path, tuple[Network, Profile]] = {
        FOLDER / f"{LITE.visual.name}.onnx": ("visual", LITE),
        FOLDER / f"{LITE.audio.name}.onnx": ("audio", LITE),
        FOLDER / f"{FULL.visual.name}.onnx": ("visual", FULL),
    }
    for profile in (LITE, LITE_YAMNET):  # `full` has a head of the same config
        info = read_info(head_path(profile, None))
        name = config_name(info.config.to_dict(), info.members)
        files |= {FOLDER / f"{name}-{network}.onnx": (network, profile) for network in HEADS}
    return files


def main() -> None:
    """Write them all."""
    import onnx

    FOLDER.mkdir(exist_ok=True)
    for path, (network, profile) in wanted().items():
        onnx.save(outlined(build_network(network, profile), network, profile), path)
        print(f"{path.name}: {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
