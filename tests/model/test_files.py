"""One place for the user's folders, one way to write a file: whole, or not at all."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from avel_live.calibration.contents import DeviceFile as Measured
from avel_live.calibration.contents import Devices
from avel_live.calibration.files import device_path, load_device, save, stored_devices
from avel_live.calibration.places import calibration_path, new_calibration_path
from avel_live.model.files import (
    all_stored,
    atomic_write,
    cache_dir,
    data_dir,
    replacing,
    scratch,
    stored,
    weights_dir,
)
from avel_live.model.profiles import get_profile
from avel_live.model.runtime.cache import default_root
from avel_live.model.runtime.int8_graphs import installed_folder

FOLDERS = {"AVEL_CACHE_DIR": cache_dir, "AVEL_DATA_DIR": data_dir, "AVEL_WEIGHTS_DIR": weights_dir}
LITE = get_profile("lite")


@pytest.fixture
def home(monkeypatch, tmp_path) -> Path:
    """A home of one's own, with none of the variables set."""
    for name in (*FOLDERS, "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("name", FOLDERS)
def test_each_variable_moves_its_folder_and_no_other(home, monkeypatch, name):
    before = {n: find() for n, find in FOLDERS.items()}
    monkeypatch.setenv(name, "~/elsewhere")
    after = {n: find() for n, find in FOLDERS.items()}
    assert after == {**before, name: home / "elsewhere"}


def test_an_empty_variable_is_none(home, monkeypatch):
    before = data_dir()
    monkeypatch.setenv("AVEL_DATA_DIR", "")
    assert data_dir() == before


@pytest.mark.skipif(os.uname().sysname != "Linux", reason="where Linux keeps things")
def test_where_things_have_always_been(home):
    assert default_root() == home / ".cache/avel-live/engines"
    assert weights_dir() == home / ".cache/avel-live/weights"
    assert installed_folder(LITE) == home / ".local/share/avel-live/int8/lite"
    assert calibration_path("a" * 64, "fp32") == home / ".local/share/avel-live/calibration" / (
        "a" * 16 + "-fp32.json"
    )
    pair = Devices(camera="0", microphone="USB")
    assert device_path(pair).parent == home / ".local/share/avel-live/devices"


def test_the_data_folder_holds_all_that_is_measured_here(home, monkeypatch):
    monkeypatch.setenv("AVEL_DATA_DIR", str(home / "mine"))
    pair = Devices(camera="0", microphone="USB")
    for path in (installed_folder(LITE), calibration_path("a" * 64, "fp32"), device_path(pair)):
        assert path.is_relative_to(home / "mine"), path


def measured(offset_ms: float) -> Measured:
    return Measured(
        made="2025-01-01T00:00:00+00:00",
        devices=Devices(camera="0", microphone="USB"),
        offset_ms=offset_ms,
        low_ms=offset_ms - 1,
        high_ms=offset_ms + 1,
        events=5,
        kind="clap",
    )


def test_what_was_measured_before_the_variable_was_obeyed_is_still_found(home, monkeypatch):
    pair = measured(20).devices
    save(device_path(pair), measured(20))
    old = calibration_path("a" * 64, "fp32")
    old.parent.mkdir(parents=True)
    old.write_text("{}")
    monkeypatch.setenv("AVEL_DATA_DIR", str(home / "mine"))
    assert calibration_path("a" * 64, "fp32") == old
    assert new_calibration_path("a" * 64, "fp32").is_relative_to(home / "mine")
    assert load_device(pair) == measured(20)
    assert stored_devices() == ([measured(20)], [])
    save(device_path(pair), measured(30))
    assert device_path(pair).is_relative_to(home / "mine")
    assert load_device(pair) == measured(30)
    assert stored_devices() == ([measured(30)], [])
    assert stored("devices", "none.json") == home / "mine/devices/none.json"
    assert [path.parent.parent.name for path in all_stored("devices", "*.json")] == ["mine"]


@pytest.mark.parametrize("fsync", [False, True])
def test_text_bytes_and_writers(tmp_path, fsync):
    path = tmp_path / "file"
    for content, found in (
        ("grün\r\n", "grün\r\n".encode()),
        (b"\x00\xff", b"\x00\xff"),
        (lambda at: at.write_text("by hand"), b"by hand"),
    ):
        atomic_write(path, content, fsync=fsync)
        assert path.read_bytes() == found
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")

    def fail(at: Path) -> None:
        at.write_text("half of the new")
        assert path.read_text() == "old"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        atomic_write(path, fail)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_writer_that_writes_nothing_replaces_nothing(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(FileNotFoundError), replacing(path):
        pass
    assert path.read_text() == "old"


def test_permissions(tmp_path):
    """A new file has what the umask leaves; one that was there keeps what it had."""
    path = tmp_path / "file"
    umask = os.umask(0o027)
    try:
        atomic_write(path, "new")
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        path.chmod(0o600)
        atomic_write(path, "newer")
    finally:
        os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_two_writers_of_one_file_do_not_meet(tmp_path):
    path = tmp_path / "file"
    with replacing(path) as first, replacing(path) as second:
        first.write_text("first")
        second.write_text("second")
    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]


def test_a_scratch_name_is_hidden_and_ends_as_asked(tmp_path):
    with scratch(tmp_path / "net", ".onnx") as path:
        path.write_text("graph")
        assert path.name.startswith(".net.")
        assert path.suffix == ".onnx"
    assert list(tmp_path.iterdir()) == []
