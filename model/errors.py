"""The root of the error tree and the errors of the model side. `realtime/core/errors.py` draws the tree."""

from __future__ import annotations


class AvelError(Exception):
    """Something went wrong that a user can be told in one line: what, expected and got, the fix."""

    exit_code = 70

    def __str__(self) -> str:
        """One line, whatever was quoted in it (a damaged file's keys, a library's words)."""
        return " ".join(super().__str__().splitlines())


class ModelFileError(AvelError, ValueError):
    """A model, weight, calibration, engine or data file is missing, damaged, or made for another use."""

    exit_code = 4


class BackendError(AvelError, RuntimeError):
    """A backend can't run here; the message says what to install or choose instead."""

    exit_code = 6


def first_line(error: BaseException) -> str:
    """The first line of what an error of a library says, or its kind where it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
