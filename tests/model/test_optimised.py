"""A graph is optimised once for a machine, opened as it is then, and answers as it did before."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
from avel_live.model.errors import ModelFileError
from avel_live.model.runtime import optimised as module
from avel_live.model.runtime.cache import EngineCache
from avel_live.model.runtime.onnx_engine import open_session
from avel_live.model.runtime.optimised import optimised
from avel_live.model.runtime.probe import machine
from avel_live.model.runtime.select import EngineOptions, load_engine


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    """Convolutions, ReLUs and sums, with numbers in them: something to fuse."""
    from onnx import TensorProto, helper, numpy_helper, save

    make = np.random.default_rng(0)
    nodes, stored, x = [], [], "x"
    for k in range(12):
        stored.append(
            numpy_helper.from_array(make.normal(0, 0.1, (16, 16, 3, 3)).astype(np.float32), f"w{k}")
        )
        nodes += [
            helper.make_node("Conv", [x, f"w{k}"], [f"c{k}"], pads=[1, 1, 1, 1]),
            helper.make_node("Relu", [f"c{k}"], [f"y{k}"]),
        ]
        x = f"y{k}"
    shape = [1, 16, 8, 8]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("x", x)]
    whole = helper.make_graph(nodes, "g", ends[:1], ends[1:], stored)
    save(
        helper.make_model(whole, opset_imports=[helper.make_opsetid("", 18)], ir_version=9),
        tmp_path / "g.onnx",
    )
    return tmp_path / "g.onnx"


def test_it_is_made_once_and_runs_as_it_is(graph: Path, tmp_path: Path) -> None:
    cache = EngineCache(tmp_path / "cache")
    ready = optimised(ort, graph, "g", cache)
    assert ready is not None
    made = ready.stat().st_mtime_ns
    time.sleep(0.01)
    assert optimised(ort, graph, "g", cache) == ready
    assert ready.stat().st_mtime_ns == made
    x = {"x": np.random.default_rng(1).random((1, 16, 8, 8), np.float32)}
    plain, quick = open_session(graph).run(None, x), open_session(ready, ready=True).run(None, x)
    np.testing.assert_array_equal(plain[0], quick[0])
    import onnx

    kinds = {node.op_type for node in onnx.load(ready).graph.node}
    assert "Relu" not in kinds, "each is part of its convolution"


@pytest.mark.parametrize("changed", ["cpu", "features"])
def test_another_cpu_makes_its_own(graph: Path, tmp_path: Path, monkeypatch, changed: str) -> None:
    cache = EngineCache(tmp_path / "cache")
    first = optimised(ort, graph, "g", cache)
    other = {"cpu": "another CPU"} if changed == "cpu" else {"features": frozenset({"asimddp"})}
    there = replace(machine(), **other)
    monkeypatch.setattr(module, "machine", lambda: there)
    second = optimised(ort, graph, "g", cache)
    assert second not in (None, first)


def test_another_version_of_the_runtime_makes_its_own(graph: Path, tmp_path: Path, monkeypatch) -> None:
    cache = EngineCache(tmp_path / "cache")
    first = optimised(ort, graph, "g", cache)
    monkeypatch.setattr(ort, "__version__", "99.0")
    assert optimised(ort, graph, "g", cache) not in (None, first)


def test_a_cache_that_cannot_be_written_costs_time_alone(graph: Path, tmp_path: Path) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("")
    assert optimised(ort, graph, "g", EngineCache(blocker / "cache")) is None


def test_a_file_that_is_no_graph_is_named(tmp_path: Path) -> None:
    (tmp_path / "g.onnx").write_bytes(b"no graph")
    assert optimised(ort, tmp_path / "g.onnx", "g", EngineCache(tmp_path / "cache")) is None
    with pytest.raises(ModelFileError, match="ONNX Runtime can't load it") as caught:
        open_session(tmp_path / "g.onnx")
    assert "\n" not in str(caught.value)


def test_an_engine_keeps_them_and_a_damaged_one_is_made_anew(tmp_path: Path) -> None:
    options = EngineOptions(backend="onnxruntime", precision="fp32", cache_dir=tmp_path, threads=1)
    load_engine(options)
    kept = sorted(tmp_path.glob("*-optimised-*.onnx"))
    assert len(kept) == 4
    good = kept[0].read_bytes()
    kept[0].write_bytes(good[:100])
    load_engine(options)
    assert len(sorted(tmp_path.glob("*-optimised-*.onnx"))[0].read_bytes()) > 100
