"""An INT8 graph for CPUs as TensorRT wants it: activations in int8 around zero (S8S8), not in uint8 (U8S8).

The package ships graphs for CPUs alone. Weights are the same eight bits in both; ranges of activations are
read off their steps, so nothing is measured again and no recordings are needed. Behind a ReLU a range begins
at zero, and uint8 has cut off what is below: here a Clip does. Half of such a range's steps is lost.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..checkpoint import file_sha256
from ..errors import BackendError
from ..profiles import Profile
from .base import EngineOptions, Network
from .cache import EngineCache
from .constants import drop_unread
from .int8_graphs import Int8Graphs, find_int8, shipped_for_cpus

_READS_EIGHT_BITS: Final = frozenset({"Conv", "MatMul", "Gemm"})
_STEPS: Final = 127


def find_signed(profile: Profile, options: EngineOptions, cache: EngineCache) -> Int8Graphs:
    """The S8S8 graphs for these options: those of a calibration made here, else made of the package's.

    Raises:
        BackendError: there is neither; says how to make one.
        ModelFileError: there is one, but its files are damaged.

    """
    try:
        return find_int8(profile, options, "tensorrt")
    except BackendError:
        shipped = shipped_for_cpus(profile, options)
        if not shipped:
            raise
    paths: dict[Network, Path] = {}
    for network, path in shipped.items():
        key = {
            "format": "onnx-signed-1",
            "graph": file_sha256(path),
            "code": file_sha256(Path(__file__)),
        }

        def write(target: Path, source: Path = path) -> None:
            import onnx

            model = onnx.load(source)
            to_signed(model)
            onnx.checker.check_model(model)
            onnx.save(model, target)

        paths[network] = cache.get_or_put(f"{profile.name}-{network}-signed", key, ".onnx", write)
    return Int8Graphs(paths, f"int8: {' and '.join(sorted(paths))}, package's calibration")


def to_signed(model: Any) -> int:
    """Rewrite; in place.

    Args:
        model: an `onnx.ModelProto` with Q/DQ pairs, activations in uint8 and a step for each tensor.

    Returns:
        how many activations are in int8 now.

    """
    from onnx import numpy_helper

    graph = model.graph
    _fold(graph)
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    steps: dict[str, list[str]] = {}
    """Of what a QuantizeLinear makes: the names of its new step and zero."""
    nodes: list[Any] = []
    for node in list(graph.node):
        if node.op_type == "QuantizeLinear" and stored[node.input[2]].dtype == np.uint8:
            step, zero = float(stored[node.input[1]]), int(stored[node.input[2]])
            lowest, highest = -zero * step, (255 - zero) * step
            names = [f"{node.output[0]}/step", f"{node.output[0]}/zero"]
            _store(graph, names[0], np.asarray(max(-lowest, highest) / _STEPS, np.float32))
            _store(graph, names[1], np.asarray(0, np.int8))
            if zero == 0:
                nodes.append(_clip(graph, node, highest))
            node.input[1:] = names
            steps[node.output[0]] = names
        elif node.op_type == "DequantizeLinear" and node.input[0] in steps:
            node.input[1:] = steps[node.input[0]]
        nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)
    del graph.value_info[:]
    drop_unread(graph)
    return len(steps)


def _clip(graph: Any, quantise: Any, highest: float) -> Any:
    """A node that cuts off below zero, put in front of a QuantizeLinear."""
    from onnx import helper

    name = f"{quantise.output[0]}/clipped"
    ends = [f"{name}/lowest", f"{name}/highest"]
    _store(graph, ends[0], np.asarray(0, np.float32))
    _store(graph, ends[1], np.asarray(highest, np.float32))
    node = helper.make_node("Clip", [quantise.input[0], *ends], [name], name)
    quantise.input[0] = name
    return node


def _fold(graph: Any) -> None:
    """Make constants of what only constants go into: packed weights, and biases that TensorRT adds in float.

    Weights in eight bits that a product reads stay.
    """
    from onnx import numpy_helper
    from onnx.reference import ReferenceEvaluator

    stored = {tensor.name: tensor for tensor in graph.initializer}
    readers: dict[str, set[str]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, set()).add(node.op_type)
    for node in list(graph.node):
        if not all(name in stored for name in node.input if name) or not node.input:
            continue
        values = {name: numpy_helper.to_array(stored[name]) for name in node.input if name}
        if node.op_type == "DequantizeLinear":
            eight = values[node.input[0]].dtype == np.int8
            if eight and readers.get(node.output[0], set()) <= _READS_EIGHT_BITS:
                continue
        (value,) = ReferenceEvaluator(node).run(None, values)
        stored[node.output[0]] = _store(graph, node.output[0], np.asarray(value))
        graph.node.remove(node)


def _store(graph: Any, name: str, value: NDArray[Any]) -> Any:
    from onnx import numpy_helper

    tensor = numpy_helper.from_array(value, name)
    graph.initializer.append(tensor)
    return graph.initializer[-1]
