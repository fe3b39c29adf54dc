"""StatusQueue: tracks that other programs read, and a page that works in a real browser without a network."""

from __future__ import annotations

import csv
import io
import itertools
import json
import os
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import av
import numpy as np
import pympi
import pytest
from avel_live.model.labels import LABELS
from avel_live.model.training.readers import read_events
from avel_live.realtime.config.keys import keys
from avel_live.realtime.config.load import config_from
from avel_live.realtime.recordings.annotations import desed
from avel_live.realtime.recordings.batch import (
    Job,
    find_jobs,
    fingerprint,
    finished,
    index_row,
    write_index,
    write_results,
)
from avel_live.realtime.recordings.findings import BINS, MAX_PICTURES, Collector, Findings, Found
from avel_live.realtime.recordings.page import Media, render_index, render_page
from avel_live.realtime.recordings.subtitles import subrip, webvtt
from avel_live.realtime.recordings.tracks import audacity, elan, events_csv, seconds_csv
from support.browser import chromium
from support.media import make_clip
from support.peers import WAIT_S, eventually
from support.stream import make_start, make_stream


def make_findings(hops: int = 25, name: str = "garden.mp4") -> Findings:
    start, records, end = make_stream(hops)
    collector = Collector()
    collector.start(replace(start, source=replace(start.source, name=name)))
    rng = np.random.default_rng(0)
    for record in records:
        loud = 0.02 + 0.6 * (record.label != len(LABELS) - 1)
        sound = (loud * rng.uniform(-1, 1, 16_000)).astype(np.float32)
        collector.hop(replace(record, segment=replace(record.segment, audio=sound)))
    collector.end(end)
    return collector.findings()


@pytest.fixture(scope="module")
def findings() -> Findings:
    return make_findings()


NASTY = (
    Found(0, "A <b>&amp; </script>", 0.0, 1.5, 0.5),
    Found(1, "Violin, fiddle", 3599.9996, 3601.25, 0.999),
)


def test_what_is_collected(findings: Findings) -> None:
    assert [s["index"] for s in findings.seconds] == list(range(25))
    assert len(findings.events) >= 3
    assert all(e.end_s > e.start_s for e in findings.events)
    assert [len(findings.looks[k]) for k in (0, 10, 24)] == [10, 10, 1]
    assert len(findings.waveform) == 25 * BINS
    assert findings.top[5][0][0] == findings.seconds[5]["label"] or findings.top[5][0][1] >= 0.3
    assert {p.second for p in findings.pictures} == set(range(25))
    with av.open(io.BytesIO(findings.pictures[0].data)) as picture:
        assert next(picture.decode(video=0)).width == 160


