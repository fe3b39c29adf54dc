"""Our own weight files, and the one of EfficientNet-Lite0, as NumPy arrays: read where there is no torch.

The package that holds EfficientNet's weights has them as torch wrote them before 1.6: three pickles that say
what follows, the dictionary, the names of its storages, then each storage, its length before it. Of a pickle
nothing is believed but dictionaries and tensors: any other thing named in it is refused.
"""

from __future__ import annotations

import pickle
import struct
from collections import OrderedDict
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelFileError, first_line
from .weights import SCALE

Numbers = dict[str, NDArray[Any]]

_MAGIC: Final = 0x1950A86A20F9469CFC6C
_STORAGES: Final = {"FloatStorage": "<f4", "LongStorage": "<i8"}


def read_safetensors(path: Path) -> Numbers:
    """What `weights.save_weights` wrote, by name, as float32.

    Raises:
        ModelFileError: missing, or not such a file.

    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        kept = load_file(path)
        scales = {name: value for name, value in kept.items() if name.endswith(SCALE)}
        found = {name: value.astype(np.float32) for name, value in kept.items() if name not in scales}
        for name, scale in scales.items():
            found[name.removesuffix(SCALE)] *= scale.astype(np.float32)
    except (SafetensorError, OSError, KeyError) as error:
        raise ModelFileError(f"weights {path}: missing or damaged ({first_line(error)})") from error
    return found


def read_early_torch(path: Path) -> Numbers:
    """A dictionary of tensors that torch wrote before 1.6.

    Raises:
        ModelFileError: missing, damaged, or something else.

    """
    try:
        with path.open("rb") as file:
            if _Pickle(file).load() != _MAGIC:
                raise ValueError("not torch's")
            _Pickle(file).load()
            _Pickle(file).load()
            main = _Pickle(file)
            tensors = main.load()
            for key in _Pickle(file).load():
                storage = main.storages[key]
                (length,) = struct.unpack("<q", file.read(8))
                storage.append(np.fromfile(file, main.kinds[key], length))
        return {name: tensor.array() for name, tensor in tensors.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, struct.error) as error:
        raise ModelFileError(f"weights {path}: missing or damaged ({first_line(error)})") from error
    except pickle.UnpicklingError as error:
        raise ModelFileError(f"weights {path}: not a plain file of weights ({error})") from error


class _Tensor(NamedTuple):
    """A tensor whose storage is still to be read."""

    storage: list[Any]
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]

    def array(self) -> NDArray[Any]:
        """Its numbers, laid out as they are read."""
        (whole,) = self.storage
        last = self.offset + sum((n - 1) * step for n, step in zip(self.size, self.stride, strict=True))
        if min((self.offset, *self.size, *self.stride), default=0) < 0 or last >= len(whole):
            raise ValueError("a tensor goes beyond its storage")
        steps = [step * whole.itemsize for step in self.stride]
        view = np.lib.stride_tricks.as_strided(whole[self.offset :], self.size, steps, writeable=False)
        return np.ascontiguousarray(view).reshape(self.size)


def _rebuild(storage: list[Any], offset: int, size: Any, stride: Any, *_: Any) -> _Tensor:
    return _Tensor(storage, offset, tuple(size), tuple(stride))


class _Pickle(pickle.Unpickler):
    """Reads dictionaries, tensors and nothing else."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file)
        self.storages: dict[str, list[Any]] = {}
        self.kinds: dict[str, str] = {}

    def find_class(self, module: str, name: str) -> Any:
        """See `pickle.Unpickler.find_class`."""
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        raise pickle.UnpicklingError(f"it names {module}.{name}")

    def persistent_load(self, pid: Any) -> list[Any]:
        """A storage by its key: filled once its numbers are read."""
        _, kind, key, *_ = pid
        self.kinds[key] = kind
        return self.storages.setdefault(key, [])
