"""Graphs of the shipped profiles that travel in the package: outlines, filled with the weights beside them.

An outline is an exported graph without its weights: it names what belongs where, in the words of the
network's own state. Filling it needs ONNX and a second; exporting needs torch and half a minute. So the first
answer on a new machine waits for no export, and no weight is in the package twice.

    outline                of                                          filled from
    efficientnet-lite0     the eye of `lite` and `lite-yamnet`         the package of ImageNet's, our probes
    efficientnet-lite3     the eye of `full`                           efficientnet_lite3, its probes
    audio-cnn              the ear of `lite`                           lite_audio, lite_voices (.safetensors)
    diia-*                 head, segment, window of one DIIAConfig     any checkpoint of that config, stacked

An eye's tables of concepts are filled in from `visual_concepts`.

`python -m avel_live.model.runtime.outline_maker` writes them anew when a network's code has changed; a test
compares what lies here with what is exported now.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..backbones import registry
from ..checkpoint import read_info
from ..errors import ModelFileError
from ..files import SHIPPED
from ..formats.numbers import Numbers, read_early_torch, read_safetensors
from .base import HEADS
from .constants import fold_constants
from .norms import fold_norms
from .pads import fold_pads

if TYPE_CHECKING:
    from .graph import Graph

FOLDER: Final = SHIPPED / "outlines"
OUTLINED: Final = (registry.EFFICIENTNET_LITE0, registry.EFFICIENTNET_LITE3, registry.AUDIO_CNN)
"""Backbones that have one."""
ELSEWHERE: Final = "weights"
"""Where the numbers of an outline are said to be."""
_TABLES: Final = f"{registry.__package__}.visual_concepts:tables"
"""What an eye knows of concepts. Not imported here: all graphs depend on this file, on that one eyes only."""


def outline(graph: Graph) -> Path | None:
    """The outline of a graph, or None where it must be exported."""
    if graph.half or graph.frames is not None:
        return None
    if graph.network in HEADS:
        info = read_info(graph.files[0])
        path = FOLDER / f"{config_name(info.config.to_dict(), info.members)}-{graph.network}.onnx"
    else:
        backbone = graph.profile.visual if graph.network == "visual" else graph.profile.audio
        if graph.given is not None or backbone not in OUTLINED:
            return None
        path = FOLDER / f"{backbone.name}.onnx"
    return path if path.is_file() else None


def config_name(config: Mapping[str, Any], members: int) -> str:
    """A short name for what shapes a head's graph; what is dropped in training does not."""
    kept = {name: value for name, value in config.items() if name != "dropout"} | {"members": members}
    return f"diia-{hashlib.sha256(json.dumps(sorted(kept.items())).encode()).hexdigest()[:10]}"


def fill(graph: Graph, path: Path, target: Path) -> None:
    """Write the whole graph, as an export would have.

    Args:
        graph: what is wanted.
        path: its outline.
        target: the file.

    Raises:
        ModelFileError: a weight file is missing, or has not what the outline names.

    """
    import onnx
    from onnx import numpy_helper

    model = onnx.load(path, load_external_data=False)
    numbers = _numbers(graph)
    for tensor in model.graph.initializer:
        if tensor.data_location != onnx.TensorProto.EXTERNAL:
            continue
        found = numbers.get(tensor.name)
        if found is None or list(found.shape) != list(tensor.dims):
            got = "nothing" if found is None else list(found.shape)
            raise ModelFileError(
                f"{graph.files[0]}: {tensor.name} should be {list(tensor.dims)}, got {got}; "
                "take the file again, or reinstall avel-live"
            )
        tensor.CopyFrom(numpy_helper.from_array(np_float(found), tensor.name))
    finish(model)
    model.doc_string = f"avel-live {graph.profile.name} {graph.network}"
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, target)


def finish(model: Any) -> None:
    """What every graph goes through once its weights are in it; in place."""
    fold_pads(model)
    fold_constants(model)
    fold_norms(model)


def np_float(numbers: Any) -> Any:
    """Contiguous float32, as graphs compute."""
    import numpy as np

    return np.ascontiguousarray(numbers, np.float32)


def _numbers(graph: Graph) -> Numbers:
    """Weights by the names that the outline uses."""
    if graph.network == "audio":
        ear, *beside = map(read_safetensors, graph.files)
        return _under("ear", ear) | {k: v for found in beside for k, v in _under("voices", found).items()}
    if graph.network == "visual":
        network, probes = graph.files
        read = read_safetensors if network.suffix == ".safetensors" else read_early_torch
        tables: Numbers = registry.refer(_TABLES)()
        return _under("network", read(network)) | _under("probes", read_safetensors(probes)) | tables
    return _under("stack", _stacked(read_safetensors(graph.files[0])))


def _under(prefix: str, numbers: Numbers) -> Numbers:
    return {f"{prefix}.{name}": value for name, value in numbers.items()}


def _stacked(numbers: Numbers) -> Numbers:
    """Members' weights, one upon the other, as `stacking` lays them out."""
    import numpy as np

    each: dict[str, list[Any]] = {}
    for name, value in sorted(numbers.items(), key=lambda item: _member(item[0])[0]):
        each.setdefault(_member(name)[1], []).append(value)
    stacks = {}
    for name, values in each.items():
        whole = np.stack(values)
        matrix = whole.ndim == 3
        stacks[name] = np.ascontiguousarray(whole.transpose(0, 2, 1)) if matrix else whole[:, None]
    return stacks


def _member(name: str) -> tuple[int, str]:
    """Number and name within it of a committee member's weight; a single head is the first."""
    if not name.startswith("members."):
        return 0, name
    _, number, rest = name.split(".", 2)
    return int(number), rest
