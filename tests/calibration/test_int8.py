"""INT8: a fair sample, valid graphs for both targets, an honest account, and a refusal that holds."""

import json

import numpy as np
import onnx
import pytest
from avel_live.calibration.int8 import Int8Result, Int8Settings, calibrate, split
from avel_live.calibration.int8.install import install
from avel_live.calibration.int8.quantise import METHODS, Quantiser, check
from avel_live.calibration.int8.report import Cost, answers, compare, thinned
from avel_live.calibration.int8.samples import Reservoir, Second
from avel_live.calibration.int8.search import _Search
from avel_live.calibration.int8.weights import pack_large_weights, store_once
from avel_live.model.errors import BackendError, ModelFileError
from avel_live.model.profiles import get_profile
from avel_live.model.runtime import int8_graphs
from avel_live.model.runtime.base import EngineOptions, HeadOutput
from avel_live.model.runtime.flavours import RTX
from avel_live.model.runtime.graph import weights_digest
from avel_live.model.runtime.int8_graphs import TARGETS, find_int8, installed_folder
from avel_live.model.runtime.networks import network_files
from avel_live.model.runtime.onnx_engine import OnnxEngine, open_session
from avel_live.model.runtime.precisions import graphs_in
from avel_live.model.runtime.probe import Machine, installed
from avel_live.model.runtime.trt_ahead import build_ahead
from onnx import TensorProto, helper, numpy_helper
from support.engines import confident_head, pictures, sounds


def _second(brightness: float, label=None, frames=2, level=0.1) -> Second:
    picture = np.full((frames, 224, 224, 3), brightness, np.uint8)
    return Second(picture, np.full(16_000, level, np.float32), label)


# The reservoir ------------------------------------------------------------------------------------


def test_a_reservoir_keeps_at_most_its_size_and_no_twins():
    reservoir = Reservoir(8)
    for _ in range(50):
        reservoir.add(_second(100))
    assert (len(reservoir), reservoir.seen, reservoir.unlike) == (1, 50, 1)
    reservoir.add(_second(100, level=0.5))
    assert len(reservoir) == 2, "the same picture with another sound is another second"
    reservoir.extend(_second(b) for b in range(0, 250, 10))
    assert len(reservoir) == 8


def test_every_unlike_second_has_the_same_chance():
    kept = np.zeros(20)
    stream = [_second(12 * k, label=k, frames=1) for k in range(20)]
    for seed in range(300):
        reservoir = Reservoir(5, seed)
        reservoir.extend(stream)
        for second in reservoir:
            kept[second.label] += 1
    share = kept / 300
    assert abs(share.mean() - 0.25) < 1e-9
    assert share.min() > 0.15
    assert share.max() < 0.35


def test_a_reservoir_is_repeatable_and_checks_its_size():
    def labels(seed):
        reservoir = Reservoir(4, seed)
        reservoir.extend(_second(12 * k, label=k) for k in range(20))
        return [second.label for second in reservoir]

    assert labels(1) == labels(1)
    assert labels(1) != labels(2)
    with pytest.raises(ValueError, match="at least one"):
        Reservoir(0)


def test_held_out_seconds_are_not_calibrated_on():
    streams = [[_second(20 * s + 3 * k, label=100 * s + k) for k in range(4)] for s in range(6)]
    reservoir, held = split(streams, Int8Settings(size=100))
    checked = {second.label for stream in held for second in stream}
    assert checked == {200, 201, 202, 203, 500, 501, 502, 503}
    assert not checked & {second.label for second in reservoir}


def test_one_stream_alone_gives_its_last_third_to_the_check():
    stream = [_second(8 * k, label=k) for k in range(30)]
    reservoir, held = split([stream], Int8Settings(size=100))
    assert [second.label for second in held[0]] == list(range(20, 30))
    assert max(second.label for second in reservoir) < 20


