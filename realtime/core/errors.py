"""Every error a user can cause, and the exit code the commands turn it into.

    AvelError                 70  a bug of ours, when nothing narrower fits
    ├── UsageError (ValueError)        2  options that contradict each other or make no sense
    ├── SourceError (OSError)          3  a camera, microphone, file or stream can't be opened, or is lost
    ├── OutputError (OSError)          5  an output can't be written
    └── (model side, defined in avel_live.model.errors)
        ├── ModelFileError (ValueError)   4  a model, weight, calibration or engine file is missing or wrong
        └── BackendError (RuntimeError)   6  a backend can't run here

A message says what happened, what was expected and got, and how to mend it, on one line, and no secret.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ...model.errors import AvelError, BackendError, ModelFileError
from .redact import redact

__all__ = [
    "AvelError",
    "BackendError",
    "ModelFileError",
    "OutputError",
    "SourceError",
    "UsageError",
    "writing",
]


class _RedactedError(AvelError):
    def __str__(self) -> str:
        return redact(super().__str__())


class UsageError(_RedactedError, ValueError):
    """Options that contradict each other, or a value out of range."""

    exit_code = 2


class SourceError(_RedactedError, OSError):
    """A camera, microphone, file or stream can't be opened, or is lost for good."""

    exit_code = 3


class OutputError(_RedactedError, OSError):
    """An output (file, socket, directory) can't be written."""

    exit_code = 5


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """While a file or folder is written.

    Raises:
        OutputError: it can't be; the message names it and says why.

    """
    try:
        yield
    except OSError as error:
        raise OutputError(f"{path}: can't be written ({error.strerror or error})") from error
