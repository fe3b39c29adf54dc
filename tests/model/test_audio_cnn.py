"""The small ear: shapes, size, speed, and what its shipped weights hear."""

import time

import numpy as np
import pytest
import torch
from avel_live.model.backbones.audio_cnn import (
    AUDIOSET_CLASSES,
    EMBEDDING_DIM,
    AudioCNN,
    load_audio_cnn,
    weight_file,
)
from avel_live.model.errors import ModelFileError
from avel_live.model.labels import EVENT_NAMES
from avel_live.model.logmel import patch


@pytest.fixture(scope="module")
def network() -> AudioCNN:
    return load_audio_cnn()


def test_shapes(network: AudioCNN) -> None:
    patches = torch.from_numpy(patch(np.random.default_rng(0).normal(0, 0.1, (3, 16_000)).astype("f4")))
    with torch.inference_mode():
        embedding = network(patches)
        logits, scores = network.class_logits(embedding), network.scores(embedding)
    assert embedding.shape == (3, EMBEDDING_DIM)
    assert float(embedding.min()) >= 0
    assert logits.shape == (3, len(EVENT_NAMES))
    assert scores.shape == (3, AUDIOSET_CLASSES)
    assert float(scores.max()) <= 1


def test_size_and_weight_file(network: AudioCNN) -> None:
    assert sum(p.numel() for p in network.parameters()) < 2_000_000
    assert weight_file().stat().st_size < 4_000_000


def test_one_patch_is_quick(network: AudioCNN) -> None:
    """6 ms a patch on one core; the best of many, by CPU time, so that a busy machine can't fail it."""
    patches = torch.zeros(1, 96, 64)
    with torch.inference_mode():
        best = float("inf")
        for _ in range(40):
            start = time.thread_time()
            network(patches)
            best = min(best, time.thread_time() - start)
    assert best < 0.006


def test_silence_and_noise_are_nothing(network: AudioCNN) -> None:
    rng = np.random.default_rng(2)
    waves = np.stack([np.zeros(16_000), *(rng.normal(0, s, 16_000) for s in (0.001, 0.01, 0.05))]).astype(
        "f4"
    )
    with torch.inference_mode():
        probability = torch.sigmoid(network.class_logits(network(torch.from_numpy(patch(waves)))))
    assert float(probability.max()) < 0.5


def test_a_missing_file_is_said(tmp_path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ModelFileError, match="missing or damaged"):
        load_audio_cnn(tmp_path / "none.safetensors")
