"""Does every network fit into one TensorRT engine? Torch-TensorRT's partition dry run, without a GPU.

Outside CI, in an environment of its own (5.5 GB):

    python -m venv /tmp/trt && /tmp/trt/bin/pip install torch==2.14.1 torch-tensorrt-rtx==2.14.0 . onnxscript
    /tmp/trt/bin/python tests/bench/trt_partition.py

What it proves: with these releases every operation of each network has a converter, so that the partitioner
puts 100 % of the graph into one engine. What it does not prove: that TensorRT builds that engine, that its
answers are right, or how fast it is. Those need a GPU: `avel compile --to torch-tensorrt`, then
`avel bench --backend tensorrt`.

Not part of the test suite; exit code 1 when a network is split.
"""

from __future__ import annotations

import contextlib
import io
import re
import sys
from typing import Any

import torch

COVERAGE = re.compile(r"(\d+) Total Operators, of which (\d+) operators are supported")
ENGINE = re.compile(r"TRT Engine #\d+.*?Number of Operators in Engine: (\d+)", re.S)


def stub_cuda() -> None:
    """Answer the capability queries that `torch_tensorrt` makes on import, as an H100 would."""

    class Properties:
        major, minor, name = 9, 0, "stub"
        total_memory = 80 << 30
        multi_processor_count = 132

    torch.cuda.get_device_properties = lambda *_: Properties()  # type: ignore[assignment]
    torch.cuda.get_device_capability = lambda *_: (9, 0)  # type: ignore[assignment]
    torch.cuda.get_device_name = lambda *_: "stub"
    torch.cuda.current_device = lambda: 0
    torch.cuda.mem_get_info = lambda *_: (80 << 30, 80 << 30)
    torch.cuda.is_available = lambda: True


def networks() -> dict[str, tuple[Any, tuple[torch.Tensor, ...]]]:
    """Each network with example inputs; weights are random: only the graph matters."""
    from avel_live.model.backbones.audio_cnn import AudioCNN
    from avel_live.model.backbones.efficientnet_lite import EfficientNetLite0
    from avel_live.model.backbones.vgg19 import VGG19
    from avel_live.model.backbones.vggish import VGGish
    from avel_live.model.diia import DIIA, DIIAConfig
    from avel_live.model.profiles import get_profile
    from avel_live.model.runtime.folding import fold_batchnorm

    frames, patch = torch.rand(2, 224, 224, 3) * 255, torch.randn(1, 96, 64)
    mask = torch.ones(1, 10, dtype=torch.bool)
    found: dict[str, tuple[Any, tuple[torch.Tensor, ...]]] = {}
    for name in ("lite", "paper"):
        spec = get_profile(name)
        head = DIIA(DIIAConfig(spec.visual.dim, spec.audio.dim)).eval()
        window = (torch.rand(1, 10, 7, 7, spec.visual.dim), torch.rand(1, 10, spec.audio.dim), mask, mask)
        found[f"DIIA with mask, {name}"] = (head, window)
    found["VGG-19"] = (VGG19("keras").eval(), (frames,))
    found["VGGish"] = (VGGish().eval(), (patch,))
    found["EfficientNet-Lite0"] = (fold_batchnorm(EfficientNetLite0().eval()), (frames,))
    found["lite ear"] = (fold_batchnorm(AudioCNN().eval()), (patch,))
    return found


def main() -> int:
    """Partition every network and say what came out."""
    stub_cuda()
    import torch_tensorrt
    from avel_live.model.runtime.trt_api import compile_options, parameter_names

    torch.cuda.is_available = lambda: False
    known = parameter_names(torch_tensorrt.dynamo.compile)
    split = 0
    for name, (module, inputs) in networks().items():
        options = compile_options(known, torch_tensorrt.__version__, dryrun=True)
        options["truncate_double"] = False  # it would move the example inputs to a GPU; none is double
        said = io.StringIO()
        program = torch.export.export(module, inputs)
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            torch_tensorrt.dynamo.compile(program, list(inputs), **options)
        text = said.getvalue()
        coverage = COVERAGE.search(text)
        total, supported = (int(n) for n in coverage.groups()) if coverage else (0, -1)
        engines = [int(count) for count in ENGINE.findall(text)]
        whole = supported == total and engines == [total]
        split += not whole
        print(f"{name}: {f'one engine, {total} of {total} operators' if whole else 'SPLIT'}")
        if not whole:
            print(text)
    return int(split > 0)


if __name__ == "__main__":
    sys.exit(main())
