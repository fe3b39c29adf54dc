"""What a second of stream costs, beside what people wire by hand and beside decoding alone.

    python tests/bench/peers_speed.py [--yamnet YAMNET.tflite] [--against FOLDER] [--rounds 5] [FILE…]

Rows, each a process of its own, all in turn on the same files, `--rounds` times; medians:

    ffmpeg          decodes the picture to nowhere, one thread
    by hand 16/4/1  OpenCV, EfficientNet-Lite0 (the graph of `lite`) in ONNX Runtime, YAMNet in LiteRT, at
                    so many pictures a second; prints a class a second. It needs ai-edge-litert and the
                    file that --yamnet names, or is left out
    avel-live all/auto/1   this tree, `--frames` so
    another build   --against: a folder in which `avel_live` of another version can be imported

Without files, three are made: 480p, 1080p and 4K at 30 pictures a second (20 s, moving, noisy).
Columns: processor seconds of the whole process and wall seconds for a second of stream, and the former
against ffmpeg's. How right each row's answers are, `peers.py` and `avel evaluate --clips --frames` say.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

SIZES = {"480p": "854x480", "1080p": "1920x1080", "4K": "3840x2160"}
_LIVE = (
    "import sys; from avel_live.realtime.commands import live_main; sys.argv[0] = 'avel-live'; live_main()"
)
Row = tuple[str, list[str], dict[str, str]]


def make(folder: Path, name: str, size: str, seconds: int = 20) -> Path:
    """A file whose picture moves and has a sensor's noise."""
    path = folder / f"{name}.mp4"
    command = [
        "ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", f"mandelbrot=s={size}:r=30:maxiter=300",
        "-f", "lavfi", "-i", "sine=440:r=48000", "-t", str(seconds),
        "-vf", "noise=alls=6:allf=t,format=yuv420p",
        "-c:v", "libx264", "-preset", "veryfast", "-crf", "26", "-c:a", "aac", str(path),
    ]  # fmt: skip
    subprocess.run(command, check=True)
    return path


def by_hand(path: Path, yamnet: Path, most: int) -> None:
    """The pipeline of a tutorial: a picture every 1/most s, the sound once a second, a class a second."""
    import av
    import cv2
    from ai_edge_litert.interpreter import Interpreter
    from avel_live.model.logmel import patch
    from avel_live.model.profiles import get_profile
    from avel_live.model.runtime.base import EngineOptions
    from avel_live.model.runtime.cache import EngineCache
    from avel_live.model.runtime.graphs import ensure, wanted
    from onnxruntime import InferenceSession, SessionOptions

    graphs = wanted(get_profile("lite"), EngineOptions(), ("visual",))
    graph = ensure(graphs, EngineCache())["visual"]
    options = SessionOptions()
    options.intra_op_num_threads = 2
    eye = InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    ear = Interpreter(str(yamnet), num_threads=2)
    ear.allocate_tensors()
    heard, said = ear.get_input_details()[0], ear.get_output_details()[0]
    with av.open(str(path)) as container:
        resampler = av.AudioResampler("flt", "mono", 16_000)
        parts = [f.to_ndarray()[0] for frame in container.decode(audio=0) for f in resampler.resample(frame)]
    sound = np.concatenate(parts)
    video = cv2.VideoCapture(str(path))
    rate, number, second, seen = video.get(cv2.CAP_PROP_FPS), 0, 0, []
    while video.grab():
        if int(number * most / rate) != int((number - 1) * most / rate) or not number:
            _, image = video.retrieve()
            small = cv2.cvtColor(
                cv2.resize(image, (224, 224), interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2RGB
            )
            seen.append(eye.run(None, {eye.get_inputs()[0].name: small[None]})[0])
        number += 1
        if int(number / rate) != second:
            for begin in (0, 7_680):  # two of YAMNet's patches of 0.96 s cover a second
                part = sound[second * 16_000 + begin : second * 16_000 + begin + 16_000]
                image = patch(np.pad(part, (0, 16_000 - len(part)))).reshape(heard["shape"])
                scale, zero = heard["quantization"]
                if scale:
                    image = (image / scale + zero).clip(-128, 127)
                ear.set_tensor(heard["index"], image.astype(heard["dtype"]))
                ear.invoke()
            print(
                second,
                int(np.mean(seen, axis=(0, 1, 2, 3)).argmax()),
                int(ear.get_tensor(said["index"]).argmax()),
            )
            second, seen = int(number / rate), []


def cost(command: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Processor and wall seconds of a process; it has to succeed."""
    began = time.monotonic()
    child = subprocess.Popen(
        command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert child.stderr is not None
    said = child.stderr.read()
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{' '.join(command[:4])} … ended with {child.returncode}: {said[-400:].decode()}")
    return used.ru_utime + used.ru_stime, time.monotonic() - began


def rows(path: Path, given: argparse.Namespace) -> list[Row]:
    """What is run on a file."""
    here = [sys.executable, "-c", _LIVE, "--file", str(path), "--fast", "--backend", "onnxruntime",
            "--precision", "fp32"]  # fmt: skip
    found: list[Row] = [
        ("ffmpeg", ["ffmpeg", "-v", "error", "-threads", "1", "-i", str(path), "-an", "-f", "null", "-"], {})
    ]
    if given.yamnet is not None:
        for most in (16, 4, 1):
            hand = [
                sys.executable,
                __file__,
                "--by-hand",
                str(most),
                "--yamnet",
                str(given.yamnet),
                str(path),
            ]
            found.append((f"by hand {most}", hand, {}))
    found += [(f"avel-live {frames}", [*here, "--frames", frames], {}) for frames in ("all", "auto", "1")]
    if given.against is not None:
        found.append(("another build", here, {"PYTHONPATH": str(given.against)}))
    return found


def main() -> None:
    """Measure and print a table a file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("files", type=Path, nargs="*")
    parser.add_argument("--yamnet", type=Path)
    parser.add_argument("--against", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--by-hand", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.by_hand:
        by_hand(given.files[0], given.yamnet, given.by_hand)
        return
    import av

    with tempfile.TemporaryDirectory() as scratch:
        files = given.files or [make(Path(scratch), name, size) for name, size in SIZES.items()]
        for path in files:
            with av.open(str(path)) as container:
                seconds = (container.duration or 0) / 1_000_000
            asked = rows(path, given)
            for _, command, environment in asked:
                cost(command, environment)  # caches filled
            taken: dict[str, list[tuple[float, float]]] = {name: [] for name, _, _ in asked}
            for _ in track(range(given.rounds), path.name, console=Console(stderr=True)):
                for name, command, environment in asked:
                    taken[name].append(cost(command, environment))
            table = Table(title=f"{path.name}, {seconds:.0f} s, medians of {given.rounds}")
            for column in ("", "processor s / s", "wall s / s", "against ffmpeg"):
                table.add_column(column, justify="right" if column else "left")
            alone = statistics.median(used for used, _ in taken["ffmpeg"])
            for name, runs in taken.items():
                used, wall = (statistics.median(column) for column in zip(*runs, strict=True))
                table.add_row(name, f"{used / seconds:.3f}", f"{wall / seconds:.3f}", f"{used / alone:.2f}×")
            Console().print(table)


if __name__ == "__main__":
    main()