def test_too_little_material_says_so():
    with pytest.raises(ModelFileError, match="at least 3 seconds"):
        split([[_second(3)]], Int8Settings())
    with pytest.raises(ModelFileError, match="at least 3 seconds"):
        split([], Int8Settings())


# Quantising a small network -----------------------------------------------------------------------


def _small_network(path):
    """Bytes in, two convolutions, then classes: probabilities are worked on at the end."""
    make = np.random.default_rng(0)

    def weights(name, *shape):
        return numpy_helper.from_array(make.normal(0, 0.3, shape).astype(np.float32), name)

    constants = [
        weights("w1", 8, 3, 3, 3),
        weights("w2", 8, 8, 3, 3),
        weights("w3", 8, 5),
        weights("w4", 5, 4),
        numpy_helper.from_array(np.float32(1 / 128), "scale"),
    ]
    nodes = [
        helper.make_node("Cast", ["frames"], ["float"], "cast", to=TensorProto.FLOAT),
        helper.make_node("Mul", ["float", "scale"], ["scaled"], "scaling"),
        helper.make_node("Transpose", ["scaled"], ["planes"], "planes", perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["planes", "w1"], ["c1"], "/first/Conv", strides=[4, 4]),
        helper.make_node("Relu", ["c1"], ["r1"], "/first/Relu"),
        helper.make_node("Conv", ["r1", "w2"], ["c2"], "/second/Conv", strides=[4, 4]),
        helper.make_node("Relu", ["c2"], ["r2"], "/second/Relu"),
        helper.make_node("GlobalAveragePool", ["r2"], ["pooled"], "/pool"),
        helper.make_node("Flatten", ["pooled"], ["flat"], "/flat"),
        helper.make_node("MatMul", ["flat", "w3"], ["classes"], "/classes/MatMul"),
        helper.make_node("Softmax", ["classes"], ["p"], "/softmax"),
        helper.make_node("MatMul", ["p", "w4"], ["out"], "/concepts/MatMul"),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("frames", TensorProto.UINT8, ["n", 224, 224, 3])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["n", 4])],
        constants,
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    return path


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("small")
    path = _small_network(folder / "small.onnx")
    return path, Quantiser(path, [frame[None] for frame in pictures(8)], folder)


def _ops(path):
    return [node.op_type for node in onnx.load(path).graph.node]


def test_layers_are_named_and_what_is_pooled_or_a_probability_is_left_alone(small):
    _, quantiser = small
    assert list(quantiser.groups) == ["first", "second"]
    assert quantiser.groups["first"] == ["/first/Conv", "/first/Relu"]


def test_large_float_weights_are_packed_and_say_the_same(tmp_path):
    make = np.random.default_rng(0)
    tall, wide = (make.normal(0, 0.03, shape).astype(np.float32) for shape in ((600, 500), (500, 600)))
    kernel = make.normal(0, 0.03, (300, 1, 1, 900)).astype(np.float32)
    nodes = [
        helper.make_node("MatMul", ["x", "tall"], ["a"]),
        helper.make_node("Gemm", ["x", "wide"], ["b"], transB=1),
        helper.make_node("Conv", ["picture", "kernel"], ["c"]),
    ]
    f32 = TensorProto.FLOAT
    shapes_in = {"x": ["n", 600], "picture": [1, 1, 1, 900]}
    shapes_out = {"a": ["n", 500], "b": ["n", 500], "c": [1, 300, 1, 1]}
    stored = {"tall": tall, "wide": wide, "kernel": kernel, "small": np.zeros(3, np.float32)}
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "g",
            [helper.make_tensor_value_info(name, f32, shape) for name, shape in shapes_in.items()],
            [helper.make_tensor_value_info(name, f32, shape) for name, shape in shapes_out.items()],
            [numpy_helper.from_array(value, name) for name, value in stored.items()],
        ),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=9,
    )
    pack_large_weights(model)
    path = check(_saved(model, tmp_path / "packed.onnx"))
    assert path.stat().st_size < 0.26 * (tall.nbytes + wide.nbytes) + 0.51 * kernel.nbytes + 10_000
    x = make.normal(size=(4, 600)).astype(np.float32)
    picture = make.normal(size=(1, 1, 1, 900)).astype(np.float32)
    a, b, c = open_session(path).run(None, {"x": x, "picture": picture})
    for got, exact in ((a, x @ tall), (b, x @ wide.T)):
        assert np.linalg.norm(got - exact) < 0.01 * np.linalg.norm(exact)
    np.testing.assert_allclose(c.ravel(), kernel.reshape(300, 900) @ picture.ravel(), atol=2e-3)


