"""Every runtime of this machine's CPU says of real recordings what torch says in float32.

Whole recordings go through the live chain (they lie beside the checkout; skipped without). What is compared
is what a user is told: the probabilities of every look, and the settled label of every second.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from avel_live.model.errors import BackendError
from avel_live.model.profiles import get_profile
from avel_live.model.runtime.base import EngineOptions
from avel_live.model.runtime.int8_graphs import find_int8
from avel_live.model.runtime.probe import machine
from avel_live.model.runtime.select import load_engine
from avel_live.realtime.core.clock import SystemClock
from avel_live.realtime.events import DecoderConfig
from avel_live.realtime.recordings.labelled import recording, settled
from avel_live.realtime.stream.window import softmax
from bench import rtx_errors
from numpy.typing import NDArray
from support.rtx import options_for
from support.shared import DATA, needs_data
from support.shared_clips import clips

FP32_TOLERANCE = 1e-4
"""Largest difference of any probability of any look."""
YAMNET = DATA / "teacher" / "yamnet_spectra_in.tflite"
LABELS = {"bf16": 0.995, "fp16": 0.995, "int8": 0.99}
"""Least share of settled seconds whose label stays the same."""

pytestmark = needs_data


class Told(NamedTuple):
    """Of one recording: `looks` [hops, T, C] probabilities as one [N, C] array, `labels` [S] settled."""

    looks: NDArray[np.float32]
    labels: NDArray[np.int64]


@cache
def told(path: Path, backend: str, precision: str, profile: str = "lite") -> Told:
    """What one runtime says; engines are kept, since loading them is slow."""
    engine = _engine(backend, precision, profile)
    scores = recording(path, engine, SystemClock())
    posteriors = settled(scores, softmax, DecoderConfig(labels=engine.info.labels))
    return Told(np.concatenate([softmax(s.logits) for s in scores]), posteriors.argmax(axis=1))


@cache
def _engine(backend: str, precision: str, profile: str = "lite"):
    ear = None if profile == "lite" else YAMNET
    return load_engine(EngineOptions(profile, backend=backend, precision=precision, audio_weights=ear))


@pytest.fixture(scope="module", autouse=True)
def nothing_is_left() -> Iterator[None]:
    yield
    told.cache_clear()
    _engine.cache_clear()


def difference(
    paths: Sequence[Path], backend: str, precision: str, reference: str = "torch", profile: str = "lite"
) -> tuple[float, float, int]:
    """Against the reference in fp32: largest difference of a probability, share of equal labels, seconds."""
    pairs = [
        (told(path, reference, "fp32", profile), told(path, backend, precision, profile)) for path in paths
    ]
    worst = max(float(np.abs(a.looks - b.looks).max()) for a, b in pairs)
    same = np.concatenate([a.labels == b.labels for a, b in pairs])
    looks = np.concatenate([a.looks.argmax(1) == b.looks.argmax(1) for a, b in pairs])
    print(
        f"\n{backend} {precision}: {same.mean():.2%} of {len(same)} settled labels equal, "
        f"{looks.mean():.2%} of {len(looks)} looks, probabilities within {worst:.1e}"
    )
    return worst, float(same.mean()), len(same)


def test_the_labels_in_these_tests_are_not_all_alike() -> None:
    """Else agreement would mean nothing."""
    labels = np.concatenate([told(path, "torch", "fp32").labels for path in clips(every=12)])
    assert len(set(labels.tolist())) > 2


def test_onnx_runtime_agrees_on_some_recordings() -> None:
    worst, same, seconds = difference(clips(every=12), "onnxruntime", "fp32")
    assert seconds > 20
    assert worst <= FP32_TOLERANCE
    assert same == 1


@pytest.mark.slow
@pytest.mark.skipif(not YAMNET.is_file(), reason=f"YAMNet's weights are not at {YAMNET}")
def test_onnx_runtime_agrees_with_the_bigger_eye() -> None:
    worst, same, seconds = difference(clips(every=12), "onnxruntime", "fp32", profile="full")
    assert seconds > 20
    assert worst <= FP32_TOLERANCE
    assert same == 1


@pytest.mark.slow
def test_onnx_runtime_agrees_on_all_recordings() -> None:
    worst, _, seconds = difference(clips(), "onnxruntime", "fp32")
    assert seconds > 250
    assert worst <= FP32_TOLERANCE


@pytest.mark.slow
@pytest.mark.skipif(not machine().fast_bf16, reason="this CPU has no bfloat16: emulation takes an hour")
def test_bfloat16_keeps_the_labels() -> None:
    _, same, seconds = difference(clips(), "torch", "bf16")
    assert seconds > 250
    assert same >= LABELS["bf16"]


@pytest.mark.slow
def test_int8_keeps_the_labels() -> None:
    try:
        find_int8(get_profile("lite"), EngineOptions(), "cpu")
    except BackendError as error:
        pytest.skip(str(error))
    _, same, seconds = difference(clips(), "onnxruntime", "int8")
    assert seconds > 250
    assert same >= LABELS["int8"]


@pytest.mark.slow
@pytest.mark.parametrize("profile", ["lite", "lite-yamnet"])
def test_graphs_for_tensorrt_keep_the_labels(profile: str, tmp_path: Path) -> None:
    """Run as written on a CPU; INT8 is the eye, by the package's calibration or one made here."""
    if profile != "lite" and not YAMNET.is_file():
        pytest.skip(f"YAMNet's weights are not at {YAMNET}")
    options = options_for(profile, tmp_path, YAMNET if profile != "lite" else None)
    reference = rtx_errors.Reference(options, clips(), tmp_path)
    for name, least in {"fp16": 0.998, "int8": 0.99}.items():
        found = reference.row(name, rtx_errors.graphs(name, options, tmp_path))
        print(f"\n{found}")
        assert found["seconds"] > 250
        assert found["settled"] >= least
        assert found["looks"] >= least
        assert found["eye"] > 0


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_cuda_agrees_on_all_recordings(precision: str) -> None:
    """With a GPU torch uses it, so the CPU's answers are ONNX Runtime's, which equal torch's there."""
    assert "cpu" not in _engine("torch", precision).info.device
    worst, same, seconds = difference(clips(), "torch", precision, reference="onnxruntime")
    assert seconds > 250
    if precision == "fp32":
        assert worst <= FP32_TOLERANCE
    assert same >= LABELS.get(precision, 1.0)
