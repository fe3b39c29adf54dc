"""Recordings whose time stamps restart, jump or are wrong for a moment: nothing after them is lost."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from avel_live.realtime.commands import live_main
from avel_live.realtime.core.clock import NS_PER_S, ManualClock
from avel_live.realtime.core.messages import EndOfStream, Status
from avel_live.realtime.session.sources import demo_path
from avel_live.realtime.sources.parts import parts_of
from avel_live.realtime.sources.pieces import Pieces, Stamped
from avel_live.realtime.sources.replay import Replay, ReplayOptions
from support.media import make_clip, needs_ffmpeg
from support.played import Played


def ffmpeg(*given: object) -> None:
    subprocess.run(["ffmpeg", "-v", "error", "-y", *map(str, given)], check=True, timeout=60)


def join(target: Path, *parts: Path) -> Path:
    target.write_bytes(b"".join(part.read_bytes() for part in parts))
    return target


def in_format(folder: Path, kind: str, seconds: float = 3.0) -> Path:
    """A flash-and-beep clip in a format that people join byte by byte."""
    clip = make_clip(folder / "whole.mkv", seconds=seconds, rate=48_000)
    made = folder / f"part.{kind}"
    codecs = {
        "ts": ("-c:v", "libx264", "-g", "12", "-preset", "ultrafast", "-c:a", "aac"),
        "mpg": ("-c:v", "mpeg2video", "-c:a", "mp2"),
        "ogg": ("-vn", "-c:a", "libvorbis"),
        "opus": ("-vn", "-c:a", "libopus"),
        "flac": ("-vn", "-c:a", "flac"),
        "mp3": ("-vn", "-c:a", "libmp3lame"),
        "flv": ("-c:v", "libx264", "-g", "12", "-preset", "ultrafast", "-c:a", "aac"),
        "mkv": ("-c:v", "libx264", "-g", "12", "-preset", "ultrafast", "-c:a", "aac"),
        "wmv": ("-c:v", "wmv2", "-c:a", "wmav2"),
    }
    h264 = ("-c:v", "libx264", "-g", "12", "-preset", "ultrafast", "-c:a", "aac")
    pieces = ("-movflags", "frag_keyframe+empty_moov")
    codecs |= {"mp4": h264, "mov": h264, "m4v": (*h264, *pieces, "-f", "mp4")}
    codecs |= dict.fromkeys(("wav", "w64", "aiff", "caf", "m4a", "tta", "wv"), ("-vn",))
    codecs |= {"voc": ("-vn", "-c:a", "pcm_u8"), "mxf": ("-c:v", "mpeg2video", "-c:a", "pcm_s16le")}
    codecs |= {"ivf": ("-an", "-c:v", "libvpx", "-deadline", "realtime")}
    ffmpeg("-i", clip, *codecs[kind], made)
    return made


@needs_ffmpeg
@pytest.mark.parametrize(
    "kind",
    [
        *("ts", "mpg", "ogg", "opus", "mp3", "mkv"),  # FFmpeg reads them to their end
        *(
            "flac",
            "flv",
            "wav",
            "w64",
            "aiff",
            "caf",
            "mp4",
            "m4v",
            "mov",
            "m4a",
            "wmv",
            "tta",
            "wv",
            "voc",
            "mxf",
            "ivf",
        ),  # only the first part
    ],
)
def test_parts_joined_byte_by_byte_follow_each_other(kind: str, tmp_path: Path) -> None:
    part = in_format(tmp_path, kind)
    played = Played(join(tmp_path / f"joined.{kind}", part, part), originals=True)
    once = Played(part, originals=True)
    later = once.end_s
    assert played.end_s == pytest.approx(2 * later, abs=0.12)
    assert len(played.beeps()) == (0 if kind == "ivf" else 6)
    for both, one in zip(played.beeps()[3:], once.beeps(), strict=True):
        assert both - one == pytest.approx(later, abs=0.12)
    if once.frames:
        assert len(played.flashes()) == 6
        # Picture and sound of the second part were moved by one and the same shift.
        pairs = zip(played.flashes(), played.beeps() or played.flashes(), strict=True)
        shifts = [f - b for f, b in pairs]
        assert max(shifts) - min(shifts) < 0.045
        assert len(played.frames) == pytest.approx(2 * len(once.frames), abs=2)
    assert "damaged" not in played.said


@needs_ffmpeg
@pytest.mark.parametrize("kind", ["wav", "flac", "mp4", "flv"])
def test_parts_shorter_than_any_step_back_are_not_taken_for_reordering(kind: str, tmp_path: Path) -> None:
    part = in_format(tmp_path, kind, seconds=0.4)
    played = Played(join(tmp_path / f"joined.{kind}", part, part, part), originals=True)
    assert played.end_s == pytest.approx(3 * Played(part, originals=True).end_s, abs=0.1)
    assert set(played.said) == {"running"}


@needs_ffmpeg
@pytest.mark.parametrize("kind", ["flac", "wav", "mp4", "m4v", "wmv"])
def test_a_start_behind_the_joint_is_the_same_second(kind: str, tmp_path: Path) -> None:
    part = in_format(tmp_path, kind)
    path = join(tmp_path / f"joined.{kind}", part, part, part)
    whole, later = Played(path, originals=True), Played(path, originals=True, start_s=4.2)
    assert later.flashes() == pytest.approx([f - 4.2 for f in whole.flashes() if f > 4.2], abs=0.01)
    # The priming of AAC lies between two parts (21 ms); sound that goes on is not torn apart for it.
    tolerance = 0.022 if whole.frames else 0.001
    assert later.beeps() == pytest.approx([b - 4.2 for b in whole.beeps() if b > 4.2], abs=tolerance)
    assert later.end_s == pytest.approx(whole.end_s - 4.2, abs=0.022)


@needs_ffmpeg
def test_joined_files_may_be_of_different_kinds(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "whole.mkv", seconds=3.0, rate=48_000)
    ffmpeg("-i", clip, "-vn", "-ac", 2, tmp_path / "a.wav")
    ffmpeg("-i", clip, "-vn", "-ac", 1, "-ar", 16000, "-c:a", "pcm_f32le", tmp_path / "b.wav")
    joined = Played(join(tmp_path / "ab.wav", tmp_path / "a.wav", tmp_path / "b.wav"))
    assert joined.beeps() == pytest.approx([0.5, 1.5, 2.5, 3.5, 4.5, 5.5], abs=0.02)
    h264 = ("-preset", "ultrafast", "-c:v", "libx264", "-c:a", "aac")
    ffmpeg("-i", clip, *h264, tmp_path / "a.mp4")
    ffmpeg("-i", clip, *h264, "-s", "320x180", "-r", 30, "-ar", 44100, tmp_path / "b.mp4")
    joined = Played(join(tmp_path / "ab.mp4", tmp_path / "a.mp4", tmp_path / "b.mp4"), originals=True)
    assert joined.beeps() == pytest.approx([0.5, 1.5, 2.5, 3.5, 4.5, 5.5], abs=0.05)
    assert joined.flashes() == pytest.approx([0.5, 1.5, 2.5, 3.5, 4.5, 5.5], abs=0.07)
    assert {f.original.shape for f in joined.frames if f.original is not None} == {
        (120, 160, 3),
        (180, 320, 3),
    }
    assert joined.said == ["running"]


def test_what_follows_a_file_is_a_part_only_where_it_begins_like_one(tmp_path: Path) -> None:
    wave = make_clip(tmp_path / "a.wav", seconds=1.0).read_bytes()
    tag, frame = b"ID3\x04\0\0\0\0\0\x05title", b"\xff\xfb\x90\x64" + bytes(413)
    for name, content, count in [
        ("one.wav", wave, 0),
        ("tagged.wav", wave + b"ID3" + bytes(200), 0),
        ("two.wav", wave + wave, 2),
        ("cut.wav", wave + wave[:4000], 2),
        ("endless.wav", b"RIFF\xff\xff\xff\xff" + wave[8:] + wave, 0),
        ("nothing.wav", b"", 0),
        ("huge.wav", b"RF64" + wave[4:12] + b"ds64" + bytes(4) + b"\xff" * 24 + wave[44:], 0),
        ("tag.mp3", tag + frame + b"ID3 is a word" + frame, 0),
        ("cut.mp3", b"ID3", 0),
        ("two.mp3", tag + frame + tag + frame, 2),
        ("other_tag.mp3", tag + frame + tag + b"text", 0),
        ("huge.mp4", b"\0\0\0\x10ftypisom" + bytes(4) + b"\0\0\0\x01mdat" + b"\xff" * 90, 0),
        ("zero.mp4", b"\0\0\0\0ftypisom" + bytes(100), 0),
    ]:
        path = tmp_path / name
        path.write_bytes(content)
        parts = parts_of(path)
        assert len(parts) == count, name
        if count:
            one = len(tag + frame) if name.endswith("mp3") else len(wave)
            assert [parts[0].start, parts[0].end, parts[-1].end] == [0, one, len(content)]


@needs_ffmpeg
def test_a_hole_is_kept_said_and_not_waited_for(tmp_path: Path) -> None:
    part = in_format(tmp_path, "ts")
    ffmpeg("-i", part, "-c", "copy", "-output_ts_offset", 7200, tmp_path / "late.ts")
    path = join(tmp_path / "hole.ts", part, tmp_path / "late.ts")
    clock = ManualClock()
    source = Replay(path, clock, ReplayOptions(speed=1.0))
    source.open()
    said = []
    while not isinstance(item := source.read(1.0), EndOfStream):
        if isinstance(item, Status):
            said.append(item)
    source.close()
    assert item.t_ns / NS_PER_S == pytest.approx(7203, abs=1.6)
    assert clock.now_ns() / NS_PER_S < 12
    assert [s.severity for s in said] == ["warning"]
    assert "nothing was recorded for 2.0 h" in said[0].reason
    assert source.account.totals().lost == {}
    assert source.account.totals().video.delivered_s == pytest.approx(6.0, abs=0.1)


@needs_ffmpeg
def test_one_wrong_stamp_costs_nothing(tmp_path: Path) -> None:
    part = in_format(tmp_path, "ts")
    data = bytearray(part.read_bytes())
    headers = [at for at in range(0, len(data) - 200, 188) if is_picture_start(data, at)]
    at = headers[30]
    pes = data.index(b"\x00\x00\x01\xe0", at)
    # The upper three bits of both 33-bit stamps: 13 hours ahead (ISO/IEC 13818-1, 2.4.3.7).
    data[pes + 9] |= 0x08
    if data[pes + 7] & 0xC0 == 0xC0:
        data[pes + 14] |= 0x08
    wrong = tmp_path / "wrong.ts"
    wrong.write_bytes(data)
    played, once = Played(wrong, originals=True), Played(part, originals=True)
    assert played.end_s == pytest.approx(once.end_s, abs=0.05)
    assert len(played.frames) == len(once.frames)
    assert played.flashes() == pytest.approx(once.flashes(), abs=0.05)
    assert len(played.beeps()) == 3
    assert played.said == ["running"]


def is_picture_start(data: bytes, at: int) -> bool:
    """Whether the transport packet at `at` begins a picture."""
    return bool(data[at + 1] & 0x40) and b"\x00\x00\x01\xe0" in data[at : at + 188]


@needs_ffmpeg
def test_the_demo_joined_twice_has_its_events_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    part = tmp_path / "demo.ts"
    ffmpeg("-i", demo_path(), "-c", "copy", part)
    path = join(tmp_path / "twice.ts", part, part)
    with pytest.raises(SystemExit) as ended:
        live_main(["--file", str(path), "--fast", "--json", "--strict"])
    assert ended.value.code == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    found = [r for r in records if r["type"] == "event" and r["event"] == "end"]
    begun = [(r["label"], round(r["start_s"])) for r in found]
    assert begun == [("Bark", 3), ("Clock", 14), ("Bark", 27), ("Clock", 38)]
    # From 20 and 44 s on the clock is heard alone, and what came before may carry it a second further.
    assert [r["end_s"] for r in found] == pytest.approx([9, 20, 33, 44], abs=1)
    assert records[-1]["lost"] == {}


# The judgement itself, without files --------------------------------------------------------------


def line(track: int, start: float, count: int, step: float = 0.04) -> list[Stamped]:
    at = [round((start + k * step) * NS_PER_S) for k in range(count)]
    return [Stamped(track, t, t, round(step * NS_PER_S), None) for t in at]


def placed(*parts: list[Stamped]) -> tuple[dict[int, list[float]], list[str]]:
    pieces = Pieces()
    out: list[Stamped] = []
    for one in (one for part in parts for one in part):
        out += pieces.push(one)
    out += pieces.finish()
    assert len(out) == sum(map(len, parts))
    times: dict[int, list[float]] = {}
    for one in out:
        times.setdefault(one.track, []).append(round((one.pts_ns + one.shift_ns) / NS_PER_S, 3))
    return times, [step.kind for step in pieces.steps]


def woven(*tracks: list[Stamped]) -> list[Stamped]:
    return sorted((one for track in tracks for one in track), key=lambda one: one.dts_ns)


def test_good_stamps_stay_as_they_are() -> None:
    times, steps = placed(woven(line(0, 0.0, 100), line(1, 0.0, 200, 0.02)))
    assert steps == []
    assert times[0] == [round(0.04 * k, 3) for k in range(100)]


def test_two_tracks_step_back_by_one_decision() -> None:
    one, two = (
        woven(line(0, 0.0, 50), line(1, 0.0, 100, 0.02)),
        woven(line(0, 0.1, 50), line(1, 0.0, 100, 0.02)),
    )
    times, steps = placed(one, two)
    assert steps == ["piece"]
    assert times[1][100] == pytest.approx(2.0, abs=0.01)
    assert times[0][50] - times[1][100] == pytest.approx(0.1, abs=0.001)


def test_what_the_demuxer_held_back_of_the_first_part_stays_there() -> None:
    first, second = line(0, 0.0, 50), line(0, 0.0, 50)
    sound, again = line(1, 0.0, 100, 0.02), line(1, 0.0, 100, 0.02)
    times, steps = placed(woven(first, sound[:95]), second[:10], sound[95:], woven(second[10:], again))
    assert steps == ["piece"]
    assert times[1][99] == pytest.approx(1.98)
    assert times[1][100] == pytest.approx(2.0, abs=0.01)
    assert times[0][50] == pytest.approx(2.0, abs=0.01)


@pytest.mark.parametrize("by", [95_000.0, 40.0, -1.5])
@pytest.mark.parametrize("count", [1, 3])
def test_a_few_wrong_stamps_get_the_places_between(by: float, count: int) -> None:
    video = line(0, 10.0, 100)
    for one in video[40 : 40 + count]:
        one.dts_ns += round(by * NS_PER_S)
        one.pts_ns += round(by * NS_PER_S)
    sound = line(1, 10.0, 200, 0.02)
    mixed = [one for k in range(100) for one in (video[k], sound[2 * k], sound[2 * k + 1])]
    times, steps = placed(mixed)
    assert steps == ["slip"]
    assert times[0] == pytest.approx([10 + 0.04 * k for k in range(100)], abs=0.045)


def test_wrong_stamps_at_the_very_beginning() -> None:
    video = line(0, 0.0, 50)
    video[0].dts_ns = video[0].pts_ns = 3600 * NS_PER_S
    times, steps = placed(video)
    assert steps == ["slip"]
    assert times[0] == pytest.approx([0.04 * k for k in range(50)])


def test_one_track_alone_that_jumps_goes_on_where_it_was() -> None:
    video = [*line(0, 0.0, 50), *line(0, 900.0, 100)]
    sound = line(1, 0.0, 300, 0.02)
    mixed = [one for k in range(150) for one in (video[k], sound[2 * k], sound[2 * k + 1])]
    times, steps = placed(mixed)
    assert steps == ["track"]
    assert times[0] == pytest.approx([0.04 * k for k in range(150)], abs=0.05)


def test_a_clock_that_is_set_makes_a_new_piece_not_decades_of_nothing() -> None:
    decades = 50 * 365 * 24 * 3600.0
    early = woven(line(0, 0.0, 50), line(1, 0.0, 100, 0.02))
    late = woven(line(0, decades, 50), line(1, decades, 100, 0.02))
    times, steps = placed(early, late)
    assert steps == ["piece"]
    assert times[0][50] == pytest.approx(2.0, abs=0.01)


def test_pictures_a_minute_apart_are_no_jump() -> None:
    slides = [Stamped(0, k * 60 * NS_PER_S, k * 60 * NS_PER_S, 60 * NS_PER_S, None) for k in range(6)]
    times, steps = placed(woven(slides, line(1, 0.0, 15_000, 0.02)))
    assert steps == []
    assert times[0] == [0, 60, 120, 180, 240, 300]
