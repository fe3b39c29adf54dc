"""A stream that the machine can't decode as fast as it comes: what is late is passed over while that helps.

Time is the test's own: a picture costs so much of it, sound a little. What comes out goes into a cutter, as
in the program, and what counts is what its seconds hold.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from avel_live.realtime.core.clock import NS_PER_S, ManualClock
from avel_live.realtime.core.messages import SAMPLE_RATE, Segment, TimedAudio
from avel_live.realtime.sources.account import TrackAccount
from avel_live.realtime.sources.clocks.sender import SenderClock
from avel_live.realtime.sources.connect import Connection
from avel_live.realtime.sources.picture import timed_frame
from avel_live.realtime.sources.playout import Playout
from avel_live.realtime.stream.cutter import ClosedSegment, Cutter

FPS, SECONDS = 25, 20
KINDS: dict[str, tuple[str, dict[str, str]]] = {
    "camera": ("libx264", {"preset": "ultrafast", "g": "50", "bf": "0"}),
    "b-frames": ("libx264", {"preset": "ultrafast", "g": "50", "bf": "2", "b_strategy": "0"}),
    "mjpeg": ("mjpeg", {}),
}


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("playout")
    return {kind: encoded(folder / f"{kind}.mkv", *how) for kind, how in KINDS.items()}


def encoded(path: Path, codec: str, options: dict[str, str]) -> Path:
    with av.open(str(path), "w") as out:
        video: Any = out.add_stream(codec, rate=FPS, options=options)
        video.width, video.height = 64, 48
        video.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        audio: Any = out.add_stream("pcm_s16le", rate=SAMPLE_RATE, layout="mono")
        for number in range(FPS * SECONDS):
            picture = av.VideoFrame.from_ndarray(np.full((48, 64, 3), number % 250, np.uint8))
            out.mux(video.encode(picture))
            block = av.AudioFrame.from_ndarray(np.ones((1, SAMPLE_RATE // FPS), np.int16), "s16", "mono")
            block.sample_rate, block.pts = SAMPLE_RATE, number * SAMPLE_RATE // FPS
            block.time_base = Fraction(1, SAMPLE_RATE)
            out.mux(audio.encode(block))
        out.mux(video.encode(None))
        out.mux(audio.encode(None))
    return path


@dataclass
class Played:
    """What came of a stream."""

    segments: list[Segment] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    pictures: TrackAccount = field(default_factory=TrackAccount)
    decoded: int = 0
    lag_s: float = 0.0

    def share(self, track: str, since: int = 3) -> float:
        """Of the seconds from then on, how many hold it."""
        return float(np.mean([getattr(one, track) for one in self.segments[since:]]))


def play(path: Path, cost_s: float, hiccup_s: float = 0.0) -> Played:
    """The stream as it arrives, on a machine that takes `cost_s` for a picture, and once stands still."""
    clock, played, cutter = ManualClock(), Played(), Cutter(live=True)
    sender = SenderClock()
    sender.begin(0)
    with av.open(str(path)) as container:
        connection = Connection(container, container.streams.video[0], container.streams.audio[0])
        connection.video.thread_type = "SLICE"  # as in the program
        coming = deque(sorted(_arrivals(container), key=lambda pair: pair[0]))

        def emit(frame: Any, t_ns: int, stream: Any) -> None:
            if stream.type == "video":
                clock.advance(cost_s)
                played.decoded += 1
                took(cutter.push(timed_frame(t_ns, np.zeros((48, 64, 3), np.uint8))))
            else:
                clock.advance(0.001)
                samples = np.ones(frame.samples, np.float32)
                took(cutter.push(TimedAudio(round(t_ns * SAMPLE_RATE / NS_PER_S), samples)))

        def took(cuts: list[Any]) -> None:
            played.segments += [cut.segment for cut in cuts if isinstance(cut, ClosedSegment)]

        playout = Playout(
            connection, clock, sender, threading.Lock(), emit,
            lambda state, reason: played.said.append(f"{state}: {reason}"),
            lambda: True, {"video": played.pictures, "audio": TrackAccount()},
        )  # fmt: skip
        while clock.now_ns() < SECONDS * NS_PER_S:
            while coming and coming[0][0] <= clock.now_ns():
                playout.take(coming.popleft()[1])
            waiting = playout.due()
            if waiting is None:
                clock.advance(0.002)
            else:
                playout.decode(waiting)
                played.lag_s = (sender.arrived(clock.now_ns()) - waiting.due_ns) / NS_PER_S
            if hiccup_s and clock.now_ns() > 10 * NS_PER_S:
                clock.advance(hiccup_s)
                hiccup_s = 0.0
            took(cutter.advance(sender.arrived(clock.now_ns())))
    return played


def _arrivals(container: Any) -> list[tuple[int, Any]]:
    """Packets with the time when they are sent, in the order of decoding."""
    times = {"video": 0, "audio": 0}
    found = []
    for packet in container.demux():
        if packet.size:
            found.append((times[packet.stream.type] * NS_PER_S // FPS, packet))
            times[packet.stream.type] += 1
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_a_machine_that_keeps_up_passes_over_nothing(clips: dict[str, Path], kind: str) -> None:
    played = play(clips[kind], 0.02)
    assert played.decoded > FPS * SECONDS - 10
    assert (played.pictures.late_ns, played.said) == (0, [])
    assert played.share("video") == played.share("sound") == 1.0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("slower", [1.2, 3.0])
def test_too_slow_a_machine_still_hears_and_sees_every_second(
    clips: dict[str, Path], kind: str, slower: float
) -> None:
    played = play(clips[kind], slower / FPS)
    assert len(played.segments) >= SECONDS - 3
    assert played.share("sound") == 1.0, "sound costs nothing and is never lost to pictures"
    # The least is every other: pictures that are made from no other are two seconds apart.
    assert played.share("video") >= (0.5 if slower > 1.2 and kind != "mjpeg" else 0.9)
    assert played.lag_s < 0.8
    assert played.pictures.late_ns > 0
    assert [line.split(":")[0] for line in played.said] == ["late"], "said once, not every time"


@pytest.mark.parametrize("kind", KINDS)
def test_a_hiccup_costs_no_more_than_its_own_second(clips: dict[str, Path], kind: str) -> None:
    played = play(clips[kind], 0.01, hiccup_s=0.4)
    assert played.share("video") == played.share("sound") == 1.0
    assert played.decoded > FPS * SECONDS - 20
    assert played.said == []
