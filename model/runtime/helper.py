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
import threading
from collections import deque
from collections.abc import Callable
from typing import IO, Any, Final

from ..errors import ModelFileError, first_line
from ..profiles import Profile, register

_KEPT_LINES: Final = 40
_LONGEST_LINE: Final = 65_536
_AFTER_S: Final = 5.0
"""How long what is left of its complaints may take to be read; a child of its own may hold the pipe open."""


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


def run(module: str, profile: Profile, request: Any, on_line: Callable[[str], None]) -> tuple[int, str]:
    """As `start`, to its end: exit status, and the last line of its complaints (empty without any).

    Both pipes are read at once: a helper that fills the one that nobody reads would wait for ever, and so
    would we. Whatever ends this call early ends the helper, too.

    Args:
        module: what to run.
        profile: what it is asked about.
        request: what it is asked.
        on_line: told every line of its standard output.

    Raises:
        ModelFileError: as `start`.

    """
    with start(module, profile, request) as process:
        complaints = deque[bytes](maxlen=_KEPT_LINES)
        assert process.stdout is not None
        assert process.stderr is not None
        reader = threading.Thread(target=_keep, args=(process.stderr, complaints), daemon=True)
        reader.start()
        try:
            while line := process.stdout.readline(_LONGEST_LINE):
                on_line(line.decode(errors="replace").strip())
            process.wait()
        except BaseException:
            process.kill()
            raise
        finally:
            reader.join(_AFTER_S)
        said = [text for raw in list(complaints) if (text := raw.decode(errors="replace").strip())]
    return process.returncode, said[-1] if said else ""


def _keep(pipe: IO[bytes], lines: deque[bytes]) -> None:
    with contextlib.suppress(OSError, ValueError):  # closed under us
        while line := pipe.readline(_LONGEST_LINE):
            lines.append(line)


def requested(pipe: IO[bytes]) -> tuple[Profile, Any]:
    """In the helper: what it is asked for, by the process that started it and nobody else."""
    profile, request = pickle.load(pipe)
    return register(profile), request
