"""A classifier asked of every cell and of their mean, in an ONNX graph: once, and the mean of its answers.

Torch exports the first as MatMul with the transposed weights, the second as Gemm with the weights as they
are: a runtime then keeps both, laid out anew for each. A linear layer of a mean is the mean of the layer
(with weights W and bias b: mean(x)·Wᵀ + b = mean(x·Wᵀ + b)), so one copy does.
"""

from __future__ import annotations

from typing import Any

from .constants import drop_unread


def share_classifiers(model: Any) -> int:
    """Replace every Gemm of a mean whose layer was computed before it was meant; in place.

    Args:
        model: an `onnx.ModelProto`, its weights inside.

    Returns:
        how many were replaced.

    """
    from onnx import helper

    graph = model.graph
    made_by = {name: node for node in graph.node for name in node.output}
    stored = {tensor.name: tensor for tensor in graph.initializer}
    earlier: list[Any] = []
    replaced = []
    for gemm in graph.node:
        earlier.append(gemm)
        mean = made_by.get(gemm.input[0]) if _is_linear(gemm) else None
        if mean is None or mean.op_type != "ReduceMean":
            continue
        layer = next((add for add in earlier if _same_layer(add, mean.input[0], gemm, made_by, stored)), None)
        if layer is not None:
            answers = helper.make_node(
                "ReduceMean", [layer.output[0], *mean.input[1:]], gemm.output, name=f"{gemm.name}/mean"
            )
            answers.attribute.extend(mean.attribute)
            replaced.append((gemm, answers))
    for gemm, answers in replaced:
        graph.node.insert(list(graph.node).index(gemm), answers)
        graph.node.remove(gemm)
    if replaced:
        drop_unread(graph)
    return len(replaced)


def _is_linear(node: Any) -> bool:
    """A Gemm that is x·Wᵀ + b."""
    if node.op_type != "Gemm" or len(node.input) != 3:
        return False
    said = {a.name: a.f if a.name in ("alpha", "beta") else a.i for a in node.attribute}
    return (
        said.get("transB") == 1
        and not said.get("transA")
        and said.get("alpha", 1) == said.get("beta", 1) == 1
    )


def _same_layer(add: Any, cells: str, gemm: Any, made_by: dict[str, Any], stored: dict[str, Any]) -> bool:
    """Whether an Add ends the layer that `gemm` is, computed of `cells`."""
    import numpy as np
    from onnx import numpy_helper

    weights, bias = gemm.input[1:]
    if add.op_type != "Add" or bias not in add.input:
        return False
    product = made_by.get(next((name for name in add.input if name != bias), ""))
    if product is None or product.op_type != "MatMul" or product.input[0] != cells:
        return False
    turned = product.input[1]
    if weights not in stored or turned not in stored:
        return False
    one, other = numpy_helper.to_array(stored[turned]), numpy_helper.to_array(stored[weights]).T
    return bool(np.array_equal(one, other))
