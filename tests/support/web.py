"""The page of a made-up stream, a memory with something in it, and a client that knows only HTTP."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from avel_live.realtime.core.clock import Clock
from avel_live.realtime.core.messages import TimedFrame
from avel_live.realtime.memory import EventRow, Memory, Run, Writer
from avel_live.realtime.memory.write import ClipRow, StateRow
from avel_live.realtime.sinks.web import WebOptions
from avel_live.realtime.web.server import PageSink

from .about import Said, about
from .stream import make_preview, make_start, make_stream

RUN = Run("door", 0, "rtsp://***@door", "lite onnxruntime int8", "hall", "0.1.0", "UTC")


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """One request at a time, without any cleverness."""

    def __init__(self, port: int, *, tls: bool = False, **headers: str) -> None:
        self.port, self._tls = port, tls
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        where = ("127.0.0.1", self.port)
        connection: http.client.HTTPConnection
        if self._tls:
            connection = http.client.HTTPSConnection(
                *where, timeout=20, context=ssl._create_unverified_context()
            )
        else:
            connection = http.client.HTTPConnection(*where, timeout=20)
        sent = {**self.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
        if isinstance(body, dict | list | str):
            body = json.dumps(body).encode()
            sent.setdefault("content-type", "application/json")
        try:
            connection.request(method, path, body, sent, encode_chunked="transfer-encoding" in sent)
            response = connection.getresponse()
            got = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, got, response.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Answer:
        return self("GET", path, **headers)

    def browser(self) -> Client:
        """With a session, as the page has one."""
        answer = self.get("/api/session")
        cookie = answer.headers["set-cookie"].split(";")[0]
        client = Client(self.port, tls=self._tls, cookie=cookie)
        client.headers["x-csrf-token"] = answer.json()["csrf"]
        return client


def remember(path: Path, rows: list[EventRow], clip: ClipRow | None = None, stream: str = "door") -> Memory:
    writer = Writer(path)
    run = writer.begin(replace(RUN, stream=stream))
    writer.add(run, rows)
    if clip is not None:
        writer.add(run, [clip])
    writer.add(run, [StateRow("camera", 1_795_000_000_000_000, "stalled", "warning", "no picture for 3 s")])
    writer.close()
    return Memory(path)


@contextmanager
def page(
    memory: Memory | None = None,
    folders: tuple[Path, ...] = (),
    clock: Clock | None = None,
    *,
    listen: str = "0",
    hops: int = 12,
    **settings: Any,
) -> Iterator[PageSink]:
    """The page of a stream called door that has run for some seconds."""
    sink = PageSink(WebOptions(listen=listen, **settings), about(Said(), clock, name="door"), memory, folders)
    try:
        start, records, _ = make_stream(hops)
        sink.start(start)
        for record in records:
            sink.hop(record)
        preview = make_preview(3)
        sink.media(TimedFrame(0, preview, preview, None))
        yield sink
    finally:
        sink.close()


__all__ = ["RUN", "Answer", "Client", "make_start", "page", "remember"]
