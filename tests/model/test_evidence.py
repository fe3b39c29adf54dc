"""The light backbones' evidence: what the concepts cover, the scale, photographs named rightly."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from avel_live.model.backbones import audio_concepts, visual_concepts
from avel_live.model.backbones.audio_cnn import AudioCNN
from avel_live.model.backbones.audio_evidence import DIM as AUDIO_DIM
from avel_live.model.backbones.audio_evidence import (
    YAMNET_DIM,
    AudioEvidence,
    load_reader,
    read_events,
    women,
)
from avel_live.model.backbones.efficientnet_lite import LITE0, EfficientNetLite, load_efficientnet_lite0
from avel_live.model.backbones.evidence import evidence
from avel_live.model.backbones.visual_evidence import DIM as VISUAL_DIM
from avel_live.model.backbones.visual_evidence import (
    VisualEvidence,
    load_visual_evidence,
    load_visual_evidence_lite3,
)
from avel_live.model.errors import ModelFileError
from avel_live.model.labels import EVENT_NAMES
from avel_live.model.profiles import FULL, LITE, LITE_YAMNET
from support.shared import DATA, needs_data


def test_scale() -> None:
    p = torch.tensor([0.0, 1e-3, 0.1, 1.0])
    e = evidence(p)
    assert e[0] == 0
    assert e[-1] == pytest.approx(1.0, abs=1e-3)
    assert bool((e[1:] > e[:-1]).all())
    # A factor of ten is the same step everywhere, but near the floor.
    assert float(e[3] - e[2]) == pytest.approx(np.log(10) / 7, abs=2e-3)


def test_dims_are_the_profiles() -> None:
    assert (LITE.visual.dim, LITE.audio.dim) == (VISUAL_DIM, AUDIO_DIM)
    assert (LITE_YAMNET.visual.dim, LITE_YAMNET.audio.dim) == (VISUAL_DIM, YAMNET_DIM)
    assert (FULL.visual.dim, FULL.audio.dim) == (VISUAL_DIM, YAMNET_DIM)


def test_what_rests_on_nothing_is_only_the_shofar() -> None:
    seen = visual_concepts.concept_matrix()[:, : len(EVENT_NAMES)].sum(0)
    assert [name for name, weight in zip(EVENT_NAMES, seen, strict=True) if weight == 0] == ["Shofar"]
    heard = audio_concepts.concept_weights()[: len(EVENT_NAMES)].max(1)
    assert (heard == 1).all()


def test_speech_is_divided_between_man_and_woman() -> None:
    torch.manual_seed(0)
    ear = AudioEvidence(AudioCNN()).eval()
    male, female = (EVENT_NAMES.index(f"{w}") for w in EVENT_NAMES if "speech" in w)
    with torch.inference_mode():
        patches = torch.randn(4, 96, 64)
        out = ear(patches)
        embedding = ear.ear(patches)
        both = (ear.ear.scores(embedding)[:, None] * ear.weights).amax(-1)[:, male]
    back = torch.exp((out[:, [male, female]] - 1) * 7) - np.exp(-7)
    torch.testing.assert_close(back.sum(1), both, rtol=1e-3, atol=1e-4)


def test_who_speaks_the_ear_says_and_everything_else_the_reader() -> None:
    rng = torch.Generator().manual_seed(1)
    logits, voices = (3 * torch.randn(50, len(EVENT_NAMES), generator=rng) for _ in range(2))
    male, female = (EVENT_NAMES.index(w) for w in EVENT_NAMES if "speech" in w)
    read, plain = read_events(logits, women(voices)), torch.sigmoid(logits)
    others = [k for k in range(len(EVENT_NAMES)) if k not in (male, female)]
    assert torch.equal(read[:, others], plain[:, others])
    torch.testing.assert_close(read[:, [male, female]].sum(1), plain[:, [male, female]].amax(1))
    assert torch.equal(read[:, male] > read[:, female], voices[:, male] > voices[:, female])


def test_a_near_neighbour_takes_from_an_event_and_the_event_itself_keeps_its_own() -> None:
    """A cello scored beside a violin: where the cello leads, less is left; nothing else changes."""
    torch.manual_seed(0)
    ear = AudioCNN().eval()
    violin, cello = EVENT_NAMES.index("Violin, fiddle"), 188
    plain, doubting = AudioEvidence(ear).eval(), AudioEvidence(ear, doubting=True).eval()
    scores = torch.zeros(3, 521)
    scores[:, 186] = torch.tensor([0.9, 0.9, 0.3])
    scores[1:, cello] = torch.tensor([0.3, 0.9])
    concepts = (scores[:, None] * plain.weights).amax(-1)
    left = doubting._doubted(concepts, scores)
    kept = left[:, violin] / concepts[:, violin]
    assert kept[0] == 1
    assert float(kept[1]) == pytest.approx(0.9, abs=0.01)
    assert float(kept[2]) == pytest.approx(0.1, abs=0.01)
    others = [k for k in range(concepts.shape[1]) if k != violin]
    assert torch.equal(left[:, others], concepts[:, others])
    patches = torch.randn(4, 96, 64)
    with torch.inference_mode():
        assert bool((doubting(patches) <= plain(patches) + 1e-6).all())


def test_no_event_is_its_own_neighbour() -> None:
    own = audio_concepts.concept_weights()[: len(EVENT_NAMES)] == 1
    neighbours = audio_concepts.neighbour_weights()
    assert neighbours.max(1).tolist().count(1) >= 17
    assert not (own & (neighbours > 0)).any()


def test_an_eye_doubts_an_event_where_it_is_sure_of_a_near_neighbour() -> None:
    """Of a zebra little horse is left, of an electric guitar little of an acoustic one."""
    horse, guitar = EVENT_NAMES.index("Horse"), EVENT_NAMES.index("Acoustic guitar")
    sorrel, zebra, acoustic, electric = 339, 340, 402, 546
    eye = VisualEvidence(EfficientNetLite(LITE0), doubting=True)
    seen = torch.zeros(5, 1000 + len(visual_concepts.PROBES))
    seen[0, sorrel], seen[0, zebra] = 0.7, 0.3
    seen[1, sorrel], seen[1, zebra] = 0.05, 0.9
    seen[2, acoustic], seen[2, electric] = 0.6, 0.4
    seen[3, acoustic], seen[3, electric] = 0.1, 0.9
    seen[4, sorrel], seen[4, zebra] = 0.01, 0.1
    left = eye._left(seen)
    assert float(left[0, horse]) > 0.98
    assert float(left[1, horse]) < 0.01
    assert float(left[2, guitar]) > 0.9
    assert float(left[3, guitar]) < 0.02
    assert float(left[4, horse]) > 0.9
    assert bool((left[:, len(EVENT_NAMES) :] == 1).all())


def test_no_event_is_its_own_neighbour_in_sight() -> None:
    own, neighbours = np.split(visual_concepts.neighbour_matrix(), 2, axis=1)
    assert (own == (visual_concepts.concept_matrix()[:, : len(EVENT_NAMES)] >= 0.8)).all()
    assert not ((own > 0) & (neighbours > 0)).any()
    doubted = neighbours.max(axis=0) > 0
    assert doubted.sum() == 18
    assert (own.max(axis=0)[doubted] == 1).all()


@needs_data
def test_pictures_of_neighbours_speak_less_for_events_and_those_of_events_as_much() -> None:
    """One photograph of each; undoubting the eye sees 0.76 of a horse in the zebra."""
    import cv2

    files = {
        "Horse": ("_bg/*zebra*", "Horse/*sorrel*"),
        "Helicopter": ("_bg/*black_grouse*", "Helicopter/*"),
        "Rodents, rats, mice": ("_bg/*otter*", "Rodents/*hamster*"),
        "Chainsaw": ("_bg/*_plow*", "Chainsaw/*chain_saw*"),
    }
    eye = load_visual_evidence()
    for event, patterns in files.items():
        paths = [next(iter(sorted((DATA / "photos").glob(pattern)))) for pattern in patterns]
        images = [cv2.imread(str(path))[..., ::-1] for path in paths]
        small = [cv2.resize(image, (224, 224), interpolation=cv2.INTER_AREA) for image in images]
        said = {}
        for eye.doubting in (False, True):
            with torch.inference_mode():
                grid = eye(torch.from_numpy(np.stack(small)))
            said[eye.doubting] = grid[:, 0, 0, VISUAL_DIM // 2 + EVENT_NAMES.index(event)]
        assert float(said[True][0]) < float(said[False][0]) - 0.3, event
        assert float(said[True][1]) > float(said[False][1]) - 0.01, event


def test_a_damaged_reader_is_named(tmp_path: Path) -> None:
    damaged = tmp_path / "reader.safetensors"
    damaged.write_bytes(b"no weights")
    with pytest.raises(ModelFileError, match=r"reader\.safetensors: missing or damaged"):
        load_reader(damaged)


@pytest.mark.parametrize("load", [load_visual_evidence, load_visual_evidence_lite3])
def test_a_frame_is_judged_by_itself_and_whole_evidence_is_repeated(
    load: Callable[[], VisualEvidence],
) -> None:
    eye = load()
    frames = torch.from_numpy(np.random.default_rng(0).integers(0, 255, (3, 224, 224, 3), dtype=np.uint8))
    with torch.inference_mode():
        together, alone = eye(frames), eye(frames[1:2])
    assert together.shape == (3, 7, 7, VISUAL_DIM)
    torch.testing.assert_close(together[1:2], alone, rtol=1e-4, atol=1e-4)
    whole = together[..., VISUAL_DIM // 2 :]
    assert torch.equal(whole, whole[:, :1, :1].expand_as(whole))
    assert float(together.min()) >= 0
    assert float(together.max()) <= 1


@needs_data
def test_photographs_of_imagenet_are_named() -> None:
    """One photograph of each of many classes, squeezed as frames are; 0.849 of 152 were measured."""
    import cv2

    order = (DATA / "photos" / "imagenet_class_order.txt").read_text().split()
    index = {name.partition("_")[2].partition(".")[0].lower(): i for i, name in enumerate(order)}
    manifest = (DATA / "photos" / "MANIFEST.tsv").read_text().splitlines()
    rows = list(csv.DictReader(manifest, delimiter="\t"))
    rows = [r for r in rows if r["licence"].startswith("ImageNet")]
    wanted = [index.get(r["note"].strip().replace(" ", "_").lower()) for r in rows]
    known = [(r, w) for r, w in zip(rows, wanted, strict=True) if w is not None]
    assert len(known) >= 60
    images = [cv2.cvtColor(cv2.imread(str(DATA / "photos" / r["file"])), cv2.COLOR_BGR2RGB) for r, _ in known]
    small = [cv2.resize(image, (224, 224), interpolation=cv2.INTER_AREA) for image in images]
    network = load_efficientnet_lite0()
    with torch.inference_mode():
        parts = torch.from_numpy(np.stack(small)).split(8)
        answer = torch.cat([network.classify(network(part)).argmax(1) for part in parts])
    assert float((answer == torch.tensor([w for _, w in known])).float().mean()) >= 0.83
