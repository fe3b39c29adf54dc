"""Whoever fetches weights at a terminal sees how far that is; a log file is spared."""

from __future__ import annotations

import io

import pytest
from avel_live.model import downloads
from avel_live.model.downloads import PublicFile
from avel_live.realtime.commands import _run, fetching
from rich.console import Console

ITEM = PublicFile("net.bin", "http://127.0.0.1:9/net.bin", "sha256:00", "a network, int8")


@pytest.mark.parametrize("terminal", [True, False])
def test_a_bar_at_a_terminal_and_nothing_elsewhere(terminal):
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=terminal, width=100)
    with fetching.bar(ITEM, console) as progress:
        progress(2_500_000, 10_000_000)
    text = screen.getvalue()
    assert ("fetching a network, int8" in text) == terminal
    assert ("2.5/10.0 MB" in text) == terminal


def test_every_command_draws_it():
    seen = []
    before = downloads._watch
    with pytest.raises(SystemExit) as ended:
        _run(lambda given: seen.append(downloads._watch), [])
    assert ended.value.code == 0
    assert seen == [fetching.bar]
    assert downloads._watch is before
