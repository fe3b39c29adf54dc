"""Zero padding moved from nodes of its own into the convolution behind it, in an ONNX graph.

TensorFlow's "same" padding is uneven at stride 2, which torch's convolutions can't say: they are exported
as Pad, then Conv. ONNX's Conv can say it, and a Pad costs a pass over the picture, and in an INT8 graph
the fusion of everything around it.
"""

from __future__ import annotations

from typing import Any


def fold_pads(model: Any) -> int:
    """Fold every constant zero Pad of height and width that only one Conv reads; in place.

    Args:
        model: an `onnx.ModelProto`.

    Returns:
        how many were folded.

    """
    from onnx import helper, shape_inference

    graph = model.graph
    if all(node.op_type != "Pad" for node in graph.node):
        return 0  # most networks: no shapes to work out
    # Shapes of intermediate values: what `_constant` cuts out must have some.
    inferred = shape_inference.infer_shapes(model)
    made_by = {name: node for node in graph.node for name in node.output}
    folded = []
    for conv in graph.node:
        pad = made_by.get(conv.input[0]) if conv.op_type == "Conv" else None
        if pad is None or pad.op_type != "Pad":
            continue
        if sum(pad.output[0] in node.input for node in graph.node) != 1 or not _adds_zeros(pad, inferred):
            continue
        top_left_bottom_right = _height_and_width(pad, inferred)
        if top_left_bottom_right is None:
            continue
        own = next((a for a in conv.attribute if a.name == "pads"), None)
        before = list(own.ints) if own is not None else [0, 0, 0, 0]
        pads = [a + b for a, b in zip(before, top_left_bottom_right, strict=True)]
        if own is not None:
            conv.attribute.remove(own)
        conv.attribute.append(helper.make_attribute("pads", pads))
        conv.input[0] = pad.input[0]
        folded.append(pad)
    for pad in folded:
        graph.node.remove(pad)
    _drop_unread(graph)
    return len(folded)


def _drop_unread(graph: Any) -> None:
    """Remove what computed the sizes of the padding."""
    while True:
        read = {name for node in graph.node for name in node.input} | {out.name for out in graph.output}
        unread = [node for node in graph.node if not read.intersection(node.output)]
        if not unread:
            return
        for node in unread:
            graph.node.remove(node)


def _adds_zeros(pad: Any, model: Any) -> bool:
    mode = next((a.s for a in pad.attribute if a.name == "mode"), b"constant")
    value = pad.input[2] if len(pad.input) > 2 else ""
    return bool(mode == b"constant" and (not value or float(_constant(model, value)) == 0.0))


def _height_and_width(pad: Any, model: Any) -> list[int] | None:
    """[top, left, bottom, right] of an [N, C, H, W] tensor's padding; None where it pads N or C."""
    sizes = [int(size) for size in _constant(model, pad.input[1])]
    if len(sizes) != 8 or any(sizes[i] for i in (0, 1, 4, 5)) or min(sizes) < 0:
        return None
    return [sizes[2], sizes[3], sizes[6], sizes[7]]


def _constant(model: Any, name: str) -> Any:
    """The value of a tensor that depends on no input."""
    from onnx import numpy_helper
    from onnx.reference import ReferenceEvaluator
    from onnx.utils import Extractor

    if (stored := next((t for t in model.graph.initializer if t.name == name), None)) is not None:
        return numpy_helper.to_array(stored)
    return ReferenceEvaluator(Extractor(model).extract_model([], [name])).run(None, {})[0]
