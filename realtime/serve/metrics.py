"""One port for the numbers of all streams: every series with a label `stream`, and one `/healthz`.

`/healthz` is 200 as long as one stream is well, and says in its body which are not: to start the program anew
because one of twelve cameras is unplugged would help none. It is 503 when there are streams and none is well.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..core.clock import Clock
from ..sinks.metrics import MetricsOptions, StreamMetrics, serve_pages

if TYPE_CHECKING:
    from prometheus_client import Metric


class AllMetrics:
    """The numbers of every stream, and the server for them.

    Raises:
        UsageError: another address than loopback without a token.
        OutputError: the port is taken, or prometheus-client is missing.

    """

    def __init__(self, options: MetricsOptions, clock: Clock) -> None:
        self._options, self._clock = options, clock
        self._streams: dict[str, StreamMetrics] = {}
        StreamMetrics(options, clock)  # a missing package is said now
        self._server = serve_pages(options, self._page)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._server.port

    def add(self, name: str) -> StreamMetrics:
        """The numbers of a stream; they count on when it is opened again."""
        counts = self._streams.get(name) or StreamMetrics(self._options, self._clock)
        self._streams = {**self._streams, name: counts}
        return counts

    def remove(self, name: str) -> None:
        """The stream is no more, and neither are its series."""
        self._streams = {other: counts for other, counts in self._streams.items() if other != name}

    def close(self) -> None:
        """Stop listening; safe to call twice."""
        self._server.close()

    def collect(self) -> Iterator[Metric]:
        """Every family, once, with the samples of all streams; called by prometheus-client."""
        from prometheus_client import Metric

        families: dict[str, Metric] = {}
        for name, counts in self._streams.items():
            for family in counts.registry.collect():
                whole = families.get(family.name)
                if whole is None:
                    whole = Metric(family.name, family.documentation, family.type, family.unit)
                    families[family.name] = whole
                whole.samples += [
                    one._replace(labels={"stream": name, **one.labels}) for one in family.samples
                ]
        yield from families.values()

    def _page(self, path: str, accept: str) -> tuple[int, str, bytes]:
        """Status, content type and body of one page, in the form that suits `accept`, a header's value."""
        from prometheus_client.exposition import choose_encoder

        if path == "/metrics":
            encode, kind = choose_encoder(accept)
            return 200, kind, encode(self)
        if path == "/healthz":
            streams = {name: counts.troubles() for name, counts in self._streams.items()}
            well = [name for name, troubles in streams.items() if not troubles]
            body = {
                "healthy": len(well) == len(streams),
                "streams": {
                    name: {"healthy": not troubles, "troubles": troubles}
                    for name, troubles in streams.items()
                },
            }
            return (503 if streams and not well else 200), "application/json", json.dumps(body).encode()
        return 404, "text/plain", b"/metrics or /healthz\n"
