"""Recordings of every kind come out as one timeline: flash and beep where they were put, nothing lost."""

from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import pytest
from avel_live.realtime.core.clock import NS_PER_S, ManualClock
from avel_live.realtime.core.errors import SourceError
from avel_live.realtime.core.messages import SAMPLE_RATE, EndOfStream, TimedAudio, TimedFrame
from avel_live.realtime.sources.opening import open_container
from avel_live.realtime.sources.picture import timed_frame
from avel_live.realtime.sources.replay import Replay, ReplayOptions
from support.media import BEEP_AMPLITUDE, Clip, make_clip, needs_ffmpeg, rotated, truncated
from support.played import Played

KINDS = {
    "mp4": (".mp4", {}),
    "mkv-5.1": (".mkv", {"channels": "5.1", "rate": 48_000}),
    "webm-opus": (".webm", {"rate": 48_000}),
    "avi-8k-mono": (".avi", {"rate": 8_000, "channels": "mono"}),
    "mpegts": (".ts", {}),
    "mov-ntsc": (".mov", {"fps": 30_000 / 1001}),
    "mkv-192k": (".mkv", {"rate": 192_000, "audio_codec": "pcm_s24le"}),
    "mkv-22k": (".mkv", {"rate": 22_050, "audio_codec": "pcm_s16le"}),
    "avi-u8": (".avi", {"rate": 11_025, "audio_codec": "pcm_u8"}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_flash_and_beep_stay_where_they_are(kind: str, tmp_path: Path) -> None:
    suffix, changes = KINDS[kind]
    played = Played(make_clip(tmp_path / f"clip{suffix}", **changes), originals=True)
    assert played.beeps() == pytest.approx([0.5, 1.5, 2.5], abs=0.012)
    # The first picture at or after the flash began; encoders of transport streams shift both tracks.
    assert played.flashes() == pytest.approx([0.52, 1.52, 2.52], abs=0.03)
    assert played.end_s == pytest.approx(3.0, abs=0.06)
    assert np.abs(played.sound()).max() == pytest.approx(BEEP_AMPLITUDE, abs=0.08)


def test_blocks_never_overlap_and_are_short(tmp_path: Path) -> None:
    played = Played(make_clip(tmp_path / "clip.mkv", rate=48_000))
    end = 0
    for block in played.blocks:
        assert block.position >= end
        assert 0 < len(block.samples) <= SAMPLE_RATE // 10
        end = block.position + len(block.samples)


def test_items_come_in_order_of_their_start(tmp_path: Path) -> None:
    played = Played(make_clip(tmp_path / "clip.mp4"))
    starts = [
        i.t_ns if isinstance(i, TimedFrame) else i.position * NS_PER_S // SAMPLE_RATE
        for i in played.items
        if isinstance(i, TimedFrame | TimedAudio)
    ]
    assert starts == sorted(starts)


def test_centre_channel_counts_more_than_the_sides_and_the_low_one_not_at_all(tmp_path: Path) -> None:
    def peak(*channels: int) -> float:
        path = make_clip(
            tmp_path / "five.mkv",
            channels="5.1",
            rate=48_000,
            beep_in=channels,
            audio_codec="pcm_s16le",
            seconds=1.0,
        )
        sound = Played(path).sound()
        return float(np.abs(sound).max()) if len(sound) else 0.0

    left, centre, low, side = peak(0), peak(2), peak(3), peak(4)
    assert centre > left > side > 0.05
    assert low < 1e-3
    assert peak(0, 1, 2, 4, 5) == pytest.approx(BEEP_AMPLITUDE, abs=0.02)


def test_sound_only(tmp_path: Path) -> None:
    played = Played(make_clip(tmp_path / "clip.wav", rate=16_000, channels="mono"))
    assert not played.frames
    assert played.info.video == ""
    assert played.beeps() == pytest.approx([0.5, 1.5, 2.5], abs=0.002)


def test_picture_only(tmp_path: Path) -> None:
    played = Played(make_clip(tmp_path / "clip.mp4", audio=False))
    assert not played.blocks
    assert played.info.audio == ""
    assert len(played.frames) == 48


def test_tracks_can_be_switched_off(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mp4", seconds=1.0)
    assert not Played(path, video=False).frames
    assert not Played(path, audio=False).blocks
    with pytest.raises(SourceError, match="has only sound"):
        Played(make_clip(tmp_path / "clip.wav", seconds=1.0), audio=False)


def test_sound_that_starts_late_keeps_its_place(tmp_path: Path) -> None:
    played = Played(make_clip(tmp_path / "clip.mkv", rate=48_000, audio_start_s=1.2))
    assert played.blocks[0].position / SAMPLE_RATE == pytest.approx(1.2, abs=0.03)
    assert played.beeps() == pytest.approx([1.5, 2.5], abs=0.012)


def test_sound_that_starts_before_the_picture(tmp_path: Path) -> None:
    played = Played(make_clip(tmp_path / "clip.mkv", rate=48_000, video_start_s=1.0), originals=True)
    assert played.frames[0].t_ns == pytest.approx(NS_PER_S, abs=5e6)
    assert played.flashes() == pytest.approx([1.52, 2.52], abs=0.03)
    assert played.beeps() == pytest.approx([0.5, 1.5, 2.5], abs=0.012)


def test_variable_frame_rate_and_pictures_that_stay(tmp_path: Path) -> None:
    times = (0.0, 0.1, 0.55, 3.4, 3.5)
    path = make_clip(tmp_path / "clip.mp4", seconds=4.0, frame_times=times, flashes=(3.38,))
    got = [round(f.t_ns / NS_PER_S, 2) for f in Played(path, originals=True).frames]
    assert got == [0.0, 0.1, 0.55, 1.0, 2.0, 3.4, 3.5]


def test_picture_is_squeezed_once_and_keeps_a_preview(tmp_path: Path) -> None:
    frame = Played(make_clip(tmp_path / "clip.mp4", size=(640, 360), seconds=1.0), originals=True).frames[0]
    assert frame.image.shape == (224, 224, 3)
    assert frame.preview is not None
    assert frame.preview.shape == (90, 160, 3)
    assert frame.original is not None
    assert frame.original.shape == (360, 640, 3)
    assert Played(tmp_path / "clip.mp4").frames[0].original is None


@pytest.mark.parametrize("size", [(640, 360), (160, 120), (300, 500)])
def test_a_decoders_frame_is_squeezed_as_a_cameras_is(size: tuple[int, int], tmp_path: Path) -> None:
    """One pass from the decoder's own colours, or colours first and size second: a grey level apart."""
    frame = Played(make_clip(tmp_path / "clip.mp4", size=size, seconds=0.5), originals=True).frames[0]
    assert frame.original is not None
    assert frame.preview is not None
    by_camera = timed_frame(frame.t_ns, frame.original)
    for ours, theirs in ((frame.image, by_camera.image), (frame.preview, by_camera.preview)):
        assert theirs is not None
        assert ours.shape == theirs.shape
        assert np.abs(ours.astype(int) - theirs.astype(int)).mean() < 2.5
    assert frame.image.std() > 10


def test_an_av_without_the_option_for_odd_names_opens_files_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import av

    real = av.open

    def without(path: str, *, hwaccel: object = None) -> object:
        return real(path, hwaccel=hwaccel)

    clip = make_clip(tmp_path / "clip.mp4", seconds=0.5)
    monkeypatch.setattr(av, "open", without)
    with open_container(clip) as container:
        assert container.streams.video


@needs_ffmpeg
@pytest.mark.parametrize(("degrees", "corner"), [(90, (1, 0)), (180, (1, 1)), (270, (0, 1))])
def test_rotation_is_honoured(degrees: int, corner: tuple[int, int], tmp_path: Path) -> None:
    upright = make_clip(tmp_path / "clip.mp4", seconds=0.5)
    frame = Played(rotated(upright, tmp_path / "turned.mp4", degrees), originals=True).frames[0]
    assert frame.original is not None
    height, width = frame.original.shape[:2]
    assert (width, height) == ((160, 120) if degrees == 180 else (120, 160))
    red = frame.image[..., 0].astype(int) - frame.image[..., 2]
    marks = {
        (row, col): red[row * 196 : row * 196 + 28, col * 196 : col * 196 + 28].mean()
        for row in (0, 1)
        for col in (0, 1)
    }
    assert max(marks, key=lambda where: marks[where]) == corner


def test_start_and_duration(tmp_path: Path) -> None:
    played = Played(
        make_clip(tmp_path / "clip.mp4", seconds=5.0), start_s=1.3, duration_s=2.0, originals=True
    )
    assert played.beeps() == pytest.approx([0.2, 1.2], abs=0.012)
    assert played.flashes() == pytest.approx([0.22, 1.22], abs=0.03)
    assert played.end_s == 2.0
    assert played.items[-1].reason == "end of --duration"  # type: ignore[attr-defined]
    assert len(played.sound()) <= 2 * SAMPLE_RATE


def test_start_behind_the_end_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="--start 9"):
        Played(make_clip(tmp_path / "clip.mp4", seconds=1.0), start_s=9.0)


def test_loop_goes_on_in_time(tmp_path: Path) -> None:
    played = Played(make_clip(tmp_path / "clip.wav", rate=16_000, seconds=2.0), loop=True, duration_s=5.0)
    assert played.beeps() == pytest.approx([0.5, 1.5, 2.5, 3.5, 4.5], abs=0.005)
    assert played.end_s == 5.0


def test_truncated_file_plays_what_is_there_and_says_so(tmp_path: Path) -> None:
    whole = make_clip(tmp_path / "clip.avi", seconds=4.0, rate=16_000)
    played = Played(truncated(whole, tmp_path / "cut.avi", 0.6))
    assert 1.0 < played.end_s < 3.5
    assert played.beeps()[0] == pytest.approx(0.5, abs=0.012)
    assert {"truncated", "damaged"} & set(played.said)


def test_damaged_packets_are_passed_over_and_reported(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mkv", seconds=4.0, rate=48_000)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 4_000] = np.random.default_rng(0).integers(0, 256, 4_000, np.uint8).tobytes()
    broken = tmp_path / "broken.mkv"
    broken.write_bytes(bytes(data))
    played = Played(broken)
    assert played.end_s > 1.5
    assert played.beeps()[0] == pytest.approx(0.5, abs=0.012)
    assert "damaged" in played.said


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: None, "no such file"),
        (lambda p: p.mkdir(), "is a folder"),
        (lambda p: p.write_text("not a film" * 500), "not a media file"),
        (lambda p: p.write_bytes(b""), "not a media file"),
        (lambda p: truncated(make_clip(p.with_name("whole.mp4")), p, 0.5), "not a media file"),
    ],
    ids=["missing", "folder", "text", "empty", "no-index"],
)
def test_what_cannot_be_played_is_one_clear_error(make: object, message: str, tmp_path: Path) -> None:
    path = tmp_path / "thing.mp4"
    make(path)  # type: ignore[operator]
    with pytest.raises(SourceError, match=message) as caught:
        Played(path)
    assert str(path) in str(caught.value)


