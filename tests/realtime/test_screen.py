"""The live screen: golden frames, sizes, themes, and a drawing thread that holds nobody up.

After a wanted change of the looks: `AVEL_GOLDEN=write pytest tests/realtime/test_screen.py`, then look at
the difference.
"""

from __future__ import annotations

import contextlib
import io
import os
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from avel_live.model.labels import LABELS
from avel_live.realtime.core.clock import ManualClock
from avel_live.realtime.core.errors import OutputError
from avel_live.realtime.core.messages import SourceInfo, Status, TimedAudio
from avel_live.realtime.ui import make_screen, picture
from avel_live.realtime.ui.layout import frame
from avel_live.realtime.ui.plain import PlainLines
from avel_live.realtime.ui.screen import MAX_RATE, Screen, theme_for
from avel_live.realtime.ui.state import CELLS, DEVICES, RECENT, ScreenState, is_well
from avel_live.realtime.ui.stderr import HeldStderr
from avel_live.realtime.ui.summary import summary
from avel_live.realtime.ui.theme import ASCII, Theme, brief, clock_text, oklch
from rich.console import Console, Group
from support.stream import make_segment, make_start, make_stream

GOLDEN = Path(__file__).resolve().parents[1] / "data" / "screen"
WAIT_S = 30.0


def told(hops: int, *, live: bool = False, story: str | None = None) -> ScreenState:
    state = ScreenState()
    start, records, end = make_stream(hops, story) if story else make_stream(hops)
    if live:
        start = make_start(source=SourceInfo("C920 + Yeti Nano", "live", live=True), calibration="study")
        for device in ("camera", "microphone"):
            state.take_status(Status(device, "running", "", 0))
    state.take_start(start)
    for record in records:
        state.take_hop(replace(record, skew_ms=-12.3, drift_ppm=41.6) if live else record)
    if hops > 100:
        state.take_end(end)
    return state


def console(width: int, height: int, color: str | None = "truecolor", **options: object) -> Console:
    return Console(
        width=width,
        height=height,
        record=True,
        file=io.StringIO(),
        force_terminal=True,
        color_system=color,  # type: ignore[arg-type]
        legacy_windows=False,
        **options,  # type: ignore[arg-type]
    )


def text_of(state: ScreenState, width: int, height: int, theme: Theme | None = None) -> str:
    out = console(width, height)
    out.print(Group(*frame(state, width, height, theme or Theme())))
    return out.export_text()


def assert_golden(name: str, text: str) -> None:
    path = GOLDEN / f"{name}.txt"
    text = "\n".join(line.rstrip() for line in text.splitlines()) + "\n"
    if os.environ.get("AVEL_GOLDEN") == "write":
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "hops", "width", "height", "live"),
    [
        ("event-80x24", 25, 80, 24, False),
        ("event-120x36", 25, 120, 36, True),
        ("quiet-80x24", 20, 80, 24, True),
        ("first-second-80x24", 1, 80, 24, False),
    ],
)
def test_golden_frames(name: str, hops: int, width: int, height: int, live: bool) -> None:
    assert_golden(name, text_of(told(hops, live=live), width, height))


def test_golden_frame_without_colour_and_unicode() -> None:
    state = told(25, live=True)
    state.take_status(Status("microphone", "stalled", "no sound for 3 s", 0))
    assert_golden("plain-80x24", text_of(state, 80, 24, Theme(color=False, glyphs=ASCII)))
    assert text_of(state, 80, 24, Theme(color=False, glyphs=ASCII)).isascii()


@pytest.mark.parametrize(("width", "height"), [(20, 4), (40, 10), (60, 15), (80, 24), (200, 60)])
def test_a_frame_fills_the_terminal_exactly(width: int, height: int) -> None:
    for state in (ScreenState(), told(1), told(25, live=True)):
        lines = frame(state, width, height, Theme())
        assert len(lines) == height
        assert {line.cell_len for line in lines} == {width}
    # The event and its confidence survive on the smallest terminal.
    shown = text_of(told(25), width, height)
    assert "Bark" in shown
    assert "63 %" in shown


def test_settled_and_provisional_differ_in_characters_and_in_style() -> None:
    state = told(25)
    lines = frame(state, 80, 24, Theme())
    marks = next(line for line in lines if "╌" in line.plain).plain
    assert marks.count("╌") < marks.count("━")
    assert marks.rstrip().endswith("╌")
    assert [cell.settled for cell in state.timeline() if cell] == [True] * 8 + [False] * 2


