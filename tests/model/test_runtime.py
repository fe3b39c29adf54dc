"""Every runtime gives the answers of torch in float32, and each says plainly why it can't run."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from avel_live.model.errors import BackendError, ModelFileError
from avel_live.model.profiles import WINDOW, get_profile
from avel_live.model.runtime import graphs, probe, select
from avel_live.model.runtime.base import EngineOptions
from avel_live.model.runtime.cache import EngineCache
from avel_live.model.runtime.probe import Machine, machine
from avel_live.model.runtime.select import choose, load_engine, timings
from support.engines import confident_head, pictures, sounds

FP32_TOLERANCE = 1e-4
"""On probabilities, between backends that compute in float32."""


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    folder = tmp_path_factory.mktemp("engines")
    return EngineOptions(
        precision="fp32",
        checkpoint=confident_head(folder / "head.safetensors"),
        cache_dir=folder / "cache",
        threads=2,
    )


@pytest.fixture(scope="module")
def reference(options):
    return load_engine(options._replace(backend="torch"))


@pytest.fixture(scope="module")
def onnx(options):
    return load_engine(options._replace(backend="onnxruntime"))


@pytest.fixture(scope="module")
def features(reference):
    seen, heard = pictures(WINDOW), sounds(WINDOW)
    return reference.visual(seen), np.stack([reference.audio(one) for one in heard])


def _softmax(logits):
    e = np.exp(logits - logits.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def test_onnx_runtime_sees_and_hears_as_torch_does(reference, onnx):
    seen, heard = pictures(3, seed=1), sounds(2, seed=1)
    ours, theirs = onnx.visual(seen), reference.visual(seen)
    assert ours.shape == (3, 7, 7, onnx.profile.visual.dim)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, theirs, atol=1e-3 * np.abs(theirs).max())
    for one in heard:
        np.testing.assert_allclose(onnx.audio(one), reference.audio(one), atol=1e-4)


@pytest.mark.parametrize("length", [1, 4, WINDOW])
def test_onnx_runtime_judges_as_torch_does(reference, onnx, features, length):
    """Short windows too: the graph's window is always ten, torch's is as long as what it gets."""
    make = np.random.default_rng(length)
    grid, sound = (x[:length] for x in features)
    seen, heard = make.random(length) < 0.7, make.random(length) < 0.7
    expected, got = reference.head(grid, sound, seen, heard), onnx.head(grid, sound, seen, heard)
    assert got.logits.shape == (length, 29)
    assert got.attention.shape == (length, 7, 7)
    np.testing.assert_allclose(_softmax(got.logits), _softmax(expected.logits), atol=FP32_TOLERANCE)
    np.testing.assert_allclose(got.attention, expected.attention, atol=FP32_TOLERANCE)
    np.testing.assert_array_equal(got.logits.argmax(-1), expected.logits.argmax(-1))


def test_the_answers_in_these_tests_are_not_all_alike(reference, features):
    """Else agreement would mean nothing."""
    here = np.ones(1, np.bool_)
    labels = {
        int(reference.head(grid[None], sound[None], here, here).logits.argmax())
        for grid, sound in zip(*features, strict=True)
    }
    assert len(labels) > 1


def test_a_frame_is_judged_by_itself(onnx):
    seen = pictures(3, seed=2)
    together = onnx.visual(seen)
    for one, grid in zip(seen, together, strict=True):
        np.testing.assert_array_equal(onnx.visual(one[None])[0], grid)


def test_folding_normalisation_changes_nothing(reference):
    import torch
    from avel_live.model.runtime.folding import fold_batchnorm
    from avel_live.model.runtime.networks import build_network

    plain = build_network("visual", get_profile("lite"))
    folded = fold_batchnorm(plain)
    names = [type(module).__name__ for module in folded.modules()]
    assert "BatchNorm2d" in [type(module).__name__ for module in plain.modules()]
    assert "BatchNorm2d" not in names
    frames = torch.from_numpy(pictures(1, seed=3))
    with torch.inference_mode():
        a, b = plain(frames), folded(frames)
    assert float((a - b).abs().max()) < 1e-3 * float(a.abs().max())


def test_a_window_too_long_is_refused(onnx, features):
    grid, sound = (np.repeat(x, 2, axis=0) for x in features)
    here = np.ones(2 * WINDOW, np.bool_)
    with pytest.raises(ValueError, match="1 to 10 segments, got 20"):
        onnx.head(grid, sound, here, here)


def test_sixteen_bits_leave_the_sensitive_parts_alone():
    import torch
    from avel_live.model.runtime.folding import fold_batchnorm
    from avel_live.model.runtime.networks import build_network
    from avel_live.model.runtime.torch_engine import in_precision, sensitive

    plain = build_network("visual", get_profile("lite"))
    parts = sensitive(plain)
    frames = torch.from_numpy(pictures(1, seed=4))
    with torch.inference_mode():
        exact = plain(frames)
        same = in_precision(fold_batchnorm(plain), torch.float32, parts)(frames)
        mixed = in_precision(fold_batchnorm(plain), torch.bfloat16, parts)
        near = mixed(frames)
    dtypes = {name: weight.dtype for name, weight in mixed.named_parameters()}
    assert {dtypes[n] for n in dtypes if n.startswith(parts)} == {torch.float32}
    assert {dtypes[n] for n in dtypes if not n.startswith(parts)} == {torch.bfloat16}
    for part in parts:
        assert any(name.startswith(part) for name in dict(plain.named_parameters())), f"{part} names nothing"
    torch.testing.assert_close(same, exact, atol=1e-3, rtol=0)
    assert 0 < float((near - exact).norm()) < 0.1 * float(exact.norm())


@pytest.mark.slow
def test_bf16_agrees_on_labels(options, reference, features):
    """Where the CPU lacks bfloat16 it is emulated: minutes, and the same answers."""
    engine = load_engine(options._replace(backend="torch", precision="bf16"))
    count = WINDOW if machine().fast_bf16 else 2
    exact, half = features[0][:count], engine.visual(pictures(WINDOW)[:count])
    assert float(np.linalg.norm(exact - half) / np.linalg.norm(exact)) < 0.1
    here = np.ones(count, np.bool_)
    a = reference.head(exact, features[1][:count], here, here).logits
    b = engine.head(half, features[1][:count], here, here).logits
    np.testing.assert_array_equal(a.argmax(-1), b.argmax(-1))


def test_graphs_are_whole_checked_files(options, onnx):
    import onnx as onnx_package

    profile = get_profile("lite")
    paths = graphs.ensure(graphs.wanted(profile, options), EngineCache(options.cache_dir))
    assert set(paths) == {"visual", "audio", "head"}
    for name, path in paths.items():
        model = onnx_package.load(path, load_external_data=False)
        onnx_package.checker.check_model(model, full_check=True)
        assert [o.version for o in model.opset_import if not o.domain] == [18]
        assert not any(t.external_data for t in model.graph.initializer)
        first = model.graph.input[0].type.tensor_type.shape.dim[0]
        assert bool(first.dim_param) == (name != "head")
    head = onnx_package.load(paths["head"])
    assert [d.dim_value for d in head.graph.input[0].type.tensor_type.shape.dim][:2] == [1, WINDOW]


def test_a_changed_head_makes_a_new_graph(options, tmp_path):
    profile = get_profile("lite")
    other = options._replace(checkpoint=confident_head(tmp_path / "other.safetensors", seed=5))
    here, there = (graphs.wanted(profile, o, ["head"])[0].key() for o in (options, other))
    assert here != there
    assert {k: v for k, v in here.items() if k != "weights"} == {
        k: v for k, v in there.items() if k != "weights"
    }


def test_a_head_for_other_features_is_refused(options, tmp_path):
    path = confident_head(tmp_path / "paper.safetensors", profile="paper")
    with pytest.raises(ModelFileError, match="use --profile paper"):
        load_engine(options._replace(checkpoint=path))


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"backend": "caffe"}, "known: auto, torch"),
        ({"precision": "fp8"}, "known: auto, fp32"),
        ({"backend": "onnxruntime", "precision": "bf16"}, "--backend torch"),
        ({"backend": "onnxruntime", "precision": "int8"}, "avel calibrate int8"),
    ],
)
def test_what_cannot_be_had_says_why(options, asked, message, monkeypatch, tmp_path):
    monkeypatch.setattr("avel_live.model.runtime.int8_graphs.shipped_folder", lambda profile: tmp_path)
    with pytest.raises(BackendError, match=message) as caught:
        load_engine(options._replace(**asked))
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(bool(machine().gpu), reason="there is a GPU here")
def test_tensorrt_without_a_gpu_says_so(options):
    with pytest.raises(BackendError, match="NVIDIA GPU"):
        load_engine(options._replace(backend="tensorrt"))


def test_a_runtime_that_fails_is_fallen_back_from(options, monkeypatch):
    def broken(given):
        if given.backend == "onnxruntime":
            raise BackendError("its library is damaged")
        return original(given)

    original = select._open
    monkeypatch.setattr(select, "_open", broken)
    engine = load_engine(options._replace(backend="auto"))
    assert engine.info.backend == "torch"
    assert "fell back from onnxruntime fp32: its library is damaged" in engine.info.note


def test_without_a_cache_torch_runs(options, tmp_path):
    blocker = tmp_path / "file"
    blocker.write_text("")
    engine = load_engine(options._replace(backend="auto", cache_dir=blocker / "cache"))
    assert engine.info.backend == "torch"
    assert "AVEL_CACHE_DIR" in engine.info.note
    with pytest.raises(ModelFileError, match="AVEL_CACHE_DIR"):
        load_engine(options._replace(backend="onnxruntime", cache_dir=blocker / "cache"))


PLAIN = Machine("a CPU", 2, frozenset({"avx2"}), "", {})
VNNI = replace(PLAIN, features=frozenset({"avx2", "avx512_vnni", "avx512_bf16"}))
GPU = replace(PLAIN, gpu="H100 (SM 9.0)")


@pytest.fixture
def fake(monkeypatch):
    """Decide what is installed, calibrated and how fast it is."""

    def set_up(modules=("onnxruntime", "torch"), int8=False, cuda=False, times=None):
        monkeypatch.setattr(select, "installed", lambda name: name in modules)
        monkeypatch.setattr(select, "has_int8", lambda *_: int8)
        monkeypatch.setattr(select, "_cuda_torch", lambda: cuda)
        monkeypatch.setattr(select, "timings", lambda *_: times or {})

    return set_up


def test_auto_on_a_plain_cpu(fake):
    fake()
    choice = choose(EngineOptions(), PLAIN)
    assert choice[:2] == ("onnxruntime", "fp32")
    assert "avel calibrate int8" in choice.why


def test_auto_takes_int8_where_it_is_quicker(fake):
    fake(int8=True, times={"onnxruntime int8": 1.0, "onnxruntime fp32": 9.0})
    assert choose(EngineOptions(), PLAIN)[:2] == ("onnxruntime", "int8")
    fake(int8=True, times={"onnxruntime int8": 9.0, "onnxruntime fp32": 5.0})
    assert choose(EngineOptions(), PLAIN)[:2] == ("onnxruntime", "fp32")


def test_auto_takes_what_is_quickest(fake):
    fake(int8=True, times={"onnxruntime fp32": 9.0, "onnxruntime int8": 5.0, "torch bf16": 3.0})
    choice = choose(EngineOptions(), VNNI)
    assert choice[:2] == ("torch", "bf16")
    assert "torch bf16 3 ms, onnxruntime int8 5 ms" in choice.why


def test_auto_with_a_gpu(fake):
    fake(modules=("onnxruntime", "torch", "tensorrt"))
    assert choose(EngineOptions(), GPU)[:2] == ("tensorrt", "fp16")
    fake(cuda=True)
    assert choose(EngineOptions(), GPU)[:2] == ("torch", "fp16")
    fake(cuda=False)
    assert choose(EngineOptions(), GPU)[:2] == ("onnxruntime", "fp32")


def test_auto_with_nothing_installed(fake):
    fake(modules=())
    with pytest.raises(BackendError, match="pip install onnxruntime"):
        choose(EngineOptions(), PLAIN)
    fake(modules=("torch",))
    assert choose(EngineOptions(), PLAIN)[:2] == ("torch", "fp32")


def test_torch_must_be_clearly_quicker(fake):
    fake(times={"onnxruntime fp32": 50.0, "torch bf16": 45.0})
    choice = choose(EngineOptions(), VNNI)
    assert choice[:2] == ("onnxruntime", "fp32")
    assert "quickest" not in choice.why


def test_timings_are_taken_once_and_kept(tmp_path):
    asked = []

    def measure(options):
        asked.append((options.backend, options.precision))
        if options.precision == "bf16":
            raise BackendError("no")
        return 5.0

    pair = [("onnxruntime", "fp32"), ("torch", "bf16")]
    options = EngineOptions(cache_dir=tmp_path)
    first = timings(options, PLAIN, pair, measure)
    assert first == {"onnxruntime fp32": 5.0, "torch bf16": float("inf")}
    assert timings(options, PLAIN, pair[:1], measure) == {"onnxruntime fp32": 5.0}
    assert asked == pair
    timings(options, VNNI, pair[:1], measure)
    assert len(asked) == 3, "another machine is timed anew"


def test_a_damaged_timing_file_is_taken_again(tmp_path):
    options = EngineOptions(cache_dir=tmp_path)
    pair = [("onnxruntime", "fp32")]
    timings(options, PLAIN, pair, lambda _: 5.0)
    (path,) = tmp_path.glob("timing-*.json")
    path.write_text("[")
    assert timings(options, PLAIN, pair, lambda _: 7.0) == {"onnxruntime fp32": 7.0}


def test_the_probe_reads_what_linux_says(monkeypatch, tmp_path):
    here = probe.machine()
    assert here.cores >= 1
    assert "core" in here.describe()
    assert here.versions["onnxruntime"]


_LITE = """
import json, sys
from pathlib import Path
import numpy as np
import avel_live.realtime, avel_live.model, avel_live.calibration
from avel_live.model.runtime.base import EngineOptions
from avel_live.model.runtime.select import load_engine
head, cache, backend = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
engine = load_engine(EngineOptions(checkpoint=head, cache_dir=cache, backend=backend))
engine.warm_up()
engine.visual(np.zeros((1, 224, 224, 3), np.uint8))
heavy = sorted(m for m in sys.modules if m.split(".")[0] in ("torch", "torch_tensorrt", "onnx", "onnxscript"))
print(json.dumps([engine.info.backend, heavy]))
"""


@pytest.mark.parametrize("backend", ["onnxruntime", "auto"])
def test_lite_on_onnx_runtime_never_imports_torch(options, onnx, backend):
    command = [sys.executable, "-c", _LITE, str(options.checkpoint), str(options.cache_dir), backend]
    result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    name, heavy = json.loads(result.stdout)
    assert name == "onnxruntime"
    assert heavy == []


def test_help_never_imports_torch():
    code = (
        "import sys\n"
        "from typer.main import get_command\n"
        "from avel_live.realtime.commands import app, main\n"
        "try:\n main(['--help'])\nexcept SystemExit:\n pass\n"
        "print([m for m in ('torch', 'onnxruntime', 'cv2', 'av') if m in sys.modules], file=sys.stderr)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert "bench" in result.stdout
    assert result.stderr.strip() == "[]"


def test_a_missing_weight_file_is_one_line(options):
    with pytest.raises(ModelFileError, match="can't be read") as caught:
        load_engine(options._replace(backend="onnxruntime", audio_weights=Path("/nowhere/ear.safetensors")))
    assert "\n" not in str(caught.value)
