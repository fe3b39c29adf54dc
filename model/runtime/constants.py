"""What a graph computes from no input, computed once and for all, when it is exported.

Exporters spell out sizes that are known long before: `Shape`, a `Slice` of it, a `Concat`, then the `Reshape`
that wanted them. A runtime with an optimiser removes most of that at every start; a compiler such as TensorRT
makes a layer of each.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

_BY_CHANCE = (
    "RandomNormal",
    "RandomUniform",
    "RandomNormalLike",
    "RandomUniformLike",
    "Bernoulli",
    "Multinomial",
)


def fold_constants(model: Any, keep: Collection[str] = ()) -> int:
    """Compute what depends on no input, sizes included where they are fixed; in place.

    Args:
        model: an `onnx.ModelProto`; graphs within nodes (`If`, `Loop`) stay as they are.
        keep: stored values that are to be taken for unknown.

    Returns:
        how many nodes went.

    """
    before = len(model.graph.node)
    while _fold_once(model, keep):
        pass
    _drop_aliases(model.graph)
    _drop_gone(model.graph)
    return before - len(model.graph.node)


def _fold_once(model: Any, keep: Collection[str]) -> int:
    """One walk through the graph; a size that follows from another one found now may take another walk."""
    from onnx import numpy_helper, shape_inference
    from onnx.reference import ReferenceEvaluator

    graph = model.graph
    sizes = _sizes(shape_inference.infer_shapes(model, data_prop=True).graph)
    known: dict[str, Array] = {
        tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer if tensor.name not in keep
    }
    kept, made = [], []
    for node in graph.node:
        values: list[Array] | None = None
        if node.op_type == "Shape" and node.input[0] in sizes:
            values = [_shape(node, sizes[node.input[0]])]
        elif (
            all(name in known for name in node.input if name)
            and node.op_type not in _BY_CHANCE
            and not any(a.HasField("g") or a.graphs for a in node.attribute)
        ):
            given = {name: known[name] for name in node.input if name}
            opsets = {entry.domain: entry.version for entry in model.opset_import}
            values = ReferenceEvaluator(node, opsets=opsets).run(None, given)
        if values is None:
            kept.append(node)
            continue
        for name, value in zip(node.output, values, strict=True):
            known[name] = np.asarray(value)
            made.append(name)
    graph.initializer.extend(
        numpy_helper.from_array(np.ascontiguousarray(known[name]).reshape(known[name].shape), name)
        for name in made
    )
    folded = len(graph.node) - len(kept)
    del graph.node[:]
    graph.node.extend(kept)
    return folded


def _sizes(graph: Any) -> dict[str, list[int]]:
    """Shapes of the values whose every size is fixed."""
    found = {}
    for value in (*graph.input, *graph.value_info, *graph.output):
        kind = value.type.tensor_type
        if kind.HasField("shape") and all(d.HasField("dim_value") for d in kind.shape.dim):
            found[value.name] = [int(d.dim_value) for d in kind.shape.dim]
    return found


def _shape(node: Any, size: list[int]) -> Array:
    ends = {a.name: int(a.i) for a in node.attribute}
    return np.array(size[ends.get("start", 0) : ends.get("end", len(size))], np.int64)


def _drop_aliases(graph: Any) -> None:
    """Remove `Identity` nodes, but those that name an output."""
    outputs = {out.name for out in graph.output}
    other: dict[str, str] = {}
    kept = []
    for node in graph.node:
        for at, name in enumerate(node.input):
            node.input[at] = other.get(name, name)
        if node.op_type == "Identity" and node.output[0] not in outputs:
            other[node.output[0]] = node.input[0]
        else:
            kept.append(node)
    del graph.node[:]
    graph.node.extend(kept)


def drop_unread(graph: Any) -> None:
    """Remove stored values that nobody reads."""
    read = {name for node in graph.node for name in node.input} | {out.name for out in graph.output}
    stored = [tensor for tensor in graph.initializer if tensor.name in read]
    del graph.initializer[:]
    graph.initializer.extend(stored)


def _drop_gone(graph: Any) -> None:
    """Remove stored values that nobody reads, and what was noted of values that are gone."""
    drop_unread(graph)
    made = {name for node in graph.node for name in node.output}
    noted = [value for value in graph.value_info if value.name in made]
    del graph.value_info[:]
    graph.value_info.extend(noted)
