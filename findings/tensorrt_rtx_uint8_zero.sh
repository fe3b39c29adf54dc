#!/usr/bin/env bash
# tensorrt-rtx-cu13 1.7.1.116 (onnx 1.23.2, numpy 2.4.6), on a machine without a GPU.
# A QuantizeLinear with a uint8 zero point of 0 is what quantisers write behind a ReLU: values from 0 to 255.
# One would guess that the ONNX parser takes it or refuses it, as it does refuse a uint8 zero point of 128.
# It takes it and builds an engine that reads uint8 as INT8: everything above 127 steps saturates, half of the
# range is lost, and no error is raised. The one sign is a warning in the log; the plan is of the very size of
# that of an int8 graph. Seen:
#   int8 zero point 0: built, 0 warnings
#   uint8 zero point 0: built, warned: ... Defaulting to INT8 instead ...
#   uint8 zero point 128: refused: ... Non-zero zero point is not supported ...
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check tensorrt-rtx-cu13==1.7.1.116 onnx==1.23.2 numpy==2.4.6
"$work/venv/bin/python" - <<'PY'
import numpy as np
import onnx
import tensorrt_rtx as trt
from onnx import TensorProto, helper, numpy_helper


class Log(trt.ILogger):
    def __init__(self):
        trt.ILogger.__init__(self)
        self.warnings = []

    def log(self, severity, message):
        if severity == trt.ILogger.WARNING:
            self.warnings.append(message)


LOG = Log()


def built(kind, zero):
    weight = np.random.default_rng(0).random((8, 3, 3, 3), np.float32)
    stored = [
        numpy_helper.from_array(np.float32(0.02), "step"),
        numpy_helper.from_array(np.array(zero, kind), "zero"),
        numpy_helper.from_array(weight, "w"),
    ]
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "step", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "step", "zero"], ["d"]),
        helper.make_node("Conv", ["d", "w"], ["y"]),
    ]
    ends = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 16, 16]),
        helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 8, 14, 14]),
    ]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    LOG.warnings.clear()
    builder = trt.Builder(LOG)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, LOG)
    if not parser.parse(model.SerializeToString()):
        return None, parser.get_error(0).desc()
    config = builder.create_builder_config()
    config.num_compute_capabilities = 1
    config.set_compute_capability(trt.ComputeCapability.SM89, 0)
    plan = builder.build_serialized_network(network, config)
    return (None if plan is None else len(bytes(plan))), " ".join(LOG.warnings)


signed, quiet = built(np.int8, 0)
unsigned, warned = built(np.uint8, 0)
shifted, refusal = built(np.uint8, 128)
print(f"int8 zero point 0: {signed} bytes, warnings: {quiet or 'none'}")
print(f"uint8 zero point 0: {unsigned} bytes, warned: {warned[:150]}")
print(f"uint8 zero point 128: {shifted}, refused: {refusal[:80]}")
same = signed and unsigned and abs(signed - unsigned) < 1000 and not quiet
raise SystemExit(not (same and "INT8 instead" in warned and shifted is None and "zero point" in refusal))
PY
echo "as described"
