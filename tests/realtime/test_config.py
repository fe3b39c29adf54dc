"""One schema, four ways to fill it; every mistake is one line that names the way out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest
from avel_live.realtime.commands import main
from avel_live.realtime.config.keys import keys, value_of
from avel_live.realtime.config.load import load_config
from avel_live.realtime.config.schema import Config
from avel_live.realtime.core.errors import UsageError


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder without any configuration, and an environment without ours."""
    for name in [n for n in os.environ if n.startswith("AVEL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_defaults_stand_once(home: Path) -> None:
    loaded = load_config({}, environ={})
    assert loaded.config == Config()
    assert set(loaded.origins.values()) == {"default"}


def test_flag_beats_environment_beats_file(home: Path) -> None:
    (home / "avel.toml").write_text('speed = 2\nhop_s = 2\nprofile = "paper"\n[mqtt]\nurl = "mqtt://h"\n')
    loaded = load_config({"speed": 8}, environ={"AVEL_SPEED": "4", "AVEL_HOP_S": "5"})
    c = loaded.config
    assert (c.speed, c.hop_s, c.profile, c.mqtt.url) == (8, 5, "paper", "mqtt://h")
    assert loaded.origins["speed"] == "flag"
    assert loaded.origins["hop_s"] == "environment AVEL_HOP_S"
    assert loaded.origins["profile"] == "avel.toml"
    assert loaded.origins["mqtt.url"] == "avel.toml"
    assert loaded.origins["fast"] == "default"


def test_user_folder_is_read_when_there_is_no_local_file(home: Path) -> None:
    folder = home / "xdg" / "avel-live"
    folder.mkdir(parents=True)
    (folder / "avel.toml").write_text("settle = 5\n")
    assert load_config({}, environ={}).config.settle == 5
    (home / "avel.toml").write_text("settle = 4\n")
    assert load_config({}, environ={}).config.settle == 4
    (home / "other.toml").write_text("settle = 3\n")
    assert load_config({}, path=home / "other.toml", environ={}).config.settle == 3
    assert load_config({}, environ={"AVEL_CONFIG": "other.toml"}).config.settle == 3


def test_every_key_can_be_set_from_the_environment(home: Path) -> None:
    environ = {
        "AVEL_RECORD__PRE_S": "2.5",
        "AVEL_CLASSES": "Bark; Male speech, man speaking",
        "AVEL_LOG__JSONL": "out.jsonl",
        "AVEL_FAST": "true",
        "AVEL_FRAMES": "8",
    }
    c = load_config({}, environ=environ).config
    assert c.clips.pre_s == 2.5
    assert c.classes == ("Bark", "Male speech, man speaking")
    assert c.log.jsonl == Path("out.jsonl")
    assert c.fast is True
    assert c.frames == "8"


def test_numbers_in_the_file_may_stand_for_text(home: Path) -> None:
    (home / "avel.toml").write_text("camera = 1\nframes = 4\n")
    c = load_config({}, environ={}).config
    assert (c.camera, c.frames) == ("1", "4")


@pytest.mark.parametrize(
    ("toml", "environ", "flags", "words"),
    [
        ("sped = 2", {}, {}, ["avel.toml", "'sped'", "did you mean speed?"]),
        ("[mqtt]\nur = 'x'", {}, {}, ["'mqtt.ur'", "did you mean mqtt.url?"]),
        ("speed = ", {}, {}, ["not readable as TOML"]),
        ("speed = 'x'", {}, {}, ["speed (avel.toml)", "valid number"]),
        ("", {"AVEL_SETLE": "1"}, {}, ["AVEL_SETLE", "did you mean AVEL_SETTLE?"]),
        ("", {"AVEL_SETTLE": "12"}, {}, ["settle (environment AVEL_SETTLE)", "less than or equal to 9"]),
        ("", {}, {"settle": -1}, ["settle (flag)", "greater than or equal to 0"]),
        ("", {}, {"hop_s": 1.5}, ["0.25, 0.5 or a whole number"]),
        ("", {}, {"enter": 0.3, "leave": 0.4}, ["leave 0.4 is above enter 0.3"]),
        ("", {}, {"file": "a", "url": "b"}, ["--file and --url exclude each other"]),
        ("", {}, {"file": "a", "camera": "1"}, ["--camera 1 and --file exclude each other"]),
        ("", {}, {"camera": "none", "mic": "none"}, ["nothing to see or hear"]),
        ("", {}, {"size": "big"}, ["size (flag)"]),
        ("", {}, {"start_s": float("nan")}, ["start_s (flag)"]),
    ],
)
def test_mistakes(
    home: Path, toml: str, environ: dict[str, str], flags: dict[str, object], words: list[str]
) -> None:
    (home / "avel.toml").write_text(toml + "\n")
    with pytest.raises(UsageError) as caught:
        load_config(flags, environ=environ)
    text = str(caught.value)
    assert "\n" not in text
    for word in words:
        assert word in text


def test_a_missing_file_is_named(home: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere\.toml: no such file"):
        load_config({}, path=Path("nowhere.toml"), environ={})


def test_configuration_is_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        Config().speed = 2.0  # type: ignore[misc]


def test_every_flag_is_spelt_once_and_says_what_it_does() -> None:
    spelt = [name for key in keys() for name in key.option.flags]
    assert len(spelt) == len(set(spelt))
    for key in keys():
        assert not key.option.flags or key.option.help
        assert value_of(Config(), key.path) == key.default


def test_config_show(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "avel.toml").write_text('[mqtt]\nurl = "mqtt://h"\npassword = "hunter2"\n')
    with pytest.raises(SystemExit) as ended:
        main(["config", "show", "--speed", "4", "--classes", "Bark", "--classes", "Cat"])
    assert ended.value.code == 0
    rows = {line.split()[0]: line.split() for line in capsys.readouterr().out.splitlines()}
    assert rows["speed"] == ["speed", "4.0", "flag"]
    assert rows["classes"] == ["classes", "Bark;", "Cat", "flag"]
    assert rows["mqtt.url"] == ["mqtt.url", "mqtt://h", "avel.toml"]
    assert rows["mqtt.password"][1] == "********"
    assert rows["fast"] == ["fast", "false", "default"]
    assert set(rows) == {key.path for key in keys()}


@pytest.mark.parametrize("name", ["AVEL_CACHE_DIR", "AVEL_DATA_DIR", "AVEL_WEIGHTS_DIR"])
def test_variables_that_name_folders_are_no_misspelt_keys(name: str) -> None:
    load_config({}, environ={name: "anywhere"})


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"demo": True, "json": True},
        {"camera": "0", "mic": "default", "frames": "4"},
        {"file": "a.mp4", "log.jsonl": "x.jsonl", "classes": "Bark; Clock"},
        {"url": "rtsp://h/s", "mqtt.url": "mqtt://h", "mqtt.discovery": False, "clips.dir": "c"},
    ],
)
def test_words_and_switches_need_no_validator_and_say_the_same(values: dict[str, object]) -> None:
    """What is filled in by hand is what pydantic makes of it, type by type."""
    code = (
        "import json, sys; from dataclasses import asdict\n"
        "from avel_live.realtime.config.load import config_from, flat, _adapter\n"
        "given = json.loads(sys.argv[1]); ours = config_from(given)\n"
        "assert 'pydantic' not in sys.modules\n"
        "tree = {}\n"
        "for path, value in flat(given).items():\n"
        "    *groups, leaf = path.split('.'); at = tree\n"
        "    for group in groups: at = at.setdefault(group, {})\n"
        "    at[leaf] = value.split('; ') if path == 'classes' else value\n"
        "theirs = _adapter().validate_python(tree)\n"
        "assert repr(ours) == repr(theirs), (ours, theirs)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(values)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