def test_a_matrix_that_is_read_in_eight_bits_and_turned_in_float_is_stored_once(tmp_path):
    make = np.random.default_rng(1)
    matrix = make.normal(0, 0.03, (600, 500)).astype(np.float32)
    scale = np.abs(matrix).max(axis=0) / 127
    other = make.normal(0, 0.03, (500, 600)).astype(np.float32)
    nodes = [
        helper.make_node("DequantizeLinear", ["bits", "scale", "zero"], ["wide"], axis=1),
        helper.make_node("MatMul", ["x", "wide"], ["a"]),
        helper.make_node("Gemm", ["x", "turned"], ["b"], transB=1),
        helper.make_node("Gemm", ["x", "other"], ["c"], transB=1),
        helper.make_node("Mul", ["a", "once"], ["d"]),
        helper.make_node("Mul", ["b", "again"], ["e"]),
    ]
    stored = {
        "bits": np.round(matrix / scale).astype(np.int8),
        "scale": scale,
        "zero": np.zeros(500, np.int8),
        "turned": np.ascontiguousarray(matrix.T),
        "other": other,
        "once": np.arange(500, dtype=np.float32),
        "again": np.arange(500, dtype=np.float32),
    }
    f32 = TensorProto.FLOAT
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "g",
            [helper.make_tensor_value_info("x", f32, ["n", 600])],
            [helper.make_tensor_value_info(name, f32, ["n", 500]) for name in "cde"],
            [numpy_helper.from_array(value, name) for name, value in stored.items()],
        ),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=9,
    )
    x = make.normal(size=(4, 600)).astype(np.float32)
    before = open_session(check(_saved(model, tmp_path / "twice.onnx"))).run(None, {"x": x})
    store_once(model)
    names = {tensor.name for tensor in model.graph.initializer}
    assert names == {"bits", "scale", "zero", "other", "once"}
    after = open_session(check(_saved(model, tmp_path / "once.onnx"))).run(None, {"x": x})
    np.testing.assert_array_equal(after[0], before[0])
    for got, exact in zip(after[1:], before[1:], strict=True):
        assert np.linalg.norm(got - exact) < 0.01 * np.linalg.norm(exact)


def _saved(model, path):
    onnx.save(model, path)
    return path


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("target", TARGETS)
def test_quantised_graphs_are_valid_and_near(small, tmp_path, method, target):
    path, quantiser = small
    quantised = quantiser.build(tmp_path / "q.onnx", method, target)
    model = onnx.load(quantised)
    frames = pictures(4, seed=3)
    expected, got = (open_session(p, exact=True).run(None, {"frames": frames})[0] for p in (path, quantised))
    assert np.linalg.norm(got - expected) / np.linalg.norm(expected) < 0.1
    assert not np.array_equal(got, expected)
    zero_points = {
        name.name: numpy_helper.to_array(name)
        for name in model.graph.initializer
        if name.name.endswith("zero_point") and name.data_type in (TensorProto.INT8, TensorProto.UINT8)
    }
    activations = {k: v for k, v in zero_points.items() if v.ndim == 0 or v.size == 1}
    if target == "tensorrt":
        assert all(v.dtype == np.int8 and not v.any() for v in zero_points.values()), "symmetric throughout"
    else:
        assert any(v.dtype == np.uint8 for v in activations.values())
    concepts = next(node for node in model.graph.node if node.name == "/concepts/MatMul")
    assert concepts.input[0] == "p", "what works on probabilities stays in float"


