"""The dozen calls of the CUDA runtime that a TensorRT engine needs, by ctypes.

A Jetson has the CUDA runtime but often no torch and no cuda-python. Not yet run on a GPU.
"""

from __future__ import annotations

import ctypes
import ctypes.util
from typing import Any, Final

from numpy.typing import NDArray

from ..errors import BackendError

_NAMES: Final = ("libcudart.so", "libcudart.so.13", "libcudart.so.12", "libcudart.so.11.0")
_TO_DEVICE: Final = 1
_TO_HOST: Final = 2


class CudaRuntime:
    """Memory, copies and one stream.

    Raises:
        BackendError: the library is missing, or a call fails.

    """

    def __init__(self) -> None:
        self._lib = _library()
        self.stream = ctypes.c_void_p()
        self._check(self._lib.cudaStreamCreate(ctypes.byref(self.stream)), "cudaStreamCreate")

    def allocate(self, size: int) -> int:
        """Address of `size` bytes on the device."""
        pointer = ctypes.c_void_p()
        self._check(self._lib.cudaMalloc(ctypes.byref(pointer), ctypes.c_size_t(size)), "cudaMalloc")
        return int(pointer.value or 0)

    def free(self, pointer: int) -> None:
        """Give device memory back."""
        self._lib.cudaFree(ctypes.c_void_p(pointer))

    def to_device(self, pointer: int, array: NDArray[Any]) -> None:
        """Copy a contiguous array to the device, in stream order."""
        self._copy(pointer, array.ctypes.data, array.nbytes, _TO_DEVICE)

    def to_host(self, array: NDArray[Any], pointer: int) -> None:
        """Copy from the device into a contiguous array, in stream order."""
        self._copy(array.ctypes.data, pointer, array.nbytes, _TO_HOST)

    def synchronize(self) -> None:
        """Wait for everything asked of the stream."""
        self._check(self._lib.cudaStreamSynchronize(self.stream), "cudaStreamSynchronize")

    def close(self) -> None:
        """Destroy the stream."""
        if self.stream:
            self._lib.cudaStreamDestroy(self.stream)
            self.stream = ctypes.c_void_p()

    def _copy(self, target: int, source: int, size: int, kind: int) -> None:
        code = self._lib.cudaMemcpyAsync(
            ctypes.c_void_p(target), ctypes.c_void_p(source), ctypes.c_size_t(size), kind, self.stream
        )
        self._check(code, "cudaMemcpyAsync")

    def _check(self, code: int, call: str) -> None:
        if code:
            self._lib.cudaGetErrorString.restype = ctypes.c_char_p
            text = self._lib.cudaGetErrorString(code)
            raise BackendError(f"{call} failed: {text.decode() if text else code}")


def _library() -> Any:
    found = ctypes.util.find_library("cudart")
    for name in (*((found,) if found else ()), *_NAMES):
        try:
            return ctypes.CDLL(name)
        except OSError:  # noqa: PERF203
            continue
    raise BackendError("the CUDA runtime (libcudart) is not installed; use --backend onnxruntime")
