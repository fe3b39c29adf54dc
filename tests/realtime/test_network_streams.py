"""Streams as cameras, relays and web servers really send them, each served on loopback and read by FFmpeg."""

from __future__ import annotations

import re
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from avel_live.realtime.core.clock import SystemClock
from avel_live.realtime.core.errors import SourceError
from avel_live.realtime.core.messages import EndOfStream
from avel_live.realtime.events import Decoder
from avel_live.realtime.sources.capture import CameraOptions, open_capture
from avel_live.realtime.sources.connect import NetworkOptions
from avel_live.realtime.sources.disposable import Disposable
from avel_live.realtime.sources.health import HealthOptions
from avel_live.realtime.sources.network import NetworkSource
from avel_live.realtime.stream.loop import Stream, StreamOptions
from support.loop import Collector, ToyEngine, a_start
from support.media import make_clip, needs_ffmpeg
from support.mjpeg import MjpegServer
from support.rtsp import RtspServer
from support.server_process import free_port
from support.timed_stream import TimedServer, transport_stream
from support.watching import Viewer

HEALTH = HealthOptions(
    stall_after_s=1.0, lose_after_s=10.0, open_timeout_s=30.0, backoff_s=0.3, backoff_max_s=1.0
)


@contextmanager
def watching(url: str, **options: object) -> Iterator[Viewer]:
    source = NetworkSource(NetworkOptions(url, health=HEALTH, **options), SystemClock())  # type: ignore[arg-type]
    source.open()
    try:
        yield Viewer(source)
    finally:
        source.close()


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve seconds of flash and beep, a key frame every half second."""
    return make_clip(tmp_path_factory.mktemp("clips") / "clip.mp4", seconds=12.0, rate=48_000)


@pytest.mark.parametrize("step_s", [-3.0, 7200.0, -0.4])
def test_a_clock_that_steps_within_a_connection_costs_less_than_a_second(step_s: float, clip: Path) -> None:
    schedule = transport_stream(clip, offset_s=100.0, step=(3.0, step_s), until_s=7.0)
    with TimedServer(schedule) as server, watching(server.url) as viewer:
        viewer.watch(20.0, until=lambda: viewer.now_s() > 5.5)
        flashes, beeps = viewer.flashes(), viewer.beeps()
        assert max(np.diff([t for t, _ in viewer.frames])) < 1.0
        assert len(flashes) >= 5
        assert len(beeps) >= 5
        assert viewer.skew_ms() == pytest.approx(0.0, abs=40)
        assert np.diff(flashes) == pytest.approx(1.0, abs=0.5)
        assert viewer.now_s() == pytest.approx(viewer.frames[-1][0], abs=0.5)
        way = "forward" if step_s > 0 else "back"
        (said,) = [s for s in viewer.statuses if "stepped" in s.reason]
        assert f"stepped {way} by" in said.reason
        assert said.severity == "warning"
        viewer.check_segments()


def test_the_first_picture_comes_with_the_first_key_frame(tmp_path: Path) -> None:
    """The next one comes after ten seconds: what FFmpeg reads to look around is not lost."""
    long = tmp_path / "long.mp4"
    make = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=s=160x120:r=25:d=11", "-f", "lavfi", "-i"]
    make += [
        "sine=d=11:r=48000",
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
        "-g",
        "250",
        "-bf",
        "0",
        "-c:a",
        "aac",
    ]
    subprocess.run([*make, str(long)], check=True, timeout=60)
    with TimedServer(transport_stream(long)) as server, watching(server.url) as viewer:
        viewer.watch(8.0, until=lambda: viewer.frames)
        # FFmpeg looks around for up to 1.5 s of the stream; the picture is there when it has.
        assert time.monotonic() - server.begun_s[0] < 2.0
        viewer.watch(8.0, until=lambda: viewer.now_s() > 2.5)
        assert all(s.video and s.sound for s in viewer.segments)
        assert viewer.states("stream") == ["running"]


def test_a_stream_whose_picture_is_missing_is_not_running(clip: Path) -> None:
    schedule = transport_stream(clip, picture_until_s=2.0, until_s=6.0)
    with TimedServer(schedule) as server, watching(server.url) as viewer:
        viewer.watch(10.0, until=lambda: viewer.passed("stream", "running", "stalled"))
        assert viewer.statuses[-1].reason.startswith("no picture for 1.")
        assert "the sound goes on" in viewer.statuses[-1].reason
        viewer.watch(5.0, until=lambda: len(viewer.segments) > 4)
        assert viewer.states("stream")[-1] == "stalled"
        assert viewer.segments[4].sound
        assert not viewer.segments[4].video


@pytest.mark.parametrize("content_type", ["image/jpeg", "image/jpg"])
def test_motion_jpeg_is_stamped_by_arrival(content_type: str) -> None:
    """Five pictures a second, which FFmpeg would stamp as 25; some cameras misname their type."""
    with MjpegServer(fps=5.0, content_type=content_type) as server, watching(server.url) as viewer:
        viewer.watch(10.0, until=lambda: viewer.now_s() > 3.2)
        assert np.diff([t for t, _ in viewer.frames]).mean() == pytest.approx(0.2, abs=0.05)
        assert viewer.frames[-1][0] == pytest.approx(viewer.now_s(), abs=0.6)
        assert all(4 <= len(s.frames) <= 6 for s in viewer.segments[1:])
        assert viewer.states("stream") == ["running"]


def test_a_motion_jpeg_picture_stamped_behind_the_last_one_is_counted_though_few_are_wanted(
    tmp_path: Path,
) -> None:
    """Most pictures are not decoded, as nobody wants them; for this one the account has no place."""
    path, back = tmp_path / "pictures.mkv", 22
    with av.open(str(path), "w") as out:
        track = out.add_stream("mjpeg", rate=25, width=64, height=48, pix_fmt="yuvj420p")
        for number in range(40):
            out.mux(track.encode(av.VideoFrame.from_ndarray(np.full((48, 64, 3), 4 * number, np.uint8))))
        out.mux(track.encode(None))
    data = bytearray(path.read_bytes())
    at = [found.start() for found in re.finditer(rb"\xff\xd8\xff", data)][back]
    # Before its picture a block has its track, its milliseconds within the cluster, flags (RFC 9559, 10.1).
    track_number, ms, flags = struct.unpack(">BhB", data[at - 4 : at])
    assert (track_number, ms % 40, flags) == (0x81, 0, 0x80)
    data[at - 3 : at - 1] = struct.pack(">h", ms - 200)
    with (
        TimedServer([(0.0, bytes(data))], "video/x-matroska", hang_up=True) as server,
        watching(server.url, wanted_fps=4.0) as viewer,
    ):
        viewer.watch(10.0, until=lambda: viewer.ended)
        times = [t for t, _ in viewer.frames]
        assert np.diff(times) == pytest.approx(0.2, abs=0.01)
        assert len(times) == 8
        assert viewer.source.account.video.by_stamp_ns == pytest.approx(40e6, abs=1e6)
        assert viewer.source.account.video.undecodable_ns == 0


@pytest.mark.parametrize("content_type", ["image/jpg", "image/pjpeg"])
def test_a_camera_that_misnames_its_pictures_is_opened_all_the_same(content_type: str) -> None:
    with MjpegServer(fps=10.0, content_type=content_type) as server:
        capture, granted = open_capture(CameraOptions(server.url))
        try:
            assert (granted.width, granted.height) == (320, 240)
            assert capture.read()[0]
            assert capture.read()[0]
        finally:
            capture.release()


def test_of_motion_jpeg_only_wanted_pictures_are_decoded_and_look_as_opencv_shows_them() -> None:
    """OpenCV itself decodes all that it reads; what is read and not decoded costs next to nothing."""
    spent = {}
    with MjpegServer(width=1280, height=720, fps=100.0, frozen=True) as server:
        capture, granted = open_capture(CameraOptions(server.url))
        other = cv2.VideoCapture(server.url)
        assert (granted.width, granted.height, granted.fps) == (1280, 720, 0.0), "FFmpeg's 25 are a guess"
        try:
            good, picture = capture.read()
            assert good
            assert np.abs(picture.astype(int) - other.read()[1]).max() <= 3
            for what, session in (("ours", capture), ("OpenCV's", other)):
                began_s = time.process_time()
                assert all(session.grab() for _ in range(50))
                spent[what] = time.process_time() - began_s
        finally:
            capture.release()
            other.release()
        assert not capture.read()[0], "it is released"
    assert spent["ours"] < 0.5 * spent["OpenCV's"]


@needs_ffmpeg
@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_a_bare_stream_over_tcp_is_seen_and_its_duration_ends(codec: str, tmp_path: Path) -> None:
    """No container, no stamps: pictures count from when they come."""
    encoder = {"h264": ["libx264", "-tune", "zerolatency"], "hevc": ["libx265", "-tune", "zerolatency"]}[
        codec
    ]
    make = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=s=320x240:r=25:d=12", "-c:v", *encoder]
    data = subprocess.run(
        [*make, "-preset", "ultrafast", "-f", codec, "-"], check=True, timeout=60, capture_output=True
    ).stdout
    step = len(data) // 300  # steadily, wherever a picture begins
    schedule = [(k / 25, data[k * step : (k + 1) * step]) for k in range(300)]
    with TimedServer(schedule, None) as server:
        source, sink = NetworkSource(NetworkOptions(server.url, health=HEALTH), SystemClock()), Collector()
        source.open()
        begun = time.monotonic()
        options = StreamOptions(duration_s=3.0, frames_per_segment=16)
        Stream(source, ToyEngine(), Decoder(), a_start(source), SystemClock(), options).run(sink)  # type: ignore[arg-type]
        assert time.monotonic() - begun == pytest.approx(3.3, abs=1.5)
    assert [hop.segment.index for hop in sink.hops] == [0, 1, 2]
    assert all(len(hop.segment.frames) >= 8 for hop in sink.hops[1:])


def test_a_duration_ends_though_nothing_comes_any_more(clip: Path) -> None:
    with TimedServer(transport_stream(clip, until_s=2.0)) as server:
        source, sink = NetworkSource(NetworkOptions(server.url, health=HEALTH), SystemClock()), Collector()
        source.open()
        begun = time.monotonic()
        options = StreamOptions(duration_s=3.0, frames_per_segment=16)
        Stream(source, ToyEngine(), Decoder(), a_start(source), SystemClock(), options).run(sink)  # type: ignore[arg-type]
        assert time.monotonic() - begun < 6.0  # a read that hangs in FFmpeg is left to itself after a second
        assert sink.ends[0].reason == "end of --duration"


def test_a_stop_ends_an_opening_that_gets_no_answer() -> None:
    with TimedServer([(60.0, b"x")]) as server:
        source = NetworkSource(NetworkOptions(server.url), SystemClock())
        threading.Timer(0.5, source.close).start()
        begun = time.monotonic()
        with pytest.raises(SourceError, match="closed while it was being opened"):
            source.open()
        assert time.monotonic() - begun < 2.0


@needs_ffmpeg
def test_a_sound_codec_that_nobody_decodes_leaves_the_picture_and_a_word(tmp_path: Path) -> None:
    """Matroska over HTTP, too: a recording behind an address is played in step and ends."""
    known = make_clip(tmp_path / "clip.mkv", seconds=3.0, audio_codec="libopus", rate=48_000)
    unknown = known.read_bytes().replace(b"A_OPUS", b"A_XQUS")
    with (
        TimedServer([(0.0, unknown)], "video/x-matroska", hang_up=True) as server,
        watching(server.url) as viewer,
    ):
        viewer.watch(10.0, until=lambda: viewer.ended)
        assert isinstance(viewer.ended, EndOfStream)
        assert not viewer.ended.lost
        assert viewer.now_s() == pytest.approx(3.0, abs=0.5)
        assert len(viewer.frames) == pytest.approx(75, abs=3)
        assert viewer.flashes() == pytest.approx([0.5, 1.5, 2.5], abs=0.05)
        assert viewer.source.info.audio == ""
        assert any("the sound" in line and "only the picture" in line for line in viewer.lines)


def test_what_can_not_be_used_at_all_ends_the_stream_with_the_reason(clip: Path) -> None:
    server = TimedServer(transport_stream(clip, until_s=6.0))
    with server, watching(server.url, channel=3) as viewer:
        viewer.watch(10.0, until=lambda: viewer.ended)
        assert viewer.ended is not None
        assert viewer.ended.lost
        assert "no channel 3 in the sound: it has 2" in viewer.ended.reason
        assert viewer.states("stream")[-1] == "failed"


def test_a_packet_that_can_not_be_decoded_is_counted_and_no_reason_to_hang_up(clip: Path) -> None:
    schedule = transport_stream(clip, until_s=4.0)
    rng = np.random.default_rng(1)
    for k in range(60, len(schedule), 9):  # behind the tables and the first pictures
        at_s, data = schedule[k]
        broken = bytearray(data)
        for first in range(60, len(broken), 188):
            broken[first : first + 100] = rng.bytes(len(broken[first : first + 100]))
        schedule[k] = at_s, bytes(broken)
    with TimedServer(schedule) as server, watching(server.url) as viewer:
        viewer.watch(10.0, until=lambda: viewer.now_s() > 3.3)
        assert "lost" not in viewer.states("stream")
        assert len(viewer.frames) > 30
        assert len(server.begun_s) == 1


@pytest.mark.parametrize("transport", ["auto", "udp"])
def test_rtsp_over_udp_by_option_and_where_a_server_knows_nothing_else(transport: str) -> None:
    with RtspServer(protocol="udp") as server, watching(server.url, transport=transport) as viewer:
        assert abs(viewer.measured_skew_ms(from_s=0.5, count=3)) < 40
        assert viewer.states("stream") == ["running"]


def test_rtsp_over_tcp_only_says_that_the_server_has_none() -> None:
    with RtspServer(protocol="udp") as server:
        source = NetworkSource(NetworkOptions(server.url, transport="tcp"), SystemClock())
        with pytest.raises(SourceError, match="check the address"):
            source.open()


@pytest.mark.slow
@needs_ffmpeg
@pytest.mark.parametrize("segment_s", [6, 10])
def test_a_playlist_of_long_segments_is_as_even_as_a_camera(segment_s: int, tmp_path: Path) -> None:
    port, seconds = free_port(), 2 * segment_s + 15
    color = "color=c=navy:s=160x120:r=25,drawbox=t=fill:color=white:enable='between(mod(t,1),0.499,0.599)'"
    sound = "aevalsrc='0.5*sin(2*PI*1000*t)*between(mod(t,1),0.5,0.6)':s=48000"
    make = ["ffmpeg", "-v", "error", "-re", "-f", "lavfi", "-i", color, "-f", "lavfi", "-i", sound]
    make += ["-t", str(4 * segment_s + seconds), "-c:v", "libx264", "-preset", "ultrafast", "-g", "25"]
    make += ["-pix_fmt", "yuv420p", "-c:a", "aac", "-f", "hls", "-hls_time", str(segment_s)]
    make += ["-hls_list_size", "5", "-hls_flags", "delete_segments", str(tmp_path / "live.m3u8")]
    web = ["python3", "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", str(tmp_path)]
    with (
        subprocess.Popen(web, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server,
        subprocess.Popen(make) as encoder,
    ):
        try:
            while not (tmp_path / "live.m3u8").exists():
                time.sleep(0.2)
            url = f"http://127.0.0.1:{port}/live.m3u8"
            source, sink = NetworkSource(NetworkOptions(url), SystemClock()), Collector()
            source.open()
            options = StreamOptions(duration_s=float(seconds), frames_per_segment=16)
            end = Stream(source, ToyEngine(), Decoder(), a_start(source), SystemClock(), options).run(sink)  # type: ignore[arg-type]
        finally:
            encoder.kill()
            server.kill()
    assert end.skipped == end.dropped == 0
    assert [hop.segment.index for hop in sink.hops] == list(range(seconds))
    assert min(len(hop.segment.frames) for hop in sink.hops) >= 12  # of 16, on a busy machine
    assert min(hop.segment.audio_fraction for hop in sink.hops) > 0.9
    assert {s.state for s in sink.statuses if s.device in ("stream", "machine")} <= {"running", "ended"}


def test_pictures_of_no_use_are_not_decoded_and_not_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "b.mp4"
    make = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=320x240:r=30:d=6", "-f", "lavfi", "-i"]
    make += [
        "sine=d=6:r=48000",
        "-c:v",
        "libx264",
        "-preset",
        "veryfast",
        "-g",
        "30",
        "-bf",
        "3",
        "-c:a",
        "aac",
    ]
    subprocess.run([*make, str(path)], check=True, timeout=60)
    asked: list[bool] = []
    skip = Disposable.skip

    def counting(self: Disposable, packet: object) -> bool:
        asked.append(skip(self, packet))
        return asked[-1]

    monkeypatch.setattr(Disposable, "skip", counting)
    with TimedServer(transport_stream(path)) as server, watching(server.url, wanted_fps=8.0) as viewer:
        viewer.watch(15.0, until=lambda: viewer.now_s() > 4.5)
        times = np.array([t for t, _ in viewer.frames])
        assert sum(asked) > 0.25 * len(asked)
        assert np.diff(times).max() < 0.25
        account = viewer.source.account.video
        assert account.undecodable_ns == account.late_ns == 0
        viewer.check_segments()