def test_the_list_of_past_events_owns_up_to_the_one_that_goes_on() -> None:
    assert "no event yet" in text_of(told(1), 80, 24)
    first = told(7)
    assert first.open_event is not None
    shown = text_of(first, 80, 24)
    assert "none is over yet" in shown
    assert "no event yet" not in shown


def test_retracted_events_are_named_so() -> None:
    state = told(8)
    _, records, _ = make_stream(8)
    start = next(e for r in records for e in r.events if e.kind == "start")
    state.take_hop(replace(records[-1], settled=(), events=(replace(start, kind="retract", end_s=5.0),)))
    assert "retracted" in text_of(state, 80, 24)
    assert state.open_event is None


def test_missing_picture_and_sound_are_said() -> None:
    state = told(3)
    _, records, _ = make_stream(4)
    blind = replace(records[3], segment=make_segment(3, video=False, sound=False), audio_level_dbfs=-120.0)
    state.take_hop(blind)
    shown = text_of(state, 120, 36)
    assert "no picture" in shown
    assert "no input" in shown
    assert "no sound" in shown


def test_loading_and_passing_troubles_make_room_again() -> None:
    state = ScreenState()
    state.take_status(Status("networks", "loading", "building an engine, 2 min", 0))
    assert "building an engine" in text_of(state, 80, 24)
    start, records, _ = make_stream(40)
    state.take_start(start)
    assert "building" not in text_of(state, 80, 24)
    state.take_hop(records[0])
    state.take_status(Status("machine", "late", "2 seconds skipped", 0))
    assert "2 seconds skipped" in text_of(state, 80, 24)
    for record in records[1:]:
        state.take_hop(record)
    assert "2 seconds skipped" not in text_of(state, 80, 24)


def test_state_is_bounded_and_ready_for_hours() -> None:
    state = told(130)
    for k in range(100):
        state.take_status(Status(f"sink {k}", "failing", "gone", 0))
    assert len(state.cells) <= CELLS
    assert len(state.ledger.spans) <= RECENT
    assert len(state.devices) == DEVICES
    out = console(100, 30)
    out.print(summary(state, 100, Theme()))
    said = out.export_text()
    assert "2:10" in said
    assert len(said.splitlines()) <= 24
    assert clock_text(3_725) == "1:02:05"


def test_summary_golden() -> None:
    state = told(20)
    state.take_end(make_stream(20)[2])
    out = console(80, 24)
    out.print(summary(state, 80, Theme()))
    assert_golden("summary-80", out.export_text())


def test_no_color_and_few_colours_are_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    state = told(25)
    monkeypatch.setenv("NO_COLOR", "1")
    out = console(80, 24)
    theme = theme_for(out)
    assert not theme.color
    out.print(Group(*frame(state, 80, 24, theme)))
    raw = out.file.getvalue()  # type: ignore[attr-defined]
    assert "\x1b[38" not in raw
    assert "\x1b[48" not in raw
    monkeypatch.delenv("NO_COLOR")
    sixteen = theme_for(console(80, 24, "standard"))
    assert sixteen.color
    assert not sixteen.fine
    out = console(80, 24, "standard")
    out.print(Group(*frame(state, 80, 24, sixteen)))
    raw = out.file.getvalue()  # type: ignore[attr-defined]
    assert "\x1b[1;7;33m  Bark" in raw  # reversed yellow: legible on any palette
    assert "38;2;" not in raw


def luminance(rgb: tuple[int, int, int]) -> float:
    parts = [c / 255 for c in rgb]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: tuple[int, int, int], other: tuple[int, int, int]) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_colours_read_on_light_and_dark_backgrounds() -> None:
    for label in LABELS[:-1]:
        accent = Theme().accent(label).color
        assert accent is not None
        rgb = tuple(accent.get_truecolor())
        assert contrast(rgb, (252, 252, 250)) >= 3, label  # type: ignore[arg-type]
        assert contrast(rgb, (18, 18, 20)) >= 3, label  # type: ignore[arg-type]
        for level in (0.0, 0.9, 1.0):
            fill = Theme().fill(label, level)
            assert fill.color is not None
            assert fill.bgcolor is not None
            pair = tuple(fill.color.get_truecolor()), tuple(fill.bgcolor.get_truecolor())
            assert contrast(*pair) >= 4.5, (label, level)  # type: ignore[arg-type]
    assert oklch(1.0, 0.0, 0.0) == (255, 255, 255)


