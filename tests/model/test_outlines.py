"""Graphs that travel as outlines are what an export gives, filled without torch; a damaged file is named."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from avel_live.model.backbones.registry import EFFICIENTNET_LITE0
from avel_live.model.errors import ModelFileError
from avel_live.model.formats.numbers import read_early_torch, read_safetensors
from avel_live.model.formats.weights import save_weights
from avel_live.model.profiles import get_profile
from avel_live.model.runtime.base import EngineOptions
from avel_live.model.runtime.export import INPUTS, example_inputs, prepared
from avel_live.model.runtime.graphs import wanted
from avel_live.model.runtime.networks import build_network
from avel_live.model.runtime.onnx_engine import open_session
from avel_live.model.runtime.outline_maker import outlined
from avel_live.model.runtime.outline_maker import wanted as shipped
from avel_live.model.runtime.outlines import FOLDER, fill, outline

CASES = [
    ("lite", "visual"),
    ("lite", "audio"),
    ("lite", "head"),
    ("lite", "segment"),
    ("lite", "window"),
    ("lite-yamnet", "head"),
    ("full", "visual"),
]


def graph(profile: str, network, **options):
    """What is wanted of these options."""
    return wanted(get_profile(profile), EngineOptions(profile, **options), [network])[0]


@pytest.mark.parametrize(("name", "network"), CASES)
def test_a_filled_outline_answers_as_torch_does(name, network, tmp_path):
    profile = get_profile(name)
    one = graph(name, network)
    path = outline(one)
    assert path is not None
    fill(one, path, tmp_path / "graph.onnx")
    module, args = prepared(build_network(network, profile), network, example_inputs(network, profile))
    with torch.inference_mode():
        expected = module(*args)
    expected = expected if isinstance(expected, tuple) else (expected,)
    session = open_session(tmp_path / "graph.onnx")
    got = session.run(None, {k: v.numpy() for k, v in zip(INPUTS[network], args, strict=True)})
    for ours, theirs in zip(got, expected, strict=True):
        assert float(theirs.std()) > 1e-3
        np.testing.assert_allclose(ours, theirs, atol=1e-4 * max(1.0, float(theirs.abs().max())))


def test_what_ships_is_what_is_exported_now():
    """Else: `python -m avel_live.model.runtime.outline_maker`."""
    files = shipped()
    assert {path.name for path in files} == {path.name for path in FOLDER.glob("*.onnx")}
    for path, (network, profile) in files.items():
        now = outlined(build_network(network, profile), network, profile).graph
        kept = onnx.load(path, load_external_data=False).graph
        assert Counter(n.op_type for n in now.node) == Counter(n.op_type for n in kept.node), path.name
        stored = [{t.name: (tuple(t.dims), t.data_location) for t in g.initializer} for g in (now, kept)]
        assert stored[0] == stored[1], path.name


def test_they_hold_no_weights():
    assert max(path.stat().st_size for path in FOLDER.glob("*.onnx")) < 4e5


@pytest.mark.parametrize(
    ("network", "options"),
    [("visual", {"visual_weights": Path(EFFICIENTNET_LITE0.own())}), ("audio", {"profile": "lite-yamnet"})],
)
def test_what_was_given_or_fetched_is_exported(network, options, monkeypatch, tmp_path):
    monkeypatch.setattr("avel_live.model.backbones.registry.Backbone.files", lambda *_: (tmp_path / "any",))
    name = options.pop("profile", "lite")
    assert outline(graph(name, network, **options)) is None


def test_half_precision_and_fixed_batches_are_exported():
    options = EngineOptions()
    for more in ({"half": True}, {"frames": 4}):
        assert outline(wanted(get_profile("lite"), options, ["visual"], **more)[0]) is None


def test_numbers_are_read_as_torch_reads_them(tmp_path):
    path = EFFICIENTNET_LITE0.own()
    ours, theirs = read_early_torch(path), torch.load(path, weights_only=True)
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        np.testing.assert_array_equal(ours[name], value.numpy())
    network = torch.nn.Linear(5, 7)
    for stored in ("float32", "float16", "int8"):
        save_weights(tmp_path / "w.safetensors", network, stored=stored)
        near = read_safetensors(tmp_path / "w.safetensors")
        np.testing.assert_allclose(near["weight"], network.weight.detach(), atol=4e-3)
        assert {value.dtype for value in near.values()} == {np.dtype(np.float32)}


def test_a_pickle_that_names_anything_else_is_refused(tmp_path):
    (tmp_path / "w.pth").write_bytes(pickle.dumps(Path("/")))
    with pytest.raises(ModelFileError, match="it names pathlib") as caught:
        read_early_torch(tmp_path / "w.pth")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("keep", [0, 50, 5000, 100_000])
def test_a_file_cut_short_is_named(keep, tmp_path):
    (tmp_path / "w.pth").write_bytes(EFFICIENTNET_LITE0.own().read_bytes()[:keep])
    with pytest.raises(ModelFileError, match=r"w\.pth"):
        read_early_torch(tmp_path / "w.pth")


def test_weights_of_another_shape_are_named(tmp_path):
    network = build_network("audio", get_profile("lite")).ear
    network.classify = torch.nn.Linear(256, 3)
    save_weights(tmp_path / "ear.safetensors", network)
    one = graph("lite", "audio")
    with pytest.raises(ModelFileError, match=r"ear\.classify\.weight should be \[28, 256\], got \[3, 256\]"):
        fill(replace(one, files=(tmp_path / "ear.safetensors",)), outline(one), tmp_path / "g.onnx")


_FIRST = """
import json, sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "scipy", "matplotlib", "h5py"):
            raise ImportError(f"{name} is blocked")
sys.meta_path.insert(0, Blocked())
from avel_live.realtime.commands import live_main
try:
    live_main(["--demo", "--fast", "--json"])
except SystemExit as end:
    assert not end.code, end.code
"""


def test_the_first_demo_on_a_new_machine_needs_neither_torch_nor_an_export(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", _FIRST],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "AVEL_CACHE_DIR": str(tmp_path / "cache")},
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines[0]["backend"] == "onnxruntime"
    assert {"Bark", "Clock"} <= {line["label"] for line in lines if line["type"] == "segment"}
    assert "exporting" not in done.stderr
