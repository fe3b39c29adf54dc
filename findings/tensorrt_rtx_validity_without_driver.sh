#!/usr/bin/env bash
# tensorrt-rtx-cu13 1.7.1.116 (onnx 1.23.2), on a machine without an NVIDIA driver.
# `Runtime.get_engine_validity(plan)` is there to ask whether a plan can be loaded before it is. One would guess
# that it tells an intact plan of a supported GPU from a file of junk, or says that there is no driver.
# It calls both INVALID. Only the diagnostics beside it differ, and those of the intact plan are 0: invalid, for
# no reason. Loading the plan gives None and raises nothing. What is intact shows in the first 64 bytes alone:
# `vtrt`, and at 16 the whole length. Seen:
#   intact: (<EngineValidity.INVALID: 2>, 0), loaded: None
#   junk:   (<EngineValidity.INVALID: 2>, 32)
set -euo pipefail
if [ -e /proc/driver/nvidia/version ]; then echo "this machine has a driver: nothing to see"; exit 0; fi
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check tensorrt-rtx-cu13==1.7.1.116 onnx==1.23.2
"$work/venv/bin/python" - <<'PY'
import tensorrt_rtx as trt
from onnx import TensorProto, helper


class Log(trt.ILogger):
    def __init__(self):
        trt.ILogger.__init__(self)

    def log(self, severity, message):
        pass


log = Log()
ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [4, 4]) for name in ("x", "y")]
graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", ends[:1], ends[1:])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
builder = trt.Builder(log)
network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
assert trt.OnnxParser(network, log).parse(model.SerializeToString())
config = builder.create_builder_config()
config.num_compute_capabilities = 1
config.set_compute_capability(trt.ComputeCapability.SM89, 0)
plan = bytes(builder.build_serialized_network(network, config))
runtime = trt.Runtime(log)
intact, junk = runtime.get_engine_validity(plan), runtime.get_engine_validity(b"junk" * 1000)
loaded = runtime.deserialize_cuda_engine(plan)
print(f"intact: {intact}, loaded: {loaded}")
print(f"junk:   {junk}")
length = int.from_bytes(plan[16:24], "little")
print(f"begins with {plan[:4]}, says {length} of {len(plan)} bytes")
invalid = trt.EngineValidity.INVALID
same = (intact[0], intact[1], junk[0]) == (invalid, 0, invalid) and junk[1] != 0 and loaded is None
raise SystemExit(not (same and plan[:4] == b"vtrt" and length == len(plan)))
PY
echo "as described"
