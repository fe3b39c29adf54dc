"""Profiles are data: what each says is what its networks do, and anybody can add one."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from avel_live.model.backbones.registry import (
    AUDIO_CNN,
    EFFICIENTNET_LITE0,
    EFFICIENTNET_LITE3,
    YAMNET,
    Audio,
    Visual,
    refer,
)
from avel_live.model.checkpoint import save_checkpoint
from avel_live.model.diia import DIIA, DIIAConfig
from avel_live.model.errors import ModelFileError
from avel_live.model.files import SHIPPED
from avel_live.model.profiles import PROFILES, Profile, get_profile, register
from avel_live.model.runtime import graphs, select
from avel_live.model.runtime.base import EngineOptions
from avel_live.model.runtime.select import load_engine
from support.engines import pictures, sounds
from support.tiny_profile import tiny, write_weights

BACKBONES = {b.name: b for p in PROFILES.values() for b in (p.visual, p.audio)}
LABELS = ("one", "two", "three", "four", "background")


def write_head(path: Path, profile: str) -> Path:
    torch.manual_seed(0)
    config = DIIAConfig(4, 3, classes=len(LABELS), width=16, ffn=16, heads=2, guided_dim=8)
    save_checkpoint(path, DIIA(config).eval(), profile=profile, labels=LABELS)
    return path


@pytest.fixture(scope="module")
def added(tmp_path_factory) -> Profile:
    """A profile that this test adds, by one call."""
    folder = tmp_path_factory.mktemp("tiny")
    head = write_head(folder / "head.safetensors", "tiny")
    profile = register(tiny("tiny", write_weights(folder / "eye.npy"), head))
    yield profile
    del PROFILES["tiny"]


@pytest.fixture(scope="module")
def engines(added, tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache")
    options = EngineOptions("tiny", precision="fp32", cache_dir=cache)
    both = {name: load_engine(options._replace(backend=name)) for name in ("torch", "onnxruntime")}
    yield both
    for engine in both.values():
        engine.close()


def test_an_added_profile_runs_on_every_backend(engines):
    ours, theirs = engines["onnxruntime"], engines["torch"]
    seen, heard = pictures(10), sounds(10)
    grids = [engine.visual(seen) for engine in (ours, theirs)]
    vectors = [np.stack([engine.audio(one) for one in heard]) for engine in (ours, theirs)]
    assert grids[0].shape == (10, 7, 7, 4)
    assert vectors[0].shape == (10, 3)
    assert len(np.unique(vectors[0].round(4), axis=0)) == 10, "the front end is the profile's own"
    np.testing.assert_allclose(*grids, atol=1e-5)
    np.testing.assert_allclose(*vectors, atol=1e-5)
    here = np.ones(10, np.bool_)
    answers = [e.head(grids[0], vectors[0], here, here) for e in (ours, theirs)]
    assert answers[0].logits.shape == (10, 5)
    np.testing.assert_allclose(answers[0].logits, answers[1].logits, atol=1e-4)
    assert [e.info.profile for e in engines.values()] == ["tiny", "tiny"]
    assert ours.info.labels == LABELS
    for engine in engines.values():
        engine.warm_up()


def test_torch_is_timed_for_an_added_profile_too(engines, added, tmp_path):
    """The helper process that times it does not know the profile by itself."""
    options = EngineOptions("tiny", backend="torch", precision="fp32", cache_dir=tmp_path)
    assert 0 < select._measure(options) < 10_000


def test_its_weights_and_its_code_are_in_the_keys_of_its_graphs(engines, added, tmp_path, monkeypatch):
    from avel_live.model.runtime.sources import source_digest

    before = {g.network: g.key() for g in graphs.wanted(added, EngineOptions("tiny"))}
    other = write_weights(tmp_path / "eye.npy")
    other.write_bytes(other.read_bytes()[:-4] + bytes(4))
    given = {g.network: g.key() for g in graphs.wanted(added, EngineOptions("tiny", visual_weights=other))}
    assert {n for n in before if given[n]["weights"] != before[n]["weights"]} == {"visual"}
    source = Path(sys.modules["support.tiny_profile"].__file__)
    real = Path.read_bytes
    monkeypatch.setattr(
        Path, "read_bytes", lambda path: real(path) + (b"\n# changed\n" if path == source else b"")
    )
    source_digest.cache_clear()
    after = {g.network: g.key() for g in graphs.wanted(added, EngineOptions("tiny"))}
    source_digest.cache_clear()
    assert {n for n in before if after[n]["code"] != before[n]["code"]} == {"visual", "audio"}


_SCRIPT = """
import sys
from pathlib import Path
import numpy as np
from avel_live.model.backbones.registry import AUDIO_CNN, Visual
from avel_live.model.profiles import Profile, register
from avel_live.model.runtime.base import EngineOptions
from avel_live.model.runtime.select import load_engine

