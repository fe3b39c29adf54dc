"""To run for weeks unattended: systemd units, container files, Jetson set-up, a check of wheels.

The files beside this module are data; `avel deploy list` names them and `avel deploy show NAME` prints one.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Final

from ..core.errors import UsageError

FILES: Final = {
    "avel-live.service": ("systemd/avel-live.service", "systemd unit: one stream, /etc/avel/avel.toml"),
    "avel-live@.service": (
        "systemd/avel-live@.service",
        "systemd template: a stream per /etc/avel/NAME.toml",
    ),
    "avel-serve.service": (
        "systemd/avel-serve.service",
        "systemd unit: several streams, [[streams]] of /etc/avel/avel.toml",
    ),
    "jetson.conf": ("systemd/jetson.conf", "drop-in for the units on a Jetson: CSI camera, GPU devices"),
    "sysusers.conf": (
        "systemd/sysusers.conf",
        "the user that the units run as, for /etc/sysusers.d/avel.conf",
    ),
    "Dockerfile.cpu": ("docker/Dockerfile.cpu", "image for a CPU"),
    "Dockerfile.jetson": ("docker/Dockerfile.jetson", "image for Jetson, JetPack 7.2 or 6.2"),
    "slim.txt": ("slim.txt", "requirements of live, localize and serve alone: no torch"),
    "compose.yaml": ("compose/compose.yaml", "a broker and several cameras on one machine"),
    "serve.yaml": ("compose/serve.yaml", "a broker and one container for several cameras"),
    "mosquitto.conf": ("compose/mosquitto.conf", "the broker's configuration, for both of them"),
    "README.md": ("README.md", "the guide: every step, and whether it was ever run on a device"),
}
"""Name → where it lies in this package, and what it is."""


def text(name: str) -> str:
    """Contents of a deployment file.

    Raises:
        UsageError: there is no such file.

    """
    if name not in FILES:
        raise UsageError(f"no deployment file {name!r}; there are: {', '.join(FILES)}")
    return files(__name__).joinpath(FILES[name][0]).read_text(encoding="utf-8")
