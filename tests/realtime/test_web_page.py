"""The page in a real browser: what people see, click and keep."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from avel_live.realtime.memory import EventRow, Memory
from avel_live.realtime.memory.write import ClipRow
from avel_live.realtime.sinks.memory import MemoryOptions
from avel_live.realtime.sinks.web import WebOptions
from avel_live.realtime.web.server import PageSink
from support.about import Said, about
from support.browser import objections
from support.media import make_clip
from support.peers import WAIT_S
from support.stream import make_stream
from support.web import page, remember

SECOND_US = 1_000_000
PICTURE = "return document.querySelector('.picture img').naturalWidth > 0"
CUES = "const c = document.querySelector('video').textTracks[0].cues; return c && c.length && c[0].text"
NAMELESS = """
return [...document.querySelectorAll('button, a, input, select, meter, video, img')].filter(e =>
  !e.hidden && !(e.ariaLabel || e.textContent.trim() || e.alt !== undefined || (e.labels && e.labels.length))
).map(e => e.outerHTML)
"""


CONTRAST = """
const parts = text => text.match(/[0-9.]+/g).map(Number);
const back = parts(getComputedStyle(document.body).backgroundColor);
const linear = v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
const light = rgb => rgb.slice(0, 3).map(v => linear(v / 255))
  .reduce((sum, v, k) => sum + v * [0.2126, 0.7152, 0.0722][k], 0);
