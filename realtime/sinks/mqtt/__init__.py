"""Events on an MQTT broker, where Home Assistant finds the stream by itself.

options, here       sink        records → topics
discovery   what Home Assistant is told    announcer   when it is told what, and what is no more
link        a connection that loses nothing while the broker is away; broker: its address
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from ...core.options import OUTPUTS, Ge, Option, Secret
from ..base import About, Sink, SinkOptions


@dataclass(frozen=True)
class MqttOptions(SinkOptions):
    """Messages to an MQTT broker."""

    url: Annotated[
        str | None,
        Option(
            "--mqtt",
            panel=OUTPUTS,
            metavar="URL",
            help="publish to a broker: mqtt[s]://[user@]host[:port][/topic]",
        ),
    ] = field(default=None, repr=False)
    topic: str = "avel"
    """First level of every topic; a path in the URL replaces it."""
    username: str | None = None
    password: Secret | None = field(default=None, repr=False)
    ca_file: Path | None = None
    client_id: str | None = None
    discovery: bool = True
    """Announce the sensor to Home Assistant."""
    discovery_prefix: str = "homeassistant"
    buffer: Annotated[int, Ge(1)] = 10_000
    """Messages kept while the broker is away; beyond it the oldest are dropped, counted and reported."""

    def build(self, about: About) -> Sink | None:
        """A sink whose link has a queue and threads of its own."""
        if self.url is None:
            return None
        from .sink import MqttSink  # the package paho-mqtt is an extra

        return MqttSink(self, about)