def test_speed_paces_and_changes_nothing_else(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mp4")
    fast = Played(path)
    for speed in (1.0, 4.0):
        clock = ManualClock()
        source = Replay(path, clock, ReplayOptions(speed=speed))
        source.open()
        items = []
        while not (items and isinstance(items[-1], EndOfStream)):
            item = source.read(0.05)
            if item is not None:
                items.append(item)
        assert clock.now_ns() / NS_PER_S == pytest.approx(fast.end_s / speed, abs=0.05)
        assert len(items) == len(fast.items)
        for paced, free in zip(items, fast.items, strict=True):
            assert type(paced) is type(free)
            if isinstance(paced, TimedAudio):
                assert isinstance(free, TimedAudio)
                assert paced.position == free.position
                assert np.array_equal(paced.samples, free.samples)
            elif isinstance(paced, TimedFrame):
                assert isinstance(free, TimedFrame)
                assert paced.t_ns == free.t_ns
                assert np.array_equal(paced.image, free.image)


def test_close_unblocks_and_ends(tmp_path: Path) -> None:
    source = Replay(make_clip(tmp_path / "clip.mp4"), ManualClock(), ReplayOptions())
    source.open()
    assert source.read(1.0) is not None
    source.close()
    source.close()
    assert isinstance(source.read(1.0), EndOfStream)
    assert source.read(1.0) is source.read(1.0)


def test_clip_defaults_are_what_these_tests_assume() -> None:
    assert Clip().flash_times == (0.5, 1.5, 2.5)


def test_a_picture_is_let_go_once_it_is_converted(tmp_path: Path) -> None:
    """Nothing waits for the garbage collector: a second of 1080p would be a hundred megabytes."""
    from av import VideoFrame

    clip = make_clip(tmp_path / "clip.mp4")
    gc.collect()
    others = {id(one) for one in gc.get_objects() if type(one) is VideoFrame}  # of tests before this one
    gc.disable()
    try:
        source = Replay(clip, ManualClock(), ReplayOptions(speed=None))
        source.open()
        alive = pictures = 0
        while not isinstance(item := source.read(1), EndOfStream):
            pictures += isinstance(item, TimedFrame)
            if not isinstance(item, TimedFrame) or pictures % 5:
                continue  # looking is dear, and what is not let go is there the next time, too
            mine = [one for one in gc.get_objects() if type(one) is VideoFrame and id(one) not in others]
            # Of the small pictures that were made of it, the arrays are all there is.
            mine = [one for one in mine if one.format is None or one.format.name != "rgb24"]
            alive = max(alive, len(mine))
            del mine
        source.close()
    finally:
        gc.enable()
    assert 0 < alive < 8