def test_kept_layers_stay_in_float(small, tmp_path):
    _, quantiser = small
    everything = quantiser.build(tmp_path / "all.onnx", "minmax", "cpu")
    less = quantiser.build(tmp_path / "less.onnx", "minmax", "cpu", keep=["first"])
    alone = quantiser.build(tmp_path / "one.onnx", "minmax", "cpu", only=["second"])
    assert _ops(everything).count("QuantizeLinear") > _ops(less).count("QuantizeLinear")
    first = next(node for node in onnx.load(alone).graph.node if node.name == "/first/Conv")
    assert first.input[1] == "w1"


def test_seven_bit_weights_use_seven_bits(small, tmp_path):
    _, quantiser = small

    def most(seven):
        path = quantiser.build(tmp_path / "w.onnx", "minmax", "cpu", seven_bits=seven)
        arrays = [numpy_helper.to_array(i) for i in onnx.load(path).graph.initializer]
        return max(int(np.abs(a.astype(int)).max()) for a in arrays if a.dtype == np.int8 and a.size > 20)

    assert most(False) > 64
    assert most(True) <= 64


# The account --------------------------------------------------------------------------------------


class _Fake:
    """Features that are the mean colour, labels that follow it."""

    def __init__(self, shift: float = 0.0) -> None:
        self.shift = shift

    def visual(self, frames):
        return (
            np.tile(frames.mean(axis=(1, 2))[:, None, None, :], (1, 7, 7, 1)).astype(np.float32) + self.shift
        )

    def audio(self, samples):
        return samples[:4]

    def head(self, visual, audio, seen, heard):
        colour = visual.mean(axis=(1, 2, 3)) / 255
        logits = np.zeros((len(audio), 29), np.float32)
        logits[np.arange(len(audio)), (colour * 28).astype(int)] = 5
        return HeadOutput(logits, np.zeros((len(audio), 7, 7), np.float32))


def test_equal_engines_cost_nothing():
    stream = [_second(9 * k + 5, label=k) for k in range(20)]
    exact = answers(_Fake(), [stream], 4)
    cost = compare(exact, answers(_Fake(), [stream], 4), [s.label for s in stream])
    assert (cost.agreement, cost.agreement_newest, cost.feature_error) == (1.0, 1.0, 0.0)
    assert cost.cosine == pytest.approx(1, abs=1e-6)
    assert cost.accuracy_float == cost.accuracy_int8


def test_a_shifted_engine_is_found_out():
    streams = [[_second(9 * k) for k in range(14)], [_second(9 * k + 4) for k in range(12)]]
    exact = answers(_Fake(), streams, 4)
    cost = compare(exact, answers(_Fake(5.0), streams, 4))
    assert cost.seconds == 26
    assert cost.agreement < 0.8
    expected = 5 / np.sqrt(np.mean(np.square(exact.visual)))
    assert cost.feature_error == pytest.approx(expected, rel=1e-4)
    assert cost.accuracy_float is None
    json.dumps(cost.to_dict())


@pytest.mark.parametrize(
    ("seconds", "least"), [(90, 89), (100, 99), (200, 198), (300, 297), (40, 40), (6, 6)]
)
def test_ninety_nine_of_a_hundred_are_counted_in_whole_seconds(seconds, least):
    """Of 90 seconds 99 % are 89.1: none may differ, or one?"""

    def cost(same):
        return Cost(seconds, same / seconds, 1.0, 0.0, 0.0, 1.0, 0.0)

    assert cost(least).keeps(0.99)
    assert not cost(least - 1).keeps(0.99)
    assert cost(least - 1).keeps(0.9)


def test_seconds_are_thinned_evenly():
    frames = np.arange(16, dtype=np.uint8)
    assert thinned(frames, 4).tolist() == [0, 5, 10, 15]
    assert thinned(frames, 20) is frames


