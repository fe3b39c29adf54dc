"""Where an MQTT broker is and how to get in, and one message to it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ...core.errors import OutputError, UsageError


@dataclass(frozen=True)
class Broker:
    """Where the broker is and how to get in. The password is never shown."""

    host: str
    port: int
    tls: bool
    username: str | None
    password: str | None
    path: str
    """What stood after the host: the first topic level the user wants, or empty."""
    ca_file: Path | None = None

    def __repr__(self) -> str:
        return f"Broker({self})"

    def __str__(self) -> str:
        return f"{'mqtts' if self.tls else 'mqtt'}://{self.host}:{self.port}"

    @classmethod
    def parse(
        cls,
        url: str,
        username: str | None = None,
        password: str | None = None,
        ca_file: Path | None = None,
    ) -> Broker:
        """Read `mqtt[s]://[user[:password]@]host[:port][/topic]`.

        Raises:
            UsageError: another scheme, no host, or a port that is none. Never quotes the URL: it may hold
                a password.
            OutputError: `ca_file` does not exist.

        """
        try:
            parts = urlsplit(url if "://" in url else f"mqtt://{url}")
            port = parts.port
            (parts.hostname or "").encode("idna")
        except ValueError as error:
            raise UsageError(f"mqtt: not an address ({error}); expected mqtt://host:port") from None
        if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname:
            raise UsageError(
                f"mqtt: expected mqtt://host[:port] or mqtts://host[:port], got scheme {parts.scheme!r}"
            )
        if ca_file is not None and not ca_file.is_file():
            raise OutputError(f"mqtt: certificate file {ca_file}: no such file")
        tls = parts.scheme == "mqtts"
        return cls(
            host=parts.hostname,
            port=port or (8883 if tls else 1883),
            tls=tls,
            username=username or (unquote(parts.username) if parts.username else None),
            password=password or (unquote(parts.password) if parts.password else None),
            path=parts.path.strip("/"),
            ca_file=ca_file,
        )


@dataclass(frozen=True)
class Message:
    """One publication. `keep` messages wait for the broker; others go out only while it is there."""

    topic: str
    payload: bytes
    retain: bool = False
    keep: bool = True
