"""Clips: cut from the encoded ring, in step, private, whole or not there, within their budget."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from avel_live.model.labels import LABELS
from avel_live.realtime.core.clock import NS_PER_S, SystemClock
from avel_live.realtime.core.errors import OutputError, UsageError
from avel_live.realtime.core.messages import EndOfStream, Event, TimedAudio, TimedFrame
from avel_live.realtime.sinks.base import wants_media
from avel_live.realtime.sinks.clips import ClipOptions
from avel_live.realtime.sinks.clips.codec import AudioEncoder, Packet
from avel_live.realtime.sinks.clips.ring import ClipRing
from avel_live.realtime.sinks.clips.sink import ClipSink
from avel_live.realtime.sinks.clips.store import Budget, ClipStore
from avel_live.realtime.sinks.overlay import with_attention
from avel_live.realtime.sources.replay import Replay, ReplayOptions
from support.about import Said, about
from support.media import make_clip
from support.peers import eventually, program
from support.stream import make_start, make_stream

BARK = 2


def record_file(
    path: Path,
    folder: Path,
    events: dict[int, tuple[Event, ...]],
    said: Said,
    wall_clock: float | None = None,
    **settings: object,
) -> ClipSink:
    """Replay a file through the recorder; `events[k]` are decided at the end of second k."""
    name = str(settings.pop("name", "avel"))
    sink = ClipSink(ClipOptions(folder, **settings), about(said, name=name))  # type: ignore[arg-type]
    assert wants_media(sink)
    source = Replay(path, SystemClock(), ReplayOptions(speed=None, originals=True))
    source.open()
    sink.start(make_start(source=source.info, wall_clock=wall_clock))
    _, hops, end = make_stream(60)
    second = 0
    while True:
        item = source.read(1.0)
        if isinstance(item, EndOfStream):
            break
        if isinstance(item, TimedFrame | TimedAudio):
            sink.media(item)
        if isinstance(item, TimedFrame) and item.t_ns >= (second + 1) * NS_PER_S:
            sink.hop(replace(hops[second], settled=(), events=events.get(second, ())))
            second += 1
    source.close()
    sink.end(replace(end, last_events=(), last_settled=()))
    sink.close()
    sink.close()
    return sink


def started(start_s: float, id_: int = 0, label: int = BARK) -> Event:
    return Event("start", id_, label, start_s, None, 0.8, LABELS[label])


def ended(start_s: float, end_s: float, id_: int = 0, label: int = BARK) -> Event:
    return Event("end", id_, label, start_s, end_s, 0.9, LABELS[label])


def flashes_and_beeps(path: Path) -> tuple[list[float], list[float]]:
    """Onsets (s) in a clip's own time."""
    flashes, beeps = [], []
    with av.open(str(path)) as container:
        lit = False
        for frame in container.decode(video=0):
            bright = frame.to_ndarray(format="gray").mean() > 150
            if bright and not lit:
                flashes.append(float(frame.time))
            lit = bright
    with av.open(str(path)) as container:
        silent_until = -1.0
        for frame in container.decode(audio=0):
            samples = frame.to_ndarray()[0]
            for i in np.flatnonzero(np.abs(samples) > 0.1):
                t = float(frame.time) + i / frame.sample_rate
                if t > silent_until:
                    beeps.append(t)
                silent_until = t + 0.05
    return flashes, beeps


