"""One float graph to explicit Q/DQ graphs, by ONNX Runtime's quantiser.

    target      activations            weights                       for
    cpu         uint8, any zero point  int8 per channel, 8 or 7 bit  ONNX Runtime on a CPU (U8S8)
    tensorrt    int8, symmetric        int8 per channel              TensorRT (S8S8)

Seven-bit weights are for x86 without VNNI, which adds pairs of 8-bit products in 16 bits: with eight bits
the sum saturates.
"""

from __future__ import annotations

import contextlib
import io
import logging
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Literal

from numpy.typing import NDArray

from ...model.errors import ModelFileError
from ...model.runtime.int8_graphs import Target

Method = Literal["minmax", "entropy", "percentile"]
METHODS: Final[tuple[Method, ...]] = ("minmax", "entropy", "percentile")
_OPS: Final = ["Conv", "Gemm", "MatMul", "Add", "Clip", "Relu", "MaxPool"]
_ARITHMETIC: Final = {"Conv", "Gemm", "MatMul"}
# 1/255 is a poor grid for what may be 0.001.
_PROBABILITIES: Final = frozenset({"Softmax", "Sigmoid", "Log"})
# One vector instead of a grid costs next to nothing in float, and every answer about the picture rests on it.
_POOLED: Final = frozenset({"ReduceMean", "GlobalAveragePool"})
_BATCH: Final = 4
"""Inputs whose activations are held at once while histograms are made."""


class Quantiser:
    """Quantises one graph in several ways from the same inputs.

    Args:
        graph: float32 ONNX file with one input.
        inputs: the inputs to measure ranges on, each with a leading batch axis of one.
        work: scratch folder.

    """

    def __init__(self, graph: Path, inputs: Sequence[NDArray[Any]], work: Path) -> None:
        import onnx
        from onnxruntime.quantization.shape_inference import quant_pre_process

        self._inputs = inputs
        self._work = work
        self._float = work / "float.onnx"
        with quiet():
            quant_pre_process(str(graph), str(self._float), skip_symbolic_shape=True)
        model = onnx.load(self._float)
        self._input = model.graph.input[0].name
        quantisable = [node for node in model.graph.node if node.op_type in _OPS]
        after = _after(model.graph.node, _PROBABILITIES) | _after(model.graph.node, _POOLED)
        after |= _offsets(model.graph)
        self.groups = _groups([node for node in quantisable if node.name not in after])
        """Layers that are kept or quantised together, in order: name → nodes."""
        self._never = [node.name for node in quantisable if node.name in after]
        self._ranges: dict[tuple[str, bool], Any] = {}

    def ranges(self, method: Method, *, symmetric: bool) -> Any:
        """Ranges of all activations by one method; measured once."""
        from onnxruntime.quantization import CalibrationMethod
        from onnxruntime.quantization.calibrate import create_calibrator

        if (known := self._ranges.get((method, symmetric))) is not None:
            return known
        kinds: dict[str, tuple[Any, dict[str, Any]]] = {
            "minmax": (CalibrationMethod.MinMax, {}),
            "entropy": (CalibrationMethod.Entropy, {"num_bins": 512}),
            "percentile": (CalibrationMethod.Percentile, {"percentile": 99.99}),
        }
        kind, extra = kinds[method]
        with quiet(), tempfile.TemporaryDirectory(dir=self._work) as folder:
            calibrator = create_calibrator(
                self._float,
                _OPS,
                augmented_model_path=str(Path(folder) / "augmented.onnx"),
                calibrate_method=kind,
                extra_options={**extra, "symmetric": symmetric},
            )
            for at in range(0, len(self._inputs), _BATCH):
                calibrator.collect_data(_reader(self._input, self._inputs[at : at + _BATCH]))
            found = calibrator.compute_data()
        self._ranges[method, symmetric] = found
        return found

    def build(
        self,
        path: Path,
        method: Method,
        target: Target,
        *,
        keep: Sequence[str] = (),
        only: Sequence[str] | None = None,
        seven_bits: bool = False,
    ) -> Path:
        """Write one Q/DQ graph.

        Args:
            path: the file.
            method: how ranges are found.
            target: what it is for.
            keep: groups that stay in float32.
            only: quantise nothing but these groups.
            seven_bits: weights in seven bits.

        """
        from onnxruntime.quantization import QuantType
        from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
        from onnxruntime.quantization.quant_utils import load_model_with_shape_infer

        from .weights import pack_large_weights, store_once

        gpu = target == "tensorrt"
        excluded = self._never + [
            node
            for name, nodes in self.groups.items()
            for node in nodes
            if name in keep or (only is not None and name not in only)
        ]
        options: dict[str, Any] = {"ActivationSymmetric": gpu, "WeightSymmetric": True}
        if gpu:
            # TensorRT adds biases in float itself and wants each pair to stand by itself.
            options |= {"QuantizeBias": False, "DedicatedQDQPair": True}
        with quiet():
            quantizer = QDQQuantizer(
                load_model_with_shape_infer(self._float),
                True,
                seven_bits,
                QuantType.QInt8,
                QuantType.QInt8 if gpu else QuantType.QUInt8,
                self.ranges(method, symmetric=gpu),
                None,
                excluded,
                _OPS,
                options,
            )
            quantizer.quantize_model()
            if not gpu:  # TensorRT refuses an eight-bit constant that anything but DequantizeLinear reads
                store_once(quantizer.model.model)
                pack_large_weights(quantizer.model.model)
            quantizer.model.save_model_to_file(str(path), False)
        return check(path)


def check(path: Path) -> Path:
    """The same path, once `onnx.checker` has passed it.

    Raises:
        ModelFileError: the graph is not valid.

    """
    import onnx

    try:
        onnx.checker.check_model(str(path))
    except Exception as error:
        raise ModelFileError(f"INT8 graph {path.name}: {str(error).splitlines()[0]}") from error
    return path


def _groups(nodes: Sequence[Any]) -> dict[str, list[str]]:
    """Blocks by the numbered part of their nodes' names, as `_blocks.3`; others with what follows them."""
    groups: dict[str, list[str]] = {}
    current = ""
    for node in nodes:
        block = re.search(r"[A-Za-z_]+\.\d+(?=[/.])", node.name)
        if block and "/" in node.name.strip("/"):
            current = block.group()
        elif node.op_type in _ARITHMETIC or not current:
            current = node.name.strip("/").split("/")[0]
        groups.setdefault(current, []).append(node.name)
    return groups


def _after(nodes: Sequence[Any], kinds: frozenset[str]) -> set[str]:
    """Names of the nodes of these kinds and of all that work on what they made."""
    reached: set[str] = set()
    names: set[str] = set()
    for node in nodes:  # in topological order
        if node.op_type in kinds or reached.intersection(node.input):
            reached.update(node.output)
            names.add(node.name)
    return names


def _offsets(graph: Any) -> set[str]:
    """Names of the additions of one number: what keeps a logarithm finite is lost on a grid.

    TensorRT for RTX refuses such a number in eight bits where a float32 layer reads it, too.
    """
    single = {tensor.name for tensor in graph.initializer if all(size == 1 for size in tensor.dims)}
    return {node.name for node in graph.node if node.op_type == "Add" and single.intersection(node.input)}


def _reader(name: str, inputs: Sequence[NDArray[Any]]) -> Any:
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._left = iter(inputs)

        def get_next(self) -> dict[str, NDArray[Any]] | None:
            array = next(self._left, None)
            return None if array is None else {name: array}

    return Reader()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """The quantiser prints and warns; none of it is for users."""
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(logging.NOTSET)
