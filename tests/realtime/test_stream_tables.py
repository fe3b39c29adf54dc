"""`[[streams]]` in avel.toml: what is said for all, what for one, and what can't be."""

from __future__ import annotations

from pathlib import Path

import pytest
from avel_live.realtime.commands import main
from avel_live.realtime.commands.live.idle import refuse_idle
from avel_live.realtime.config.load import Loaded, load_config
from avel_live.realtime.config.streams import SHARED, StreamConfig, streams_of
from avel_live.realtime.core.errors import UsageError

TWO = """
enter = 0.6
log.jsonl = "logs/all.jsonl"
mqtt.client_id = "box"

[[streams]]
name = "door"
url = "rtsp://me:secret@door/stream"

[[streams]]
name = "Hof"
camera = "1"
enter = 0.8
ignore = ["Bark"]
[streams.mqtt]
topic = "outside"
[streams.log]
jsonl = "logs/own.jsonl"
"""


def loaded(folder: Path, text: str, environ: dict[str, str] | None = None, **flags: object) -> Loaded:
    file = folder / "avel.toml"
    file.write_text(text)
    return load_config(flags, path=file, environ=environ or {})


def both(
    folder: Path, text: str = TWO, environ: dict[str, str] | None = None, **flags: object
) -> list[StreamConfig]:
    return list(streams_of(loaded(folder, text, environ, **flags)))


def test_what_is_said_for_all_holds_for_each_that_says_nothing_else(tmp_path: Path) -> None:
    door, hof = both(tmp_path)
    assert (door.name, door.config.url, door.config.enter) == ("door", "rtsp://me:secret@door/stream", 0.6)
    assert (hof.name, hof.config.camera, hof.config.enter, hof.config.ignore) == ("Hof", "1", 0.8, ("Bark",))
    assert (door.config.mqtt.topic, hof.config.mqtt.topic) == ("avel", "outside")


def test_no_two_write_into_one_file_or_under_one_client_id(tmp_path: Path) -> None:
    door, hof = both(tmp_path)
    assert door.config.log.jsonl == Path("logs/all-door.jsonl")
    assert hof.config.log.jsonl == Path("logs/own.jsonl")
    assert (door.config.mqtt.client_id, hof.config.mqtt.client_id) == ("box-door", "box-hof")


def test_flag_before_table_before_environment_before_top_level(tmp_path: Path) -> None:
    environ = {"AVEL_ENTER": "0.7", "AVEL_LEAVE": "0.2", "AVEL_CAMERA": "3"}
    door, hof = both(tmp_path, environ=environ)
    assert (door.config.enter, hof.config.enter, door.config.leave) == (0.7, 0.8, 0.2)
    assert (door.config.url, hof.config.camera) == ("rtsp://me:secret@door/stream", "1")
    assert [one.config.enter for one in both(tmp_path, environ=environ, enter=0.9)] == [0.9, 0.9]


WRONG = {
    "unknown key": (
        '[[streams]]\nname = "door"\nenterr = 1',
        "streams 'door': unknown key 'enterr'; did you mean",
    ),
    "without a name": ("[[streams]]\ndemo = true", "streams number 1: a stream needs a name"),
    "two of one name": (
        '[[streams]]\nname = "A door"\n[[streams]]\nname = "a-door"',
        "'A door' and 'a-door' would share topics and files",
    ),
    "wrong value": (
        '[[streams]]\nname = "door"\nenter = 7',
        "streams 'door': enter .*less than or equal to 1",
    ),
    "contradiction": (
        '[[streams]]\nname = "door"\nurl = "rtsp://a/b"\ndemo = true',
        "streams 'door': --url and --demo exclude each other",
    ),
    "of the whole program": (
        '[[streams]]\nname = "door"\nprofile = "paper"',
        "profile is one for all streams",
    ),
    "a port": ('[[streams]]\nname = "door"\nmetrics.port = 1', r"metrics\.port is one for all streams"),
    "no tables": ('streams = "door"', r"expected streams as tables, each under \[\[streams\]\]"),
    "one file": (
        '[[streams]]\nname = "a"\nlog.jsonl = "x"\n[[streams]]\nname = "b"\nlog.jsonl = "x"',
        "'a' and 'b' both write x",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said_with_the_name_of_the_stream(tmp_path: Path, case: str) -> None:
    text, said = WRONG[case]
    with pytest.raises(UsageError, match=said):
        both(tmp_path, text)


def test_keys_of_the_whole_program_exist() -> None:
    from avel_live.realtime.config.keys import keys

    assert {key.path.split(".")[0] for key in keys()} >= SHARED


def test_config_show_says_what_each_stream_has_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loaded(tmp_path, TWO)
    with pytest.raises(SystemExit) as code:
        main(["config", "show", "--config", str(tmp_path / "avel.toml")])
    assert code.value.code == 0
    shown = capsys.readouterr().out
    _, door, hof = shown.split("[[streams]] ", 2)[0], *shown.split("\n\n")[1:]
    assert door.startswith("[[streams]] door\n")
    assert "me:secret" not in shown
    assert "rtsp://***@door/stream" in door
    said = {line.split()[0]: line.split()[1] for line in hof.splitlines()[1:]}
    assert said == {
        "camera": "1", "enter": "0.8", "ignore": "Bark", "log.jsonl": "logs/own.jsonl",
        "mqtt.topic": "outside", "name": "Hof",
    }  # fmt: skip


def test_avel_live_runs_one_stream_and_says_who_runs_several(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="avel serve"):
        refuse_idle(loaded(tmp_path, TWO))
    refuse_idle(loaded(tmp_path, TWO, demo=True))
    refuse_idle(loaded(tmp_path, TWO, {"AVEL_URL": "rtsp://elsewhere/a"}))
