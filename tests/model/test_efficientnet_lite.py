"""EfficientNet-Lite: padding as TensorFlow's, the family's sizes, Lite3's published weights to the bit."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from avel_live.model.backbones.efficientnet_lite import (
    LITE0,
    LITE3,
    SIDE,
    STAGES,
    EfficientNetLite,
    SameConv,
    load_efficientnet_lite3,
)
from avel_live.model.backbones.registry import EFFICIENTNET_LITE3
from avel_live.model.backbones.visual_evidence import load_visual_evidence_lite3
from avel_live.model.errors import ModelFileError
from avel_live.model.formats.numbers import read_safetensors
from avel_live.model.formats.tflite_layers import read_layers
from avel_live.model.training.lite import run
from avel_live.model.training.lite.eye import TFLITE, build_eye
from avel_live.model.training.lite.held_out import held_out_material
from avel_live.model.training.lite.pictures import kept
from onnx import TensorProto, helper, numpy_helper
from support.scenes import work_folder
from support.shared import DATA, needs_data


@pytest.mark.parametrize("side", [7, 8, 9, 35])
@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (3, 1), (5, 1), (3, 2), (5, 2)])
def test_same_padding_is_what_another_runtime_makes_of_it(side: int, kernel: int, stride: int) -> None:
    """ONNX Runtime's SAME_UPPER: the odd pixel right and below, and how many depends on the side."""
    torch.manual_seed(side)
    ours = SameConv(4, 4, kernel, stride, side=side, groups=4, bias=True)
    weight = numpy_helper.from_array(ours.weight.detach().numpy(), "w")
    bias = numpy_helper.from_array(ours.bias.detach().numpy(), "b")
    node = helper.make_node(
        "Conv", ["x", "w", "b"], ["y"], strides=[stride] * 2, auto_pad="SAME_UPPER", group=4
    )
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("x", "y")]
    model = helper.make_model(
        helper.make_graph([node], "conv", ends[:1], ends[1:], [weight, bias]),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    x = torch.randn(1, 4, side, side)
    (theirs,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x.numpy()})
    with torch.inference_mode():
        np.testing.assert_allclose(ours(x).numpy(), theirs, atol=1e-5)


def test_lite0_is_the_measure_and_lite3_as_published() -> None:
    assert LITE0.stages() == STAGES
    assert [stage.out for stage in LITE3.stages()] == [24, 32, 48, 96, 136, 232, 384]
    assert [stage.repeats for stage in LITE3.stages()] == [1, 3, 3, 5, 5, 6, 1]


@pytest.mark.parametrize(("side", "grid"), [(SIDE, 7), (280, 9), (100, 4)])
def test_the_grid_is_a_thirty_second_of_the_picture_rounded_up(side: int, grid: int) -> None:
    network = EfficientNetLite(LITE0, side).eval()
    with torch.inference_mode():
        assert network(torch.zeros(1, side, side, 3)).shape == (1, grid, grid, 1280)


@needs_data
def test_what_ships_is_what_the_published_file_says(tmp_path: Path) -> None:
    pytest.importorskip("tflite")
    build_eye(DATA / TFLITE, tmp_path / "eye.safetensors")
    made, ships = (
        read_safetensors(path) for path in (tmp_path / "eye.safetensors", EFFICIENTNET_LITE3.own())
    )
    assert made.keys() == ships.keys() == EfficientNetLite(LITE3).state_dict().keys()
    for name, value in made.items():
        np.testing.assert_array_equal(value, ships[name])
    first, *_, last = read_layers((DATA / TFLITE).read_bytes(), "eye")
    np.testing.assert_array_equal(first.weight * first.scale, ships["_conv_stem.weight"])
    np.testing.assert_array_equal(last.bias, ships["_fc.bias"])


@needs_data
def test_another_network_or_another_file_is_named(tmp_path: Path) -> None:
    pytest.importorskip("tflite")
    other = DATA / "teacher" / "yamnet_spectra_in.tflite"
    with pytest.raises(ModelFileError, match=r"yamnet.*expected 74 layers from \(32, 3, 3, 3\) .* got 28"):
        build_eye(other, tmp_path / "eye.safetensors")
    (tmp_path / "eye.tflite").write_bytes(bytes(100))
    for source, words in (("eye.tflite", "expected a .tflite file"), ("none.tflite", "can't be read")):
        with pytest.raises(ModelFileError, match=words) as caught:
            build_eye(tmp_path / source, tmp_path / "eye.safetensors")
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "eye.safetensors").exists()