return Math.min(...[...document.querySelectorAll('.heat td')].filter(td => td.textContent).map(td => {
  const style = getComputedStyle(td), [r, g, b, a = 1] = parts(style.backgroundColor);
  const under = light([r, g, b].map((v, k) => a * v + (1 - a) * back[k])), text = light(parts(style.color));
  return (Math.max(under, text) + 0.05) / (Math.min(under, text) + 0.05);
}));
"""


@pytest.fixture(autouse=True)
def _quiet(browser: Any) -> Iterator[None]:
    """Nothing is complained about: no error of a script, nothing that the policy forbids."""
    yield
    browser.get("about:blank")
    wrong = [e["message"] for e in browser.get_log("browser") if "Content Security" in e["message"]]
    wrong += [e["message"] for e in browser.get_log("browser") if e["source"] == "javascript"]
    assert wrong == []


def until(condition: Callable[[], Any], what: str, timeout_s: float = WAIT_S) -> Any:
    """Wait for the page; what comes and goes meanwhile is looked up again."""
    from selenium.common.exceptions import StaleElementReferenceException

    deadline = time.monotonic() + timeout_s
    while True:
        try:
            if found := condition():
                return found
        except StaleElementReferenceException:
            pass
        if time.monotonic() > deadline:
            pytest.fail(f"not within {timeout_s:g} s: {what}")
        time.sleep(0.02)


def all_of(browser: Any, selector: str) -> list[Any]:
    return list(browser.find_elements("css selector", selector))


def text_of(browser: Any, selector: str) -> str:
    return " | ".join(element.text for element in all_of(browser, selector))


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "a.mp4"
    make_clip(path, seconds=8.0, fps=10, size=(320, 180))
    return path


@pytest.fixture
def memory(tmp_path: Path, clip: Path) -> Memory:
    began_us = int(time.time()) * SECOND_US - 3600 * SECOND_US
    rows = [
        EventRow(0, "Bark", began_us, began_us + 2 * SECOND_US, 0.93),
        EventRow(1, "<b>Bus</b>", began_us + 60 * SECOND_US, began_us + 64 * SECOND_US, 0.55),
        EventRow(2, "Chainsaw", began_us - 86_400 * SECOND_US, began_us - 86_390 * SECOND_US, 0.8),
    ]
    shown = ClipRow(str(clip), None, began_us - 3 * SECOND_US, began_us + 5 * SECOND_US, (0,))
    return remember(tmp_path / "memory.sqlite", rows, shown)


def test_tiles_change_while_one_looks(browser: Any, memory: Memory) -> None:
    with page(memory, hops=4) as sink:
        browser.get(f"{sink.page.url}#/live")
        tile = until(lambda: all_of(browser, "[data-stream=door]"), "the tile")[0]
        assert until(lambda: "nothing in particular" in tile.text, "quiet at first")
        until(
            lambda: browser.execute_script(PICTURE),
            "a picture",
        )
        _, hops, _ = make_stream(8)
        began = time.monotonic()
        for hop in hops[4:7]:
            sink.hop(hop)
        until(lambda: "Bark" in tile.find_element("css selector", ".now").text, "what is happening")
        assert time.monotonic() - began < 2.0
        assert tile.find_element("css selector", "meter").get_attribute("aria-label")
        tile.click()
        until(lambda: len(all_of(browser, ".top li")) == 5, "the five likeliest")
        assert len(all_of(browser, ".seconds li")) == 7, "what was said before one looked"
        sink.hop(hops[7])
        until(lambda: all_of(browser, ".seconds li.settled"), "a settled second")
        assert all_of(browser, ".seconds li.provisional")


def test_an_event_appears_within_a_second_of_its_record(browser: Any, tmp_path: Path) -> None:
    path = tmp_path / "memory.sqlite"
    wall_s = time.time()
    stream = about(Said(), name="door", wall_s=lambda: wall_s)
    keeping = MemoryOptions(path=path).build(stream)
    assert keeping is not None
    sink = PageSink(WebOptions(listen="0"), stream, Memory(path), ())
    start, hops, _ = make_stream(12)
    try:
        for one in (keeping, sink):
            one.start(replace(start, wall_clock=wall_s))
            one.hop(hops[0])
        browser.get(f"{sink.page.url}#/events")
        until(lambda: "No event matches" in text_of(browser, "[role=status]"), "an empty list")
        began = time.monotonic()
        for hop in hops[1:7]:
            for one in (keeping, sink):
                one.hop(hop)
        until(lambda: "Bark" in text_of(browser, ".event"), "the event", 10)
        assert time.monotonic() - began < 2.5, "a second, and what a busy machine takes"
    finally:
        keeping.close()
        sink.close()


def test_events_are_searched_played_and_marked(browser: Any, memory: Memory, clip: Path) -> None:
    with page(memory, (clip.parent,)) as sink:
        browser.get(f"{sink.page.url}#/events")
        until(lambda: len(all_of(browser, ".event")) == 3, "three events")
        assert "<b>Bus</b>" in text_of(browser, ".event"), "a name is text"
        assert len(all_of(browser, ".list h3")) == 2, "two days"

        browser.find_element("css selector", "select[name=label]").send_keys("Bark")
        until(lambda: len(all_of(browser, ".event")) == 1, "what was asked for")
        sure = browser.find_element("css selector", "input[name=min_confidence]")
        sure.clear()
        sure.send_keys("95\t")
        until(lambda: not all_of(browser, ".event"), "nothing so sure")
        sure.clear()
        sure.send_keys("50\t")
        until(lambda: all_of(browser, ".list[aria-busy=false]"), "what was asked for last")
        assert len(all_of(browser, ".event")) == 1

        all_of(browser, ".thumb")[0].click()
        playing = "const v = document.querySelector('video'); return v && v.currentTime > 0.2 && !v.error"
        until(lambda: browser.execute_script(playing), "the clip plays")
        assert until(lambda: browser.execute_script(CUES), "its labels") == "Bark (93%)"

        wrong = next(b for b in all_of(browser, ".marks button") if b.text == "Wrong")
        wrong.click()
        until(lambda: wrong.get_attribute("aria-pressed") == "true", "marked")
        marked = memory.event(1)
        assert marked is not None
        assert marked.verdict == "wrong"
        # Any class that the networks know, said before or not.
        browser.find_element("css selector", ".marks select").send_keys("Accordion")
        until(lambda: "marked as Accordion" in text_of(browser, ".event"), "what it is")
        marked = memory.event(1)
        assert marked is not None
        assert (marked.verdict, marked.is_label) == ("other", "Accordion")


def test_statistics_and_health_are_shown(browser: Any, memory: Memory) -> None:
    with page(memory) as sink:
        for scheme in ("dark", "light"):
            with looking(browser, scheme):
                browser.get("about:blank")
                browser.get(f"{sink.page.url}#/statistics")
                until(lambda: len(all_of(browser, ".heat tbody tr")) == 3, "three classes")
                # Numbers are too short for axe to be sure that they are text.
                assert browser.execute_script(CONTRAST) >= 4.5, scheme
        assert all_of(browser, ".days[aria-label='3 events on 2 days']")
        browser.get(f"{sink.page.url}#/health")
        until(lambda: "no picture for 3 s" in text_of(browser, "table"), "the camera")


def test_a_dead_program_is_shown_and_found_again(browser: Any, memory: Memory) -> None:
    with page(memory) as sink:
        port = sink.page.port
        browser.get(f"{sink.page.url}#/live")
        until(lambda: all_of(browser, "[data-stream=door]"), "the tile")
        dead = browser.find_element("css selector", "#dead")
        assert not dead.is_displayed()
    until(lambda: dead.is_displayed(), "that it is dead", 60)
    with page(memory, listen=str(port), hops=6):
        until(lambda: not dead.is_displayed(), "that it is back", 60)
        until(lambda: all_of(browser, "[data-stream=door]"), "the tile again")
    browser.get("about:blank")
    browser.get_log("browser")


def test_one_logs_in_with_the_keyboard_and_out(browser: Any, memory: Memory) -> None:
    from selenium.webdriver.common.keys import Keys

    with page(memory, password="open sesame") as sink:
        browser.get(sink.page.url)
        field = until(lambda: all_of(browser, "input[type=password]"), "the form")[0]
        assert browser.switch_to.active_element == field
        field.send_keys("open says me", Keys.ENTER)
        until(lambda: "wrong" in text_of(browser, "[role=alert]"), "that it is wrong")
        browser.switch_to.active_element.send_keys("open sesame", Keys.ENTER)
        until(lambda: all_of(browser, "[data-stream=door]"), "the tile")
        out = browser.find_element("css selector", "#logout")
        until(out.is_displayed, "a way out")
        out.click()
        until(lambda: all_of(browser, "input[type=password]"), "the form again")
        browser.get_log("browser")  # a 401 is an error to the browser


def test_nothing_is_sent_while_the_page_is_hidden(browser: Any, memory: Memory) -> None:
    with page(memory) as sink:
        browser.get(f"{sink.page.url}#/live")
        until(lambda: sink._bell.heard, "somebody looks")
        browser.switch_to.new_window("tab")
        until(lambda: not sink._bell.heard, "nobody looks")
        browser.close()
        browser.switch_to.window(browser.window_handles[0])
        until(lambda: sink._bell.heard, "somebody looks again")


PAGES = {
    "live": "[data-stream] .now",
    "stream/door": ".top li",
    "events": ".event",
    "statistics": ".days",
    "health": "table",
}
"""Every page, and what comes last on it."""
PHONE = {"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": True}


@contextmanager
def looking(browser: Any, scheme: str, *, phone: bool = False) -> Iterator[None]:
    """With the eyes of somebody who likes it light or dark, at a desk or with a phone."""
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    if phone:
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", PHONE)
    try:
        yield
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_pages_fit_a_phone_and_axe_has_nothing_against_them(browser: Any, memory: Memory) -> None:
    with page(memory) as sink:
        for scheme, phone in (("light", False), ("dark", True)):
            with looking(browser, scheme, phone=phone):
                browser.get(sink.page.url)
                for path, last in PAGES.items():
                    browser.execute_script(f"location.hash = '#/{path}'")
                    until(lambda: all_of(browser, last), path)  # noqa: B023 — done with before the next
                    width = browser.execute_script("return document.documentElement.scrollWidth")
                    assert width <= 360 or not phone, path
                    assert browser.execute_script(NAMELESS) == [], path
                    assert objections(browser) == [], (path, scheme)
                browser.get("about:blank")


def test_axe_has_nothing_against_the_door_either(browser: Any, memory: Memory) -> None:
    with page(memory, password="open sesame") as sink:
        for scheme in ("light", "dark"):
            with looking(browser, scheme):
                browser.get("about:blank")
                browser.get(sink.page.url)
                until(lambda: all_of(browser, "input[type=password]"), "the form")
                assert objections(browser) == [], scheme
    browser.get_log("browser")  # a 401 is an error to the browser


SPOIL = """
document.querySelector('h2').style.color = '#ccc';
document.querySelector('main').append(document.createElement('button'));
"""


def test_axe_sees_what_is_wrong(browser: Any, memory: Memory) -> None:
    """The guard itself: a heading in grey on white, and a button without a name."""
    with page(memory) as sink, looking(browser, "light"):
        browser.get(f"{sink.page.url}#/health")
        until(lambda: all_of(browser, "table"), "the page")
        browser.execute_script(SPOIL)
        assert {one.split(":")[0] for one in objections(browser)} == {"button-name", "color-contrast"}
