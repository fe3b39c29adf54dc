"""Setting up a Jetson: what its tools print is read rightly, and only `--apply` changes anything."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from avel_live.model.errors import BackendError
from avel_live.model.profiles import get_profile
from avel_live.model.runtime import trt_ahead, trt_plain
from avel_live.model.runtime.base import EngineOptions
from avel_live.model.runtime.flavours import FLAVOURS
from avel_live.model.runtime.trt_build import Batch, trtexec_command
from avel_live.realtime.commands.doctor import jetson
from avel_live.realtime.commands.doctor.jetson import Output

SAID = json.loads((Path(__file__).parents[1] / "data" / "jetson" / "outputs.json").read_text())


@pytest.mark.parametrize(
    ("said", "modes", "result", "better"),
    [
        ("nvpmodel -q, Orin Nano, 15 W", "nvpmodel.conf, Orin Nano", "fail", "2"),
        ("nvpmodel -q, Orin Nano, strongest", "nvpmodel.conf, Orin Nano", "pass", None),
        ("nvpmodel -q, with warnings", "nvpmodel.conf, AGX Orin", "fail", "0"),
        ("nvpmodel -q, not root", "nvpmodel.conf, Orin Nano", "fail", None),
        ("nvpmodel -q, Orin Nano, 15 W", None, "pass", None),
    ],
)
def test_power_mode(said: str, modes: str | None, result: str, better: str | None) -> None:
    item, number = jetson.power_mode(Output(0, SAID[said]), SAID[modes] if modes else "")
    assert (item.result, number) == (result, better)


@pytest.mark.parametrize(
    ("said", "result", "found"),
    [
        ("jetson_clocks --show, free", "fail", "0 of 2"),
        ("jetson_clocks --show, held", "pass", "2 processors"),
        ("jetson_clocks --show, not root", "fail", "must be run as root"),
    ],
)
def test_clocks(said: str, result: str, found: str) -> None:
    item = jetson.clocks(Output(0, SAID[said]))
    assert item.result == result
    assert found in item.found


def test_opencv() -> None:
    assert jetson.opencv(Output(0, SAID["cv2, of the system"])).found == "GStreamer 1.20.3"
    assert jetson.opencv(Output(0, SAID["cv2, of pip"])).result == "fail"
    assert jetson.opencv(Output(1, "ModuleNotFoundError: No module named 'cv2'")).result == "fail"


@pytest.mark.parametrize(
    ("said", "result"),
    [
        ("nv_tegra_release, JetPack 6.2", "pass"),
        ("nv_tegra_release, JetPack 7.2", "pass"),
        ("nv_tegra_release, JetPack 5", "fail"),
    ],
)
def test_release(said: str, result: str) -> None:
    assert jetson.release(SAID[said]).result == result
    assert jetson.release("").result == "fail"


def test_an_engine_is_there_only_when_the_file_is(tmp_path: Path) -> None:
    target = tmp_path / "lite_visual.engine"
    passed = Output(0, SAID["trtexec, passed"])
    assert jetson.engine("visual", passed, target).result == "fail"
    target.write_bytes(bytes(2_000_000))
    assert jetson.engine("visual", passed, target).found == "2.0 MB, 813 calls a second"
    failed = jetson.engine("visual", Output(1, SAID["trtexec, failed"]), target)
    assert (failed.result, failed.found) == ("fail", "[E] Engine set up failed")


class Device:
    """A Jetson as documentation has it: commands change its state; `avel` and the demo really run."""

    def __init__(self, engines: bool = True) -> None:
        self.mode, self.held, self.engines = "Orin Nano, 15 W", "free", engines
        self.calls: list[list[str]] = []

    def __call__(self, command: Sequence[str]) -> Output:
        self.calls.append(list(command))
        program = Path(command[0]).name
        if program == "nvpmodel":
            if command[1] == "-m":
                self.mode = "Orin Nano, strongest"
            return Output(0, SAID[f"nvpmodel -q, {self.mode}"])
        if program == "jetson_clocks":
            if len(command) == 1:
                self.held = "held"
            return Output(0, SAID[f"jetson_clocks --show, {self.held}"])
        if program == "trtexec":
            if self.engines:
                Path(command[2].split("=")[1]).write_bytes(b"engine")
            return Output(
                0 if self.engines else 1, SAID[f"trtexec, {'passed' if self.engines else 'failed'}"]
            )
        if program == "avel" and "onnx" in command:
            out = Path(command[-1])
            out.mkdir(parents=True, exist_ok=True)
            for name in ("visual", "audio", "head"):
                (out / f"lite_{name}.onnx").write_bytes(b"graph")
            return Output(0, "done")
        if program == "avel":
            return Output(0, "head: cache/head.engine (1.0 MB)")
        if program == "avel-live":
            return Output(0, demo_lines())
        return Output(0, SAID["cv2, of the system"] if "-c" in command else "active")


def demo_lines(wrong: int = 0, skipped: int = 0) -> str:
    records: list[dict[str, object]] = [{"type": "start", "backend": "tensorrt"}]
    for k in range(24):
        label = "Bark" if 3 <= k <= 8 else "Clock" if 14 <= k <= 19 else "background"
        records.append({"type": "segment", "index": k, "label": "Violin" if k < wrong else label})
    records.append({"type": "end", "latency_ms": {"p99": 31.0}, "skipped": skipped})
    return "\n".join(["a line that is not JSON", *map(json.dumps, records)])


def test_the_demo_is_judged() -> None:
    assert jetson.self_test(Output(0, demo_lines())).found.startswith("24 of 24 seconds right on tensorrt")
    assert jetson.self_test(Output(0, demo_lines(wrong=5))).result == "fail"
    assert jetson.self_test(Output(0, demo_lines(skipped=1))).result == "fail"
    assert jetson.self_test(Output(6, "error: no GPU")).found == "error: no GPU"


def set_up(device: Device, tmp_path: Path, *, apply: bool) -> dict[str, str]:
    items = jetson.steps(
        device,
        apply=apply,
        onnx=tmp_path / "onnx",
        release_text=SAID["nv_tegra_release, JetPack 6.2"],
        modes=SAID["nvpmodel.conf, Orin Nano"],
    )
    return {item.name: item.result for item in items}


def test_looking_changes_nothing(tmp_path: Path) -> None:
    device = Device()
    results = set_up(device, tmp_path, apply=False)
    assert (results["power mode"], results["clocks"], results["self-test"]) == ("fail", "fail", "pass")
    assert ["nvpmodel", "-m", "2"] not in device.calls
    assert ["jetson_clocks"] not in device.calls
    assert not any(call[0] == "trtexec" for call in device.calls)


def test_applying_sets_builds_and_looks_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    device = Device()
    assert set(set_up(device, tmp_path, apply=True).values()) == {"pass"}
    assert sum(call[0] == "trtexec" for call in device.calls) == 3
    folder = str(tmp_path / "onnx" / "engines")
    assert device.calls[-2][1:] == ["compile", "--to", "tensorrt", "--precision", "fp16", "--out", folder]
    assert device.calls[-1][1:] == ["--demo", "--json", "--engines", folder]
    broken = set_up(Device(engines=False), tmp_path / "other", apply=True)
    assert [name for name, result in broken.items() if result == "fail"] == [
        "engine lite_audio", "engine lite_head", "engine lite_visual",
    ]  # fmt: skip
    items = iter([jetson.Item("a", "pass", "x"), jetson.Item("b", "fail", "y", "do z")])
    assert jetson.report(items) == 1
    assert capsys.readouterr().out.splitlines()[-2:] == ["      → do z", "1 failed"]


@pytest.mark.parametrize(
    ("network", "name", "shape"), [("visual", "frames", "224x224x3"), ("audio", "patches", "96x64")]
)
def test_trtexec_is_told_what_the_program_itself_builds(tmp_path: Path, network, name, shape) -> None:
    device = Device()
    set_up(device, tmp_path, apply=True)
    graph = tmp_path / "onnx" / f"lite_{network}.onnx"
    (said,) = [call for call in device.calls if f"--onnx={graph}" in call]
    most = {"visual": 16, "audio": 1}[network]
    for size in (f"--minShapes={name}:1x{shape}", f"--maxShapes={name}:{most}x{shape}", "--stronglyTyped"):
        assert size in said
    batch = Batch.of(network, get_profile("lite"))
    built = trtexec_command(batch, graph, graph.with_suffix(".engine"), graph.with_name("timing.cache"))
    # Here it also runs the engine, for its speed; where the program builds one it does not.
    assert [*said, "--skipInference"] == [*built[:5], *built[6:], built[5]]


def test_the_guide_tells_what_a_manifest_holds(tmp_path: Path, monkeypatch) -> None:
    """Its example has the very keys of one that is written; a device of another kind refuses it."""
    guide = (Path(__file__).parents[2] / "realtime" / "deploy" / "README.md").read_text()
    (block,) = re.findall(r"```json\n(.*?)```", guide, re.S)
    example = json.loads(block)
    assert example["format"] == trt_ahead.FORMAT
    flavour = FLAVOURS[example["flavour"]]
    made = tmp_path / "made.engine"
    made.write_bytes(b"engine")
    monkeypatch.setattr(trt_plain, "engines", lambda *_: {"audio": made})
    monkeypatch.setattr(trt_ahead, "gpu_here", lambda: example["capabilities"][0])
    monkeypatch.setattr(type(flavour), "version", example["version"])
    options = EngineOptions(example["profile"], cache_dir=tmp_path / "cache")
    manifest = trt_ahead.build_here(options, example["precision"], tmp_path / "out", flavour)
    assert {name: type(value) for name, value in manifest.items()} == {
        name: type(value) for name, value in example.items()
    }
    (entry,) = manifest["engines"].values()
    assert set(entry) == set(example["engines"]["audio"])
    found = trt_ahead.read_ahead(tmp_path / "out", options, networks=["audio"])
    assert found == (flavour, "fp16", {"audio": tmp_path / "out" / "lite_audio.engine"})
    with pytest.raises(BackendError, match="but the GPU here is NVIDIA Thor"):
        trt_ahead.read_ahead(tmp_path / "out", options, gpu="NVIDIA Thor", networks=["audio"])


def test_a_program_that_is_not_there() -> None:
    assert jetson.run_program(["no-such-program-anywhere"]).status == 127
    assert jetson.run_program(["sh", "-c", "echo out; echo err >&2; exit 3"]) == Output(3, "out\nerr\n")