@pytest.mark.slow
@needs_data
def test_photographs_are_seen_as_by_the_published_graph(tmp_path: Path) -> None:
    """At 280×280, where it was trained: its own operators, unpacked to float by a script of other hands."""
    import cv2

    script = DATA / "eye_lite3" / "tfl2onnx.py"
    command = [sys.executable, str(script), str(DATA / TFLITE), str(tmp_path / "reference.onnx")]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    reference = onnxruntime.InferenceSession(tmp_path / "reference.onnx")
    network = load_efficientnet_lite3(side=280)
    with (DATA / "photos" / "MANIFEST.tsv").open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))[::40]
    named = set()
    for row in rows:
        image = cv2.cvtColor(cv2.imread(str(DATA / "photos" / row["file"])), cv2.COLOR_BGR2RGB)
        small = cv2.resize(image, (280, 280), interpolation=cv2.INTER_AREA)[None]
        given = ((small.astype(np.float32) - 130) * 0.01266734).transpose(0, 3, 1, 2)
        logits, pooled = reference.run(None, {reference.get_inputs()[0].name: given})
        with torch.inference_mode():
            grid = network(torch.from_numpy(small))
            answer = network.classify(grid).numpy()
        np.testing.assert_allclose(answer, logits, atol=1e-3)
        np.testing.assert_allclose(grid.mean(dim=(1, 2)).numpy(), pooled, atol=1e-3)
        assert answer.argmax() == logits.argmax()
        named.add(int(answer.argmax()))
    assert len(named) > 10


def test_scenes_of_full_are_composed_of_what_its_own_eye_saw(tmp_path: Path) -> None:
    """And of what the ear of `lite-yamnet` heard, which is its ear."""
    work = work_folder(tmp_path / "work", "lite-yamnet")
    missing = r"no views_efficientnet-lite3\.npz nor pictures_efficientnet-lite3\.npz there"
    with pytest.raises(ModelFileError, match=missing) as caught:
        held_out_material(work, "full")
    assert "\n" not in str(caught.value)
    pictures, takes = held_out_material(work, "lite-yamnet")
    for path in kept(work, "full"):
        old = work / path.name.replace("_efficientnet-lite3", "")
        with np.load(old) as arrays:
            np.savez(path, **{name: value[::-1] for name, value in arrays.items()})
    other, same = held_out_material(work, "full")
    np.testing.assert_array_equal(other.whole, pictures.whole[::-1])
    np.testing.assert_array_equal(same.evidence, takes.evidence)


@pytest.mark.slow
@needs_data
def test_the_stage_makes_weights_and_probes_that_load(tmp_path: Path) -> None:
    """`avel train lite` on eight photographs; without the eye's file it makes nothing of it."""
    pytest.importorskip("tflite")
    photos = tmp_path / "data" / "photos"
    photos.mkdir(parents=True)
    with (DATA / "photos" / "MANIFEST.tsv").open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    kinds = ("Helicopter", "Mandolin", "_person", "_bg")
    some = [[r for r in rows if r["class"] == kind and "ImageNet" not in r["licence"]][:2] for kind in kinds]
    with (photos / "MANIFEST.tsv").open("w", newline="") as file:
        table = csv.DictWriter(file, rows[0].keys(), delimiter="\t")
        table.writeheader()
        for row in (one for kind in some for one in kind):
            table.writerow({**row, "file": str(DATA / "photos" / row["file"])})
    settings = run.LiteSettings(tmp_path / "data", tmp_path / "work", tmp_path / "out")
    for folder in (settings.work, settings.out):
        folder.mkdir()
    run._big_eye(settings, lambda *_: None)
    assert not list(settings.out.iterdir())
    (tmp_path / "data" / "eye_lite3").symlink_to(DATA / "eye_lite3")
    run._big_eye(settings, lambda *_: None)
    assert sorted(path.name for path in settings.out.iterdir()) == sorted(
        path.name for path in EFFICIENTNET_LITE3.files()
    )
    eye = load_visual_evidence_lite3(*(settings.out / path.name for path in EFFICIENTNET_LITE3.files()))
    views, pictures = kept(settings.work, "full")
    with np.load(views) as stored, np.load(pictures) as judged, torch.inference_mode():
        grid = torch.from_numpy(stored["grid"][:5]).float()
        np.testing.assert_allclose(eye.judge(grid).numpy(), judged["cells"][:5], atol=2e-3)