@pytest.mark.parametrize(("fps", "size"), [(25.0, (320, 240)), (30.0, (768, 432)), (10.0, (130, 98))])
def test_a_clip_is_in_step_and_where_it_belongs(tmp_path: Path, fps: float, size: tuple[int, int]) -> None:
    ffprobe = program("ffprobe", "ffmpeg")
    source = make_clip(tmp_path / "long.mp4", seconds=14.0, fps=fps, size=size)
    said = Said()
    out = tmp_path / "clips"
    events = {8: (started(6.0),), 11: (ended(6.0, 8.0),)}
    sink = record_file(source, out, events, said, max_fps=30.0)
    assert said == []
    assert sink.written == 1
    clip = out / "t000006.0_avel_bark_e0.mp4"
    assert sorted(p.name for p in out.iterdir()) == sorted(
        clip.with_suffix(s).name for s in (".mp4", ".json", ".jpg")
    )

    # Beeps sit at half past every second of the stream: 3.5 … 10.5 of it in the clip.
    note = json.loads(clip.with_suffix(".json").read_text())
    assert 2.0 <= note["start_s"] <= 3.0
    assert note["end_s"] == pytest.approx(11.0, abs=0.1)
    assert [(e["event"], e["start_s"], e["end_s"]) for e in note["events"]] == [("end", 6.0, 8.0)]
    assert not note["truncated"]
    flashes, beeps = flashes_and_beeps(clip)
    expected = np.arange(np.ceil(note["start_s"] - 0.5), 11) + 0.5 - note["start_s"]
    assert len(flashes) == len(expected)
    assert len(beeps) == len(expected)
    np.testing.assert_allclose(flashes, beeps, atol=1 / fps)
    np.testing.assert_allclose(beeps, expected, atol=0.02)
    np.testing.assert_allclose(flashes, expected, atol=1 / fps)

    fields = "stream=codec_name,codec_type,width,height,duration,start_time"
    shown = subprocess.run(
        [ffprobe, "-v", "error", "-show_entries", fields, "-of", "json", str(clip)],
        check=True, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert shown.stderr == ""
    video, audio = json.loads(shown.stdout)["streams"]
    assert (video["codec_name"], audio["codec_name"]) == ("h264", "aac")
    assert max(video["width"], video["height"]) <= 640
    assert video["width"] / video["height"] == pytest.approx(size[0] / size[1], rel=0.02)
    assert float(video["duration"]) == pytest.approx(note["end_s"] - note["start_s"], abs=2 / fps)

    for path in out.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path.name
    assert stat.S_IMODE(out.stat().st_mode) == 0o700
    with av.open(str(clip.with_suffix(".jpg"))) as picture:
        assert next(picture.decode(video=0)).width == video["width"]


def test_events_that_touch_share_a_clip_and_retracted_ones_leave_none(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "long.mp4", seconds=30.0, fps=10.0)
    events = {
        3: (started(2.0, 0),),
        4: (Event("retract", 0, BARK, 2.0, None, 0.3, LABELS[BARK]),),
        8: (started(8.0, 1),),
        9: (started(9.0, 2, label=5),),
        11: (ended(8.0, 10.0, 1),),
        13: (ended(9.0, 12.0, 2, label=5),),
        14: (started(14.0, 3),),
        16: (ended(14.0, 15.0, 3),),
        28: (started(27.0, 4),),
    }
    said = Said()
    sink = record_file(source, tmp_path / "clips", events, said, pre_s=1.0, post_s=2.0)
    assert said == []
    assert sink.written == 3
    notes = [json.loads(p.read_text()) for p in sorted((tmp_path / "clips").glob("*.json"))]
    assert [[e["id"] for e in note["events"]] for note in notes] == [[1, 2], [3], [4]]
    assert notes[0]["end_s"] == pytest.approx(14.0, abs=0.2)
    # The stream ended while the last event was open: the clip has what there was.
    assert notes[2]["truncated"]
    assert notes[2]["end_s"] == pytest.approx(30.0, abs=0.2)


def test_an_event_without_end_is_cut_off_and_the_ring_stays_bounded(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "long.mp4", seconds=30.0, fps=10.0)
    said = Said()
    sink = record_file(source, tmp_path / "clips", {4: (started(4.0),)}, said, max_s=8.0)
    (note,) = [json.loads(p.read_text()) for p in (tmp_path / "clips").glob("*.json")]
    assert note["truncated"]
    assert note["start_s"] == pytest.approx(1.0, abs=0.1)
    assert note["end_s"] == pytest.approx(9.0, abs=0.1)
    assert sink.ring.bytes <= sink.most_bytes


@pytest.mark.parametrize("missing", ["video", "audio"])
def test_a_clip_of_one_sense_only(tmp_path: Path, missing: str) -> None:
    suffix = ".wav" if missing == "video" else ".mp4"
    source = make_clip(tmp_path / f"one{suffix}", seconds=10.0, **{missing: False})
    sink = ClipSink(ClipOptions(tmp_path / "clips"), about())
    replay = Replay(source, SystemClock(), ReplayOptions(speed=None, originals=True))
    replay.open()
    sink.start(make_start(source=replay.info))
    while not isinstance(item := replay.read(1.0), EndOfStream):
        if isinstance(item, TimedFrame | TimedAudio):
            sink.media(item)
    replay.close()
    _, hops, end = make_stream(10)
    sink.hop(replace(hops[-1], settled=(), events=(started(5.0), ended(5.0, 6.0))))
    sink.end(replace(end, last_events=(), last_settled=()))
    sink.close()
    (clip,) = (tmp_path / "clips").glob("*.mp4")
    with av.open(str(clip)) as container:
        kinds = [stream.type for stream in container.streams]
        assert kinds == [{"video": "audio", "audio": "video"}[missing]]
        assert container.duration / 1e6 == pytest.approx(7.0, abs=0.2)


def test_a_live_stream_is_named_by_the_wall_clock_and_never_waits(tmp_path: Path) -> None:
    said = Said()
    sink = ClipSink(ClipOptions(tmp_path), about(said, name="Front door"))
    start = make_start(wall_clock=1_800_000_000.0)
    sink.start(replace(start, source=replace(start.source, live=True)))
    rng = np.random.default_rng(0)
    big = rng.integers(0, 255, (1080, 1920, 3), np.uint8)
    for number in range(120):  # far faster than any encoder: pictures are left out, nobody waits
        sink.media(TimedFrame(number * 40_000_000, big[:224, :224], None, big))
    assert sink.dropped > 0
    assert said[0].state == "dropping"
    sink.media(TimedAudio(0, np.zeros(16_000, np.float32)))
    _, hops, end = make_stream(5)
    sink.hop(replace(hops[-1], settled=(), events=(started(2.0), ended(2.0, 3.0))))
    sink.end(replace(end, last_events=(), last_settled=()))
    sink.close()
    assert [p.name for p in tmp_path.glob("*.mp4")] == ["20270115T080002Z_front_door_bark_e0.mp4"]


def test_a_picture_of_another_shape_is_fitted_in(tmp_path: Path) -> None:
    sink = ClipSink(ClipOptions(tmp_path), about())
    sink.start(make_start())
    for number in range(50):
        shape = (240, 320, 3) if number < 25 else (320, 240, 3)
        image = np.full(shape, 200, np.uint8)
        sink.media(TimedFrame(number * 40_000_000, image, None, image))
    _, hops, end = make_stream(3)
    sink.hop(replace(hops[1], settled=(), events=(started(0.0), ended(0.0, 2.0))))
    sink.end(replace(end, last_events=(), last_settled=()))
    sink.close()
    (clip,) = tmp_path.glob("*.mp4")
    with av.open(str(clip)) as container:
        frames = [f.to_ndarray(format="gray") for f in container.decode(video=0)]
    assert frames[0].shape == frames[-1].shape == (240, 320)
    assert frames[0].mean() > 180
    assert frames[-1][:, :40].mean() < 40  # black beside the upright picture
    assert frames[-1][:, 150:170].mean() > 180


def test_sound_holes_become_silence_and_keep_their_place() -> None:
    encoder = AudioEncoder()
    ticks = []
    for position, length in ((0, 4000), (4000, 4000), (24_000, 8000), (400_000, 2048)):
        ticks += [p.ticks for p in encoder.encode(TimedAudio(position, np.zeros(length, np.float32)))]
    ticks += [p.ticks for p in encoder.finish()]
    assert list(encoder.finish()) == []
    steps = np.diff(ticks)
    assert (steps > 0).all()
    assert sorted(set(steps)) == [1024, max(steps)]  # one jump, where half a minute was missing
    assert max(ticks) >= 400_000


def test_the_ring_is_bounded_by_bytes_and_time() -> None:
    ring = ClipRing(1000)
    for number in range(100):
        ring.push(Packet("video", number, 10, number % 10 == 0, b"x" * 50))
    assert ring.bytes <= 1000
    assert len(ring) == 20
    begin_s, packets = ring.cut(9.25, 9.8)
    assert begin_s == 9.0  # the keyframe before
    assert [p.ticks for p in packets] == list(range(90, 98))
    ring.keep_from(9.5)
    assert len(ring) == 5


def test_budgets(tmp_path: Path) -> None:
    assert Budget.parse(None) == Budget()
    assert Budget.parse("5GB") == Budget(5 * 10**9)
    assert Budget.parse("30d, 200MB") == Budget(200 * 10**6, 30 * 86400.0)
    assert Budget.parse("1.5h").max_age_s == 5400
    for wrong in ("5", "GB", "5GB 3GB,", "30 weeks", "", "5GB,6GB"):
        with pytest.raises(UsageError, match="--keep"):
            Budget.parse(wrong)
    store = ClipStore(tmp_path, Budget.parse("2500B,10d"))
    foreign = tmp_path / "holiday.mp4"
    foreign.write_bytes(b"x" * 9000)
    now_s = 10_000_000.0
    stems = [f"t{k:06d}.0_avel_bark_e{k}" for k in range(6)]
    for k, stem in enumerate(stems):
        for suffix in (".mp4", ".json"):
            store.write(stem + suffix, b"x" * 500)
            age_s = 20 * 86400 if k == 0 else 600 - k
            os.utime(tmp_path / (stem + suffix), (now_s - age_s, now_s - age_s))
    assert store.prune(now_s) == 4  # one too old, three too much
    assert sorted(p.name for p in tmp_path.glob("*.mp4")) == [
        "holiday.mp4",
        *(f"{s}.mp4" for s in stems[-2:]),
    ]
    assert store.free_stem(stems[-1]) == f"{stems[-1]}-2"
    assert store.prune(now_s) == 0


def test_nothing_half_written_stays(tmp_path: Path) -> None:
    (tmp_path / ".t000001.0_avel_bark_e0.mp4.part").write_bytes(b"left by a crash")
    store = ClipStore(tmp_path, Budget())
    assert list(tmp_path.iterdir()) == []

    def fail_halfway() -> None:
        with store.fresh("a.mp4") as path:
            path.write_bytes(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_halfway()
    assert list(tmp_path.iterdir()) == []
    blocked = tmp_path / "file"
    blocked.write_bytes(b"")
    with pytest.raises(OutputError, match="can't be written"):
        ClipStore(blocked / "clips", Budget())


def test_a_disk_that_refuses_is_told_and_recording_goes_on(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "long.mp4", seconds=20.0, fps=10.0)
    folder = tmp_path / "clips"
    said = Said()
    sink = ClipSink(ClipOptions(folder, pre_s=0.5, post_s=0.5), about(said))
    replay = Replay(source, SystemClock(), ReplayOptions(speed=None, originals=True))
    replay.open()
    sink.start(make_start(source=replay.info))
    _, hops, end = make_stream(20)
    items = []
    while not isinstance(item := replay.read(1.0), EndOfStream):
        items.append(item)
    replay.close()
    first = [i for i in items if not isinstance(i, TimedFrame) or i.t_ns < 9 * NS_PER_S]
    for item in first:
        sink.media(item)
    folder.rmdir()  # as if the disk had been pulled out
    sink.hop(replace(hops[6], settled=(), events=(started(4.0), ended(4.0, 5.0))))
    eventually(lambda: bool(said), "the trouble was told")
    assert said[0].state == "failing"
    folder.mkdir()
    for item in items[len(first) :]:
        sink.media(item)
    sink.hop(replace(hops[9], settled=(), events=(started(7.0, 1), ended(7.0, 8.0, 1))))
    sink.end(replace(end, last_events=(), last_settled=()))
    sink.close()
    assert [p.name for p in folder.glob("*.mp4")] == ["t000007.0_avel_bark_e1.mp4"]


def test_the_overlay_warms_where_attention_is() -> None:
    image = np.full((70, 70, 3), 100, np.uint8)
    flat = np.full((7, 7), 1 / 49, np.float32)
    np.testing.assert_array_equal(with_attention(image, flat), image)
    peaked = np.zeros((7, 7), np.float32)
    peaked[1, 5] = 1.0
    warm = with_attention(image, peaked).astype(int)
    change = np.abs(warm - 100).sum(axis=-1)
    assert change[15, 55] > 100
    assert change[60, 10] == 0
