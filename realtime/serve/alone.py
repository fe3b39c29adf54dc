"""One program at a time keeps streams in one file: a second one would undo what the first one keeps.

A lock on a file beside it, with the process's number in it. The system lets go of it when the process ends,
however that comes about, so nothing is ever left behind that somebody has to remove.
"""

from __future__ import annotations

import os
from pathlib import Path

from ..core.errors import UsageError

_LONGEST = 20


class Alone:
    """The lock, from now until `close`.

    Args:
        file: where streams are kept; the lock is beside it. Where nothing can be written, nothing can be
            undone either, and there is no lock.

    Raises:
        UsageError: another program holds it; the message says which one.

    """

    def __init__(self, file: Path) -> None:
        self._held: int | None = None
        path = file.with_name(f"{file.name}.lock")
        try:
            import fcntl

            path.parent.mkdir(parents=True, exist_ok=True)
            held = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except (ImportError, OSError):  # Windows; a folder that is not there to be written to
            return
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(held, 0)
            os.pwrite(held, b"%d\n" % os.getpid(), 0)
        except BlockingIOError:
            said = os.pread(held, _LONGEST, 0).decode("ascii", "replace").strip()
            os.close(held)
            raise UsageError(
                f"another avel serve (process {said or 'unknown'}) runs with {file}; stop it, or give this "
                "one a data folder of its own (AVEL_DATA_DIR=…) or --streams-file"
            ) from None
        except OSError:  # a file system without locks
            os.close(held)
            return
        self._held = held

    def close(self) -> None:
        """Let go; safe to call twice. The file stays: removing it would let two in at once."""
        held, self._held = self._held, None
        if held is not None:
            os.close(held)
