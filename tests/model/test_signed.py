"""INT8 for TensorRT without a calibration of one's own: the package's graph for CPUs, in signed steps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from avel_live.model.errors import BackendError
from avel_live.model.profiles import get_profile
from avel_live.model.runtime import int8_graphs
from avel_live.model.runtime.base import EngineOptions
from avel_live.model.runtime.cache import EngineCache
from avel_live.model.runtime.flavours import RTX
from avel_live.model.runtime.int8_graphs import find_int8
from avel_live.model.runtime.onnx_engine import open_session
from avel_live.model.runtime.precisions import graphs_in
from avel_live.model.runtime.probe import installed
from avel_live.model.runtime.signed import find_signed, to_signed
from avel_live.model.runtime.trt_build import Batch, build
from onnx import TensorProto, helper, numpy_helper
from support.engines import pictures
from support.rtx import GPUS


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> EngineOptions:
    return EngineOptions(cache_dir=tmp_path_factory.mktemp("cache"))


def pair(step: float, zero: int) -> onnx.ModelProto:
    """x → eight unsigned bits → y."""
    stored = [
        numpy_helper.from_array(np.float32(step), "step"),
        numpy_helper.from_array(np.uint8(zero), "zero"),
    ]
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "step", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "step", "zero"], ["y"]),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None]) for name in ("x", "y")]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


@pytest.mark.parametrize(("step", "zero"), [(0.02, 0), (0.05, 128), (0.01, 90), (0.1, 255)])
def test_a_range_is_kept_and_cut_where_it_was(step: float, zero: int, tmp_path: Path) -> None:
    model, path = pair(step, zero), tmp_path / "g.onnx"
    assert to_signed(model) == 1
    onnx.checker.check_model(model)
    onnx.save(model, path)
    x = np.linspace(-30, 30, 4001, dtype=np.float32)
    (y,) = open_session(path, exact=True).run(None, {"x": x})
    lowest, highest = -zero * step, (255 - zero) * step
    new = max(-lowest, highest) / 127
    inside = (x >= lowest) & (x <= highest)
    assert np.abs(y - x)[inside].max() <= 0.5001 * new
    assert np.allclose(y / new, np.round(y / new), atol=1e-3)
    if zero == 0:  # uint8 did what a ReLU had done
        assert (y >= 0).all()
        assert np.allclose(y[x > highest], highest, atol=new / 2)


def test_the_package_s_eye_has_no_unsigned_bits_and_is_near_float32(options) -> None:
    whole, eight = (graphs_in(options, precision, ["visual"])["visual"] for precision in ("fp32", "int8"))
    graph = onnx.load(eight).graph
    kinds = {tensor.data_type for tensor in graph.initializer}
    assert TensorProto.INT8 in kinds
    assert not kinds & {TensorProto.UINT8, TensorProto.INT32, TensorProto.FLOAT16}
    seen = pictures(3, seed=5)
    a, b = (open_session(path, exact=True).run(None, {"frames": seen})[0] for path in (whole, eight))
    assert 0 < np.linalg.norm(a - b) < 0.15 * np.linalg.norm(a)


@pytest.mark.skipif(
    not installed("tensorrt_rtx"), reason="TensorRT for RTX has no wheel for this machine (x86-64 only)"
)
def test_the_package_s_eye_is_built_for_three_gpus(options) -> None:
    (path,) = graphs_in(options, "int8", ["visual"]).values()
    plan = build(RTX, Batch.of("visual", get_profile("lite")), path, None, GPUS)
    assert plan.data[:4] == b"vtrt"
    assert len(plan.data) < 20e6


def test_without_any_calibration_the_way_to_one_is_said(options, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(int8_graphs, "shipped_folder", lambda profile: tmp_path)
    with pytest.raises(BackendError, match=r"no INT8 calibration that fits.*avel calibrate int8"):
        graphs_in(options, "int8", ["visual"])


def test_an_eye_that_ships_without_one_says_so_for_every_target(tmp_path: Path) -> None:
    options = EngineOptions("full", cache_dir=tmp_path)
    words = r"profile 'full' has no INT8 .*; make one with `avel calibrate int8 --profile full CLIP…`"
    for asked in (
        lambda: find_int8(get_profile("full"), options, "cpu"),
        lambda: find_signed(get_profile("full"), options, EngineCache(tmp_path)),
    ):
        with pytest.raises(BackendError, match=words) as caught:
            asked()
        assert "\n" not in str(caught.value)