def test_every_class_has_a_name_for_every_width() -> None:
    for label in LABELS:
        for width in range(1, 30):
            assert 0 < len(brief(label, width)) <= width


def test_picture_keeps_proportions_and_shows_where() -> None:
    image = np.full((90, 160, 3), 128, np.uint8)
    image[:, 80:] = 200
    lines = picture.draw(image, None, 9, 32, Theme())
    assert [line.cell_len for line in lines] == [32] * 9
    assert picture.fit(160, 90, 9, 40) == (9, 10)  # a tall picture stays tall
    attention = np.zeros((7, 7), np.float32)
    attention[3, 6] = 1.0
    pixels = picture.overlay(picture.shrink(image, 18, 32), attention, 1.0)
    plain = picture.shrink(image, 18, 32)
    assert pixels[8, 31, 0] > plain[8, 31, 0]  # glows where the sound is
    assert pixels[0, 0, 0] < plain[0, 0, 0]  # dims where it is not
    even = np.full((7, 7), 1 / 49, np.float32)
    np.testing.assert_allclose(picture.overlay(plain, even, 1.0), plain, atol=1e-3)
    empty = picture.draw(None, None, 5, 30, Theme())
    assert any("no picture" in line.plain for line in empty)
    mean = picture.shrink(image, 1, 1)[0, 0, 0]
    assert mean == pytest.approx(164.0)


# The drawing thread -------------------------------------------------------------------------------


def test_screen_draws_and_gives_the_terminal_back() -> None:
    out = console(80, 24)
    screen = Screen(out, ManualClock(), threaded=False)
    start, records, end = make_stream(6)
    screen.start(start)
    for record in records:
        screen.hop(record)
    screen.refresh()
    before = len(out.file.getvalue())  # type: ignore[attr-defined]
    screen.refresh()
    drawing = out.file.getvalue()[before:]  # type: ignore[attr-defined]
    assert drawing.count("\n") == 23  # the frame fits: nothing scrolls
    screen.end(end)
    screen.close()
    screen.close()
    raw = out.file.getvalue()  # type: ignore[attr-defined]
    assert "\x1b[?1049h" in raw  # the alternate screen
    assert raw.index("\x1b[?1049l") < raw.index("end of file")  # the summary stays
    assert "\x1b[?25h" in raw  # the cursor is back


