"""A server on loopback that sends bytes at appointed times, and transport streams cut to be sent that way."""

from __future__ import annotations

import io
import socket
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Self

import av

Schedule = Sequence[tuple[float, bytes]]
"""What to send, and how many seconds after a client came; in order."""


class TimedServer:
    """Every client gets the schedule from its beginning, then nothing more; the connection stays open.

    Args:
        schedule: what is sent.
        content_type: answers HTTP with it; None sends bytes as they are, over TCP.
        hang_up: close the connection at the end.

    """

    def __init__(
        self, schedule: Schedule, content_type: str | None = "video/mp2t", *, hang_up: bool = False
    ) -> None:
        self._schedule, self._type, self._hang_up = schedule, content_type, hang_up
        self._socket = socket.create_server(("127.0.0.1", 0))
        scheme = "tcp" if content_type is None else "http"
        self.url = f"{scheme}://127.0.0.1:{self._socket.getsockname()[1]}" + (
            "" if scheme == "tcp" else "/live"
        )
        self.begun_s: list[float] = []
        """When each client's first byte was sent (`time.monotonic`)."""
        self._stop = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while not self._stop.is_set():
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client:
            try:
                if self._type is not None:
                    client.recv(65_536)
                    head = f"HTTP/1.1 200 OK\r\nContent-Type: {self._type}\r\nConnection: close\r\n\r\n"
                    client.sendall(head.encode())
                begun = time.monotonic()
                self.begun_s.append(begun)
                for at_s, data in self._schedule:
                    if self._stop.wait(max(0.0, begun + at_s - time.monotonic())):
                        return
                    client.sendall(data)
                if not self._hang_up:
                    self._stop.wait()
            except OSError:
                return

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        self._socket.close()


class _Taken(io.RawIOBase):
    """A file that is written from front to back, and gives out what was written since the last time."""

    def __init__(self) -> None:
        self._data = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:  # type: ignore[override]
        self._data += bytes(data)  # type: ignore[call-overload]
        return len(bytes(data))  # type: ignore[call-overload]

    def take(self) -> bytes:
        data, self._data = bytes(self._data), bytearray()
        return data


def transport_stream(
    clip: Path,
    *,
    offset_s: float = 0.0,
    sent_from_s: float = 0.0,
    until_s: float = 1e9,
    picture_until_s: float = 1e9,
    step: tuple[float, float] | None = None,
) -> list[tuple[float, bytes]]:
    """A recording as MPEG-TS, each packet to be sent when it is due.

    Args:
        clip: what is sent; its encoding stays.
        offset_s: added to every time stamp.
        sent_from_s: when the first packet is sent.
        until_s, picture_until_s: leave out what is later in the clip, or its pictures only.
        step: from this second of the clip on, so much more is added to every stamp.

    """
    taken, out = _Taken(), []
    with av.open(str(clip)) as source, ExitStack() as muxers:

        def muxer() -> dict[int, object]:
            # A packet of sound must not wait for one of picture that never comes.
            options = {"flush_packets": "1", "max_interleave_delta": "1"}
            ts = muxers.enter_context(av.open(taken, "w", format="mpegts", options=options))
            return {s.index: ts.add_stream_from_template(s) for s in source.streams}

        tracks = muxer()
        stepped = False
        for packet in source.demux():
            if packet.dts is None:
                continue
            at_s = float(packet.dts * packet.time_base)
            pictured = packet.stream.type == "video"
            if at_s >= until_s or (pictured and at_s >= picture_until_s):
                continue
            more_s = offset_s
            if step is not None and at_s >= step[0]:
                more_s += step[1]
                if not stepped:
                    tracks, stepped = muxer(), True
            more = round(Fraction(more_s).limit_denominator(1000) / packet.time_base)
            packet.pts, packet.dts = packet.pts + more, packet.dts + more
            packet.stream = track = tracks[packet.stream.index]
            track.container.mux(packet)
            out.append((sent_from_s + max(0.0, at_s), taken.take()))
    out.append((out[-1][0], taken.take()))
    return out
