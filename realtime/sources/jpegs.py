"""Motion JPEG over HTTP: every picture is read, so that none grows stale, and only those wanted are decoded.

Each picture of it stands by itself. OpenCV decodes all that it reads: of a camera of fifteen pictures a
second twice as many as are looked at, and of one that sends without end as many as the processor bears.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from ..core.errors import SourceError
from ..core.redact import redact
from .connect import Connection, NetworkOptions, connect

if TYPE_CHECKING:
    from .capture import CameraOptions

FORMATS = ("mpjpeg", "mjpeg")
"""FFmpeg's names of it, with and without a type for each part."""


class JpegStream:
    """Does what OpenCV's capture does: `grab`, `retrieve`, `read`, `release`."""

    def __init__(self, connection: Connection) -> None:
        from av.video.reformatter import VideoReformatter

        self._connection = connection
        connection.video.codec_context.thread_count = 1
        self._packets: Iterator[Any] = connection.container.demux(connection.video)
        self._packet: Any = None
        self._colours = VideoReformatter()  # keeps its tables

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, as far as they are known before a picture is decoded."""
        context = self._connection.video.codec_context
        return context.width, context.height

    @property
    def aspect(self) -> Fraction:
        """Width : height of a pixel."""
        return self._connection.video.sample_aspect_ratio or Fraction(1)

    def grab(self) -> bool:
        """Wait for the next picture; False when none comes any more."""
        from av.error import FFmpegError

        try:
            self._packet = next(self._packets, None)
        except (FFmpegError, OSError):
            self._packet = None
        return self._packet is not None and self._packet.size > 0

    def retrieve(self) -> tuple[bool, NDArray[np.uint8] | None]:
        """Decode it: [H, W, 3] in the order blue, green, red; False where it is none."""
        from av.error import FFmpegError

        try:
            frames = self._packet.decode()
        except (FFmpegError, OSError):
            return False, None
        if not frames:
            return False, None
        picture = self._colours.reformat(frames[-1], format="bgr24").to_ndarray()
        return True, cast("NDArray[np.uint8]", picture)

    def read(self) -> tuple[bool, NDArray[np.uint8] | None]:
        """The next picture, decoded."""
        return self.retrieve() if self.grab() else (False, None)

    def release(self) -> None:
        """Hang up; nothing comes any more."""
        self._packets = iter(())  # those of a closed container bring the interpreter down
        self._connection.close()


def open_jpegs(options: CameraOptions) -> JpegStream | None:
    """Open an address; None where it is something else than Motion JPEG.

    Raises:
        SourceError: nothing can be had from there.

    """
    timeouts_s = options.open_timeout_ms / 1000, options.read_timeout_ms / 1000
    try:
        connection = connect(NetworkOptions(options.spec, True, False, *timeouts_s))
    except SourceError as error:
        raise SourceError(
            f"camera {redact(options.spec)}: no picture from there; check the address, the credentials, and "
            "that the server is up"
        ) from error
    if connection.container.format.name not in FORMATS:
        connection.close()
        return None
    return JpegStream(connection)
