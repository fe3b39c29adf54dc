"""Checkpoints: what is written comes back, and every kind of damage is named."""

import json

import pytest
import torch
from avel_live.model.checkpoint import file_sha256, load_checkpoint, read_info, save_checkpoint
from avel_live.model.diia import DIIA, DIIAConfig
from avel_live.model.errors import ModelFileError
from avel_live.model.files import SHIPPED
from avel_live.model.profiles import LITE, LITE_YAMNET
from safetensors.torch import load_file, save_file

CONFIG = DIIAConfig(visual_dim=6, audio_dim=5, grid=2, width=8, heads=2, ffn=8, hidden=4, classes=3)
LABELS = ("cat", "dog", "background")


@pytest.fixture
def saved(tmp_path):
    torch.manual_seed(0)
    model = DIIA(CONFIG).eval()
    path = tmp_path / "head.safetensors"
    save_checkpoint(path, model, profile="paper", labels=LABELS, info={"epoch": 3})
    return model, path


def rewrite(path, **changes):
    """The same weights under a changed header."""
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        metadata = dict(file.metadata())
    metadata.update(changes)
    save_file(load_file(path), path, metadata={k: v for k, v in metadata.items() if v is not None})
    return path


def test_what_was_saved_comes_back(saved):
    model, path = saved
    visual, audio = torch.randn(1, 4, 2, 2, 6), torch.randn(1, 4, 5)
    loaded, info = load_checkpoint(path, profile="paper")
    assert torch.equal(model(visual, audio).logits, loaded(visual, audio).logits)
    assert not loaded.training
    assert (info.labels, info.profile, info.config, info.info) == (LABELS, "paper", CONFIG, {"epoch": 3})
    assert info.sha256 == file_sha256(path) == read_info(path).sha256
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_half_precision_is_close_and_computed_in_single(saved, tmp_path):
    model, path = saved
    save_checkpoint(tmp_path / "half.safetensors", model, profile="paper", labels=LABELS, stored="float16")
    loaded, _ = load_checkpoint(tmp_path / "half.safetensors")
    assert all(p.dtype == torch.float32 for p in loaded.parameters())
    assert (tmp_path / "half.safetensors").stat().st_size < 0.75 * path.stat().st_size
    visual, audio = torch.randn(1, 4, 2, 2, 6), torch.randn(1, 4, 5)
    assert torch.allclose(model(visual, audio).logits, loaded(visual, audio).logits, atol=1e-2)


def test_the_features_of_another_profile_are_refused(saved):
    with pytest.raises(ModelFileError, match="trained on 'paper' features, but the profile is 'lite'"):
        load_checkpoint(saved[1], profile="lite")


def test_a_head_serves_a_profile_that_takes_the_heads_of_its_own():
    """`full` has another eye; its evidence is for the same concepts."""
    head = SHIPPED / LITE_YAMNET.head
    assert read_info(head, profile="full").profile == "lite-yamnet"
    with pytest.raises(ModelFileError, match="trained on 'lite-yamnet' features, but the profile is 'lite'"):
        read_info(head, profile="lite")
    with pytest.raises(ModelFileError, match="trained on 'lite' features, but the profile is 'full'"):
        read_info(SHIPPED / LITE.head, profile="full")


def test_missing(tmp_path):
    with pytest.raises(ModelFileError, match="no such file"):
        read_info(tmp_path / "none.safetensors")


@pytest.mark.parametrize("keep", [0, 4, 100, 0.5, 0.999])
def test_cut_short(saved, keep):
    whole = saved[1].read_bytes()
    saved[1].write_bytes(whole[: keep if isinstance(keep, int) else int(keep * len(whole))])
    with pytest.raises(ModelFileError, match=r"head\.safetensors: damaged"):
        load_checkpoint(saved[1])


def test_noise(saved):
    saved[1].write_bytes(bytes(range(256)) * 40)
    with pytest.raises(ModelFileError, match="damaged or not a safetensors file"):
        load_checkpoint(saved[1])


def test_another_programs_file(saved):
    rewrite(saved[1], format=None)
    with pytest.raises(ModelFileError, match="expected format 'avel-diia-1', got None"):
        load_checkpoint(saved[1])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"config": "{"}, "damaged header"),
        ({"config": None}, "damaged header"),
        ({"config": json.dumps({**CONFIG.to_dict(), "wings": 2})}, "unknown config keys.*wings"),
        ({"config": json.dumps({**CONFIG.to_dict(), "heads": 3})}, "not a multiple of heads"),
        ({"config": json.dumps({**CONFIG.to_dict(), "modalities": "smell"})}, "modalities must be"),
        ({"labels": "5"}, "damaged header"),
        ({"labels": json.dumps(["cat", "background"])}, "3 classes but 2 labels"),
        ({"config": json.dumps({**CONFIG.to_dict(), "width": 16})}, "weights do not fit its config"),
        ({"config": json.dumps({**CONFIG.to_dict(), "gate": False})}, "weights do not fit its config"),
        ({"config": json.dumps({**CONFIG.to_dict(), "dropout": 4.1})}, "dropout must be 0 to 1"),
        ({"config": json.dumps({**CONFIG.to_dict(), "ffn": 1.6})}, "ffn must be a whole number"),
        ({"config": json.dumps({**CONFIG.to_dict(), "depth": 10**9})}, "depth must be a whole number"),
        ({"config": json.dumps({**CONFIG.to_dict(), "ffn": 60_000})}, "weights do not fit its config"),
    ],
)
def test_damaged_headers(saved, changes, message):
    with pytest.raises(ModelFileError, match=message):
        load_checkpoint(rewrite(saved[1], **changes))


def test_a_header_that_asks_for_more_than_there_is_gets_no_memory(saved):
    """64 layers of 65,536 × 65,536 numbers: what is not in the file is not made either."""
    config = {**CONFIG.to_dict(), "width": 65_536, "ffn": 65_536, "depth": 64}
    with pytest.raises(ModelFileError, match="weights do not fit its config") as refused:
        load_checkpoint(rewrite(saved[1], config=json.dumps(config)))
    assert len(str(refused.value).splitlines()) == 1


def test_an_error_is_one_line_whatever_is_quoted_in_it():
    assert str(ModelFileError("calibration a.json: con\nfidence\r\n: extra\u2028input")) == (
        "calibration a.json: con fidence : extra input"
    )


def test_a_failed_write_leaves_the_old_file(saved, monkeypatch):
    before = saved[1].read_bytes()

    def broken(*args, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr("safetensors.torch.save_file", broken)
    with pytest.raises(OSError, match="disk full"):
        save_checkpoint(saved[1], saved[0], profile="paper", labels=LABELS)
    assert saved[1].read_bytes() == before
    assert [p.name for p in saved[1].parent.iterdir()] == [saved[1].name]
