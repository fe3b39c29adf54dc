"""Helper processes: what needs torch is done in another process, so that the live one stays free of it.

A helper is a module run by itself, with one request on its standard input. It imports from where this process
does, and knows the profile it is asked about, whoever registered it.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
from typing import IO, Any

from ..errors import ModelFileError, first_line
from ..profiles import Profile, register


def start(module: str, profile: Profile, request: Any) -> subprocess.Popen[bytes]:
    """Run a module that answers one request by `requested`; its standard output and error are pipes.

    Raises:
        ModelFileError: the profile or the request can't be handed over.

    """
    try:
        whole = pickle.dumps((profile, request))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise ModelFileError(
            f"profile {profile.name!r} can't be handed to a helper process ({first_line(error)}); "
            "what it is made of must be defined at the top of a module"
        ) from error
    helper = subprocess.Popen(
        [sys.executable, "-m", module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert helper.stdin is not None
    # Where it has ended already, its standard error says why.
    with contextlib.suppress(BrokenPipeError), helper.stdin as pipe:
        pipe.write(whole)
    helper.stdin = None
    return helper


def requested(pipe: IO[bytes]) -> tuple[Profile, Any]:
    """In the helper: what it is asked for, by the process that started it and nobody else."""
    profile, request = pickle.load(pipe)
    return register(profile), request
