"""The layers of an eight-bit TFLite network, in order, laid out for torch. Read with the package `tflite`."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelFileError

_MAGIC: Final = b"TFL3"


class Layer(NamedTuple):
    """A convolution or a matrix, batch normalisation folded in."""

    weight: NDArray[np.int8]
    """[out, in, height, width] (depthwise: [out, 1, height, width]), or [out, in]."""
    scale: NDArray[np.float32]
    """Of each output channel, or one for all: as `weight` is, but 1 long in all other dimensions."""
    bias: NDArray[np.float32]
    """[out]."""

    def values(self) -> NDArray[np.float32]:
        """The weights as float32."""
        return self.weight * self.scale


def read_layers(blob: bytes, what: str) -> list[Layer]:
    """Every convolution and every matrix of a network's graph.

    Args:
        blob: the contents of a `.tflite` file.
        what: it holds, for messages.

    Raises:
        ModelFileError: not such a file, or the `tflite` package is absent.

    """
    try:
        import tflite
    except ImportError as error:
        raise ModelFileError(
            f"{what} need the small package `tflite` to be read; "
            "install it with `pip install 'avel-live[yamnet]'`"
        ) from error
    if blob[4:8] != _MAGIC:
        raise ModelFileError(f"{what}: expected a .tflite file, got something else; take the file again")
    orders = {
        tflite.BuiltinOperator.CONV_2D: (0, 3, 1, 2),
        tflite.BuiltinOperator.DEPTHWISE_CONV_2D: (3, 0, 1, 2),
        tflite.BuiltinOperator.FULLY_CONNECTED: (0, 1),
    }
    model = tflite.Model.GetRootAs(blob, 0)
    graph = model.Subgraphs(0)
    found: list[Layer] = []
    for number in range(graph.OperatorsLength()):
        operator = graph.Operators(number)
        entry = model.OperatorCodes(operator.OpcodeIndex())
        # Old files keep the operator's code in the field that later ones call deprecated.
        order = orders.get(max(entry.BuiltinCode(), entry.DeprecatedBuiltinCode()))
        if order is None:
            continue
        weight, scale = _constant(model, graph.Tensors(operator.Inputs(1)), np.int8)
        bias, step = _constant(model, graph.Tensors(operator.Inputs(2)), np.int32)
        weight = np.ascontiguousarray(weight.transpose(order))
        scale = scale.reshape(-1, *(1,) * (weight.ndim - 1))
        found.append(Layer(weight, scale, (bias.astype(np.float64) * step).astype(np.float32)))
    return found


def _constant(model: Any, tensor: Any, dtype: type[np.generic]) -> tuple[NDArray[Any], NDArray[np.float32]]:
    """A stored tensor and its scales: one, or one for each output channel; its zero points are 0."""
    values = np.frombuffer(model.Buffers(tensor.Buffer()).DataAsNumpy().tobytes(), dtype)
    return values.reshape(tensor.ShapeAsNumpy()), np.array(tensor.Quantization().ScaleAsNumpy())
