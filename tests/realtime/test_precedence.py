"""Which layer's word counts: across exclusions, for switches, for empty variables; what none may say."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from avel_live.realtime.commands import main
from avel_live.realtime.commands.calibrate.store import per_hour_of
from avel_live.realtime.config.keys import keys, value_of
from avel_live.realtime.config.load import config_from, load_config
from avel_live.realtime.config.schema import Config
from avel_live.realtime.core.errors import UsageError
from avel_live.realtime.events import DecoderConfig
from avel_live.realtime.sinks.clips.store import Budget


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [n for n in os.environ if n.startswith("AVEL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("toml", "environ", "flags", "expected"),
    [
        ('camera = "/dev/video2"', {}, {"demo": True}, {"demo": True, "camera": "0"}),
        ('camera = "/dev/video2"\nmic = "USB"', {}, {"file": "a.mp4"}, {"camera": "0", "mic": "default"}),
        ('camera = "/dev/video2"', {"AVEL_URL": "rtsp://h"}, {}, {"url": "rtsp://h", "camera": "0"}),
        ('url = "rtsp://h"', {}, {"file": "a.mp4"}, {"url": None, "file": Path("a.mp4")}),
        ('url = "rtsp://h"', {}, {"camera": "1"}, {"url": None, "camera": "1"}),
        ("demo = true", {"AVEL_FILE": "a.mp4"}, {}, {"demo": False, "file": Path("a.mp4")}),
        ('file = "a.mp4"', {"AVEL_URL": "rtsp://h"}, {"camera": "1"}, {"file": None, "url": None}),
        ("demo = true", {}, {"demo": False, "camera": "1"}, {"demo": False, "camera": "1"}),
        # No source at all is none that excludes another.
        ('camera = "none"', {}, {"file": "a.wav"}, {"camera": "none", "file": Path("a.wav")}),
        ('url = "rtsp://h"', {}, {"camera": "none"}, {"url": "rtsp://h", "camera": "none"}),
        ('camera = "/dev/video2"', {}, {"mic": "USB"}, {"camera": "/dev/video2", "mic": "USB"}),
        ("leave = 0.5", {}, {"enter": 0.3}, {"enter": 0.3, "leave": None}),
        ("enter = 0.3", {"AVEL_LEAVE": "0.5"}, {}, {"enter": None, "leave": 0.5}),
        ('ignore = ["Bark", "Cat"]', {}, {"classes": ["bark"]}, {"classes": ("bark",), "ignore": ("Cat",)}),
        ('classes = ["Train_Horn", "Cat"]', {"AVEL_IGNORE": "train horn"}, {}, {"classes": ("Cat",)}),
    ],
)
def test_a_higher_layer_wins_over_what_excludes_it(
    home: Path, toml: str, environ: dict[str, str], flags: dict[str, object], expected: dict[str, object]
) -> None:
    (home / "avel.toml").write_text(toml)
    loaded = load_config(flags, environ=environ)
    assert {path: value_of(loaded.config, path) for path in expected} == expected
    for path, value in expected.items():
        if value == value_of(Config(), path) and path not in flags:
            assert loaded.origins[path] == "default"


@pytest.mark.parametrize(
    ("toml", "flags"),
    [
        ('camera = "/dev/video2"\ndemo = true', {}),
        ("", {"camera": "1", "url": "rtsp://h"}),
        ('url = "rtsp://h"\nfile = "a"', {"enter": 0.5}),
        ("enter = 0.3\nleave = 0.5", {}),
    ],
)
def test_within_one_layer_it_is_a_contradiction(home: Path, toml: str, flags: dict[str, object]) -> None:
    (home / "avel.toml").write_text(toml)
    with pytest.raises(UsageError, match=r"exclude each other|above enter"):
        load_config(flags, environ={})


def test_what_a_class_ignored_altogether_leaves_is_a_contradiction(home: Path) -> None:
    (home / "avel.toml").write_text('classes = ["Bark"]')
    with pytest.raises(UsageError, match="classes and ignore both name 'Bark'"):
        load_config({"ignore": ["bark"]}, environ={})


def shown(*words: str, capsys: pytest.CaptureFixture[str]) -> dict[str, list[str]]:
    with pytest.raises(SystemExit) as ended:
        main(["config", "show", *words])
    captured = capsys.readouterr()
    assert ended.value.code == 0, captured.err
    return {line.split()[0]: line.split()[1:] for line in captured.out.splitlines()}


def test_every_switch_can_be_undone(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    switches = [key for key in keys() if key.kind is bool and key.option.flags]
    assert {"loop", "fast", "demo", "json", "no_ui", "debug"} <= {key.path for key in switches}
    for key in switches:
        tree = key.path.split(".")
        head = f"[{tree[0]}]\n" if len(tree) > 1 else ""
        (home / "avel.toml").write_text(f"{head}{tree[-1]} = true\n")
        (flag,) = key.option.flags
        name = flag.removeprefix("--")
        undone = f"--{name[3:]}" if name.startswith("no-") else f"--no-{name}"
        assert shown(capsys=capsys)[key.path] == ["true", "avel.toml"]
        assert shown(undone, capsys=capsys)[key.path] == ["false", "flag"]


def test_an_empty_variable_unsets(home: Path) -> None:
    (home / "avel.toml").write_text('name = "door"\nspeed = 4\n[mqtt]\nurl = "mqtt://h"\n')
    environ = {
        "AVEL_MQTT__URL": "",
        "AVEL_NAME": "",
        "AVEL_SPEED": "",
        "AVEL_RECORD__DIR": "",
        "AVEL_CLIPS__DIR": "c",
    }
    loaded = load_config({"speed": 2}, environ=environ)
    c = loaded.config
    assert (c.mqtt.url, c.name, c.speed, c.clips.dir) == (None, None, 2.0, Path("c"))
    assert loaded.origins["mqtt.url"] == "environment AVEL_MQTT__URL"
    assert loaded.origins["speed"] == "flag"


# What no layer may say ----------------------------------------------------------------------------------

NUMBERS = [key.path for key in keys() if key.kind is float]


@pytest.mark.parametrize("value", ["inf", "-inf", "nan", "1e999"])
def test_no_number_is_infinite(value: str) -> None:
    assert len(NUMBERS) > 15
    for path in NUMBERS:
        with pytest.raises(UsageError, match=r"finite|greater|less|expected|above") as caught:
            load_config({path: value}, environ={})
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "words",
    [
        ("calibrate", "background", "--minutes", "nan"),
        ("calibrate", "sync", "--seconds", "nan"),
        ("calibrate", "int8", "--agreement", "nan"),
        ("evaluate", "x", "--synthetic", "joint", "--temperature", "inf"),
        ("devices", "--test", "--seconds", "inf"),
        ("devices", "--test", "--fps", "nan"),
        ("live", "--duration", "inf"),
    ],
)
def test_no_command_takes_infinity(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert "finite" in error or "Input should be" in error  # within the option's own bounds
    assert error.count("\n") == 1


def test_budgets_and_thresholds_are_finite() -> None:
    with pytest.raises(UsageError, match="1/hour"):
        per_hour_of("9" * 400)
    for text in ("9" * 400 + "GB", "9" * 400 + "d"):
        with pytest.raises(UsageError, match="5GB"):
            Budget.parse(text)
    for wrong in (
        {"enter": float("nan")},
        {"hold_s": float("inf")},
        {"min_duration_s": (float("nan"),) * 28},
    ):
        with pytest.raises(UsageError, match="must be finite"):
            DecoderConfig(**wrong)  # type: ignore[arg-type]


DEEP = 100_000


@pytest.mark.parametrize(
    "toml",
    [
        "classes = " + "[" * DEEP + "]" * DEEP,
        "mqtt = " + "{a = " * DEEP + "1" + "}" * DEEP,
        "x" + ".x" * 5000 + " = 1",
        "classes = [" + '["x"],' * 50_000 + "]",
        "[" + "a." * 5000 + "b]\nc = 1",
    ],
)
def test_deep_nesting_is_one_line(home: Path, toml: str) -> None:
    (home / "avel.toml").write_text(toml)
    with pytest.raises(UsageError) as caught:
        load_config({}, environ={})
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


def test_deep_nesting_ends_a_program_with_one_line(home: Path) -> None:
    (home / "avel.toml").write_text("classes = " + "[" * DEEP + "]" * DEEP)
    code = "from avel_live.realtime.commands import main; main(['config', 'show'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=home, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


def test_deep_nesting_from_a_program_is_one_line_too() -> None:
    tree: dict[str, object] = {}
    tree["mqtt"] = tree
    with pytest.raises(UsageError, match="nested too deeply"):
        config_from(tree)
