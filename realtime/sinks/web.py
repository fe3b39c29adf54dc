"""`--web [HOST:]PORT`: the page in the browser. Made by `web/server.py`, which needs the extra `[web]`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final

from ..core.errors import UsageError
from ..core.options import OUTPUTS, Names, Option, Secret
from .base import About, Sink, SinkOptions

_LOOPBACK: Final = "127.0.0.1"


@dataclass(frozen=True)
class WebOptions(SinkOptions):
    """The page: where it listens, and who may look."""

    listen: Annotated[
        str | None,
        Option(
            "--web",
            panel=OUTPUTS,
            metavar="[HOST:]PORT",
            help="show it all in the browser, on this port of this machine; another host needs web.password",
        ),
    ] = None
    user: str = "avel"
    password: Secret | None = field(default=None, repr=False)
    """As it is, or its argon2 hash (`$argon2id$…`)."""
    token: Secret | None = field(default=None, repr=False)
    """For programs: `Authorization: Bearer TOKEN`."""
    cert: Path | None = None
    """Certificate (PEM) for https; with `key`."""
    key: Path | None = None
    proxies: Names = ()
    """Addresses of proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed."""

    @property
    def address(self) -> tuple[str, int]:
        """Host and port.

        Raises:
            UsageError: it is no address.

        """
        host, _, port = (self.listen or "").rpartition(":")
        host = host.removeprefix("[").removesuffix("]") or _LOOPBACK
        if not port.isdecimal() or int(port) > 65535:
            raise UsageError(
                f"--web {self.listen}: expected a port or HOST:PORT, such as 8090 or 0.0.0.0:8090"
            )
        if (self.cert is None) != (self.key is None):
            raise UsageError("web.cert and web.key belong together; give both")
        return host, int(port)

    def build(self, about: About) -> Sink | None:
        """A sink with a server in threads of its own; of several streams the program shows them all."""
        if self.listen is None or about.several or about.page is None:
            return None
        return about.page(self, about)
