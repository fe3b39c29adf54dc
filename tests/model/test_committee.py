"""A committee of heads is the mean of its members, whole, cut, stored and exported."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from avel_live.model.checkpoint import load_checkpoint, read_info, save_checkpoint
from avel_live.model.committee import Committee
from avel_live.model.diia import DIIA, DIIAConfig
from avel_live.model.errors import ModelFileError
from avel_live.model.profiles import get_profile
from avel_live.model.runtime.export import example_inputs, export_onnx

SMALL = DIIAConfig(visual_dim=6, audio_dim=5, grid=2, width=32, heads=2, ffn=24, hidden=16, classes=3)
LABELS = ("cat", "dog", "background")


def committee(config: DIIAConfig = SMALL, count: int = 3) -> Committee:
    members = []
    for seed in range(count):
        torch.manual_seed(seed)
        members.append(DIIA(config))
    return Committee(members).eval()


def window(batch: int = 2, length: int = 6) -> tuple[torch.Tensor, ...]:
    torch.manual_seed(9)
    seen, heard = torch.rand(batch, length) > 0.3, torch.rand(batch, length) > 0.3
    return torch.randn(batch, length, 2, 2, 6), torch.randn(batch, length, 5), seen, heard


def test_it_answers_with_the_mean_of_its_members() -> None:
    heads, inputs = committee(), window()
    logits, attention = heads(*inputs)
    each = [member(*inputs) for member in heads.members]
    assert torch.allclose(logits, sum(one.logits for one in each) / 3, atol=1e-6)
    assert torch.allclose(attention, sum(one.attention for one in each) / 3, atol=1e-6)
    assert not torch.allclose(logits, each[0].logits, atol=1e-2)


def test_a_cut_of_its_tokens_is_the_shorter_window() -> None:
    heads, inputs = committee(), window()
    tokens = heads.tokens(*inputs)
    assert torch.allclose(heads.decide(tokens), heads(*inputs).logits, atol=1e-5)
    assert torch.allclose(
        heads.decide(tokens.cut(1, 4)), heads(*(x[:, 1:4] for x in inputs)).logits, atol=1e-5
    )


def test_eight_bits_on_disk_are_a_quarter_and_close(tmp_path: Path) -> None:
    heads, inputs = committee(), window()
    for stored in ("float32", "int8"):
        save_checkpoint(tmp_path / stored, heads, profile="paper", labels=LABELS, stored=stored)
    loaded, info = load_checkpoint(tmp_path / "int8")
    assert (info.members, read_info(tmp_path / "float32").members) == (3, 3)
    assert isinstance(loaded, Committee)
    assert all(p.dtype == torch.float32 for p in loaded.parameters())
    exact, near = heads(*inputs).logits, loaded(*inputs).logits
    assert 0 < (near - exact).abs().max() < 0.02 * exact.abs().max()
    assert (tmp_path / "int8").stat().st_size < 0.5 * (tmp_path / "float32").stat().st_size
    assert torch.equal(load_checkpoint(tmp_path / "float32")[0](*inputs).logits, exact)


@pytest.mark.parametrize("count", ["0", "17", "many"])
def test_a_header_with_an_absurd_number_of_members_is_refused(tmp_path: Path, count: str) -> None:
    from safetensors.torch import load_file, save_file

    path = tmp_path / "head.safetensors"
    save_checkpoint(path, committee(), profile="paper", labels=LABELS)
    header = {"format": "avel-diia-1", "profile": "paper", "labels": '["cat", "dog", "background"]'}
    save_file(load_file(path), path, header | {"config": "{}", "members": count})
    with pytest.raises(ModelFileError, match="damaged header"):
        read_info(path)


def test_scales_without_their_matrix_are_refused(tmp_path: Path) -> None:
    from safetensors import safe_open
    from safetensors.torch import load_file, save_file

    path = tmp_path / "head.safetensors"
    save_checkpoint(path, committee(), profile="paper", labels=LABELS, stored="int8")
    with safe_open(path, "pt") as file:
        header = file.metadata()
    kept = load_file(path)
    save_file({k: v for k, v in kept.items() if k != "members.0.hidden.weight"}, path, header)
    with pytest.raises(ModelFileError, match="weights do not fit its config"):
        load_checkpoint(path)


def test_one_graph_holds_them_all(tmp_path: Path) -> None:
    ort = pytest.importorskip("onnxruntime")
    profile = get_profile("lite")
    heads = committee(DIIAConfig(visual_dim=76, audio_dim=72, width=16, heads=2, ffn=16, guided_dim=8))
    export_onnx(heads, "head", profile, tmp_path / "head.onnx", None)
    inputs = example_inputs("head", profile)
    with torch.inference_mode():
        logits, attention = heads(*inputs)
    names = ("visual", "audio", "visual_mask", "audio_mask")
    session = ort.InferenceSession(tmp_path / "head.onnx")
    got = session.run(None, dict(zip(names, (x.numpy() for x in inputs), strict=True)))
    known = (inputs[2] | inputs[3])[0]
    assert abs(got[0][0][known] - logits[0][known].numpy()).max() < 1e-4
    assert abs(got[1][0][known] - attention[0][known].numpy()).max() < 1e-5
