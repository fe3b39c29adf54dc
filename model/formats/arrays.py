"""Weight files as dictionaries of arrays, whatever program wrote them.

    kind            written by                                how it is known
    keras           Keras 1–3, `.h5`, with or without top     HDF5 signature
    torch           torch.save, both container versions       zip or pickle; read with weights_only
    npz             NumPy, from a TensorFlow checkpoint       a zip of .npy members
    safetensors     safetensors                               the suffix

A kind is told by content, not by suffix, except for safetensors, which has no signature.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelFileError, first_line

Kind = Literal["keras", "torch", "npz", "safetensors"]
Arrays = dict[str, NDArray[np.float32]]

_HDF5: Final = b"\x89HDF\r\n\x1a\n"


def file_kind(path: Path) -> Kind:
    """What program wrote a weight file.

    Raises:
        ModelFileError: the file is missing, empty, or a kind that is not known.

    """
    if not path.is_file():
        raise ModelFileError(f"weights {path}: no such file")
    with path.open("rb") as file:
        head = file.read(16)
    if head.startswith(_HDF5):
        return "keras"
    if path.suffix == ".safetensors":
        return "safetensors"
    if head.startswith(b"PK"):
        try:
            with zipfile.ZipFile(path) as archive:
                names = archive.namelist()
        except zipfile.BadZipFile as error:
            raise ModelFileError(f"weights {path}: damaged or cut short; fetch the file again") from error
        return "npz" if names and all(name.endswith(".npy") for name in names) else "torch"
    if head[:1] == b"\x80":  # a pickle's protocol mark: torch.save before 1.6
        return "torch"
    raise ModelFileError(
        f"weights {path}: expected a Keras .h5, torch .pth, .npz or .safetensors file, got something else"
        + (" (the file is empty)" if not head else "")
    )


def read_keras(path: Path, layers: tuple[str, ...]) -> Arrays:
    """`{layer}/kernel` and `{layer}/bias` of the named layers, as Keras lays them out.

    Keras 1 names data sets `block1_conv1_W_1:0`, Keras 2 `block1_conv1/kernel:0`, and a full model
    keeps all below `model_weights/`; so each layer's group is searched for by name and its arrays are told
    apart by rank: a kernel has more than one axis, a bias has one.

    Raises:
        ModelFileError: damaged, or a layer is missing or has other arrays than a kernel and a bias.

    """
    import h5py

    groups: dict[str, h5py.Group] = {}
    found: Arrays = {}
    try:
        with h5py.File(path, "r") as file:

            def visit(name: str, item: object) -> None:
                leaf = name.rsplit("/", 1)[-1]
                if isinstance(item, h5py.Group) and leaf in layers:
                    groups.setdefault(leaf, item)  # the outermost one: visited first

            file.visititems(visit)
            if missing := [layer for layer in layers if layer not in groups]:
                raise ModelFileError(
                    f"weights {path}: layer {missing[0]!r} is not in the file "
                    f"({len(missing)} of {len(layers)} are missing); is this the right network?"
                )
            for layer, group in groups.items():
                arrays: list[NDArray[np.float32]] = []
                group.visititems(
                    lambda _, item, to=arrays: (
                        to.append(item[()].astype(np.float32)) if isinstance(item, h5py.Dataset) else None
                    )
                )
                kernels = [a for a in arrays if a.ndim > 1]
                biases = [a for a in arrays if a.ndim == 1]
                if len(kernels) != 1 or len(biases) != 1:
                    shapes = [a.shape for a in arrays]
                    raise ModelFileError(
                        f"weights {path}: layer {layer!r} should hold a kernel and a bias, got {shapes}"
                    )
                found[f"{layer}/kernel"], found[f"{layer}/bias"] = kernels[0], biases[0]
    except (OSError, RuntimeError, KeyError) as error:
        raise ModelFileError(
            f"weights {path}: damaged or cut short ({error}); fetch the file again"
        ) from error
    return found


def read_torch(path: Path) -> Arrays:
    """A state dict saved by torch (never unpickling code), as arrays.

    Raises:
        ModelFileError: damaged, or not a state dict.

    """
    import torch

    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for damaged files
        raise ModelFileError(
            f"weights {path}: damaged or not a plain state dict ({first_line(error)}); fetch the file again"
        ) from error
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    if not isinstance(state, dict) or not all(isinstance(v, torch.Tensor) for v in state.values()):
        raise ModelFileError(f"weights {path}: expected a state dict of tensors, got {type(state).__name__}")
    return {str(name).removeprefix("module."): value.float().numpy() for name, value in state.items()}


def read_npz(path: Path) -> Arrays:
    """Arrays of an `.npz`, names as TensorFlow spells them: `:0` dropped, `.` and `|` read as `/`.

    Raises:
        ModelFileError: damaged, or holds pickled objects.

    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {_tf_name(name): archive[name].astype(np.float32) for name in archive.files}
    except (OSError, ValueError, zipfile.BadZipFile, EOFError, KeyError) as error:
        raise ModelFileError(f"weights {path}: damaged ({error}); convert the checkpoint again") from error


def _tf_name(name: str) -> str:
    return name.removesuffix(":0").replace("|", "/").replace(".", "/")


def read_safetensors(path: Path) -> Arrays:
    """Arrays of a safetensors file, as float32.

    Raises:
        ModelFileError: damaged.

    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return {name: value.astype(np.float32) for name, value in load_file(path).items()}
    except (SafetensorError, OSError) as error:
        raise ModelFileError(f"weights {path}: damaged ({error}); fetch the file again") from error
