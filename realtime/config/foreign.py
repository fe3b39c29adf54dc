"""Variables that others put into our environment under our prefix: Kubernetes and docker links.

A Kubernetes service called `avel` (or `avel-live`, `avel-mqtt`) gives every pod beside it
`AVEL_SERVICE_HOST=10.0.0.7`, `AVEL_SERVICE_PORT_HTTP=80`, `AVEL_PORT=tcp://10.0.0.7:80`,
`AVEL_PORT_80_TCP_ADDR=10.0.0.7`, …; a docker link called so the same without the service, with
`AVEL_NAME=/us/avel` and `AVEL_ENV_…`. They are nobody's typing mistake. Names and values must both have
the shape: anything else under our prefix is still an error.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from typing import Final

_ADDRESS = re.compile(r"(?:tcp|udp|sctp)://(?:\[(?P<six>[^]/]+)\]|(?P<four>[^:/]+)):(?P<port>\d{1,5})")
_PORTED = r"PORT_\d{1,5}_(?:TCP|UDP|SCTP)"
_LINK_NAME = re.compile(r"/[\w.-]+/[\w.-]+")


def foreign(environ: Mapping[str, str], prefix: str) -> frozenset[str]:
    """Names under `prefix` that the platform put there.

    Args:
        environ: the environment.
        prefix: ours, with its underscore.

    """
    found, linked = set[str](), set[str]()
    for name, value in environ.items():
        if not name.startswith(prefix):
            continue
        for shape, fits in _SHAPES:
            match = shape.fullmatch(name)
            if match is not None and fits(value):
                found.add(name)
                if _is_address(value):
                    linked.add(match["who"])
    for who in linked:
        # What only a link says, and only beside its addresses.
        if _LINK_NAME.fullmatch(environ.get(f"{who}_NAME", "")):
            found.add(f"{who}_NAME")
        found |= {name for name in environ if name.startswith(f"{who}_ENV_")}
    return frozenset(name for name in found if name.startswith(prefix))


def _is_ip(value: str) -> bool:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True


def _is_port(value: str) -> bool:
    return value.isascii() and value.isdigit() and len(value) <= 5 and int(value) <= 65535


def _is_address(value: str) -> bool:
    match = _ADDRESS.fullmatch(value)
    return match is not None and _is_ip(match["six"] or match["four"]) and _is_port(match["port"])


_SHAPES: Final[tuple[tuple[re.Pattern[str], Callable[[str], bool]], ...]] = (
    (re.compile(r"(?P<who>\w+?)_SERVICE_HOST"), _is_ip),
    (re.compile(r"(?P<who>\w+?)_SERVICE_PORT(?:_\w+)?"), _is_port),
    (re.compile(rf"(?P<who>\w+?)_(?:PORT|{_PORTED})"), _is_address),
    (re.compile(rf"(?P<who>\w+?)_{_PORTED}_ADDR"), _is_ip),
    (re.compile(rf"(?P<who>\w+?)_{_PORTED}_PORT"), _is_port),
    (re.compile(rf"(?P<who>\w+?)_{_PORTED}_PROTO"), ("tcp", "udp", "sctp").__contains__),
)