register(Profile("mine", Visual("my eye", 4, "my_networks:load_eye"), AUDIO_CNN, sys.argv[1], "mine"))
options = EngineOptions("mine", backend="onnxruntime", precision="fp32", cache_dir=Path(sys.argv[2]))
engine = load_engine(options)
print(engine.visual(np.full((1, 224, 224, 3), 255, np.uint8)).mean(), "torch" in sys.modules)
"""
_NETWORKS = """
import torch
from torch import nn

class Eye(nn.Module):
    def forward(self, frames):
        small = torch.nn.functional.avg_pool2d(frames.float().permute(0, 3, 1, 2), 32)
        return small[:, [0, 1, 2, 0]].permute(0, 2, 3, 1)

def load_eye(path):
    return Eye().eval()
"""


def test_a_script_of_ones_own_adds_a_profile_and_stays_free_of_torch(tmp_path):
    (tmp_path / "my_networks.py").write_text(_NETWORKS)
    (tmp_path / "run.py").write_text(_SCRIPT)
    torch.manual_seed(0)
    config = DIIAConfig(4, AUDIO_CNN.dim, width=16, ffn=16, heads=2, guided_dim=8)
    save_checkpoint(tmp_path / "head.safetensors", DIIA(config).eval(), profile="mine")
    command = [sys.executable, str(tmp_path / "run.py"), str(tmp_path / "head.safetensors"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, cwd="/")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["255.0", "False"]


def test_a_name_is_given_once(added):
    assert register(added) is added
    with pytest.raises(ValueError, match="'tiny': there is another one of that name"):
        register(replace(added, summary="another"))
    assert get_profile("tiny") is added


def test_an_unknown_name_says_what_there_is():
    with pytest.raises(ModelFileError, match="did you mean lite-yamnet"):
        get_profile("lite-yamnot")
    with pytest.raises(ModelFileError, match=f"known: {', '.join(PROFILES)}"):
        get_profile("quite another")


@pytest.mark.parametrize("load", ["load_eye", "__main__:load_eye", "support.tiny_profile"])
def test_a_loader_that_no_other_process_can_import_is_refused(load):
    with pytest.raises(ValueError, match="expected load as 'module:function'"):
        Visual("eye", 4, load)


def test_what_cannot_be_handed_over_is_one_line(added, tmp_path):
    class Hidden:
        def find(self) -> Path:
            return tmp_path / "eye.npy"

    write_weights(tmp_path / "eye.npy")
    profile = replace(added, name="hidden", visual=replace(added.visual, weights=Hidden()))
    register(profile)
    try:
        with pytest.raises(ModelFileError, match=r"'hidden' can't be handed .* top of a module") as caught:
            load_engine(
                EngineOptions(
                    "hidden",
                    backend="onnxruntime",
                    checkpoint=write_head(tmp_path / "h.safetensors", "hidden"),
                    cache_dir=tmp_path,
                )
            )
        assert "\n" not in str(caught.value)
    finally:
        del PROFILES["hidden"]


@pytest.mark.parametrize("name", BACKBONES)
def test_every_reference_leads_somewhere(name):
    backbone = BACKBONES[name]
    assert callable(refer(backbone.load))
    if isinstance(backbone, Audio):
        assert backbone.front_end()(sounds(1)[0]).shape == backbone.shape


@pytest.mark.parametrize(
    "backbone", [EFFICIENTNET_LITE0, EFFICIENTNET_LITE3, AUDIO_CNN], ids=lambda b: b.name
)
def test_a_backbone_is_as_wide_as_its_entry_says(backbone):
    network = "visual" if isinstance(backbone, Visual) else "audio"
    shape = (1, 224, 224, 3) if network == "visual" else (1, *AUDIO_CNN.shape)
    with torch.inference_mode():
        out = backbone.build()(torch.zeros(shape))
    assert out.shape == ((1, 7, 7, backbone.dim) if network == "visual" else (1, backbone.dim))


def test_all_files_that_a_backbone_reads_are_named(tmp_path):
    """Those that ship count where the user gives the public one, too."""
    given = tmp_path / "yamnet.tflite"
    ear, reader, voices = (SHIPPED / f"lite_{n}.safetensors" for n in ("audio", "yamnet_reader", "voices"))
    assert list(YAMNET.files(given)) == [given, ear, reader, voices]
    assert list(AUDIO_CNN.files()) == [ear, voices]
    assert list(AUDIO_CNN.files(given)) == [given, voices]
    assert EFFICIENTNET_LITE0.files()[1:] == (SHIPPED / "lite_visual.safetensors",)
    eye, probes = (SHIPPED / f"efficientnet_lite3{n}.safetensors" for n in ("", "_probes"))
    assert EFFICIENTNET_LITE3.files() == (eye, probes)