class SlowFile(io.StringIO):
    """A terminal that does not take anything until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.gate.set()

    def write(self, text: str) -> int:
        assert self.gate.wait(WAIT_S)
        return super().write(text)


def test_a_stuck_terminal_does_not_hold_up_the_loop() -> None:
    file = SlowFile()
    out = Console(file=file, force_terminal=True, width=80, height=24, legacy_windows=False)
    screen = Screen(out)
    start, records, end = make_stream(25)
    file.gate.clear()
    screen.start(start)
    for record in records:
        screen.hop(record)  # would wait for ever if it drew
    screen.level(-10.0)
    file.gate.set()
    screen.end(end)
    screen.close()
    assert "end of file" in file.getvalue()


def test_the_meter_moves_alone_between_hops() -> None:
    out = console(80, 24)
    screen = Screen(out, ManualClock(), threaded=False)
    start, records, _ = make_stream(3)
    screen.start(start)
    screen.hop(records[-1])
    screen.refresh()
    before = len(out.file.getvalue())  # type: ignore[attr-defined]
    rng = np.random.default_rng(0)
    screen.media(TimedAudio(0, (0.1 * rng.standard_normal(1_600)).astype(np.float32)))
    screen.refresh_meter()
    drawing = out.file.getvalue()[before:]  # type: ignore[attr-defined]
    assert drawing.startswith("\x1b[22;1H")
    assert "−20 dBFS" in drawing
    assert "\n" not in drawing
    screen.close()


def test_redraws_are_bounded() -> None:
    clock = ManualClock()
    screen = Screen(console(80, 24), clock)
    start, records, _ = make_stream(3)
    screen.start(start)
    deadline = threading.Event()
    for _ in range(60):
        screen.hop(records[-1])
        screen.level(-20.0)
        deadline.wait(0.001)
    screen.close()
    # The manual clock jumps when it is waited on, so its time is what the drawing thread allowed itself.
    assert 1 <= screen.drawn <= clock.now_ns() / 1e9 * MAX_RATE + 2


def test_a_closed_terminal_ends_the_stream_with_a_clear_error() -> None:
    class Gone(io.StringIO):
        broken = False

        def write(self, text: str) -> int:
            if self.broken:
                raise OSError("Input/output error")
            return super().write(text)

    file = Gone()
    out = Console(file=file, force_terminal=True, width=80, height=24, legacy_windows=False)
    screen = Screen(out)
    start, records, _ = make_stream(3)
    screen.start(start)
    file.broken = True

    def until_told() -> None:
        pause = threading.Event()
        for _ in range(int(WAIT_S * 100)):
            screen.hop(records[0])
            pause.wait(0.01)

    with pytest.raises(OutputError, match="terminal is gone"):
        until_told()
    file.broken = False
    screen.close()


def test_make_screen_chooses_lines_where_there_is_no_terminal() -> None:
    assert isinstance(make_screen(stream=io.StringIO()), PlainLines)


def test_what_libraries_print_is_held_back() -> None:
    master, terminal = os.openpty()
    try:
        held = HeldStderr(terminal)
        held.start()
        os.write(terminal, b"ALSA lib pcm.c: unknown PCM\n" * 40 + b"half a line")
        lines = held.stop()
        os.write(terminal, b"after")
        assert os.read(master, 1_000) == b"after"
    finally:
        os.close(master)
        os.close(terminal)
    assert lines == ["ALSA lib pcm.c: unknown PCM"] * 11 + ["half a line"]
    reader, writer = os.pipe()  # not a terminal: nothing is touched
    held = HeldStderr(writer)
    held.start()
    os.write(writer, b"log")
    assert os.read(reader, 10) == b"log"
    assert held.stop() == []
    os.close(reader)
    os.close(writer)


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (60, 18)])
def test_on_a_real_terminal(columns: int, rows: int) -> None:
    """A pseudo-terminal takes the bytes, and is read as fast as it is written."""
    master, terminal = os.openpty()
    os.set_blocking(master, False)
    size = {"COLUMNS": str(columns), "LINES": str(rows)}

    def show() -> None:
        with os.fdopen(terminal, "w", encoding="utf-8") as file:
            out = Console(file=file, _environ={"TERM": "xterm-256color", "COLORTERM": "truecolor", **size})
            screen = Screen(out, ManualClock(), threaded=False)
            start, records, end = make_stream(4)
            screen.start(start)
            for record in records:
                screen.hop(record)
            screen.refresh()
            screen.end(end)
            screen.close()

    seen = b""
    worker = threading.Thread(target=show)
    worker.start()
    while worker.is_alive():
        # Reading what nobody will write any more is an error on a pseudo-terminal, and the end of it.
        with contextlib.suppress(BlockingIOError, OSError):
            seen += os.read(master, 65_536)
            continue
        worker.join(0.01)
    with contextlib.suppress(BlockingIOError, OSError):
        while chunk := os.read(master, 65_536):
            seen += chunk
    os.close(master)
    text = seen.decode()
    drawn = text[text.rindex("\x1b[H") : text.index("\x1b[?1049l")]
    assert drawn.count("\n") == rows - 1
    assert "garden.mp4" in drawn
    assert "end of file" in text[text.index("\x1b[?1049l") :]


def test_good_news_does_not_stand_among_the_troubles() -> None:
    """A reload that worked, or more pictures again, is no trouble; fewer pictures are."""
    state = ScreenState()
    state.take_start(make_start())
    state.take_status(Status("camera", "stalled", "no picture", 0))
    state.take_status(Status("configuration", "reloaded", "reloaded: thresholds", 0))
    state.take_status(Status("machine", "effort", "16 pictures a second", 0, "info"))
    assert [s.device for s in state.standing() if not is_well(s)] == ["camera"]
    state.take_status(Status("machine", "effort", "4 pictures a second", 0, "warning"))
    assert [s.device for s in state.standing() if not is_well(s)] == ["camera", "machine"]
