"""What a stream is called that nobody named: the same at every start, and another for every other stream."""

from __future__ import annotations

import socket
from pathlib import Path

from ..core.names import digest

MACHINE_ID = Path("/etc/machine-id")


def unnamed(*source: object) -> str:
    """`avel-` and six digits that stand for this machine and the source of the stream.

    Two boxes, or two cameras of one box, that publish to one broker or write into one folder without a
    `--name` get topics and files of their own.

    Args:
        source: what tells its source from others, each as text.

    """
    return f"avel-{digest(repr((_machine(), *map(str, source))))[:6]}"


def _machine() -> str:
    """What tells this machine from others and stays when it is started again."""
    try:
        if found := MACHINE_ID.read_text().strip():
            return found
    except (OSError, ValueError):
        pass  # none in most containers
    host = socket.gethostname()
    # Docker gives a container twelve digits that are others for the next one.
    passing = len(host) == 12 and all(c in "0123456789abcdef" for c in host)
    return "" if passing else host
