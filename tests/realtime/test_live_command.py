"""The command itself: what it prints, how it fails, how it stops."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from avel_live.model.labels import LABELS
from avel_live.realtime.commands import COMMANDS, live_main, load, main
from support.media import make_clip
from support.own_classes import own_head

LIVE = [sys.executable, "-c", "from avel_live.realtime.commands import live_main; live_main()"]
ENV = {**os.environ, "OMP_NUM_THREADS": "1"}


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, handlers: None) -> None:
    """No configuration from outside; the handlers of the test runner come back."""
    for name in [n for n in os.environ if n.startswith("AVEL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("media") / "clip.mkv"
    return make_clip(path, seconds=2.6, fps=4, size=(96, 72), rate=16_000, channels="mono")


def failing(args: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        live_main(args)
    captured = capsys.readouterr()
    return int(ended.value.code or 0), captured.out, captured.err


def test_json_is_schema_1(clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The golden record: names, order and types of every field. A change here is a new schema."""
    code, out, err = failing(["--file", str(clip), "--fast", "--json", "--threads", "1"], capsys)
    assert (code, err) == (0, "")
    records = [json.loads(line) for line in out.splitlines()]
    assert [r["type"] for r in records if r["type"] != "event"] == [
        "start",
        *["hop"] * 3,
        *["segment"] * 3,
        "end",
    ]
    start, hop, end = records[0], records[1], records[-1]
    assert list(start) == [
        "type", "schema", "version", "profile", "backend", "precision", "device", "calibration", "source",
        "labels", "window", "segment_s", "hop_s", "settle",
    ]  # fmt: skip
    assert (start["schema"], start["window"], start["segment_s"], start["hop_s"]) == (1, 10, 1.0, 1.0)
    assert start["labels"] == list(LABELS)
    assert start["source"]["name"] == "clip.mkv"
    assert list(hop) == [
        "type", "hop", "segment", "label", "confidence", "top", "ood", "audio_dbfs", "latency_ms", "skipped",
        "dropped", "skew_ms", "drift_ppm",
    ]  # fmt: skip
    assert hop["segment"] == {
        "index": 0, "start_s": 0.0, "end_s": 1.0, "frames": 4, "audio": 1.0, "video": True, "sound": True,
        "partial": False,
    }  # fmt: skip
    assert len(hop["top"]) == 5
    assert hop["top"] == sorted(hop["top"], key=lambda pair: -pair[1])
    last = [r for r in records if r["type"] == "segment"][-1]
    assert list(last) == ["type", "index", "start_s", "end_s", "label", "confidence", "looks"]
    assert (last["index"], last["start_s"], last["end_s"], last["looks"]) == (2, 2.0, 2.6, 1)
    assert list(end) == [
        "type", "reason", "seconds", "hops", "skipped", "dropped", "events", "real_time_factor", "latency_ms",
        "skew_ms", "tracks", "lost",
    ]  # fmt: skip
    assert (end["reason"], end["seconds"], end["hops"], end["skew_ms"]) == ("end of file", 2.6, 3, None)
    assert sorted(end["latency_ms"]) == ["p50", "p95", "p99"]


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["--file", "nowhere.mp4"], 3, "nowhere.mp4: no such file"),
        (["--file", "text.mp4"], 3, "not a media file"),
        (["--file", "CLIP", "--mic", "none", "--camera", "none"], 2, "nothing to see or hear"),
        (["--camera", "none", "--mic", "none"], 2, "nothing to see or hear"),
        (["--file", "CLIP", "--hop", "0.3"], 2, "hop_s: expected 0.25"),
        (["--file", "CLIP", "--checkpoint", "nowhere.safetensors"], 4, "nowhere.safetensors"),
        (["--file", "CLIP", "--checkpoint", "text.mp4"], 4, "text.mp4"),
        (["--file", "CLIP", "--profile", "light"], 4, "unknown profile 'light'; did you mean lite?"),
        (["--file", "CLIP", "--classes", "Barck"], 2, "unknown class 'Barck'; did you mean bark"),
        (["--file", "CLIP", "--config", "nowhere.toml"], 2, "nowhere.toml: no such file"),
    ],
)
def test_bad_input_is_one_line_and_an_exit_code(
    args: list[str], code: int, words: str, clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("text.mp4").write_text("not a film" * 500)
    given = [str(clip) if a == "CLIP" else a for a in args]
    got, out, err = failing([*given, "--fast", "--json"], capsys)
    assert words in err
    assert got == code
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1


def test_debug_shows_the_trace_and_keeps_the_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = failing(["--file", "nowhere.mp4", "--debug"], capsys)
    assert code == 3
    assert err.startswith("Traceback")
    assert err.splitlines()[-1].startswith("error: ")


@pytest.mark.parametrize(
    "args",
    [
        ["rtsp://me:geheim@h/x"],
        ["--url", "http:/me:geheim@127.0.0.1:9"],
        ["--url", "rtsp://me:geheim@127.0.0.1:9/x?password=geheim"],
        ["--url", "rtsp://me:geheim@127.0.0.1:9/x", "--debug"],
        ["--file", "rtsp://me:geheim@h/x"],
        ["--camera", "rtsp://me:geheim@h/x", "--url", "rtsp://me:geheim@h/x"],
        ["--demo", "--mqtt", "foo://me:geheim@h"],
        ["--demo", "--mqtt", "mqtt://me:geheim@[h"],
        ["--demo", "--webhook", "ftp://me:geheim@h/?token=geheim"],
    ],
    ids=" ".join,
)
def test_no_error_carries_credentials(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = failing([*args, "--json"], capsys)
    assert code in (2, 3)
    assert "error: " in err
    assert "geheim" not in out + err


def test_the_configuration_is_shown_without_credentials(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AVEL_WEBHOOK__URL", "https://me:geheim@h/p?token=geheim")
    monkeypatch.setenv("AVEL_WEBHOOK__SECRET", "geheim")
    with pytest.raises(SystemExit) as ended:
        main(["config", "show", "--url", "rtsp://me:geheim@h/x"])
    shown = capsys.readouterr().out
    assert ended.value.code == 0
    assert "rtsp://***@h/x" in shown
    assert "https://***@h/p?token=***" in shown
    assert "geheim" not in shown


def test_a_secret_of_the_wrong_kind_is_not_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    Path("avel.toml").write_text('[webhook]\nsecret = ["geheim"]\n')
    code, _, err = failing(["--demo"], capsys)
    assert code == 2
    assert "webhook.secret (avel.toml)" in err
    assert "geheim" not in err


def test_unknown_flags_are_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = failing(["--sped", "4"], capsys)
    assert code == 2
    assert "--speed" in err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_unwritable_output(clip: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*LIVE, "--file", str(clip), "--fast", "--json"],
            stdout=full,
            stderr=subprocess.PIPE,
            env=ENV,
            timeout=120,
        )
    assert done.returncode == 5
    assert b"standard output" in done.stderr
    assert done.stderr.count(b"\n") == 1


def test_a_reader_that_goes_away_is_no_error(clip: Path) -> None:
    with subprocess.Popen(
        [*LIVE, "--file", str(clip), "--loop", "--fast", "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENV,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        process.stdout.close()
        err = process.stderr.read()
        assert (process.wait(120), err) == (0, b"")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_cleanly(number: signal.Signals, clip: Path) -> None:
    process = subprocess.Popen(
        [*LIVE, "--file", str(clip), "--loop", "--fast", "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENV, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(5)]
    process.send_signal(number)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0
    assert err == ""
    records = [json.loads(line) for line in [*lines, *out.splitlines()]]
    assert records[-1]["type"] == "end"
    assert records[-1]["reason"] == "stopped"
    hops = [r["segment"]["index"] for r in records if r["type"] == "hop"]
    assert [r["index"] for r in records if r["type"] == "segment"] == hops


def test_a_signal_while_networks_load_ends_the_loading(tmp_path: Path) -> None:
    """With an own head, nothing cached, loading says what it makes; nothing is left, and no complaint."""
    head = own_head(tmp_path / "own.safetensors", 3)  # the shipped ones need no export
    env = {**ENV, "AVEL_CACHE_DIR": str(tmp_path)}
    process = subprocess.Popen(
        [*LIVE, "--demo", "--no-ui", "--checkpoint", str(head)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    while "networks" not in (line := process.stdout.readline()):
        assert line, "it ended before it said that networks are loading"
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert not [path for path in tmp_path.rglob("*") if path.suffix == ".tmp"]


def test_ctrl_c_is_no_error_in_any_command(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("avel_live.realtime.commands.doctor.checks.checks", interrupted)
    with pytest.raises(SystemExit) as ended:
        main(["doctor"])
    assert ended.value.code == 0


def test_a_second_signal_ends_at_once(tmp_path: Path) -> None:
    script = tmp_path / "stuck.py"
    script.write_text(
        "import signal, time\n"
        "from avel_live.realtime.commands.live.signals import Signals\n"
        "s = Signals(); s.on_stop(lambda: print('stopping', flush=True)); print('ready', flush=True)\n"
        "while True: time.sleep(0.05)\n"
    )
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "stopping\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 128 + signal.SIGINT


def test_help_is_quick_and_light() -> None:
    """Neither help nor the list of commands needs torch, OpenCV, PyAV or the device library."""
    code = (
        "import sys\n"
        "from avel_live.realtime.commands import main\n"
        "for args in ([], ['live']):\n"
        "    try: main([*args, '--help'])\n"
        "    except SystemExit as e: assert not e.code\n"
        "heavy = {'torch', 'cv2', 'av', 'sounddevice', 'onnxruntime', 'matplotlib', 'soxr', 'numpy'}\n"
        "heavy &= set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    begun = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - begun < 30
    for name in COMMANDS:
        assert name in done.stdout
    assert "--camera" in done.stdout


def test_every_registered_command_loads_and_helps(capsys: pytest.CaptureFixture[str]) -> None:
    for name in COMMANDS:
        assert load(name) is not None
        with pytest.raises(SystemExit) as ended:
            main([name, "--help"])
        assert ended.value.code == 0, name
        assert capsys.readouterr().out.strip()


def test_a_recording_on_onnx_runtime_needs_no_torch(clip: Path) -> None:
    """From the command to the last record, with the runtime that is chosen where nobody says which.

    Nor OpenCV, nor, where only words and switches are given, a validator: 35 MB of the two hundred.
    """
    code = (
        "import sys\n"
        "from avel_live.realtime.commands import live_main\n"
        "try: live_main()\n"
        "except SystemExit as e: assert not e.code\n"
        "heavy = {'torch', 'torch_tensorrt', 'cv2', 'pydantic'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    command = [sys.executable, "-c", code, "--file", str(clip), "--fast", "--json"]
    for more, needed in ((["--backend", "onnxruntime"], "['pydantic']"), ([], "[]")):
        done = subprocess.run([*command, *more], capture_output=True, text=True, timeout=300, env=ENV)
        assert done.returncode == 0, done.stderr
        records = [json.loads(line) for line in done.stdout.splitlines()]
        assert records[0]["backend"] == "onnxruntime"
        assert records[-1]["type"] == "end"
        assert done.stderr.splitlines()[-1] == needed


def test_numpy_starts_no_threads_that_spin_beside_the_networks() -> None:
    """OpenBLAS reads its number of threads when it is loaded: after the command line has said it."""
    code = (
        "import os\n"
        "from avel_live.realtime.commands import main\n"
        "try: main(['--help'])\n"
        "except SystemExit as e: assert not e.code\n"
        "import numpy as np\n"
        "square = np.ones((600, 600))\n"
        "square @ square\n"
        "print('threads', len(os.listdir('/proc/self/task')))\n"
    )
    plain = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
    for given, most in (({}, 1), ({"OPENBLAS_NUM_THREADS": "2"}, 2)):
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env={**plain, **given}
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1] == f"threads {min(most, len(os.sched_getaffinity(0)))}"
