"""Other doors to TensorRT for RTX: ONNX Runtime's plugin provider, and Torch-TensorRT for RTX.

Neither is installed for the tests: what stands in are packages that say of themselves what the real ones say.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from avel_live.model.errors import BackendError, ModelFileError
from avel_live.model.runtime import rtx_provider, trt_api
from avel_live.model.runtime.base import EngineOptions
from avel_live.model.runtime.flavours import RTX
from avel_live.model.runtime.onnx_engine import OnnxEngine, runtime
from avel_live.model.runtime.probe import installed
from avel_live.model.runtime.rtx_provider import ProviderEngine, gpus
from avel_live.model.runtime.select import load_engine
from support.engines import pictures, sounds

PLUGIN = """
from pathlib import Path
def get_ep_name(): return "NvTensorRTRTXExecutionProvider"
def get_library_path(): return str(Path(__file__).with_name("provider.so"))
"""
METADATA = """Metadata-Version: 2.4
Name: torch-tensorrt-rtx
Version: 2.14.0
Requires-Dist: packaging>=23
Requires-Dist: torch<2.15.0,>=2.14.0
Requires-Dist: tensorrt_rtx<1.7.0.0,>=1.6.1.120
Requires-Dist: torch>=99; extra == "all"
"""
"""Of the wheel on PyPI, in part."""


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> EngineOptions:
    return EngineOptions(cache_dir=tmp_path_factory.mktemp("cache"), backend="onnxruntime")


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A plugin whose library the real ONNX Runtime can't load."""
    if installed(rtx_provider.MODULE):
        pytest.skip("the real one is installed")
    folder = tmp_path / rtx_provider.MODULE
    folder.mkdir()
    (folder / "__init__.py").write_text(PLUGIN)
    (folder / "provider.so").write_bytes(b"no library")
    monkeypatch.syspath_prepend(str(tmp_path))
    rtx_provider._register.cache_clear()
    yield folder
    rtx_provider._register.cache_clear()
    sys.modules.pop(rtx_provider.MODULE, None)


def test_a_provider_that_is_not_installed_offers_nothing() -> None:
    if installed(rtx_provider.MODULE):
        pytest.skip("it is installed")
    assert gpus(runtime()) == []


def test_a_provider_that_can_not_be_loaded_is_one_line_in_its_own_words(plugin: Path) -> None:
    with pytest.raises(BackendError, match=r"provider can't be loaded \(.*provider\.so.*\)") as caught:
        gpus(runtime())
    assert "\n" not in str(caught.value)
    (plugin / "provider.so").unlink()
    with pytest.raises(BackendError, match="No such file"):
        gpus(runtime())


def test_without_its_gpu_the_cpu_answers_and_says_why(plugin: Path, options: EngineOptions) -> None:
    engine = load_engine(options._replace(precision="fp32"))
    assert engine.info.device.startswith("cpu")
    assert "TensorRT RTX provider can't be loaded" in engine.info.note
    with pytest.raises(BackendError, match="TensorRT RTX provider can't be loaded"):
        load_engine(options._replace(precision="fp16"))


@pytest.mark.skipif(not installed(rtx_provider.MODULE), reason="the provider is not installed")
def test_the_real_provider_without_a_driver_says_what_is_missing() -> None:
    if Path("/proc/driver/nvidia/version").exists():
        pytest.skip("this machine has a driver")
    with pytest.raises(BackendError, match=r"\(libcuda\.so\.1: cannot open shared object file"):
        gpus(runtime())


def test_a_session_on_an_offered_device_answers(options) -> None:
    """The device is the CPU that ONNX Runtime offers by itself; the graphs are those for TensorRT."""
    ort = runtime()
    (cpu,) = [d for d in ort.get_ep_devices() if d.ep_name == "CPUExecutionProvider"]
    engine = ProviderEngine(options._replace(precision="auto"), ort, cpu)
    assert (engine.info.precision, engine.info.note) == ("fp16", "CPU")
    reference = OnnxEngine(options._replace(precision="fp32"))
    seen, heard, here = pictures(17), sounds(3), np.ones(3, np.bool_)

    def answers(one) -> np.ndarray:
        ears = np.stack([one.audio(sound) for sound in heard])
        return one.head(one.visual(seen)[-3:], ears, here, here).logits

    exact, got = answers(reference), answers(engine)
    assert 0 < np.linalg.norm(exact - got) < 0.01 * np.linalg.norm(exact)
    engine.close()


def test_what_the_provider_does_not_do_is_refused(options, tmp_path: Path) -> None:
    ort = runtime()
    (cpu,) = [d for d in ort.get_ep_devices() if d.ep_name == "CPUExecutionProvider"]
    with pytest.raises(BackendError, match="does fp16, fp32 and int8, not bf16"):
        ProviderEngine(options._replace(precision="bf16"), ort, cpu)
    (tmp_path / "g.onnx").write_bytes(b"no graph")
    with pytest.raises(ModelFileError, match=r"g\.onnx: CPUExecutionProvider can't load it") as caught:
        rtx_provider.open_on(ort, tmp_path / "g.onnx", cpu, {})
    assert "\n" not in str(caught.value)


def test_torch_tensorrt_for_rtx_beside_another_version_names_the_way_out(tmp_path, monkeypatch) -> None:
    """Before it is imported: its import would fail somewhere inside."""
    torch = pytest.importorskip("torch")
    if installed("torch_tensorrt"):
        pytest.skip("a real one is installed")
    (tmp_path / "torch_tensorrt").mkdir()
    (tmp_path / "torch_tensorrt" / "__init__.py").write_text("raise AssertionError('imported')")
    card = tmp_path / "torch_tensorrt_rtx-2.14.0.dist-info" / "METADATA"
    card.parent.mkdir()
    card.write_text(METADATA)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(BackendError, match=r"torch-tensorrt-rtx 2\.14\.0 needs torch .*>=2\.14") as caught:
        trt_api.load_torch_tensorrt()
    said = str(caught.value)
    assert f"installed is torch {torch.__version__.partition('+')[0]}" in said
    assert "99" not in said
    assert "an environment of its own" in said
    assert "\n" not in said
    if installed(RTX.module):
        assert f"installed is tensorrt-rtx-cu13 {RTX.version}" in said
    card.write_text(METADATA.replace("torch<2.15.0,>=2.14.0", "torch").replace("<1.7.0.0,", ""))
    assert trt_api.mismatch(trt_api.DISTRIBUTIONS) == ""
