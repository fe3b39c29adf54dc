"""Nothing is lost or doubled between the stream and its segments, whatever comes in whatever order."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest
from avel_live.realtime.core.clock import NS_PER_S
from avel_live.realtime.core.messages import (
    SAMPLE_RATE,
    ClosedSegment,
    Segment,
    SelectedFrame,
    TimedAudio,
    TimedFrame,
)
from avel_live.realtime.sources.slots import SlotChooser
from avel_live.realtime.stream.cutter import GRACE_NS, MAX_HOLE_S, Cut, Cutter
from hypothesis import given, settings
from hypothesis import strategies as st

MS = 1_000_000
Item = TimedFrame | TimedAudio


def frame(t_ns: int) -> TimedFrame:
    """A picture that carries its own time stamp in its pixels."""
    image = np.zeros((224, 224, 3), np.uint8)
    image[0, 0] = np.frombuffer(int(t_ns // 1000 % 2**24).to_bytes(3, "big"), np.uint8)
    return TimedFrame(t_ns, image)


def stamp(image: np.ndarray) -> int:
    return int.from_bytes(image[0, 0].tobytes(), "big") * 1000


def block(position: int, count: int) -> TimedAudio:
    """Sound whose samples count themselves (from 1: zero is what was never received)."""
    return TimedAudio(position, np.arange(position + 1, position + count + 1, dtype=np.float32))


def start_ns(item: Item) -> int:
    return item.t_ns if isinstance(item, TimedFrame) else item.position * NS_PER_S // SAMPLE_RATE


def play(cutter: Cutter, items: Iterable[Item], end_ns: int) -> list[Cut]:
    cuts: list[Cut] = []
    for item in sorted(items, key=start_ns):
        cuts += cutter.push(item)
    return cuts + cutter.finish(end_ns)


def segments(cuts: Iterable[Cut]) -> list[Segment]:
    return [cut.segment for cut in cuts if isinstance(cut, ClosedSegment)]


def steady(seconds: float, fps: float = 25.0, block_ms: int = 20) -> list[Item]:
    frames: list[Item] = [frame(round(k * NS_PER_S / fps)) for k in range(int(seconds * fps))]
    size = SAMPLE_RATE * block_ms // 1000
    return frames + [block(p, size) for p in range(0, int(seconds * SAMPLE_RATE), size)]


# Random streams ------------------------------------------------------------------------------------

times = st.lists(st.integers(0, 5 * NS_PER_S // 1000 - 1), unique=True, max_size=150).map(
    lambda micros: [t * 1000 for t in sorted(micros)]
)


@st.composite
def sounds(draw: st.DrawFn) -> list[TimedAudio]:
    """Blocks that never overlap, with holes."""
    position, blocks = 0, []
    while position < 5 * SAMPLE_RATE and len(blocks) < 60:
        position += draw(st.sampled_from([0, 0, 0, 1, 500, 20_000]))
        count = draw(st.sampled_from([1, 160, 800, 4096, 20_000]))
        blocks.append(block(position, count))
        position += count
    return blocks


@given(times, sounds(), st.sampled_from([16, 8, 4, 2]))
@settings(max_examples=60, deadline=None)
def test_nothing_is_lost_or_doubled(stamps: list[int], blocks: list[TimedAudio], slots: int) -> None:
    end_ns = max([*stamps, *(start_ns(b) + len(b.samples) * 62_500 for b in blocks), 0]) + 1
    cutter = Cutter(live=False)
    cutter.frames_per_segment = slots
    cuts = play(cutter, [*(frame(t) for t in stamps), *blocks], end_ns)
    out = segments(cuts)
    assert [s.index for s in out] == list(range(len(out)))
    assert len(out) in (end_ns // NS_PER_S, end_ns // NS_PER_S + 1)
    everything = np.zeros((len(out) + 2) * SAMPLE_RATE + 20_000, np.float32)
    for b in blocks:
        everything[b.position : b.position + len(b.samples)] = b.samples[: len(everything) - b.position]
    for segment in out:
        mine = everything[segment.index * SAMPLE_RATE : (segment.index + 1) * SAMPLE_RATE]
        assert np.array_equal(segment.audio, mine)
        assert segment.audio_fraction == np.count_nonzero(mine) / SAMPLE_RATE
        of_second = [t for t in stamps if t // NS_PER_S == segment.index]
        used = [stamp(image) for image in segment.frames]
        assert used == sorted(set(used))
        assert set(used) <= set(of_second)
        assert segment.video == bool(of_second)
        if of_second:
            assert segment.frame_weights.sum() == pytest.approx(1.0, abs=1e-6)
            assert (segment.frame_weights > 0).all()
        assert len(segment.frames) <= slots
    # What was announced is what the segments hold, once each, before the segment closes.
    open_for: dict[int, list[int]] = {}
    for cut in cuts:
        if isinstance(cut, SelectedFrame):
            open_for.setdefault(cut.key, []).append(stamp(cut.image))
        else:
            assert open_for.pop(cut.key, []) == [stamp(image) for image in cut.segment.frames]
    assert cutter.open_count == 0


def expected(mine: list[int], slots: int) -> list[int]:
    """The rule, written slot by slot."""
    out = []
    for k in range(slots):
        low, high = k * NS_PER_S // slots, (k + 1) * NS_PER_S // slots
        own = [t for t in mine if low <= t < high]
        before = [t for t in mine if t < low]
        out.append(own[0] if own else before[-1] if before else mine[0])
    return out


def choose(mine: list[int], slots: int) -> list[int]:
    chooser: SlotChooser[int] = SlotChooser(0, NS_PER_S, slots)
    won = [w for t in mine for w in chooser.push(t, t)] + chooser.close()
    return [w.item for w in won for _ in range(w.count)]


@given(times, st.sampled_from([16, 8, 4, 2]))
@settings(max_examples=100, deadline=None)
def test_each_slot_has_its_first_picture_or_the_one_on_show(stamps: list[int], slots: int) -> None:
    mine = [t // 5 for t in stamps if t // 5 < NS_PER_S]
    mine = sorted(set(mine))
    assert choose(mine, slots) == (expected(mine, slots) if mine else [])
    # Choosing among the chosen is choosing among all.
    assert choose(sorted(set(choose(mine, 16))), slots) == choose(mine, slots)


@given(times, st.permutations(range(3)))
@settings(max_examples=30, deadline=None)
def test_live_order_between_devices_changes_nothing(stamps: list[int], lag: list[int]) -> None:
    """A microphone some tens of milliseconds behind the camera gives the same segments as one ahead."""
    items = [*(frame(t) for t in stamps), *(b for b in steady(5.0) if isinstance(b, TimedAudio))]
    delays = {TimedFrame: lag[0] * 40 * MS, TimedAudio: lag[1] * 40 * MS}
    cutter = Cutter(live=True)
    cuts: list[Cut] = []
    for item in sorted(items, key=lambda i: (start_ns(i) + delays[type(i)], isinstance(i, TimedFrame))):
        cuts += cutter.push(item)
        cuts += cutter.advance(start_ns(item) + delays[type(item)])
    live = segments(cuts + cutter.finish(5 * NS_PER_S))
    file = segments(play(Cutter(live=False), items, 5 * NS_PER_S))
    assert len(live) == len(file) == 5
    for a, b in zip(live, file, strict=True):
        assert np.array_equal(a.audio, b.audio)
        assert np.array_equal(a.frames, b.frames)
        assert np.array_equal(a.frame_weights, b.frame_weights)


# Single cases --------------------------------------------------------------------------------------


def test_sixteen_of_twenty_five_and_three_slots_each_of_five() -> None:
    assert [len(s.frames) for s in segments(play(Cutter(live=False), steady(2.0), 2 * NS_PER_S))] == [16, 16]
    slow = segments(play(Cutter(live=False), steady(1.0, fps=5), NS_PER_S))[0]
    assert len(slow.frames) == 5
    assert (slow.frame_weights * 16).tolist() == [3, 3, 3, 3, 4]


def test_effort_changes_from_segment_to_segment() -> None:
    cutter = Cutter(live=False)
    cuts: list[Cut] = []
    for item in sorted(steady(3.0, fps=30), key=start_ns):
        cutter.frames_per_segment = 16 if start_ns(item) < NS_PER_S else 4
        cuts += cutter.push(item)
    assert [len(s.frames) for s in segments(cuts + cutter.finish(3 * NS_PER_S))] == [16, 4, 4]


def test_pictures_are_announced_before_the_second_is_over() -> None:
    cutter = Cutter(live=False)
    seen = [
        sum(isinstance(cut, SelectedFrame) for cut in cutter.push(item))
        for item in steady(1.0, fps=16)
        if isinstance(item, TimedFrame)
    ]
    assert seen == [1] * 16


def test_a_segment_closes_without_waiting_for_the_next_second() -> None:
    cutter = Cutter(live=True)
    items = sorted(steady(1.0, fps=30), key=start_ns)
    closed = [cut for item in items for cut in cutter.push(item) if isinstance(cut, ClosedSegment)]
    assert [c.key for c in closed] == [0]


@pytest.mark.parametrize("silent", [TimedFrame, TimedAudio])
def test_a_silent_device_holds_a_live_segment_up_for_the_grace_period_only(silent: type) -> None:
    cutter = Cutter(live=True)
    for item in sorted(steady(1.1), key=start_ns):
        if not isinstance(item, silent):
            assert not segments(cutter.push(item))
    assert not segments(cutter.advance(NS_PER_S + GRACE_NS - 1))
    (segment,) = segments(cutter.advance(NS_PER_S + GRACE_NS))
    assert segment.video == (silent is not TimedFrame)
    assert segment.sound == (silent is not TimedAudio)
    assert segment.frames.shape[1:] == (224, 224, 3)


def test_both_devices_silent_still_makes_seconds() -> None:
    cutter = Cutter(live=True)
    out = segments([cut for t in range(50) for cut in cutter.advance(t * 100 * MS)])
    assert [s.index for s in out] == [0, 1, 2, 3]
    assert not any(s.video or s.sound for s in out)


def test_a_device_that_does_not_exist_is_not_waited_for() -> None:
    cutter = Cutter(live=True, video=False)
    blocks = [b for b in steady(1.0) if isinstance(b, TimedAudio)]
    assert len(segments([cut for b in blocks for cut in cutter.push(b)])) == 1


def test_late_items_are_counted_not_used() -> None:
    cutter = Cutter(live=True)
    cutter.advance(NS_PER_S + GRACE_NS)
    assert cutter.push(frame(500 * MS)) == []
    cutter.push(block(0, 1600))
    cutter.note_dropped(3)
    (segment,) = segments(cutter.advance(2 * NS_PER_S + GRACE_NS))
    assert (segment.frames_late, segment.audio_dropped, segment.frames_dropped) == (1, 1600, 3)
    assert not segment.video
    assert not segment.sound


@pytest.mark.parametrize("pictures", [16, 4, 1])
def test_pictures_of_a_second_that_has_enough_of_them_are_not_late(pictures: int) -> None:
    cutter = Cutter(live=True, audio=False)
    cutter.frames_per_segment = pictures
    closed = segments([cut for k in range(60) for cut in cutter.push(frame(k * 50 * MS))])
    assert [len(s.frames) for s in closed] == [pictures] * 3, "each before its second is over"
    assert [s.frames_late for s in closed] == [0, 0, 0]
    assert cutter.late_ns == {"video": 0, "audio": 0}
    # What comes twice, or of an earlier second, is.
    cutter.push(frame(2_900 * MS))
    cutter.push(frame(100 * MS))
    (segment,) = segments(cutter.advance(4 * NS_PER_S + GRACE_NS))
    assert segment.frames_late == 2


@pytest.mark.parametrize(
    ("end_s", "count", "partial"), [(2.0, 2, False), (2.4, 2, False), (2.5, 3, True), (2.9, 3, True)]
)
def test_remainder_of_half_a_second_becomes_a_partial_segment(
    end_s: float, count: int, partial: bool
) -> None:
    items = [i for i in steady(3.0) if start_ns(i) < end_s * NS_PER_S]
    out = segments(play(Cutter(live=False), items, round(end_s * NS_PER_S)))
    assert len(out) == count
    assert out[-1].partial == partial
    assert out[-1].end_ns == (round(end_s * NS_PER_S) if partial else 2 * NS_PER_S)
    assert out[-1].sound
    assert len(out[-1].audio) == SAMPLE_RATE


def test_a_night_asleep_is_jumped_over() -> None:
    cutter = Cutter(live=True)
    before = [cut for item in steady(2.0) for cut in cutter.push(item)]
    later = 8 * 3600 * NS_PER_S
    cuts = cutter.push(frame(later)) + cutter.advance(later + 2 * NS_PER_S)
    out = segments(before + cuts)
    assert len(out) < 10
    assert out[-1].index >= 8 * 3600
    assert cutter.jumped_s > MAX_HOLE_S


def test_finer_hops_overlap() -> None:
    out = segments(play(Cutter(live=False, hop_s=0.5), steady(3.0), 3 * NS_PER_S))
    assert [s.start_ns / NS_PER_S for s in out] == [0, 0.5, 1, 1.5, 2]
    assert all(len(s.frames) == 16 and s.audio_fraction == 1 for s in out)


def test_memory_is_bounded_when_nothing_closes() -> None:
    cutter = Cutter(live=True)
    for k in range(300):
        cutter.push(frame(k * 100 * MS))
        assert cutter.open_count <= 3
