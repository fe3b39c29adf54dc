"""Engines for RTX GPUs are really built, on any machine; every reason not to run one is said in one line."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from avel_live.model.errors import AvelError, BackendError, ModelFileError
from avel_live.model.runtime import flavours, select, trt_ahead
from avel_live.model.runtime.base import EngineOptions
from avel_live.model.runtime.export import INPUTS, example_inputs
from avel_live.model.runtime.flavours import RTX, TENSORRT, at_hand
from avel_live.model.runtime.onnx_engine import open_session
from avel_live.model.runtime.precisions import graphs_in
from avel_live.model.runtime.probe import installed
from avel_live.model.runtime.select import get_profile
from avel_live.model.runtime.trt_ahead import MANIFEST, build_ahead, read_ahead

GPUS = ("sm86", "sm89", "sm120")
NETWORKS = ("audio", "head")
builds = pytest.mark.skipif(
    not installed("tensorrt_rtx"), reason="TensorRT for RTX has no wheel for this machine (x86-64 only)"
)


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> EngineOptions:
    return EngineOptions(cache_dir=tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def ahead(options, tmp_path_factory) -> Callable[[str], tuple[Path, dict]]:
    """Folder and manifest of an ear and a head for three capabilities; each precision is built once."""
    if not installed("tensorrt_rtx"):
        pytest.skip("TensorRT for RTX has no wheel for this machine (x86-64 only)")

    @cache
    def of(precision: str) -> tuple[Path, dict]:
        folder = tmp_path_factory.mktemp(precision)
        return folder, build_ahead(options, precision, GPUS, folder, RTX, NETWORKS)

    return of


@pytest.fixture(scope="module", params=["fp32", "fp16"])
def built(request, ahead) -> tuple[str, Path, dict]:
    """Precision, folder and manifest."""
    return request.param, *ahead(request.param)


@pytest.fixture
def copy(built, tmp_path: Path) -> Path:
    """A copy of the folder that may be spoilt."""
    return shutil.copytree(built[1], tmp_path / "copy")


def test_ear_and_head_are_built_for_three_gpus(built, options) -> None:
    precision, folder, manifest = built
    assert json.loads((folder / MANIFEST).read_text()) == manifest
    assert manifest["capabilities"] == list(GPUS)
    for network in NETWORKS:
        entry = manifest["engines"][network]
        plan = (folder / entry["file"]).read_bytes()
        assert plan[:4] == b"vtrt"
        assert len(plan) == entry["bytes"] > 1e6
    assert manifest["engines"]["head"]["layers"] <= 600
    flavour, found, paths = read_ahead(folder, options, gpu="sm89", networks=NETWORKS)
    assert (flavour, found) == (RTX, precision)
    assert set(paths) == set(NETWORKS)


def test_half_the_bits_are_less_than_the_bytes(ahead) -> None:
    whole, half = (ahead(precision)[1]["engines"] for precision in ("fp32", "fp16"))
    for network in NETWORKS:
        assert half[network]["bytes"] < 0.85 * whole[network]["bytes"]


@pytest.mark.parametrize("network", ["audio", "head", "visual"])
def test_the_half_graph_is_near_the_whole_one(options, network) -> None:
    """Run as written, node by node; the error of the answers on clips is measured by `tests/bench`."""
    inputs = example_inputs(network, get_profile("lite"))
    given = {name: value.numpy() for name, value in zip(INPUTS[network], inputs, strict=True)}
    whole, half = (
        open_session(graphs_in(options, precision, [network])[network], exact=True).run(None, given)
        for precision in ("fp32", "fp16")
    )
    for a, b in zip(whole, half, strict=True):
        assert 0 < np.linalg.norm(a - b) < 0.01 * np.linalg.norm(a)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": "1.0.0"}, "built by TensorRT for RTX 1.0.0, installed is"),
        ({"version": "9.9.9.9"}, "built by TensorRT for RTX 9.9.9.9, installed is .*; build them again with"),
        ({"format": "avel-engines-9"}, "expected format 'avel-engines-1'"),
        ({"profile": "paper"}, "for profile 'paper', not 'lite'"),
        ({"flavour": "other"}, "unknown flavour 'other'"),
        ({"engines": {}}, "audio is missing"),
    ],
)
def test_a_manifest_that_does_not_fit_gives_the_reason(copy, options, change, message) -> None:
    manifest = json.loads((copy / MANIFEST).read_text())
    (copy / MANIFEST).write_text(json.dumps(manifest | change))
    refused(copy, options, message)


@pytest.mark.parametrize(
    ("gpu", "way_out"),
    [("sm90", "has no code for that one: use --backend torch"), ("sm75", "build them again"), ("", "leave")],
)
def test_another_gpu_gives_the_reason_and_a_way_out(copy, options, gpu, way_out) -> None:
    said = f"for sm86, sm89, sm120, but the GPU here is {gpu or 'none'}; .*{way_out}"
    refused(copy, options, said, gpu=gpu)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:1000]), "damaged or cut short"),
        (lambda path: path.write_bytes(b"\x7fELF" + bytes(1000)), "not an engine of TensorRT for RTX"),
        (lambda path: path.write_bytes(path.read_bytes() + b"\0"), "damaged or cut short"),
        (lambda path: path.unlink(), "no such file"),
    ],
)
def test_a_spoilt_engine_gives_the_reason(copy, options, spoil, message) -> None:
    spoil(copy / "lite_audio.engine")
    refused(copy, options, message)


def test_other_weights_or_another_precision_give_the_reason(copy, options, built, tmp_path) -> None:
    other = tmp_path / "ear.safetensors"
    other.write_bytes(get_profile("lite").audio.own().read_bytes() + b" ")
    refused(copy, options._replace(audio_weights=other), "built from other audio weights")
    asked = "fp16" if built[0] == "fp32" else "fp32"
    refused(copy, options._replace(precision=asked), f"but --precision is {asked}")
    refused(tmp_path / "nowhere", options, "can't be read")
    (copy / MANIFEST).write_text("[")
    refused(copy, options, "damaged")


def refused(folder: Path, options: EngineOptions, message: str, gpu: str = "sm89") -> None:
    with pytest.raises(AvelError, match=message) as caught:
        read_ahead(folder, options, gpu=gpu, networks=NETWORKS)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("precision", "gpus", "message"),
    [
        ("fp32", ["sm90"], "not sm90"),
        ("fp32", [], "not nothing"),
        ("fp32", ["sm75"], "use --precision fp16"),
        ("fp16", ["sm75", "sm89"], "a folder of its own"),
    ],
)
def test_what_it_can_not_build_is_refused_before_anything_is_made(
    options, tmp_path, precision, gpus, message
):
    with pytest.raises(BackendError, match=message):
        build_ahead(options, precision, gpus, tmp_path / "out", RTX)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("have", "gpu", "expected"),
    [
        ({"tensorrt", "tensorrt_rtx"}, "sm89", TENSORRT),
        ({"tensorrt_rtx"}, "sm120", RTX),
        ({"tensorrt_rtx"}, "sm90", "has no code for"),
        (set(), "sm89", r"avel-live\[rtx\]"),
        (set(), "sm90", "pip install tensorrt"),
        ({"tensorrt", "tensorrt_rtx"}, "", "none was found; .*avel compile --to tensorrt-rtx --for"),
    ],
)
def test_the_flavour_goes_by_what_is_installed_and_the_gpu(monkeypatch, have, gpu, expected) -> None:
    monkeypatch.setattr(flavours, "installed", lambda name: name in have)
    monkeypatch.setattr(flavours, "capability", lambda: gpu)
    monkeypatch.setattr(flavours, "gpu_here", lambda: gpu)
    if isinstance(expected, str):
        with pytest.raises(BackendError, match=expected):
            at_hand()
    else:
        assert at_hand() is expected


def test_engines_of_a_folder_are_what_is_run(monkeypatch, built, options) -> None:
    """Up to the driver, which is not here: what is read is the folder, not the cache."""
    monkeypatch.setattr(trt_ahead, "gpu_here", lambda: "")
    with pytest.raises(BackendError, match="but the GPU here is none"):
        select.load_engine(options._replace(engines=built[1]))
    with pytest.raises(BackendError, match="for --backend tensorrt, not torch; leave one out"):
        select.load_engine(options._replace(engines=built[1], backend="torch"))
    with pytest.raises(ModelFileError, match=r"manifest\.json can't be read"):
        select.load_engine(options._replace(engines=built[1] / "nowhere"))


def test_importing_the_package_never_imports_tensorrt() -> None:
    code = (
        "import sys, avel_live.realtime, avel_live.model.runtime.select, avel_live.model.runtime.trt_ahead\n"
        "print([m for m in sys.modules if m.startswith('tensorrt')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


_WITHOUT_TORCH = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "onnxruntime"):
            raise ImportError(f"{name} is blocked")
sys.meta_path.insert(0, Blocked())
from avel_live.realtime.commands import main
main(["compile", "--to", "tensorrt-rtx", "--for", "sm89", "--precision", sys.argv[1], "--out", sys.argv[2]])
"""


@builds
@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_the_command_needs_no_torch(precision: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", _WITHOUT_TORCH, precision, str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert set(json.loads((tmp_path / "out" / MANIFEST).read_text())["engines"]) == {
        "visual",
        "audio",
        "head",
    }
