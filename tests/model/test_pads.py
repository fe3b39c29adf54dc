"""Padding folded into convolutions says the same, and only where it may."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
import pytest
from avel_live.model.runtime.pads import fold_pads
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator


def pad_and_conv(
    pads: Sequence[int], *, value: float = 0.0, own: Sequence[int] = (0, 0, 0, 0), twice: bool = False
):
    """Pad, then a 3×3 convolution of stride 2; the padding is computed, as exporters write it."""
    make = np.random.default_rng(0)
    constants = [
        numpy_helper.from_array(np.array(pads[:4], np.int64), "begin"),
        numpy_helper.from_array(np.array(pads[4:], np.int64), "end"),
        numpy_helper.from_array(make.normal(size=(5, 3, 3, 3)).astype(np.float32), "weight"),
    ]
    nodes = [
        helper.make_node("Constant", [], ["value"], value_float=value),
        helper.make_node("Concat", ["begin", "end"], ["sizes"], axis=0),
        helper.make_node("Pad", ["x", "sizes", "value"], ["padded"]),
        helper.make_node("Conv", ["padded", "weight"], ["y"], strides=[2, 2], pads=list(own)),
    ]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, None, None, None])]
    if twice:
        outputs.append(helper.make_tensor_value_info("padded", TensorProto.FLOAT, [None, None, None, None]))
        nodes.append(helper.make_node("Relu", ["padded"], ["also"]))
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 10])]
    graph = helper.make_graph(nodes, "g", inputs, outputs, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])


def answer(model):
    x = np.random.default_rng(1).normal(size=(1, 3, 8, 10)).astype(np.float32)
    return ReferenceEvaluator(model).run(["y"], {"x": x})[0]


@pytest.mark.parametrize("own", [(0, 0, 0, 0), (1, 0, 2, 1)])
def test_uneven_padding_is_folded_and_the_answer_stays(own):
    model = pad_and_conv([0, 0, 0, 1, 0, 0, 1, 2], own=own)
    before = answer(model)
    assert fold_pads(model) == 1
    onnx.checker.check_model(model)
    assert [node.op_type for node in model.graph.node] == ["Conv"]
    np.testing.assert_allclose(answer(model), before, atol=1e-5)


@pytest.mark.parametrize(
    "model",
    [
        pad_and_conv([0, 1, 0, 0, 0, 0, 1, 1]),
        pad_and_conv([0, 0, -1, 0, 0, 0, 0, 0]),
        pad_and_conv([0, 0, 0, 0, 0, 0, 1, 1], value=1.0),
        pad_and_conv([0, 0, 0, 0, 0, 0, 1, 1], twice=True),
    ],
    ids=["of channels", "that cuts", "with ones", "read twice"],
)
def test_other_padding_is_left_alone(model):
    assert fold_pads(model) == 0
    assert "Pad" in [node.op_type for node in model.graph.node]
