"""The TensorRT backend: by Torch-TensorRT where it can be had, else by the runtime of one of its flavours."""

from __future__ import annotations

from ..errors import BackendError
from .base import Engine, EngineOptions, Precision
from .probe import installed, machine


def open_tensorrt(options: EngineOptions) -> Engine:
    """The networks as TensorRT engines for this GPU.

    INT8 always takes the plain way: the explicit Q/DQ graphs are ONNX files.

    Raises:
        BackendError: no GPU, TensorRT not installed, or a precision it does not do; says what to install.

    """
    if options.engines is not None:
        from .trt_ahead import read_ahead
        from .trt_plain import PlainTensorRTEngine

        flavour, built_in, paths = read_ahead(options.engines, options)
        return PlainTensorRTEngine(options, built_in, flavour, paths)
    if not machine().gpu:
        raise BackendError("TensorRT needs an NVIDIA GPU and none was found; use --backend onnxruntime")
    precision: Precision
    if options.precision in ("auto", "fp16"):
        precision = "fp16"
    elif options.precision == "fp32":
        precision = "fp32"
    elif options.precision == "int8":
        precision = "int8"
    else:
        raise BackendError(f"TensorRT here does fp16, fp32 and int8, not {options.precision}")
    if precision != "int8" and installed("torch_tensorrt"):
        from .trt_torch import TorchTensorRTEngine

        return TorchTensorRTEngine(options, precision)
    from .flavours import at_hand
    from .trt_plain import PlainTensorRTEngine

    return PlainTensorRTEngine(options, precision, at_hand())
