"""YAMNet: the published weights in our own network, on real sounds."""

import csv

import numpy as np
import pytest
import torch
from avel_live.model.backbones.yamnet import CLASSES, EMBEDDING_DIM, Yamnet, load_yamnet
from avel_live.model.errors import ModelFileError
from avel_live.model.logmel import patch
from support.shared import DATA, needs_data

TEACHER = DATA / "teacher" / "yamnet_spectra_in.tflite"


@pytest.fixture(scope="module")
def network() -> Yamnet:
    return load_yamnet(TEACHER)


@pytest.fixture(scope="module")
def names() -> list[str]:
    with (DATA / "teacher" / "yamnet_class_map.csv").open(newline="") as file:
        return [row["display_name"] for row in csv.DictReader(file)]


def scores_of(network: Yamnet, samples: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        return network.scores(network(torch.from_numpy(patch(samples[None])))).numpy()[0]


@needs_data
def test_shapes_and_range(network: Yamnet) -> None:
    patches = torch.from_numpy(patch(np.random.default_rng(0).normal(0, 0.1, (3, 16_000)).astype("f4")))
    with torch.inference_mode():
        embedding = network(patches)
        scores = network.scores(embedding)
    assert embedding.shape == (3, EMBEDDING_DIM)
    assert scores.shape == (3, CLASSES)
    assert float(embedding.min()) >= 0
    assert float(embedding.max()) <= 6


@needs_data
def test_digital_silence_is_silence(network: Yamnet, names: list[str]) -> None:
    scores = scores_of(network, np.zeros(16_000, "f4"))
    assert names[int(scores.argmax())] == "Silence", scores.max()


@needs_data
@pytest.mark.parametrize(
    ("folder", "wanted"),
    [
        ("Bark", {"Dog", "Bark", "Animal", "Domestic animals, pets"}),
        ("Helicopter", {"Helicopter", "Aircraft"}),
    ],
)
def test_names_real_sounds(network: Yamnet, names: list[str], folder: str, wanted: set[str]) -> None:
    import av

    hits = 0
    files = sorted((DATA / "audio" / folder).glob("Environmental*.ogg"))[:8]
    for path in files:
        with av.open(str(path)) as container:
            samples = np.concatenate([f.to_ndarray()[0] for f in container.decode(audio=0)])
        loudest = max(range(0, len(samples) - 16_000 + 1, 8_000), key=lambda s: samples[s : s + 16_000].std())
        top = scores_of(network, samples[loudest : loudest + 16_000]).argsort()[::-1][:3]
        hits += any(names[i] in wanted for i in top)
    assert hits >= 6


@needs_data
def test_batch_equals_single(network: Yamnet) -> None:
    patches = torch.from_numpy(patch(np.random.default_rng(1).normal(0, 0.1, (4, 16_000)).astype("f4")))
    with torch.inference_mode():
        whole = network(patches)
        single = torch.cat([network(p[None]) for p in patches])
    torch.testing.assert_close(whole, single, rtol=1e-4, atol=1e-4)


def test_a_wrong_file_is_refused(tmp_path) -> None:  # type: ignore[no-untyped-def]
    wrong = tmp_path / "yamnet.tflite"
    wrong.write_bytes(b"TFL3 but not it")
    with pytest.raises(ModelFileError, match="expected sha256"):
        load_yamnet(wrong)


def test_a_missing_file_is_said(tmp_path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ModelFileError, match="can't be read"):
        load_yamnet(tmp_path / "none.tflite")
