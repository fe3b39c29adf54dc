"""What the pages say is so: links lead somewhere, commands and flags exist, figures' scripts are there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from avel_live.realtime.commands import COMMANDS, load
from avel_live.realtime.config.keys import keys
from avel_live.realtime.config.load import _OTHER_ENV, load_config
from avel_live.realtime.core.messages import Status
from avel_live.realtime.sinks.records import end_records, hop_records, start_record, status_record
from support.stream import make_start, make_stream

ROOT = Path(__file__).resolve().parents[1]
SKIPPED = {".git", ".venv", "venv", "out", "runs", "build", "node_modules", ".mypy_cache", ".pytest_cache"}


def pages() -> list[Path]:
    """Every Markdown file of ours."""
    found = (Path(folder) / name for folder, dirs, names in walk() for name in names if name.endswith(".md"))
    return sorted(path.relative_to(ROOT) for path in found)


def walk() -> Iterator[tuple[str, list[str], list[str]]]:
    for folder, dirs, names in os.walk(ROOT):
        dirs[:] = [d for d in dirs if d not in SKIPPED and not d.endswith(".egg-info")]
        yield folder, dirs, names


PAGES = pages()


def text_of(page: Path) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def prose(page: Path) -> str:
    """Without code blocks."""
    return re.sub(r"^```.*?^```", "", text_of(page), flags=re.M | re.S)


def anchors(path: Path) -> set[str]:
    """What headings can be linked to as."""
    titles = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_there_are_pages() -> None:
    named = {page.as_posix() for page in PAGES}
    rooms = ("sources", "events", "sinks", "config", "deploy", "recordings", "ui", "examples")
    assert {"README.md", "model/README.md", "calibration/README.md", "findings/README.md"} < named
    assert {f"realtime/{room}/README.md" for room in rooms} < named


def test_the_first_page_is_short() -> None:
    lines = text_of(Path("README.md")).splitlines()
    assert len(lines) <= 110
    assert len(" ".join(lines).split()) <= 900


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", prose(page))
    links += re.findall(r"(?:src|srcset|href)=\"([^\"]+)\"", prose(page))
    for link in links:
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (ROOT / page).parent / name if name else ROOT / page
        assert target.exists(), f"{page}: {link}"
        assert not anchor or anchor in anchors(target), f"{page}: {link}"


# Commands ----------------------------------------------------------------------------------------------


@cache
def parameters(words: tuple[str, ...]) -> tuple[set[str], int]:
    """The flags of the command that begins with these words, and how many of them name it."""
    if words[0] == "avel-live":
        return flags(load("live")), 1
    if len(words) == 1 or words[1].startswith("-"):
        return {"--help", "--version"}, 1
    assert words[1] in COMMANDS, f"no such command: {' '.join(words[:2])}"
    command, depth = load(words[1]), 2
    if words[1] == "teach" and len(words) > 2 and words[2].startswith('"'):  # a class of the reader's own
        command, depth = command.commands["NAME"], 3
    while (
        hasattr(command, "commands")
        and len(words) > depth
        and re.fullmatch(r"[a-z0-9][a-z0-9-]*", words[depth])
    ):
        assert words[depth] in command.commands, f"no such command: {' '.join(words[: depth + 1])}"
        command, depth = command.commands[words[depth]], depth + 1
    return flags(command), depth


def flags(command: Any) -> set[str]:
    given = {flag for p in command.params for flag in (*p.opts, *p.secondary_opts) if flag.startswith("-")}
    return given | {"--help"}


@cache
def every_flag() -> set[str]:
    """Of all our commands, and of the scripts beside the tests."""
    found: set[str] = set()

    def collect(command: Any) -> None:
        found.update(flags(command))
        for inner in getattr(command, "commands", {}).values():
            collect(inner)

    for name in COMMANDS:
        collect(load(name))
    for script in (ROOT / "tests" / "bench").glob("*.py"):
        found.update(re.findall(r"\"(--[a-z-]+)\"", script.read_text(encoding="utf-8")))
    return found


def said(page: Path) -> list[str]:
    """Command lines of ours: in blocks, and in the text."""
    blocks = re.findall(r"^```(?:sh|bash)\n(.*?)^```", text_of(page), re.M | re.S)
    pieces = [re.sub(r"\s#.*", "", line) for block in blocks for line in block.splitlines()]
    pieces += re.findall(r"`([^`\n]+)`", prose(page))
    # A command ends at a pipe, a semicolon, a redirection.
    found = [re.search(r"(?:^|[\s/])(avel(?:-live)? [^|;&>]*|avel(?:-live)?$)", piece) for piece in pieces]
    return [match[1].strip() for match in found if match]


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_command_and_flag_exists(page: Path) -> None:
    for line in said(page):
        words = tuple(line.split())
        known, _ = parameters(words)
        for flag in re.findall(r"(?<!\S)(--?[a-z][a-z0-9-]*)", line):
            assert flag in known or flag in ("-m",), f"{page}: {line}: no flag {flag}"
    lone = [code for code in re.findall(r"`([^`\n]+)`", prose(page)) if code.startswith("--")]
    for code in lone:
        for flag in re.findall(r"--[a-z][a-z-]*", code):
            assert flag in every_flag(), f"{page}: no flag {flag}"


def test_commands_are_found_in_the_pages() -> None:
    """The reader above reads: it knows what is there, and finds what is not."""
    assert len([line for page in PAGES for line in said(page)]) > 40
    with pytest.raises(AssertionError, match="no such command: avel calibrate colour"):
        parameters(("avel", "calibrate", "colour"))
    assert "--speed" in parameters(("avel-live",))[0]
    assert "--sped" not in every_flag()


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_script_and_test_that_is_named_is_there(page: Path) -> None:
    text = text_of(page)
    for name in re.findall(r"(?:python|pytest|bash) ((?:[\w.-]+/)+[\w.-]+)", text):
        assert (ROOT / name).exists() or name.endswith("NAME.sh"), f"{page}: {name}"
    places = ((ROOT / page).parent, ROOT, ROOT / "realtime", ROOT / "model", ROOT / "tests")
    for name in re.findall(r"`((?:[\w-]+/)*[\w-]+\.py)`", prose(page)):
        if page.name != "CHANGELOG.md" and not name.startswith("my_"):
            assert any((place / name).is_file() for place in places), f"{page}: {name}"


def test_the_journey_is_true() -> None:
    """At most eight files; each exists and makes, or hands on, what is said to leave it."""
    table = text_of(Path("realtime/README.md")).partition("## A frame's journey")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| \d \| `([^`]+)` \| .* \| (.*) \|$", table, re.M)
    assert 5 <= len(rows) <= 8
    for name, leaves in rows:
        source = ROOT / "realtime" / name.removesuffix("…")
        code = source.read_text() if source.is_file() else "".join(p.read_text() for p in source.glob("*.py"))
        for form in re.findall(r"`(\w+)`", leaves):
            maker = re.sub(r"(?<!^)(?=[A-Z])", "_", form).lower()  # TimedFrame, or timed_frame that makes it
            assert form in code or maker in code, f"{form} does not leave {name}"


def test_the_records_have_the_fields_that_the_page_names() -> None:
    """Every field of schema 1, and no other."""
    start, hops, end = make_stream(25)
    live = make_start(wall_clock=0.0)
    made = [start_record(start), start_record(live), *end_records(end, start.labels)]
    made += [record for hop in hops for record in hop_records(hop, start.labels)]
    made.append(status_record(Status("camera", "lost", "unplugged", 0)))
    made.append(status_record(Status("machine", "running", "clock set", 0, wall_clock=0.0)))
    fields: dict[str, set[str]] = {}
    for record in made:
        named = {name: value for name, value in record.items() if name not in ("tracks", "lost")}
        inner = [key for value in named.values() if isinstance(value, dict) for key in value]
        fields.setdefault(record["type"], set()).update({*record, *inner} - {"type"})
    table = text_of(Path("realtime/sinks/README.md")).partition("## JSON lines, schema 1")[2]
    rows = dict(re.findall(r"^\| `(\w+)` \| (?!when)[^|]* \| (.*) \|$", table, re.M))
    assert {name: set(re.findall(r"`(\w+)`", row)) for name, row in rows.items()} == fields


def test_every_environment_variable_exists() -> None:
    known = {key.env for key in keys()} | _OTHER_ENV
    code = "".join(p.read_text(encoding="utf-8") for top in ("tests", ".ci") for p in (ROOT / top).rglob("*")
                   if p.suffix in (".py", "") and p.is_file())  # fmt: skip
    for page in PAGES:
        for name in re.findall(r"\bAVEL_[A-Z_]*[A-Z]", text_of(page)):
            assert name in known or (page.parts[0] == "tests" and name in code), f"{page}: {name}"


def test_every_key_in_a_file_that_is_shown_exists(tmp_path: Path) -> None:
    blocks = [b for p in PAGES for b in re.findall(r"^```toml\n(.*?)^```", text_of(p), re.M | re.S)]
    assert blocks
    for block in blocks:
        (tmp_path / "avel.toml").write_text(block, encoding="utf-8")
        load_config({}, path=tmp_path / "avel.toml", environ={})


def test_findings_have_their_form() -> None:
    """Pinned packages, no line of ours, what was guessed and seen; they run by hand, so they can be run."""
    for script in sorted((ROOT / "findings").glob("*.sh")):
        text = script.read_text(encoding="utf-8")
        assert text.startswith("#!/usr/bin/env bash\n"), script.name
        assert os.access(script, os.X_OK), f"{script.name} is not executable"
        assert "avel" not in text, f"{script.name} knows us"
        assert "pip install" not in text or "==" in text, f"{script.name}: a version is pinned as ==x.y.z"


# The API reference -------------------------------------------------------------------------------------


def test_the_api_reference_is_made_without_a_warning(tmp_path: Path) -> None:
    environ = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", str(ROOT / ".ci" / "docs"), str(tmp_path / "api")],
        env=environ, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    page = (tmp_path / "api" / "avel_live.html").read_text(encoding="utf-8")
    for name in ("open", "Localizer.push", "Event.kind", "Sink.hop", "Source.read", "DecoderConfig.settle"):
        assert f'id="{name}"' in page