def test_of_many_pictures_an_even_choice_stays() -> None:
    many = make_findings(300)
    assert MAX_PICTURES / 4 <= len(many.pictures) <= MAX_PICTURES
    shown = {p.second for p in many.pictures}
    within = [any(e.start_s - 0.5 <= k < e.end_s for k in shown) for e in many.events[: MAX_PICTURES // 2]]
    assert all(within)


def test_subtitles() -> None:
    vtt = webvtt(NASTY)
    assert vtt.startswith("WEBVTT\n\n")
    assert "00:00:00.000 --> 00:00:01.500\nA &lt;b&gt;&amp;amp; &lt;/script&gt; (50%)" in vtt
    assert "01:00:00.000 --> 01:00:01.250" in vtt  # rounds into the next hour, not to 60 seconds
    srt = subrip(NASTY)
    assert srt.startswith("1\n00:00:00,000 --> 00:00:01,500\n")
    assert "\n\n2\n01:00:00,000 --> 01:00:01,250\nViolin, fiddle (100%)\n" in srt
    assert webvtt([]) == "WEBVTT\n"
    assert subrip([]) == ""


@pytest.mark.parametrize(("suffix", "render"), [(".vtt", webvtt), (".srt", subrip)])
def test_ffmpeg_reads_the_subtitles(tmp_path: Path, findings: Findings, suffix: str, render: object) -> None:
    path = tmp_path / f"subtitles{suffix}"
    path.write_text(render(findings.events))  # type: ignore[operator]
    with av.open(str(path)) as container:
        packets = [p for p in container.demux() if p.pts is not None]
        base = float(packets[0].time_base)
        got = [(round(p.pts * base, 3), round((p.pts + p.duration) * base, 3)) for p in packets]
    assert got == [(e.start_s, e.end_s) for e in findings.events]


def test_tables(findings: Findings) -> None:
    seconds = list(csv.DictReader(io.StringIO(seconds_csv(findings))))
    assert [int(row["index"]) for row in seconds] == list(range(25))
    assert [row["label"] for row in seconds] == [s["label"] for s in findings.seconds]
    events = list(csv.DictReader(io.StringIO(events_csv(findings.events))))
    assert [(float(e["start_s"]), e["label"]) for e in events] == [
        (e.start_s, e.label) for e in findings.events
    ]
    lines = audacity(findings.events).splitlines()
    assert len(lines) == len(findings.events)
    for line, event in zip(lines, findings.events, strict=True):
        start, end, text = line.split("\t")
        assert (float(start), float(end)) == (event.start_s, event.end_s)
        assert text.startswith(event.label)


def test_elan(findings: Findings) -> None:
    root = ET.fromstring(elan(findings, "garden.mp4"))
    assert [child.tag for child in root][:2] == ["HEADER", "TIME_ORDER"]
    assert root.attrib["FORMAT"] == "3.0"
    slots = {s.attrib["TIME_SLOT_ID"]: int(s.attrib["TIME_VALUE"]) for s in root.iter("TIME_SLOT")}
    assert list(slots.values()) == sorted(slots.values())
    tiers = {t.attrib["TIER_ID"]: t for t in root.iter("TIER")}
    assert set(tiers) == {"seconds", *(e.label for e in findings.events)}
    ids = [a.attrib["ANNOTATION_ID"] for a in root.iter("ALIGNABLE_ANNOTATION")]
    assert len(set(ids)) == len(ids) == 25 + len(findings.events)
    for tier in tiers.values():
        spans = [
            (slots[a.attrib["TIME_SLOT_REF1"]], slots[a.attrib["TIME_SLOT_REF2"]])
            for a in tier.iter("ALIGNABLE_ANNOTATION")
        ]
        assert all(start < end for start, end in spans)
        assert all(a[1] <= b[0] for a, b in itertools.pairwise(spans))  # ELAN allows no overlap
    types = {t.attrib["LINGUISTIC_TYPE_ID"] for t in root.iter("LINGUISTIC_TYPE")}
    assert {t.attrib["LINGUISTIC_TYPE_REF"] for t in tiers.values()} <= types


def test_what_is_written_for_annotators_is_read_again_as_labels(findings: Findings, tmp_path: Path) -> None:
    written = {
        "garden.mp4.labels.txt": audacity(findings.events),
        "garden.mp4.events.csv": events_csv(findings.events),
        "garden.mp4.eaf": elan(findings, "garden.mp4").decode(),
        "garden.mp4.desed.tsv": desed(findings.events, "garden.mp4"),
    }
    wanted = sorted(("garden.mp4", e.start_s, e.end_s, e.label) for e in findings.events)
    assert len(wanted) > 1
    for name, text in written.items():
        (tmp_path / name).write_text(text)
        found = read_events(tmp_path / name).events
        assert sorted((e.file, e.start, e.end, e.label) for e in found) == wanted, name


def test_pympi_reads_our_elan_documents_and_we_read_its(findings: Findings, tmp_path: Path) -> None:
    (tmp_path / "garden.eaf").write_bytes(elan(findings, "garden.mp4"))
    theirs = pympi.Elan.Eaf(str(tmp_path / "garden.eaf"))
    assert theirs.get_linked_files()[0]["MEDIA_URL"] == "garden.mp4"
    for event in findings.events:
        spans = [(start, end) for start, end, *_ in theirs.get_annotation_data_for_tier(event.label)]
        assert (round(event.start_s * 1000), round(event.end_s * 1000)) in spans
    made = pympi.Elan.Eaf(author="somebody")
    made.add_linked_file("film.mp4", mimetype="video/mp4")
    made.remove_tier("default")
    for tier, start, end, value in (("Cat", 500, 2250, ""), ("layer", 0, 900, "Purring")):
        made.add_tier(tier)
        made.add_annotation(tier, start, end, value)
    made.to_file(str(tmp_path / "made.eaf"))
    found = read_events(tmp_path / "made.eaf").events
    assert {(e.file, e.start, e.end, e.label) for e in found} == {
        ("film.mp4", 0.5, 2.25, "Cat"),
        ("film.mp4", 0.0, 0.9, "Purring"),
    }


def test_a_page_asks_nothing_of_any_network(findings: Findings, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    media = make_clip(tmp_path / "in" / "a <b> & c.mp4")
    page = render_page(
        replace(findings, events=NASTY), Media.beside(media, tmp_path / "out" / "p.html", video=True)
    )
    assert page.count("</script>") == 2  # the data can't close its element
    assert "../in/a%20%3Cb%3E%20%26%20c.mp4" in page
    assert not re.search(r"""(?:src|href|url|import)\s*[=(]\s*["']?https?:""", page)
    assert "default-src 'none'" in page
    inside = Media.inside(media, video=True)
    assert inside.url.startswith("data:video/mp4;base64,")


def test_jobs_are_found_and_named_apart(tmp_path: Path) -> None:
    for name in (
        "a/x.mp4",
        "a/sub/y.MOV",
        "a/notes.txt",
        "a/.hidden.mp4",
        "b/x.mp4",
        "a/out/old.mp4",
        "x.mp4",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    jobs = find_jobs(
        [tmp_path / "a", tmp_path / "b", tmp_path / "x.mp4", tmp_path / "a" / "x.mp4"], tmp_path / "a/out"
    )
    assert [job.relative.as_posix() for job in jobs] == [
        "x.mp4",
        "sub/y.MOV",
        "b/x.mp4",
        f"{tmp_path.name}/x.mp4",
    ]
    assert jobs[0].output(Path("o"), ".vtt") == Path("o/x.mp4.vtt")


def test_results_are_the_mark_of_completion(tmp_path: Path, findings: Findings) -> None:
    source = tmp_path / "x.mp4"
    source.write_bytes(b"recording")
    out = tmp_path / "out"
    job = Job(source, Path("x.mp4"))
    assert finished(job, out, "s1") is None
    record = write_results(findings, job, out, "s1", embed=False, version="1")
    suffixes = (".csv", ".events.csv", ".vtt", ".srt", ".labels.txt", ".eaf", ".html", ".json")
    assert sorted(p.name for p in out.iterdir()) == sorted(f"x.mp4{s}" for s in suffixes)
    again = finished(job, out, "s1")
    assert again is not None
    assert again["events"] == record["events"]
    assert finished(job, out, "other settings") is None
    os.utime(source, ns=(1, 1))
    assert finished(job, out, "s1") is not None  # touched, but the same content
    source.write_bytes(b"rec0rding")
    assert finished(job, out, "s1") is None
    (out / "x.mp4.json").write_text("{half")
    assert finished(job, out, "s1") is None
    rows = [index_row(job, record), index_row(Job(source, Path("bad.mp4")), None, "not a media file")]
    index = write_index(rows, out).read_text()
    assert "x.mp4.html" in index
    assert "not a media file" in render_index(rows)


def test_without_events_there_is_no_empty_file_of_subtitles(tmp_path: Path, findings: Findings) -> None:
    source = tmp_path / "x.mp4"
    source.write_bytes(b"recording")
    job, out = Job(source, Path("x.mp4")), tmp_path / "out"
    write_results(findings, job, out, "s", embed=False, version="1")
    assert (out / "x.mp4.srt").stat().st_size > 0
    quiet = replace(findings, events=())
    write_results(quiet, job, out, "t", embed=False, version="1")  # other settings: nothing is found now
    assert not (out / "x.mp4.srt").exists()
    assert all(path.stat().st_size for path in out.iterdir() if not path.name.endswith(".labels.txt"))
    assert finished(job, out, "t") is not None


def test_the_page_in_a_browser(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "garden.mp4", seconds=25.0, fps=10.0)
    findings = make_findings(25)
    out = tmp_path / "out"
    record = write_results(findings, Job(source, Path("garden.mp4")), out, "s", embed=False, version="1")
    job = Job(source, Path("garden.mp4"))
    index = write_index([index_row(job, record)], out)
    with chromium(tmp_path / "profile") as browser:
        from selenium.webdriver.common.action_chains import ActionChains
        from selenium.webdriver.common.keys import Keys

        def script(text: str) -> object:
            return browser.execute_script(f"return {text}")

        browser.get(index.as_uri())
        browser.find_element("link text", "garden.mp4").click()
        eventually(
            lambda: script("document.querySelector('video')?.readyState") in (1, 2, 3, 4), "the media loads"
        )
        timeline = browser.find_element("id", "timeline")

        def now() -> float:
            return float(timeline.get_attribute("aria-valuenow"))

        def played() -> float:
            return float(script("document.querySelector('video').currentTime"))  # type: ignore[arg-type]

        # A click seeks the player to that second.
        width = timeline.rect["width"]
        ActionChains(browser).move_to_element_with_offset(timeline, int(0.3 * width), 0).click().perform()
        eventually(lambda: abs(played() - 20.0) < 0.3, "the player is at 80 % of 25 s")
        assert now() == pytest.approx(20.0, abs=0.3)
        shown = browser.find_element("id", "now-label").text
        assert shown == findings.seconds[int(now())]["label"]
        # Keyboard: arrows, shift, home.
        timeline.send_keys(Keys.HOME)
        eventually(lambda: played() < 0.05, "Home")
        timeline.send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
        eventually(lambda: abs(played() - 2.0) < 0.1, "two seconds on")
        # An event's button seeks and plays.
        button = browser.find_elements("css selector", "#events button")[1]
        browser.execute_script("arguments[0].scrollIntoView()", button)
        button.click()
        event = findings.events[1]
        eventually(lambda: played() > event.start_s, "plays from the event on")
        script("document.querySelector('video').pause()")
        assert played() < event.start_s + 20
        # Attention pictures are there, decoded, and seek too.
        pictures = browser.find_elements("css selector", "#pictures button")
        assert len(pictures) == 25
        browser.execute_script("arguments[0].scrollIntoView(); arguments[0].click()", pictures[7])
        eventually(lambda: abs(played() - 7.0) < 0.1, "the picture's second")
        assert script("document.querySelector('#now-picture').naturalWidth") == 160
        # Drawn: the timeline is not one colour, in light and in dark.
        for _ in range(2):
            browser.find_element("id", "theme").click()
            eventually(lambda: len(_colours(script(_PIXELS))) > 10, "a drawn timeline")
        # Nothing was asked of a network, nothing complained.
        requests = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
        urls = {r["params"]["request"]["url"] for r in requests if r["method"] == "Network.requestWillBeSent"}
        assert urls
        assert {url.split(":")[0] for url in urls}.isdisjoint({"http", "https", "ws", "wss", "ftp"})
        assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []

        # A recording that was moved away: said, and the timeline still works.
        source.rename(tmp_path / "elsewhere.mp4")
        browser.refresh()
        eventually(lambda: browser.find_element("id", "trouble").is_displayed(), "the trouble is shown")
        timeline = browser.find_element("id", "timeline")
        timeline.send_keys(Keys.END)
        assert now() == pytest.approx(25.0, abs=0.1)


_PIXELS = (
    "Array.from(document.getElementById('canvas').getContext('2d')"
    ".getImageData(0, 0, 1000, 200).data.filter((_, i) => i % 41 === 0))"
)


def _colours(values: object) -> set[int]:
    assert isinstance(values, list)
    return set(values)


def test_a_long_recording_and_an_empty_one_have_pages(tmp_path: Path) -> None:
    collector = Collector()
    collector.start(make_start())
    _, _, end = make_stream(1)
    collector.end(replace(end, seconds=0.4, last_settled=(), last_events=()))
    empty = collector.findings()
    media = Media("gone.mp4", "gone.mp4", False)
    (tmp_path / "empty.html").write_text(render_page(empty, media))
    short, hour = make_findings(20), range(3600)
    long = replace(
        short,
        end=replace(short.end, seconds=3600.0),
        seconds=tuple({**short.seconds[k % 20], "index": k, "start_s": k, "end_s": k + 1} for k in hour),
        looks={k: short.looks[k % 20] for k in hour},
        waveform=short.waveform * 180,
    )
    (tmp_path / "long.html").write_text(render_page(long, media))
    with chromium(tmp_path / "profile") as browser:
        for name in ("empty", "long"):
            browser.get((tmp_path / f"{name}.html").as_uri())
            eventually(
                lambda: browser.execute_script("return document.readyState") == "complete", name, WAIT_S
            )
            bad = [
                e
                for e in browser.get_log("browser")
                if e["level"] == "SEVERE" and "gone.mp4" not in e["message"]
            ]
            assert bad == []


def test_every_option_that_changes_what_is_found_is_part_of_the_settings() -> None:
    """A recording done without `--veto` is not done with it; where results go changes nothing."""
    plain = config_from({})
    deciding = {
        "veto": 1.5, "enter": 0.6, "frames": "4", "profile": "paper", "calibration": "none", "settle": 5,
        "classes": ("Bark",), "brief": 0.9,
    }  # fmt: skip
    prints = {name: fingerprint(config_from({name: value}), "1") for name, value in deciding.items()}
    assert len({*prints.values(), fingerprint(plain, "1")}) == len(deciding) + 1
    assert {key.path for key in keys() if key.option.affects != "start"} >= set(deciding)
    for name, value in {"name": "door", "webhook.url": "http://h/", "threads": 2, "no_ui": True}.items():
        assert fingerprint(config_from({name: value}), "1") == fingerprint(plain, "1")
    assert fingerprint(plain, "2") != fingerprint(plain, "1")
