"""No secret reaches a screen, a log or a record: by the form of an address, and by value everywhere else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from avel_live.realtime.config.load import config_from
from avel_live.realtime.core import redact as module
from avel_live.realtime.core.errors import OutputError, SourceError, UsageError
from avel_live.realtime.core.messages import SourceInfo, Status
from avel_live.realtime.core.redact import redact, remember
from avel_live.realtime.sinks.records import start_record, status_record
from support.stream import make_start

SECRET = "tlJwp5boX"
ADDRESSES = [
    "rtsp://10.0.0.7:554/user=admin_password={}_channel=1_stream=0.sdp?real_stream",
    "rtsp://10.0.0.7:554/user=admin&password={}&channel=1&stream=0.sdp",
    "http://cam/cgi-bin/snapshot.cgi?loginuse=admin&loginpas={}",
    "http://cam/videostream.cgi?usr=admin&pwd={}",
    "http://cam/video.mjpg?user=admin&passcode={}&channel=1",
    "http://cam/?psw={}", "http://cam/v?accountpassword={}", "http://cam/a;key={}", "http://cam/a#token={}",
    "rtsp://admin:{}@cam/live", "rtsp://cam/live?cred={}", "rtsp://cam/live?u=admin&p={}",
    "rtmp://host/app?doConnect=admin,{}", "srt://host:9000?streamid=a&passphrase={}",
    "http://cam/img/video.asf?access[token]={}", "http://cam/a?my_pass_word={}",
]  # fmt: skip
KEYS = [
    "rtmp://a.rtmp.example.com/live2/ab12-cd34-ef56-gh78-ij90",
    "rtsp://10.0.0.1:7447/5f3c9ab2de014b77",
    "https://hooks.example.com/services/T0000/B0000/XX12aaBBccDD34eeFFgg",
    "https://api.example.org/bot123456789:AAE-x9Yz_kLmN0pQrStUvW/send",
    "rtsp://cam/9e107d9d-372b-4d1a-8f6c-0242ac120002",
]


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_values", {})


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_says_no_secret(address: str) -> None:
    full = address.replace("{}", SECRET)
    shown = redact(f"stream {full}: gone")
    assert SECRET not in shown
    assert shown.endswith(": gone") or "***" in shown
    assert full.split("/")[2].split("@")[-1].split("?")[0] in shown  # the host is still there
    assert redact(shown) == shown
    # From now on the value is known, and found where no address is.
    remember(full)
    assert SECRET not in redact(f"Could not open '{SECRET}' (401)")


@pytest.mark.parametrize("address", KEYS)
def test_keys_in_paths_are_secrets(address: str) -> None:
    longest = max(address.split("/")[3:], key=len)
    assert longest not in redact(f"stream {address}")
    remember(address)
    assert longest not in redact(f"server said: no stream called {longest}")


@pytest.mark.parametrize(
    "plain",
    [
        "rtsp://10.0.0.7:554/Streaming/Channels/101",
        "rtsp://cam/cam/realmonitor?channel=1&subtype=0",
        "rtsp://cam:554/h264Preview_01_main",
        "http://cam/axis-cgi/mjpg/video.cgi?resolution=640x480&fps=15",
        "rtsp://cam/live/ch00_0",
        "rtsp://cam/profile1/media.smp",
        "http://host/rec/20261129T101500Z.ts",
        "srt://host:9000?mode=caller&latency=120000",
        "file clip_2026-11-29_10-15-00.mp4, 640x480, enter = 0.5; metrics.token is missing",
        "mqtt://127.0.0.1:1883; trying again, messages wait",
    ],
)
def test_what_is_no_secret_stays(plain: str) -> None:
    assert redact(plain) == plain


def test_secrets_of_the_configuration_are_known_by_value() -> None:
    config_from(
        {
            "url": f"rtsp://cam/user=admin_password={SECRET}_channel=1",
            "mqtt.password": "Mqtt-Pass-1",
            "metrics.token": "tok3n",
            "webhook.url": "https://ann:p%40ssW0rd@host/x",
        }
    )
    for value in (SECRET, "Mqtt-Pass-1", "tok3n", "p@ssW0rd", "p%40ssW0rd"):
        assert value not in redact(f"the peer said: {value} is wrong")
        for kind in (UsageError, SourceError, OutputError):
            assert value not in str(kind(f"x {value} y"))
        assert value not in json.dumps(status_record(Status("stream", "lost", f"no {value}", 0)))
        source = SourceInfo(f"rtsp://cam/{value}", "network", video=value, audio=value, live=True)
        assert value not in json.dumps(start_record(make_start(source=source)))
    assert redact("tok3nize this") == "tok3nize this"  # short ones only as words of their own


def test_neither_records_nor_log_nor_errors_of_a_run_say_it(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:9/user=admin_password={SECRET}_channel=1?loginpas={SECRET}"
    log = tmp_path / "log.jsonl"
    run = "from avel_live.realtime.commands import live_main; live_main()"
    args = ["--url", url, "--json", "--log", str(log), "--duration", "1"]
    done = subprocess.run(
        [sys.executable, "-c", run, *args], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 3
    said = done.stdout + done.stderr + (log.read_text() if log.exists() else "")
    assert "127.0.0.1" in said
    assert SECRET not in said


def test_a_secret_that_begins_like_another_leaves_nothing_of_it() -> None:
    for secret in ("kurz-4711", "kurz-4711-und-lang"):
        remember(secret, secret=True)
    assert redact("kurz-4711-und-lang, kurz-4711") == "***, ***"
