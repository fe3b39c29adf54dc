"""A classifier of every cell and of their mean is computed once, and says the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from avel_live.model.profiles import get_profile
from avel_live.model.runtime.base import EngineOptions
from avel_live.model.runtime.cache import EngineCache
from avel_live.model.runtime.graphs import ensure, wanted
from avel_live.model.runtime.means import share_classifiers
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

SHAPES = {"cells": ["n", 3, 3, 5], "whole": ["n", 5]}


def asked_twice(
    *, turned: float = 1.0, bias: str = "b", alpha: float = 1.0, of: str = "x"
) -> onnx.ModelProto:
    """Answers of 3×3 cells and of their mean, by MatMul and Add, and by Gemm."""
    make = np.random.default_rng(0)
    weights = make.normal(size=(5, 8)).astype(np.float32)
    stored = [
        numpy_helper.from_array(weights, "w"),
        numpy_helper.from_array(turned * weights.T, "wt"),
        numpy_helper.from_array(make.normal(size=5).astype(np.float32), "b"),
        numpy_helper.from_array(make.normal(size=5).astype(np.float32), "other"),
        numpy_helper.from_array(np.array([1, 2], np.int64), "axes"),
    ]
    nodes = [
        helper.make_node("Relu", ["x"], ["above"]),
        helper.make_node("MatMul", ["x", "wt"], ["product"]),
        helper.make_node("Add", ["b", "product"], ["cells"]),
        helper.make_node("ReduceMean", [of, "axes"], ["mean"], keepdims=0),
        helper.make_node("Gemm", ["mean", "w", bias], ["whole"], transB=1, alpha=alpha),
    ]
    outputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n, shape in SHAPES.items()]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 3, 8])]
    graph = helper.make_graph(nodes, "g", inputs, outputs, stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])


def answers(model: onnx.ModelProto) -> list[np.ndarray]:
    x = np.random.default_rng(1).normal(size=(2, 3, 3, 8)).astype(np.float32)
    return ReferenceEvaluator(model).run(None, {"x": x})


def test_the_mean_of_the_answers_is_the_answer_of_the_mean() -> None:
    model = asked_twice()
    before = answers(model)
    assert share_classifiers(model) == 1
    onnx.checker.check_model(model, full_check=True)
    assert "Gemm" not in {node.op_type for node in model.graph.node}
    assert "w" not in {tensor.name for tensor in model.graph.initializer}
    for was, now in zip(before, answers(model), strict=True):
        np.testing.assert_allclose(now, was, atol=1e-6)


@pytest.mark.parametrize(
    "given",
    [{"turned": 2.0}, {"bias": "other"}, {"alpha": 0.5}, {"of": "above"}],
    ids=["other weights", "another bias", "scaled", "a mean of something else"],
)
def test_what_only_looks_alike_stays(given: dict[str, float]) -> None:
    model = asked_twice(**given)  # type: ignore[arg-type]
    as_it_was = model.SerializeToString()
    assert share_classifiers(model) == 0
    assert model.SerializeToString() == as_it_was


def test_the_eye_that_ships_loses_a_copy_of_its_classifier(tmp_path: Path) -> None:
    options = EngineOptions(profile="lite", cache_dir=tmp_path)
    path = ensure(wanted(get_profile("lite"), options, ("visual",)), EngineCache(tmp_path), None)["visual"]
    model = onnx.load(path)
    assert share_classifiers(model) == 2  # ImageNet's and the probes
    lean = model.SerializeToString()
    assert path.stat().st_size - len(lean) == pytest.approx(1000 * 1280 * 4, rel=0.01)
    frames = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), np.uint8)
    was, now = (
        ort.InferenceSession(graph, providers=["CPUExecutionProvider"]).run(None, {"frames": frames})[0]
        for graph in (str(path), lean)
    )
    np.testing.assert_allclose(now, was, atol=2e-6)