# Calibrating, installing, using ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    folder = tmp_path_factory.mktemp("int8")
    head = confident_head(folder / "head.safetensors")
    return EngineOptions(checkpoint=head, cache_dir=folder / "cache", threads=2)


@pytest.fixture(scope="module")
def result(options, tmp_path_factory):
    seen, heard = pictures(18, seed=7), sounds(18, seed=7)
    streams = [[Second(seen[k : k + 1], heard[k], 28) for k in range(s, s + 6)] for s in (0, 6, 12)]
    settings = Int8Settings(
        size=8, frames=1, check_frames=1, methods=("minmax",), keep=(0,), feature_error=1.0
    )
    return calibrate(options, streams, settings, work=tmp_path_factory.mktemp("work"))


def test_the_light_network_is_quantised(result):
    assert set(result.costs) == {"cpu", "tensorrt"}
    for cost in result.costs.values():
        assert cost.seconds == 6
        assert cost.cosine > 0.9
        assert 0 < cost.feature_error < 0.5
        assert cost.accuracy_float is not None
    sizes = {target: path.stat().st_size for target, path in result.graphs["visual"].items()}
    assert sizes["cpu"] < 8e6
    assert sizes["tensorrt"] < 12e6  # it takes no packed constants
    card = result.to_dict()
    assert card["machine"]
    assert card["method"] == "minmax"


def test_an_installed_calibration_is_used(result, options):
    install(result, 0.0, installed_folder(result.profile, options.cache_dir))
    engine = OnnxEngine(options._replace(precision="int8"))
    assert engine.info.precision == "int8"
    assert "visual, calibration made here" in engine.info.note
    exact = OnnxEngine(options._replace(precision="fp32"))
    frames = pictures(2, seed=9)
    a, b = exact.visual(frames), engine.visual(frames)
    error = float(np.linalg.norm(a - b) / np.linalg.norm(a))
    assert 0 < error < 0.5


def test_engines_for_a_gpu_are_built_from_a_calibration_made_here(result, options, tmp_path):
    folder = install(result, 0.0, installed_folder(result.profile, tmp_path))
    here = options._replace(cache_dir=tmp_path)
    (path,) = graphs_in(here, "int8", ["visual"]).values()
    assert path.parent == folder
    if not installed("tensorrt_rtx"):
        pytest.skip("TensorRT for RTX has no wheel for this machine (x86-64 only)")
    manifest = build_ahead(here, "int8", ["sm89"], tmp_path / "engines", RTX, ["visual"])
    assert manifest["precision"] == "int8"
    assert manifest["engines"]["visual"]["bytes"] < 20e6


def test_a_calibration_belongs_to_its_weights(result, options, tmp_path, monkeypatch):
    monkeypatch.setattr(int8_graphs, "shipped_folder", lambda profile: tmp_path / "none")
    folder = install(result, 0.0, installed_folder(result.profile, tmp_path))
    here = options._replace(cache_dir=tmp_path)
    assert find_int8(result.profile, here, "cpu").paths["visual"].parent == folder
    card = json.loads((folder / "int8.json").read_text())
    (folder / "int8.json").write_text(json.dumps({**card, "weights": {"visual": "other"}}))
    with pytest.raises(BackendError, match="was made from other visual weights"):
        find_int8(result.profile, here, "cpu")
    before = weights_digest(network_files("visual", get_profile(result.profile.name)))
    (folder / "int8.json").write_text(json.dumps({**card, "weights": {"visual": before}}))
    with pytest.raises(BackendError, match="or for an earlier version of that network"):
        find_int8(result.profile, here, "cpu")  # of these weights, when the eye did not doubt
    (folder / "int8.json").write_text("{")
    with pytest.raises(ModelFileError, match="damaged"):
        find_int8(result.profile, here, "cpu")


