"""Flags are applied where they mean something and refused where they do not; none is ignored."""

from __future__ import annotations

from pathlib import Path

import pytest
from avel_live.realtime.commands import live_main
from avel_live.realtime.commands.live.idle import refuse_idle
from avel_live.realtime.config.load import load_config
from support.media import make_clip
from support.played import Played

CLIP = ("--file", "clip.mp4")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([*CLIP, "--size", "640x480"], "--size is for a camera: beside --file it does nothing"),
        ([*CLIP, "--fps", "10"], "--fps is for a camera: beside --file"),
        (["--url", "rtsp://h/s", "--fps", "10"], "--fps is for a camera: beside --url"),
        (["--url", "rtsp://h/s", "--start", "3"], "--start is for a recording"),
        (["--url", "http://h/s", "--rtsp-transport", "udp"], "--rtsp-transport is for an rtsp:// address"),
        (["--camera", "0", "--hwaccel", "auto"], "--hwaccel is for the picture of a recording or a network"),
        (["--demo", "--mic", "none", "--channel", "1"], "--channel is for sound: beside --demo"),
        (
            [*CLIP, "--camera", "none", "--sync-offset", "9"],
            "--sync-offset is for picture and sound together",
        ),
        (["--mic", "none", "--speed", "2"], "--speed is for a recording (--file, --demo): beside --camera"),
        (["--camera", "none", "--audio-track", "2"], "--audio-track is for a recording"),
    ],
)
def test_a_flag_that_would_do_nothing_is_refused(
    given: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        live_main(given)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_what_a_file_says_for_other_sources_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "avel.toml"
    path.write_text('size = "640x480"\nfps = 15\nspeed = 2.0\n')
    refuse_idle(load_config({"demo": True}, path=path, environ={}))
    refuse_idle(load_config({"camera": "1"}, path=path, environ={}))
    refuse_idle(load_config({"file": "x.mp4", "channel": 2, "sync_offset_ms": 30.0}, path=path, environ={}))


@pytest.mark.parametrize("shift_ms", [200.0, -200.0])
def test_the_picture_of_a_recording_can_be_shifted(shift_ms: float, tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mp4")
    plain = Played(path, originals=True)
    shifted = Played(path, originals=True, sync_offset_ms=shift_ms)
    assert shifted.beeps() == plain.beeps()
    assert shifted.flashes() == pytest.approx([t + shift_ms / 1000 for t in plain.flashes()], abs=0.001)
    assert shifted.totals.lost == {}


def test_a_file_of_which_nothing_decodes_exits_with_3(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = make_clip(tmp_path / "clip.avi", audio=False, seconds=1.0)
    data = bytearray(path.read_bytes())
    begin, end = data.index(b"movi") + 4, data.rindex(b"idx1")
    at = begin
    while at + 8 < end:
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        data[at + 8 : at + 8 + size] = b"\xff" * size
        at += 8 + size + size % 2
    path.write_bytes(data)
    with pytest.raises(SystemExit) as ended:
        live_main(["--file", str(path), "--fast", "--json"])
    assert ended.value.code == 3
    assert "nothing in it can be decoded" in capsys.readouterr().err
