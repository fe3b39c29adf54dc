"""The paper's profile, live: weights in their public forms, a checkpoint, a recording; all random."""

import json

import numpy as np
import pytest
from avel_live.model.backbones.vgg19 import BLOCKS
from avel_live.model.backbones.vggish import VGGish
from avel_live.model.checkpoint import save_checkpoint
from avel_live.model.diia import DIIA, DIIAConfig
from avel_live.realtime.commands import live_main
from support.media import make_clip


def vgg19_file(path):
    """Keras' layout: a group a layer, kernels [3, 3, in, out]."""
    import h5py

    rng, width = np.random.default_rng(0), 3
    with h5py.File(path, "w") as file:
        for block, (channels, count) in enumerate(BLOCKS, 1):
            for conv in range(1, count + 1):
                name = f"block{block}_conv{conv}"
                kernel = rng.standard_normal((3, 3, width, channels), np.float32)
                file[f"{name}/{name}_W_1:0"] = kernel * np.float32(np.sqrt(2 / (9 * width)))
                file[f"{name}/{name}_b_1:0"] = np.zeros(channels, np.float32)
                width = channels
    return path


@pytest.mark.slow
def test_a_recording_through_the_papers_networks(tmp_path, capsys):
    import torch

    torch.manual_seed(0)
    vggish = tmp_path / "vggish.pth"
    torch.save(VGGish().state_dict(), vggish)
    head = tmp_path / "head.safetensors"
    save_checkpoint(head, DIIA(DIIAConfig()).eval(), profile="paper")
    args = ["--file", str(make_clip(tmp_path / "clip.mp4", seconds=2, fps=2)), "--fast", "--json"]
    args += ["--profile", "paper", "--backend", "torch", "--precision", "fp32"]
    args += ["--visual-weights", str(vgg19_file(tmp_path / "vgg.h5")), "--audio-weights", str(vggish)]
    with pytest.raises(SystemExit) as stopped:
        live_main([*args, "--checkpoint", str(head)])
    assert stopped.value.code == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert records[0]["type"] == "start"
    assert records[0]["profile"] == "paper"
    assert [r["index"] for r in records if r["type"] == "segment"] == [0, 1]

    save_checkpoint(head, DIIA(DIIAConfig(width=16)).eval(), profile="lite")
    with pytest.raises(SystemExit) as stopped:
        live_main([*args, "--checkpoint", str(head)])
    assert stopped.value.code == 4
    assert "trained on 'lite' features, but the profile is 'paper'" in capsys.readouterr().err
