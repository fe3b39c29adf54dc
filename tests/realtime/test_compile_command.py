"""`avel compile`: whole ONNX files for each profile, a cache that mends itself, and refusals in one line."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from avel_live.model.profiles import WINDOW, get_profile
from avel_live.model.runtime.onnx_engine import open_session
from avel_live.model.runtime.probe import machine
from avel_live.realtime.commands import main
from support.engines import confident_head, pictures
from support.paper_files import paper_head, vgg19_file, vggish_file
from support.shared import DATA


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for the whole file: exporting is what takes long."""
    path = tmp_path_factory.mktemp("compile")
    confident_head(path / "head.safetensors")
    return path


@pytest.fixture(autouse=True)
def _clean(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [n for n in os.environ if n.startswith("AVEL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AVEL_CACHE_DIR", str(folder / "cache"))
    monkeypatch.setenv("AVEL_DATA_DIR", str(folder / "data"))


def compiled(capsys: pytest.CaptureFixture[str], *args: str) -> dict[str, Path]:
    """Network → file, as the command prints them."""
    with pytest.raises(SystemExit) as ended:
        main(["compile", *args])
    out, err = capsys.readouterr()
    assert not ended.value.code, err
    lines = (line.partition(": ") for line in out.splitlines())
    return {name: Path(rest.rpartition(" (")[0]) for name, _, rest in lines}


def shapes(path: Path) -> list[list[object]]:
    """Of the outputs."""
    return [list(x.shape) for x in open_session(path).get_outputs()]


def test_three_whole_files_that_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    profile = get_profile("lite")
    head = str(folder / "head.safetensors")
    paths = compiled(capsys, "--checkpoint", head, "--out", str(folder / "out"))
    assert [path.name for path in paths.values()] == [
        "lite_visual.onnx",
        "lite_audio.onnx",
        "lite_head.onnx",
    ]
    assert sorted(path.name for path in (folder / "out").iterdir()) == sorted(p.name for p in paths.values())
    assert shapes(paths["visual"]) == [["n", 7, 7, profile.visual.dim]]
    assert shapes(paths["audio"]) == [["n", profile.audio.dim]]
    assert shapes(paths["head"]) == [[1, WINDOW, 29], [1, WINDOW, 7, 7]]
    frames = pictures(3)
    whole = open_session(paths["visual"]).run(None, {"frames": frames})[0]
    fixed = compiled(capsys, "--checkpoint", head, "--frames", "3")
    assert shapes(fixed["visual"]) == [[3, 7, 7, profile.visual.dim]]
    again = open_session(fixed["visual"]).run(None, {"frames": frames})[0]
    np.testing.assert_allclose(again, whole, atol=1e-4 * np.abs(whole).max())


def test_a_damaged_cache_entry_is_compiled_anew(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    head = str(folder / "head.safetensors")
    path = compiled(capsys, "--checkpoint", head)["head"]
    good = path.read_bytes()
    path.write_bytes(good[: len(good) // 2])
    with pytest.raises(Exception, match=r"Protobuf|parse|load"):
        onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    mended = compiled(capsys, "--checkpoint", head)["head"]
    assert len(mended.read_bytes()) == len(good)
    assert shapes(mended) == [[1, WINDOW, 29], [1, WINDOW, 7, 7]]


def test_a_foreign_card_is_not_believed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A card that points at another network's file, with that file's own checksum."""
    paths = compiled(capsys, "--checkpoint", str(folder / "head.safetensors"))
    cards = {name: next((folder / "cache").rglob(f"{path.stem[:-9]}.json")) for name, path in paths.items()}
    foreign = json.loads(cards["audio"].read_text())
    cards["head"].write_text(json.dumps(foreign))
    again = compiled(capsys, "--checkpoint", str(folder / "head.safetensors"))
    assert shapes(again["head"]) == [[1, WINDOW, 29], [1, WINDOW, 7, 7]]


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["--to", "tflite"], 2, "expected onnx, torch-tensorrt, tensorrt or tensorrt-rtx, got 'tflite'"),
        (["--frames", "none"], 2, "expected `dynamic` or a number above 0"),
        (["--frames", "4", "--to", "tensorrt"], 2, "--frames is for --to onnx"),
        (["--precision", "fp8"], 2, "expected fp32, fp16 or int8"),
        (["--to", "torch-tensorrt", "--precision", "int8"], 2, "use --to tensorrt --precision int8"),
        (["--profile", "light"], 4, "did you mean lite?"),
        (["--profile", "paper"], 4, "give one with --checkpoint"),
        (["--checkpoint", "/nowhere/head.safetensors"], 4, "/nowhere/head.safetensors"),
    ],
)
def test_refusals(args: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["compile", *args])
    err = capsys.readouterr().err
    assert (ended.value.code, message in err) == (code, True), err
    assert err.count("\n") == 1, err


@pytest.mark.skipif(bool(machine().gpu), reason="there is a GPU here")
@pytest.mark.parametrize("to", ["tensorrt", "torch-tensorrt"])
def test_engines_need_tensorrt(to: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["compile", "--to", to, "--precision", "fp16"])
    err = capsys.readouterr().err
    assert ended.value.code == 6
    assert "TensorRT" in err
    assert err.count("\n") == 1, "said before anything is exported"


@pytest.mark.slow
def test_the_paper_profile(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = compiled(
        capsys,
        *("--profile", "paper", "--checkpoint", str(paper_head(tmp_path / "head.safetensors"))),
        *("--visual-weights", str(vgg19_file(tmp_path / "vgg.h5"))),
        *("--audio-weights", str(vggish_file(tmp_path / "vggish.pth"))),
    )
    assert shapes(paths["visual"]) == [["n", 7, 7, 512]]
    assert shapes(paths["audio"]) == [["n", 128]]


@pytest.mark.slow
@pytest.mark.skipif(not (DATA / "teacher").is_dir(), reason=f"no YAMNet weights at {DATA / 'teacher'}")
def test_the_profile_with_yamnet(capsys: pytest.CaptureFixture[str]) -> None:
    weights = str(DATA / "teacher" / "yamnet_spectra_in.tflite")
    paths = compiled(capsys, "--profile", "lite-yamnet", "--audio-weights", weights)
    assert shapes(paths["audio"]) == [["n", get_profile("lite-yamnet").audio.dim]]
