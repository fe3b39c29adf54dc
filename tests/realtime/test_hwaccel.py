"""Hardware that decodes: where there is none the CPU does, says so, and the answers are the same."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from avel_live.realtime.commands import live_main
from avel_live.realtime.core.messages import Status
from avel_live.realtime.sources.connect import NetworkOptions, connect
from avel_live.realtime.sources.hardware import _DEVICES, _trouble, hardware
from support.media import make_clip
from support.played import Played

pytestmark = pytest.mark.skipif(
    any(not _trouble(name) for name in _DEVICES), reason="this machine has hardware that decodes"
)
AUTO = "decoded on the CPU (no hardware decoder)"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clip") / "clip.mp4")


@pytest.mark.parametrize("wanted", ["auto", *_DEVICES])
def test_a_recording_is_the_same_without_the_device(clip: Path, wanted: str) -> None:
    plain, played = Played(clip), Played(clip, hwaccel=wanted)
    assert len(plain.frames) > 0
    assert [f.t_ns for f in played.frames] == [f.t_ns for f in plain.frames]
    for a, b in zip(played.frames, plain.frames, strict=True):
        np.testing.assert_array_equal(a.image, b.image)
    np.testing.assert_array_equal(played.sound(), plain.sound())
    assert "decoded" not in plain.info.video
    remarks = [item for item in played.items if isinstance(item, Status)]
    if wanted == "auto":
        assert played.info.video == f"{plain.info.video}, {AUTO}"
        assert remarks == []
    else:
        assert played.info.video.startswith(f"{plain.info.video}, decoded on the CPU ({wanted}: ")
        (remark,) = remarks
        assert remark.severity == "warning"
        assert remark.reason.startswith(f"--hwaccel {wanted}: decoded on the CPU ({wanted}: ")
        assert "\n" not in remark.reason


@pytest.mark.parametrize("wanted", ["none", "auto", "vaapi"])
def test_a_stream_is_opened_all_the_same(clip: Path, wanted) -> None:
    connection = connect(NetworkOptions(str(clip), hwaccel=wanted))
    try:
        assert next(connection.container.decode(connection.video)).width > 0
    finally:
        connection.close()
    assert connection.decoder.startswith(
        {"none": "", "auto": AUTO}.get(wanted, "decoded on the CPU (vaapi: ")
    )
    assert len(connection.remarks) == (wanted == "vaapi")


def test_a_stream_without_picture_asks_for_no_hardware(clip: Path) -> None:
    connection = connect(NetworkOptions(str(clip), video=False, hwaccel="vaapi"))
    connection.close()
    assert (connection.decoder, connection.remarks) == ("", ())


def test_nothing_is_asked_of_the_machine_by_default() -> None:
    _trouble.cache_clear()
    assert hardware("none").accel is None
    assert _trouble.cache_info().misses == 0


def test_the_start_record_names_what_decodes(clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        live_main(["--file", str(clip), "--fast", "--json", "--hwaccel", "auto"])
    assert ended.value.code == 0
    start = json.loads(capsys.readouterr().out.splitlines()[0])
    assert start["source"]["video"].endswith(AUTO)
