"""A recording as a file: which of its tracks are used, each opened on its own, and where they begin."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..core.clock import NS_PER_S
from ..core.errors import SourceError
from ..core.messages import SourceInfo
from .account import Account
from .choice import choose, which
from .codecs import undecodable
from .hardware import hardware
from .opening import open_container, open_pipe
from .packets import Packets
from .parts import Part, parts_of
from .piped import STDIN, Pipe, Shared, is_pipe, named, seekable
from .replayoptions import ReplayOptions
from .track import Track

if TYPE_CHECKING:
    from av.codec.hwaccel import HWAccel
    from av.container import InputContainer

_OFF_S = 2.0
"""A header that is further than this from the first packet is not believed."""
_BIG: Final = 720 * 576
"""Pictures above this many pixels are decoded by two threads, and only as many as are of use."""
_FEW: Final = 4
"""Where more pictures a second than this are looked at, all are decoded."""


class Recording:
    """Opens the tracks of one file, for one pass after another.

    Args:
        path: the file.
        options: which tracks, from where on.
        account: of the source; takes what is read.
        stop: set when nobody waits for a pipe any more.

    """

    def __init__(self, path: Path, options: ReplayOptions, account: Account, stop: threading.Event) -> None:
        self.path = seekable(path) if options.pipe else path
        self.info = SourceInfo(named(path), "file")
        """What is in it; complete once the tracks have been opened."""
        self.remarks: deque[str] = deque()
        """What is to be said about tracks that can't be used."""
        self._options, self._account = options, account
        self._hardware = hardware(options.hwaccel if options.video else "none")
        self._stop = stop
        self.pipe: Pipe | None = None
        """What the recording comes through, if it is no file."""
        self._shared: Shared | None = None
        self._parts: list[Part] = []
        """The files that it was joined from, if it was."""
        self._containers: list[InputContainer] = []
        self._packets: list[Packets] = []

    @property
    def once(self) -> bool:
        """Whether it can be read once only."""
        return self._options.pipe and is_pipe(self.path)

    @property
    def where(self) -> str:
        """The recording, for messages."""
        return self.info.name if self.path == STDIN else str(self.path)

    @property
    def hint(self) -> str:
        """Why nothing in it may be readable."""
        if self.once:
            return "a pipe can't go back (to the index of an MP4, say): save it to a file first"
        return "is it damaged?"

    def tracks(self, first: bool) -> tuple[Track | None, Track | None]:
        """Video track and audio track, each of a demuxer of its own; `first` describes them too.

        Raises:
            SourceError: no such file, not a media file, nothing in it that can be played.

        """
        if first and self.path.is_file() and not self.once:
            with readable(self.path):
                self._parts = parts_of(self.path)
        container = self._piped() if self.once else self._opened(self._hardware.accel)
        o = self._options
        picture = choose(container, "video", o.video_track)
        sound = choose(container, "audio", o.audio_track, related=picture)
        if picture is None and sound is None:
            raise SourceError(f"{self.where}: has neither picture nor sound that can be decoded")
        if not (o.video and picture) and not (o.audio and sound):
            only = "sound" if sound else "picture"
            raise SourceError(
                f"{self.where}: has only {only}, and that is switched off; nothing is left to judge"
            )
        if first:
            self.remarks += undecodable(container, video=o.video, audio=o.audio)
        used = [s.index for s, on in ((picture, o.video), (sound, o.audio)) if s is not None and on]
        if self.pipe is not None:
            self._shared = Shared(self.path, container, used, self._account)
        video = audio = None
        if o.video and picture:
            video = self._track(container, picture.index, used, self._account)
        if o.audio and sound:
            own = container if video is None or self._shared else self._opened(None)
            audio = self._track(own, sound.index, used, self._account if video is None else None)
        if first:
            self._describe(container, video, audio)
            if video is not None and (remark := self._hardware.remark(video.stream)):
                self.remarks.append(remark)
        return video, audio

    def _track(
        self, container: InputContainer, index: int, used: Sequence[int], others: Account | None
    ) -> Track:
        context: Any = container.streams[index].codec_context
        video = context.type == "video"
        big = video and (context.width or 0) * (context.height or 0) > _BIG

        def packets(container: InputContainer) -> tuple[Packets, Any]:
            stream: Any = container.streams[index]
            if stream.type == "video":
                stream.codec_context.thread_count = min(2, os.cpu_count() or 1) if big else 1
            if self._shared is not None:
                return self._shared.branch(index), stream
            self._packets.append(Packets(self.path, container, index, used, others, self._parts[1:]))
            return self._packets[-1], stream

        first, stream = packets(container)
        o = self._options
        account = self._account.video if video else self._account.audio
        accel = self._hardware.accel if video else None
        return Track(
            first,
            stream,
            lambda: packets(self._opened(accel)),
            account=account,
            channel=None if video else o.channel,
            spare=big and o.frames <= _FEW and not o.originals,
        )

    def _opened(self, accel: HWAccel | None) -> InputContainer:
        container = opened(self.path, self._parts[0] if self._parts else None, accel)
        self._containers.append(container)
        return container

    def _piped(self) -> InputContainer:
        if self.pipe is not None:
            raise SourceError(f"{self.where}: is a pipe and has been read; save it to a file first")
        self.pipe = Pipe(self.path, self._stop)
        with readable(self.path):
            self._containers.append(open_pipe(self.pipe, self._hardware.accel))
        return self._containers[-1]

    def _describe(self, container: InputContainer, video: Track | None, audio: Track | None) -> None:
        picture = sound = ""
        if video is not None:
            context = video.stream.codec_context
            rate = video.stream.average_rate
            picture = f"{context.width}×{context.height}" + (f" {float(rate):.4g} fps" if rate else "")
            picture = f"{picture} {context.name} {which(container, video.stream)}".rstrip()
            picture = ", ".join(filter(None, (picture, self._hardware.word(video.stream))))
        if audio is not None:
            context = audio.stream.codec_context
            sound = f"{context.sample_rate} Hz {context.layout.name} {context.name}"
            sound = f"{sound} {which(container, audio.stream)}".rstrip()
        duration_s = container.duration / 1_000_000 if container.duration else None
        self.info = SourceInfo(self.info.name, "file", picture, sound, duration_s)

    def zero_s(self, video: Track | None, audio: Track | None) -> float:
        """Where the stream begins, in seconds of the file's own time."""
        tracks = [track for track in (video, audio) if track is not None]
        # Where the packets begin; a header may know better by a little (priming), not by much.
        seen = tracks[0].packets.starts_ns()
        starts: dict[int, float] = {}
        for track in tracks:
            index, start = track.stream.index, track.start_s
            first = seen[index] / NS_PER_S if index in seen else None
            if first is not None and (start is None or abs(first - start) > _OFF_S):
                start = first
            if start is not None:
                starts[index] = start
        zero = min(starts.values(), default=0.0)
        # Encoders put a few milliseconds of priming before the first picture; the picture is the start.
        if video is not None and starts.get(video.stream.index, zero + 1) - zero < 0.1:
            zero = starts[video.stream.index]
        return zero + self._options.start_s

    def close(self) -> None:
        """Close what was opened; a next pass opens it anew."""
        for packets in self._packets:
            packets.close()
        self._packets.clear()
        for container in self._containers:
            container.close()
        self._containers.clear()
        if self.pipe is not None:
            self.pipe.close()


def opened(path: Path, part: Part | None = None, accel: HWAccel | None = None) -> InputContainer:
    """The container (of one of joined files), or a `SourceError` that says what is wrong with the path."""
    if path.is_dir():
        raise SourceError(f"{path}: is a folder; give a media file (`avel localize` reads folders)")
    if not path.exists():
        raise SourceError(f"{path}: no such file")
    if not path.is_file():
        raise SourceError(
            f"{path}: is a pipe or a device, and a recording is read more than once here; "
            "save it to a file first"
        )
    with readable(path):
        return open_container(path, part, accel)


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """While a container is being opened: what goes wrong becomes a `SourceError`."""
    # From the package, not from a part of it: two threads that begin with different parts break it.
    from av import FFmpegError

    try:
        yield
    except PermissionError as error:
        raise SourceError(f"{path}: no permission to read it") from error
    except (FFmpegError, OSError, ValueError) as error:
        why = getattr(error, "strerror", error)
        only = "; not every format can be read from a pipe: save it to a file first" if is_pipe(path) else ""
        where = named(path) if path == STDIN else path
        raise SourceError(f"{where}: not a media file, or its header is damaged ({why}){only}") from error
