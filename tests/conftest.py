"""What holds for every test."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from support.peers import Mosquitto
    from support.pulse import PulseServer

# A shell starts background jobs with SIGINT ignored, and children would inherit that: tests that interrupt a
# program of ours need it as it is in a terminal.
signal.signal(signal.SIGINT, signal.default_int_handler)
# How long an example takes says how busy the machine is.
settings.register_profile("here", deadline=None)
settings.load_profile("here")


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """A running MQTT broker of the test's own."""
    from support.peers import Mosquitto

    running = Mosquitto(tmp_path)
    running.start()
    yield running
    running.kill()


@pytest.fixture(scope="session")
def _chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from support.browser import chromium

    with chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture
def browser(_chromium: Any) -> Iterator[Any]:
    """A browser on an empty page, with nothing in its log; one process serves many tests.

    What a page before still asked for may stand among its requests: who counts those starts one alone.
    """
    _chromium.get("about:blank")
    _chromium.get_log("browser")
    yield _chromium
    _chromium.get("about:blank")


@pytest.fixture
def handlers() -> Iterator[None]:
    """The test runner's signal handlers come back after a command that installs its own."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="module")
def pulse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PulseServer]:
    """A sound server of the module's own, which this process's PortAudio meets."""
    from avel_live.realtime.sources import portaudio
    from support.pulse import PulseServer, environment

    folder = Path(tmp_path_factory.mktemp("pulse"))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment(folder).items():
            patch.setenv(name, value)
        server = PulseServer(folder)
        portaudio.rescan()
        try:
            yield server
        finally:
            server.kill()
    portaudio.rescan()