def test_a_damaged_graph_is_an_error_not_an_answer(result, options, tmp_path):
    folder = install(result, 0.0, installed_folder(result.profile, tmp_path))
    graph = folder / result.graphs["visual"]["cpu"].name
    graph.write_bytes(graph.read_bytes()[:-1])
    with pytest.raises(ModelFileError, match="missing or damaged"):
        find_int8(result.profile, options._replace(cache_dir=tmp_path), "cpu")


def test_a_graph_for_exact_products_is_not_run_where_they_saturate(result, options, tmp_path, monkeypatch):
    monkeypatch.setattr(int8_graphs, "shipped_folder", lambda profile: tmp_path / "none")
    folder = install(result, 0.0, installed_folder(result.profile, tmp_path))
    card = json.loads((folder / "int8.json").read_text())
    card["networks"]["visual"]["cpu"]["needs"] = "exact int8 products"
    (folder / "int8.json").write_text(json.dumps(card))
    here = options._replace(cache_dir=tmp_path)
    monkeypatch.setattr(int8_graphs, "machine", lambda: Machine("old", 2, frozenset({"avx2"}), "", {}))
    with pytest.raises(BackendError, match="this CPU lacks"):
        find_int8(result.profile, here, "cpu")
    monkeypatch.setattr(int8_graphs, "machine", lambda: Machine("new", 2, frozenset({"avx512_vnni"}), "", {}))
    assert find_int8(result.profile, here, "cpu").paths


def test_layers_are_kept_until_both_graphs_are_good_enough(tmp_path):
    """TensorRT's steps are of another kind: with two layers the CPU has enough, TensorRT with three."""

    class Search(_Search):
        def __init__(self):
            self._settings, self._say = (
                Int8Settings(keep=(0, 2, 3, 4), agreement=0.99, feature_error=0.1),
                said,
            )
            self.quantiser = self

        groups = dict.fromkeys("abcdef")

        def build(self, path, _method, target, *, keep, seven_bits=None):
            path.write_text(f"{target} {len(keep)}")

        def cost(self, path, layers):
            target, count = path.read_text().split()
            good = int(count) >= {"cpu": 2, "tensorrt": enough}[target]
            return Cost(90, 1.0 if good else 0.98, 1.0, 0.0, 0.05, 1.0, 0.0, layers)

    steps = []
    said = steps.append
    paths = {target: tmp_path / target for target in TARGETS}
    layers = dict.fromkeys("fedcba", 0.5)
    enough = 3
    kept, costs = Search().fewest_in_float(paths, "minmax", layers, False)
    assert kept == ("f", "e", "d")
    assert (costs["cpu"].agreement, costs["tensorrt"].agreement) == (1.0, 1.0)
    assert [path.read_text() for path in paths.values()] == ["cpu 3", "tensorrt 3"]
    assert len([step for step in steps if "TensorRT" in step]) == 2  # none where the CPU's is not good enough
    enough = 9
    kept, costs = Search().fewest_in_float(paths, "minmax", layers, False)
    assert (len(kept), costs["tensorrt"].agreement) == (4, 0.98)  # to be refused


def test_a_calibration_that_changes_labels_is_refused_and_the_old_one_stays(tmp_path):
    def made(agreement):
        graph = tmp_path / "graph.onnx"
        graph.write_text(f"graph {agreement}")
        cost = Cost(100, agreement, 1.0, 0.0, 0.0, 1.0, 0.0)
        graphs = {"visual": {"cpu": graph}}
        details = {"seven_bits": False}
        return Int8Result(get_profile("lite"), tmp_path, graphs, {}, "minmax", (), {"cpu": cost}, details)

    folder = tmp_path / "installed"
    install(made(0.995), 0.99, folder, ("cpu",))
    before = {path.name: path.read_text() for path in folder.iterdir()}
    assert before["graph.onnx"] == "graph 0.995"
    with pytest.raises(ModelFileError, match=r"98\.0% of 100 seconds keep float32's label, at least 99\.0%"):
        install(made(0.98), 0.99, folder, ("cpu",))
    assert {path.name: path.read_text() for path in folder.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
