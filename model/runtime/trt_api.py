"""Talking to `torch_tensorrt`: importing it without harm, and never passing it a name it does not know.

Its functions take `**kwargs` and drop unknown names without a word: `enabled_precisions` means nothing from
2.13 on, and a typing error never did. So every name is held against the signature of the installed version.
"""

from __future__ import annotations

import contextlib
import inspect
import io
from collections.abc import Callable, Collection, Mapping, Sequence
from importlib import metadata
from typing import Any, Final

from ..errors import BackendError
from .flavours import RTX, TENSORRT
from .probe import installed

DISTRIBUTIONS: Final = ("torch-tensorrt-rtx", "torch-tensorrt")
"""Both install the module `torch_tensorrt`; the first runs on TensorRT for RTX."""
_ALIASES: Final = {
    "torch": ("torch",),
    "tensorrt": TENSORRT.distributions,
    "tensorrt-rtx": RTX.distributions,
}
"""What is compared, and the distributions that install it."""


def load_torch_tensorrt() -> Any:
    """The module, its prints kept off standard output.

    Raises:
        BackendError: not installed, no CUDA device, or its import failed; says what to do.

    """
    if not installed("torch_tensorrt"):
        raise BackendError(
            "Torch-TensorRT is not installed; `pip install 'avel-live[tensorrt]'` (Linux, NVIDIA GPU; "
            "its version must match torch's, e.g. 2.13 with 2.13), or use --backend onnxruntime"
        )
    if complaint := mismatch(DISTRIBUTIONS):
        raise BackendError(complaint)
    import torch

    if not torch.cuda.is_available():
        raise BackendError("Torch-TensorRT needs a CUDA build of torch and a GPU; use --backend onnxruntime")
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            import torch_tensorrt
    except Exception as error:  # it raises bare Exception, AssertionError, RuntimeError, …
        raise BackendError(
            f"Torch-TensorRT can't be imported ({type(error).__name__}: {error}); "
            "check that its version matches torch's and that TensorRT is installed"
        ) from error
    return torch_tensorrt


def mismatch(distributions: Sequence[str]) -> str:
    """Why the first of these that is installed can't work here: what it pins is there in another version.

    Its import would fail somewhere inside, or worse, two versions of one library lie over each other: both
    `torch-tensorrt-rtx` (TensorRT for RTX 1.6) and `avel-live[rtx]` (1.7) write the module `tensorrt_rtx`.

    Returns:
        one line, empty where everything fits.

    """
    for name in distributions:
        try:
            found = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        from packaging.requirements import Requirement  # comes with it

        wrong = []
        for line in found.requires or ():
            need = Requirement(line)
            if need.marker is not None and not need.marker.evaluate({"extra": ""}):
                continue
            for other in _ALIASES.get(need.name.lower().replace("_", "-"), ()):
                have = _version(other)
                if have and not need.specifier.contains(have, prereleases=True):
                    wrong.append(f"{need.name} {need.specifier}, installed is {other} {have}")
        if wrong:
            return (
                f"{name} {found.version} needs {'; '.join(wrong)}: give it an environment of its own "
                "(model/README.md, RTX GPUs), or use --backend onnxruntime"
            )
    return ""


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""


def parameter_names(function: Callable[..., Any]) -> frozenset[str]:
    """Names that a function takes by keyword; what `**kwargs` would swallow is not among them."""
    kinds = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return frozenset(
        name for name, parameter in inspect.signature(function).parameters.items() if parameter.kind in kinds
    )


def checked(options: Mapping[str, Any], known: Collection[str], version: str) -> dict[str, Any]:
    """The options, once each name is known to the installed version.

    Raises:
        BackendError: a name is not; it would have been ignored in silence.

    """
    if unknown := sorted(set(options) - set(known)):
        raise BackendError(
            f"torch_tensorrt {version} does not know {', '.join(unknown)}; "
            "use a version between 2.8 and 2.14, or --backend onnxruntime"
        )
    return dict(options)


def compile_options(known: Collection[str], version: str, *, dryrun: bool = False) -> dict[str, Any]:
    """What `torch_tensorrt.dynamo.compile` is told, in the words of the installed version.

    Precision is that of the module: it is cast before, and the network is strongly typed. Versions up to
    2.12 must be asked for that; from 2.13 on there is nothing else.

    Args:
        known: `parameter_names(torch_tensorrt.dynamo.compile)`.
        version: of torch_tensorrt, for the message.
        dryrun: partition only, build nothing.

    Raises:
        BackendError: the version lacks an option that we rely on.

    """
    options: dict[str, Any] = {
        "require_full_compilation": not dryrun,
        "min_block_size": 1,
        "immutable_weights": True,
        "truncate_double": True,
        "dryrun": dryrun,
    }
    if "use_explicit_typing" in known:
        options["use_explicit_typing"] = True
    return checked(options, known, version)
