"""What TensorRT for RTX refuses is said in one line; what no longer fits is built again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from avel_live.calibration.int8.quantise import Quantiser
from avel_live.model.errors import BackendError
from avel_live.model.runtime import trt_ahead, trt_build, trt_plain
from avel_live.model.runtime.base import EngineOptions
from avel_live.model.runtime.flavours import RTX
from avel_live.model.runtime.graphs import wanted
from avel_live.model.runtime.probe import installed
from avel_live.model.runtime.trt_ahead import MANIFEST
from avel_live.model.runtime.trt_build import build
from avel_live.realtime.commands import main
from onnx import load

pytestmark = pytest.mark.skipif(
    not installed("tensorrt_rtx"), reason="TensorRT for RTX has no wheel for this machine (x86-64 only)"
)


def planted(path: Path) -> Path:
    """A valid graph with an operator that TensorRT for RTX does not take."""
    from onnx import TensorProto, helper, save

    node = helper.make_node("NonZero", ["x"], ["y"])
    ends = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, [4]),
        helper.make_tensor_value_info("y", TensorProto.INT64, [1, "n"]),
    ]
    graph = helper.make_graph([node], "g", ends[:1], ends[1:])
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    return path


def test_an_operator_it_does_not_know_is_one_line(tmp_path: Path) -> None:
    graph = planted(tmp_path / "g.onnx")
    with pytest.raises(BackendError, match=r"g\.onnx") as caught:
        build(RTX, None, graph, capabilities=["sm89"])
    assert "\n" not in str(caught.value)
    graph.write_bytes(b"no graph")
    with pytest.raises(BackendError, match=r"can't read g\.onnx"):
        build(RTX, None, graph, capabilities=["sm89"])


def test_an_engine_in_the_cache_that_no_longer_fits_is_built_again(tmp_path, monkeypatch) -> None:
    """Cut short, foreign, or of another version of the library; the GPU is one that is named."""
    monkeypatch.setattr(trt_build, "capability", lambda: "sm89")
    monkeypatch.setattr(trt_plain, "wanted", lambda profile, options: wanted(profile, options, ["audio"]))
    said: list[str] = []
    told = EngineOptions(cache_dir=tmp_path, progress=said.append)

    def ear() -> Path:
        said.clear()
        return trt_plain.engines(told, "fp16", RTX)["audio"]

    whole = ear().read_bytes()
    assert whole[:4] == b"vtrt"
    assert any("building the TensorRT for RTX engine of audio" in line for line in said)
    ear()
    assert said == []
    for spoilt in (whole[:1000], b"\x7fELF" + whole[4:]):
        ear().write_bytes(spoilt)
        assert ear().read_bytes()[:4] == b"vtrt"
        assert said
    monkeypatch.setattr(type(RTX), "version", "9.9.9.9")
    ear()
    assert said


def test_a_planted_operator_ends_the_command_in_one_line(tmp_path, monkeypatch, capsys) -> None:
    graph = planted(tmp_path / "ear.onnx")
    monkeypatch.setattr(trt_ahead, "graphs_in", lambda *_: {"audio": graph})
    with pytest.raises(SystemExit) as caught:
        main(["compile", "--to", "tensorrt-rtx", "--for", "sm89", "--out", str(tmp_path / "out")])
    assert caught.value.code == 6
    said = capsys.readouterr().err.strip().splitlines()
    assert said[-1].startswith("error: TensorRT for RTX can't ")
    assert "ear.onnx" in said[-1]
    assert "NonZero" in said[-1]
    assert not any("Traceback" in line for line in said)
    assert not (tmp_path / "out" / MANIFEST).exists()


def test_a_build_that_fails_says_what_the_library_said(tmp_path: Path) -> None:
    """Turing has no products in float32."""
    from onnx import TensorProto, helper, numpy_helper, save

    weight = numpy_helper.from_array(np.random.default_rng(0).random((64, 48), np.float32), "w")
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [4, k]) for n, k in (("x", 64), ("y", 48))]
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])], "g", ends[:1], ends[1:], [weight]
    )
    save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9),
        tmp_path / "g.onnx",
    )
    assert build(RTX, None, tmp_path / "g.onnx", capabilities=["sm86"]).data[:4] == b"vtrt"
    with pytest.raises(BackendError, match=r"could not build g\.onnx for sm75: .*SM75.*FP32 GEMM") as caught:
        build(RTX, None, tmp_path / "g.onnx", capabilities=["sm75"])
    assert "\n" not in str(caught.value)


def test_one_number_that_two_additions_share_stays_in_float(tmp_path: Path) -> None:
    """Written in eight bits for one of them it is refused: YAMNet's ear and that of voices add one offset."""
    from onnx import TensorProto, helper, numpy_helper, save

    make = np.random.default_rng(0)
    weight = numpy_helper.from_array(make.random((16, 16), np.float32), "w")
    offset = numpy_helper.from_array(np.float32(0.001), "offset")
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"], "product"),
        helper.make_node("Relu", ["a"], ["b"], "clip"),
        helper.make_node("Add", ["b", "offset"], ["c"], "first"),
        helper.make_node("Log", ["c"], ["d"], "log"),
        helper.make_node("Add", ["d", "offset"], ["y"], "second"),
    ]
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 16]) for n in ("x", "y")]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], [weight, offset])
    path = tmp_path / "g.onnx"
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    seen = [make.random((1, 16), np.float32) for _ in range(4)]
    quantised = Quantiser(path, seen, tmp_path).build(tmp_path / "int8.onnx", "minmax", "tensorrt")
    stored = {tensor.name for tensor in load(quantised).graph.initializer}
    assert "w_quantized" in stored
    assert "offset" in stored
    assert "offset_quantized" not in stored
    assert build(RTX, None, quantised, capabilities=["sm89"]).data[:4] == b"vtrt"
