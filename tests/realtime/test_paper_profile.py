"""The paper's profile, live: weights in their public forms, a checkpoint, a recording; all random."""

import json

import pytest
from avel_live.model.checkpoint import save_checkpoint
from avel_live.model.diia import DIIA, DIIAConfig
from avel_live.realtime.commands import live_main
from support.media import make_clip
from support.paper_files import paper_head, vgg19_file, vggish_file


@pytest.mark.slow
def test_a_recording_through_the_papers_networks(tmp_path, capsys):
    vggish = vggish_file(tmp_path / "vggish.pth")
    head = paper_head(tmp_path / "head.safetensors")
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
