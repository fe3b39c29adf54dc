"""How the weights of an INT8 graph lie in its file: once each, and large ones in less than float32.

Only the file changes: plain nodes make float32 again, once, when the runtime loads the graph.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

LARGE: Final = 250_000
"""Values from which a float weight is packed."""
_SAME: Final = 0.51
"""Of a step: what rounding may have changed."""


def store_once(model: Any) -> None:
    """Let what a graph holds twice be read from one place, in place.

    Equal constants become one. Where a matrix multiplies in eight bits in one place and, turned, in float in
    another, as a classifier of cells and of the whole picture, the latter reads the eight bits too.
    """
    graph = model.graph
    kept: dict[tuple[Any, ...], str] = {}
    same: dict[str, str] = {}
    for tensor in list(graph.initializer):
        if np.prod(tensor.dims) < 2:
            continue
        values = numpy_helper.to_array(tensor)
        key = (tensor.data_type, values.shape, values.tobytes())
        if (first := kept.setdefault(key, tensor.name)) != tensor.name:
            same[tensor.name] = first
            graph.initializer.remove(tensor)
    for node in graph.node:
        node.input[:] = [same.get(name, name) for name in node.input]

    held = {tensor.name: tensor for tensor in graph.initializer}
    for gemm in [node for node in graph.node if node.op_type == "Gemm" and node.input[1] in held]:
        turned = next((a for a in gemm.attribute if a.name == "transB" and a.i), None)
        weight = held[gemm.input[1]]
        if turned is None or weight.data_type != TensorProto.FLOAT or np.prod(weight.dims) < LARGE:
            continue
        found = _in_eight_bits(graph, held, numpy_helper.to_array(weight).T)
        if found is None:
            continue
        name = f"{weight.name}/turned"
        _widen(graph, found[0], found[1], name)
        gemm.input[1] = name
        gemm.attribute.remove(turned)
        graph.initializer.remove(weight)


def pack_large_weights(model: Any) -> None:
    """Store large float32 weights in less, in place: matrices in 8 bits a value with a scale a row or column
    of outputs, kernels in float16.

    A classifier that stays in float would be half of the file.
    """
    graph = model.graph
    readers = {name: node for node in graph.node for name in node.input}
    for tensor in [t for t in graph.initializer if t.data_type == TensorProto.FLOAT]:
        if int(np.prod(tensor.dims)) < LARGE:
            continue
        values, name = numpy_helper.to_array(tensor), tensor.name
        graph.initializer.remove(tensor)
        if values.ndim == 2:
            rows = any(a.name == "transB" and a.i for a in readers[name].attribute)
            scale = np.abs(values).max(axis=1 if rows else 0, keepdims=True) / 127 + np.float32(1e-12)
            packed = np.round(values / scale).astype(np.int8)
            graph.initializer.append(numpy_helper.from_array(scale.astype(np.float32), f"{name}/scale"))
            _widen(graph, f"{name}/packed", f"{name}/scale", name)
        else:
            packed = values.astype(np.float16)
            cast = helper.make_node("Cast", [f"{name}/packed"], [name], to=TensorProto.FLOAT)
            graph.node.insert(0, cast)
        graph.initializer.append(numpy_helper.from_array(packed, f"{name}/packed"))


def _in_eight_bits(graph: Any, held: dict[str, Any], matrix: NDArray[np.float32]) -> tuple[str, str] | None:
    """Names of the eight bits of this matrix and of the scales of its columns, where the graph holds them."""
    for node in graph.node:
        if node.op_type != "DequantizeLinear" or node.input[0] not in held:
            continue
        values = numpy_helper.to_array(held[node.input[0]])
        scale = numpy_helper.to_array(held[node.input[1]])
        if values.dtype != np.int8 or values.shape != matrix.shape or scale.shape != matrix.shape[1:]:
            continue
        if (np.abs(values * scale - matrix) <= _SAME * scale).all():
            return node.input[0], node.input[1]
    return None


def _widen(graph: Any, bits: str, scale: str, name: str) -> None:
    """Nodes at the graph's beginning that make float32 of eight bits."""
    nodes = (
        helper.make_node("Cast", [bits], [f"{name}/wide"], to=TensorProto.FLOAT),
        helper.make_node("Mul", [f"{name}/wide", scale], [name]),
    )
    for node in reversed(nodes):
        graph.node.insert(0, node)
