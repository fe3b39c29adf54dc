"""A float32 ONNX graph rewritten to compute in float16; inputs and outputs stay as they are.

Products (Conv, Gemm, MatMul) and what lies between them go to 16 bits. Kept in 32 bits are normalisations,
softmax, sums and means, since their ranges or their many small addends do not fit, and whatever follows the
last product: an evidence network ends in logarithms of tiny probabilities.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from .constants import drop_unread

WIDE: Final = frozenset(
    {
        "LayerNormalization",
        "Softmax",
        "ReduceSum",
        "ReduceMean",
        "Log",
        "Exp",
        "Pow",
        "Sqrt",
        "Reciprocal",
        "Div",
        "QuantizeLinear",
        "DequantizeLinear",
    }
)
"""Operations that stay in 32 bits."""
_LARGEST: Final = 65504.0


def to_half(model: Any) -> int:
    """Rewrite; in place.

    Args:
        model: an `onnx.ModelProto` whose every value has a known type after inference.

    Returns:
        how many nodes compute in 16 bits.

    Raises:
        ValueError: a weight is too large for 16 bits.

    """
    from onnx import TensorProto, helper, numpy_helper, shape_inference

    graph = model.graph
    inferred = shape_inference.infer_shapes(model, data_prop=True).graph
    kinds = {
        v.name: v.type.tensor_type.elem_type for v in (*inferred.value_info, *graph.input, *graph.output)
    }
    kinds |= {tensor.name: tensor.data_type for tensor in graph.initializer}
    narrow = _narrow(graph, kinds)
    stored = {tensor.name: tensor for tensor in graph.initializer}
    made: dict[tuple[str, int], str] = {}
    half_of = {name for node in graph.node if node.output[0] in narrow for name in node.output}
    nodes: list[Any] = []
    weights: list[Any] = []

    def as_kind(name: str, kind: int) -> str:
        """The value in that precision, cast or stored once."""
        if not name or kinds.get(name) != TensorProto.FLOAT:
            return name
        now = TensorProto.FLOAT16 if name in half_of else TensorProto.FLOAT
        if now == kind:
            return name
        if (name, kind) not in made:
            made[name, kind] = other = f"{name}_{'half' if kind == TensorProto.FLOAT16 else 'float'}"
            if name in stored:
                value = numpy_helper.to_array(stored[name])
                if value.size and float(np.abs(value).max()) > _LARGEST:
                    raise ValueError(f"{name}: too large for 16 bits")
                weights.append(numpy_helper.from_array(value.astype(np.float16), other))
            else:
                nodes.append(helper.make_node("Cast", [name], [other], to=kind, name=f"cast_{other}"))
        return made[name, kind]

    for node in list(graph.node):
        kind = TensorProto.FLOAT16 if node.output[0] in narrow else TensorProto.FLOAT
        if node.op_type == "Cast":
            to = next(a for a in node.attribute if a.name == "to")
            if node.output[0] in narrow:
                to.i = TensorProto.FLOAT16
            else:
                for at, name in enumerate(node.input):
                    node.input[at] = as_kind(name, TensorProto.FLOAT)
        else:
            for at, name in enumerate(node.input):
                node.input[at] = as_kind(name, kind)
        nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)
    graph.initializer.extend(weights)
    drop_unread(graph)
    del graph.value_info[:]
    return len(narrow)


def _narrow(graph: Any, kinds: dict[str, int]) -> set[str]:
    """The nodes that go to 16 bits, by their first output: not wide ones, nor what leads to no product."""
    from onnx import TensorProto

    products = {"Conv", "Gemm", "MatMul"}
    leads: set[str] = set()
    """Values that some product still reads, now or later."""
    chosen: set[str] = set()
    outputs = {out.name for out in graph.output}
    for node in reversed(graph.node):
        before_product = bool(leads.intersection(node.output))
        if node.op_type in products or before_product:
            leads.update(node.input)
        makes_floats = any(kinds.get(name) == TensorProto.FLOAT for name in node.output)
        if (
            makes_floats
            and node.op_type not in WIDE
            and (before_product or node.op_type in products)
            and not outputs.intersection(node.output)
        ):
            chosen.add(node.output[0])
    return chosen
