"""What a program that we start gets to know of our environment: what it needs to run, never our secrets.

Our own environment holds passwords (`AVEL_MQTT__PASSWORD`, and whatever else a container or a unit was
given); a program run for every event could print, log or send them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import Final

from ..core.errors import UsageError

_PLAIN: Final = re.compile(
    "PATH|HOME|USER|LOGNAME|SHELL|LANG|LANGUAGE|LC_[A-Z]+|TZ|TMPDIR|TERM|DISPLAY|WAYLAND_DISPLAY|XAUTHORITY|"
    "DBUS_SESSION_BUS_ADDRESS|XDG_[A-Z_]+|LD_LIBRARY_PATH|SYSTEMROOT"
)
"""Where things are, who and in which language we are, and where the desktop is."""


def clean_environment(named: Sequence[str] = (), environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a program of somebody else's.

    Args:
        named: what it gets beside the plain ones: `NAME` as it is here, or `NAME=VALUE`.
        environ: stands in for `os.environ` in tests.

    Raises:
        UsageError: something that is no name.

    """
    environ = os.environ if environ is None else environ
    clean = {name: value for name, value in environ.items() if _PLAIN.fullmatch(name)}
    for text in named:
        name, given, value = text.partition("=")
        if not name or "\0" in text or name != name.strip():
            # Not the text itself: it may be a secret.
            raise UsageError("--exec-env: expected NAME or NAME=VALUE")
        if given:
            clean[name] = value
        elif name in environ:
            clean[name] = environ[name]
    return clean
