"""What `verify` runs: every backend and precision is opened, compared with the CPU, timed, or says why not.

The reference is torch in float32 on the CPU, over the bundled clip (one picture and the sound of each second)
and as many generated seconds: gradients, shapes and tones that no class of event has.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from avel_live.model.errors import AvelError, first_line
from avel_live.model.probabilities import softmax
from avel_live.model.runtime import trt_ahead
from avel_live.model.runtime.base import EngineOptions
from avel_live.model.runtime.flavours import RTX, capability
from avel_live.model.runtime.probe import machine
from avel_live.model.runtime.select import load_engine
from support.rtx import DEMO, seconds_of

ASKED = (
    ("onnxruntime", "fp32"),
    ("onnxruntime", "fp16"),
    ("torch", "fp32"),
    ("torch", "fp16"),
    ("tensorrt", "fp32"),
    ("tensorrt", "fp16"),
    ("tensorrt", "int8"),
)
PACKAGES = (
    "torch",
    "onnxruntime",
    "onnxruntime-gpu",
    "onnxruntime-ep-nv-tensorrt-rtx-cu13",
    "torch-tensorrt",
    "torch-tensorrt-rtx",
    "tensorrt",
    "tensorrt-rtx-cu13",
)


def driver() -> str:
    """Its version, or why there is none."""
    if shutil.which("nvidia-smi") is None:
        return "none (no nvidia-smi)"
    ask = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    done = subprocess.run(ask, capture_output=True, text=True, check=False, timeout=20)
    return (done.stdout or done.stderr).strip().splitlines()[0]


def versions() -> dict[str, str]:
    """Of what is installed."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:  # noqa: PERF203
            continue
    return found


def generated(count: int) -> list[Any]:
    """Pictures and sounds of seconds that resemble none of the clip; the same on every machine."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:224, :224]
    times = np.arange(16_000) / 16_000
    made = []
    for second in range(count):
        tint, slope = rng.uniform(40, 200, 3), rng.uniform(-0.4, 0.4, 2)
        picture = tint + (slope[0] * (rows - 112) + slope[1] * (columns - 112))[..., None]
        top, left, side = rng.integers(0, 120), rng.integers(0, 120), rng.integers(30, 100)
        picture[top : top + side, left : left + side] = rng.uniform(0, 255, 3)
        picture += rng.normal(0, 8, picture.shape)
        tones = sum(
            rng.uniform(0, 0.2) * np.sin(2 * np.pi * rng.uniform(80, 4_000) * times) for _ in range(3)
        )
        sound = (tones + rng.normal(0, 0.05, 16_000)) * (second % 4 != 3)  # every fourth is silent
        made.append((picture.clip(0, 255).astype(np.uint8), sound.astype(np.float32)))
    return made


def material() -> list[Any]:
    """What every backend answers."""
    clip = list(seconds_of(DEMO))
    return clip + generated(len(clip))


def answers(engine: Any, clip: list[Any]) -> tuple[np.ndarray, float]:
    """[S, 29] probabilities of the newest second of each window; milliseconds for sixteen pictures."""
    eyes = np.concatenate([engine.visual(picture[None]) for picture, _ in clip])
    ears = np.stack([engine.audio(heard) for _, heard in clip])
    rows = []
    for end in range(1, len(clip) + 1):
        start = max(0, end - 10)
        here = np.ones(end - start, np.bool_)
        rows.append(softmax(engine.head(eyes[start:end], ears[start:end], here, here).logits)[-1])
    sixteen = np.stack([clip[k % len(clip)][0] for k in range(16)])
    engine.visual(sixteen)
    taken = []
    for _ in range(5):
        begin = time.perf_counter()
        engine.visual(sixteen)
        taken.append(time.perf_counter() - begin)
    return np.stack(rows), float(np.median(taken) * 1e3)


def tried(options: EngineOptions, clip: list[Any], truth: np.ndarray | None) -> dict[str, Any]:
    """One row: refused with a reason, or how it agrees and how fast it is."""
    row: dict[str, Any] = {"backend": options.backend, "precision": options.precision}
    begin = time.perf_counter()
    try:
        engine = load_engine(options)
        engine.warm_up()
    except AvelError as error:
        return row | {"refused": str(error)}
    except Exception as error:
        return row | {"failed": f"{type(error).__name__}: {first_line(error)}"}
    row |= {"start_s": round(time.perf_counter() - begin, 2), "device": engine.info.device}
    got, milliseconds = answers(engine, clip)
    engine.close()
    row |= {"sixteen_pictures_ms": round(milliseconds, 2), "_answers": got}
    if truth is not None:
        row["labels_kept"] = float((got.argmax(-1) == truth.argmax(-1)).mean())
        row["largest_difference"] = float(np.abs(got - truth).max())
    return row


def ahead(clip: list[Any], truth: np.ndarray) -> list[dict[str, Any]]:
    """Engines of TensorRT for RTX built for this GPU, then run from their folder, twice."""
    rows = []
    for precision in ("fp32", "fp16", "int8"):
        with tempfile.TemporaryDirectory() as folder:
            row: dict[str, Any] = {"backend": "tensorrt-rtx, built ahead", "precision": precision}
            target = capability() or "sm89"
            begin = time.perf_counter()
            try:
                trt_ahead.build_ahead(EngineOptions(), precision, [target], Path(folder), RTX)  # type: ignore[arg-type]
            except AvelError as error:
                rows.append(row | {"refused": str(error)})
                continue
            row |= {"built_for": target, "build_s": round(time.perf_counter() - begin, 1)}
            options = EngineOptions(backend="tensorrt", engines=Path(folder), precision=precision)
            rows += [
                row | {"start": start} | tried(options, clip, truth) | {"backend": row["backend"]}
                for start in ("first", "second")
            ]
    return rows


def main(out: Path) -> int:
    """Print the table and keep the JSON."""
    here = {
        "machine": machine().describe(),
        "driver": driver(),
        "capability": capability(),
        "versions": versions(),
    }
    print(json.dumps(here, indent=1))
    clip = material()
    gpus = os.environ.get("CUDA_VISIBLE_DEVICES")
    code = "import sys; from verify import reference; reference(sys.argv[1])"
    with tempfile.NamedTemporaryFile(suffix=".npy") as file:
        path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
        hidden = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": path}
        subprocess.run([sys.executable, "-c", code, file.name], check=True, env=hidden, timeout=200)
        truth = np.load(file.name)
    rows = [tried(EngineOptions(backend=b, precision=p), clip, truth) for b, p in ASKED]
    rows += ahead(clip, truth)
    for row in rows:
        row.pop("_answers", None)
        print("  ".join(f"{name} {value}" for name, value in row.items()))
    out.write_text(json.dumps(here | {"visible": gpus, "rows": rows}, indent=1))
    ran = [row for row in rows if "labels_kept" in row]
    good = {"fp32": 1.0, "fp16": 0.95, "int8": 0.95, "bf16": 0.95}
    wrong = [row for row in ran if row["labels_kept"] < good[row["precision"]]]
    broken = [row for row in rows if "failed" in row]
    refused = len(rows) - len(ran) - len(broken)
    print(f"{len(ran)} ran, {len(wrong)} disagree, {refused} refused, {len(broken)} failed")
    return 1 if wrong or broken else 0


def reference(target: str) -> None:
    """The answers of torch in float32 on the CPU, in a process that sees no GPU."""
    rows, _ = answers(load_engine(EngineOptions(backend="torch", precision="fp32")), material())
    np.save(target, rows)


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))
