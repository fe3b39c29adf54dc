"""Batch normalisation folded into the convolution before it, in an ONNX graph."""

from __future__ import annotations

from typing import Any

import numpy as np

from .constants import drop_unread


def fold_norms(model: Any) -> int:
    """Fold every BatchNormalization that alone reads a Conv with stored weights; in place.

    Args:
        model: an `onnx.ModelProto`.

    Returns:
        how many were folded.

    """
    from onnx import numpy_helper

    graph = model.graph
    stored = {tensor.name: tensor for tensor in graph.initializer}
    made_by = {name: node for node in graph.node for name in node.output}
    readers: dict[str, int] = {}
    for node in graph.node:
        for name in node.input:
            readers[name] = readers.get(name, 0) + 1
    folded = []
    for norm in graph.node:
        conv = made_by.get(norm.input[0]) if norm.op_type == "BatchNormalization" else None
        if conv is None or conv.op_type != "Conv" or readers[conv.output[0]] != 1:
            continue
        if not all(name in stored for name in (*norm.input[1:], *conv.input[1:])):
            continue
        scale, shift, mean, variance = (numpy_helper.to_array(stored[name]) for name in norm.input[1:])
        eps = next((a.f for a in norm.attribute if a.name == "epsilon"), 1e-5)
        factor = scale.astype(np.float64) / np.sqrt(variance.astype(np.float64) + eps)
        weight = numpy_helper.to_array(stored[conv.input[1]])
        before = numpy_helper.to_array(stored[conv.input[2]]) if len(conv.input) > 2 else np.zeros_like(mean)
        names = [f"{conv.input[1]}_folded", f"{conv.input[1]}_shift"]
        values = [weight * factor.reshape(-1, *(1,) * (weight.ndim - 1)), (before - mean) * factor + shift]
        graph.initializer.extend(
            numpy_helper.from_array(value.astype(np.float32), name)
            for value, name in zip(values, names, strict=True)
        )
        del conv.input[1:]
        conv.input.extend(names)
        conv.output[0] = norm.output[0]
        folded.append(norm)
    for norm in folded:
        graph.node.remove(norm)
    if folded:
        drop_unread(graph)
    return len(folded)
