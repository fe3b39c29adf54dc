"""VGGish (Hershey et al. 2017): a log-mel patch of 0.96 s → 128 numbers, raw and non-negative.

No PCA and no quantisation follow, but the last layer's ReLU stays: so are the published AVE features
(TensorFlow's own code dropped that ReLU in 2020).

Three public forms of the same weights are read:

    form           convolution kernels     the first dense layer sees
    TF-Slim npz    [h, w, in, out]         height, width, channel
    torchvggish    [out, in, h, w]         height, width, channel (it permutes before flattening)
    ours           [out, in, h, w]         height, width, channel

so the grid is flattened channels last here as well, and no dense weight is ever reordered.

Parameters: 72,141,184, of which 67,641,472 in the three dense layers.

An `.npz` from TensorFlow's checkpoint, on a machine that has TensorFlow::

    reader = tf.train.load_checkpoint("vggish_model.ckpt")
    numpy.savez("vggish.npz", **{n: reader.get_tensor(n) for n in reader.get_variable_to_shape_map()
                                 if n.startswith("vggish/")})
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import ModelFileError
from ..formats.arrays import Arrays, file_kind, read_npz, read_safetensors, read_torch
from . import registry

EMBEDDING_DIM: Final = 128
BLOCKS: Final = ((64,), (128,), (256, 256), (512, 512))
"""Channels of the 3×3 convolutions in each block; each block ends in a 2×2 max pooling."""

# Our (and torchvggish's) name → TF-Slim's scope.
TF_SCOPES: Final[dict[str, str]] = {
    "features.0": "vggish/conv1",
    "features.3": "vggish/conv2",
    "features.6": "vggish/conv3/conv3_1",
    "features.8": "vggish/conv3/conv3_2",
    "features.11": "vggish/conv4/conv4_1",
    "features.13": "vggish/conv4/conv4_2",
    "embeddings.0": "vggish/fc1/fc1_1",
    "embeddings.2": "vggish/fc1/fc1_2",
    "embeddings.4": "vggish/fc2",
}


class VGGish(nn.Module):
    """Log-mel patch [N, 96, 64] → embedding [N, 128]."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width = 1
        for block in BLOCKS:
            for channels in block:
                layers += [nn.Conv2d(width, channels, 3, padding=1), nn.ReLU()]
                width = channels
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.embeddings = nn.Sequential(
            nn.Linear(6 * 4 * 512, 4096),
            nn.ReLU(),
            nn.Linear(4096, 4096),
            nn.ReLU(),
            nn.Linear(4096, EMBEDDING_DIM),
        )

    def forward(self, patches: Tensor) -> Tensor:
        """[N, 96, 64] log-mel → [N, 128], non-negative."""
        x = self.features(patches.unsqueeze(1).to(next(self.embeddings.parameters()).dtype))
        x = x.permute(0, 2, 3, 1).flatten(1)  # [N, 512, 6, 4] → height, width, channel, as in TensorFlow
        return F.relu(self.embeddings(x))


def load_arrays(network: VGGish, arrays: Arrays, path: Path) -> None:
    """Put arrays into the network, from TF-Slim names and layout or from torchvggish's.

    Raises:
        ModelFileError: a layer is missing or has another shape.

    """
    slim = any(name.startswith("vggish/") for name in arrays)
    expected = network.state_dict()
    state: dict[str, Tensor] = {}
    for name, scope in TF_SCOPES.items():
        try:
            if slim:
                kernel, bias = arrays[f"{scope}/weights"], arrays[f"{scope}/biases"]
                weight = kernel.transpose(3, 2, 0, 1) if kernel.ndim == 4 else kernel.T
            else:
                weight, bias = arrays[f"{name}.weight"], arrays[f"{name}.bias"]
        except KeyError as error:
            raise ModelFileError(
                f"weights {path}: layer {error.args[0]!r} is missing: not VGGish, or converted by halves"
            ) from error
        for part, value in (("weight", weight), ("bias", bias)):
            want = tuple(expected[f"{name}.{part}"].shape)
            if value.shape != want:
                raise ModelFileError(
                    f"weights {path}: {scope if slim else name} {part}: expected {want}, got {value.shape}"
                )
            state[f"{name}.{part}"] = torch.from_numpy(np.ascontiguousarray(value))
    network.load_state_dict(state, assign=True)


def load_vggish(path: Path | None = None) -> VGGish:
    """The network with its AudioSet weights, in eval mode; `None` fetches them once.

    Raises:
        ModelFileError: missing, damaged, or not VGGish.

    """
    path = path or registry.VGGISH.own()
    kind = file_kind(path)
    if kind == "torch":
        arrays = read_torch(path)
    elif kind == "npz":
        arrays = read_npz(path)
    elif kind == "safetensors":
        arrays = read_safetensors(path)
    else:
        raise ModelFileError(
            f"weights {path}: VGGish is read from torchvggish's .pth, .npz or .safetensors, not .h5"
        )
    with torch.device("meta"):  # no second copy of 288 MB, and no time spent on random numbers
        network = VGGish()
    load_arrays(network, arrays, path)
    return network.eval()
