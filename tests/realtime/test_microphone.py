"""The microphone: its ring, its callback, its recovery on a fake stream; choosing devices by name."""

from __future__ import annotations

import builtins
import sys
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from avel_live.realtime.core.clock import SystemClock
from avel_live.realtime.core.errors import SourceError
from avel_live.realtime.core.messages import AudioBlock
from avel_live.realtime.sources import portaudio
from avel_live.realtime.sources.detectors import SilenceDetector
from avel_live.realtime.sources.health import HealthOptions
from avel_live.realtime.sources.microphone import MicOptions, Microphone
from avel_live.realtime.sources.pcmring import PcmRing
from avel_live.realtime.sources.portaudio import InputDevice, find_device, looks_like_monitor
from hypothesis import given
from hypothesis import strategies as st
from support.devices import FakeMicrophones, FakeStream, States, wait_for

QUICK = HealthOptions(
    stall_after_s=0.3, lose_after_s=0.6, open_timeout_s=1.0, backoff_s=0.02, backoff_max_s=0.1
)


class Rig:
    def __init__(self, **options: Any) -> None:
        self.devices, self.states = FakeMicrophones(), States()
        self.blocks: list[AudioBlock] = []
        self.microphone = Microphone(
            MicOptions(**options),
            SystemClock(),
            self.blocks.append,
            self.states,
            QUICK,
            self.devices,
            self.devices.rescan,
        )
        self._stop = threading.Event()
        self.speaking = threading.Event()

    @property
    def stream(self) -> FakeStream:
        return self.devices.opened[-1]

    def begin(self) -> None:
        """Watch, and deliver a block every 10 ms to whatever stream is open, while `speaking`."""
        self.speaking.set()

        def loop() -> None:
            k = 0
            while not self._stop.wait(0.01):
                k += 1
                if k % 5 == 0:
                    self.microphone.watch()
                if self.speaking.is_set() and self.stream.active:
                    self.stream.deliver(self.devices.rate // 100)

        self.microphone.start()
        threading.Thread(target=loop, daemon=True).start()

    def reaches(self, *states: str) -> None:
        def passed() -> bool:
            seen = iter(self.states.states)
            return all(any(s == wanted for s in seen) for wanted in states)

        wait_for(passed, f"states {states}")

    def close(self) -> None:
        self._stop.set()
        self.microphone.close()


@pytest.fixture
def rig() -> Iterator[Rig]:
    rig = Rig()
    yield rig
    rig.close()


def test_blocks_are_mono_and_counted(rig: Rig) -> None:
    rig.begin()
    wait_for(lambda: len(rig.blocks) > 5, "blocks")
    assert [b.first_sample for b in rig.blocks[:4]] == [0, 480, 960, 1440]
    np.testing.assert_allclose(rig.blocks[0].samples, 0.35)  # mean of 0.1 and 0.6
    assert rig.blocks[0].rate == 48_000


def test_one_channel_can_be_chosen() -> None:
    rig = Rig(channel=2)
    rig.begin()
    wait_for(lambda: rig.blocks, "blocks")
    rig.close()
    np.testing.assert_allclose(rig.blocks[0].samples, 0.6, rtol=1e-6)


def test_overflow_is_marked_on_the_block_after_it(rig: Rig) -> None:
    rig.begin()
    wait_for(lambda: rig.blocks, "blocks")
    rig.speaking.clear()
    rig.stream.deliver(480, overflow=True)
    rig.stream.deliver(480)
    wait_for(lambda: rig.microphone.overflows == 1, "overflow")
    wait_for(lambda: not rig.blocks[-1].overflow, "block after it")
    assert sum(b.overflow for b in rig.blocks) == 1


def test_a_stream_that_ends_is_reopened_after_a_rescan_at_the_rate_it_has_then(rig: Rig) -> None:
    rig.begin()
    rig.reaches("running")
    rig.devices.absent = True
    rig.stream.die()
    rig.reaches("running", "lost", "recovering", "lost")
    rig.devices.absent, rig.devices.rate = False, 44_100
    rig.reaches("running", "lost", "recovering", "running")
    wait_for(lambda: rig.blocks[-1].epoch == 1, "new epoch")
    last = rig.blocks[-1]
    assert last.rate == 44_100
    assert next(b.first_sample for b in rig.blocks if b.epoch == 1) == 0
    assert rig.devices.rescans >= 2
    assert rig.devices.known[0] is None
    assert set(rig.devices.known[1:]) == {"USB microphone"}
    assert rig.devices.opened[0].closed
    assert rig.states.said("came back as USB microphone at 44100 Hz, was USB microphone at 48000 Hz")


def test_a_stream_that_falls_silent_is_a_stall_then_reopened(rig: Rig) -> None:
    """PortAudio raises nothing and `active` stays true: only the age of the data tells."""
    rig.begin()
    rig.reaches("running")
    rig.speaking.clear()
    rig.reaches("running", "stalled", "lost", "recovering")
    rig.speaking.set()
    rig.reaches("running", "stalled", "lost", "recovering", "running")


def test_a_stream_that_opens_and_never_delivers_is_reopened() -> None:
    rig = Rig()
    rig.begin()
    rig.speaking.clear()
    rig.reaches("lost", "recovering")
    rig.close()
    assert rig.devices.opened[0].closed


def test_no_rescan_while_a_stream_is_open() -> None:
    portaudio.opened()
    try:
        assert portaudio.rescan() is False
    finally:
        portaudio.closed()
    assert portaudio.rescan() is True


def test_digital_zeros_are_said() -> None:
    rig = Rig(silent_after_s=0.05)
    rig.devices.channels = 1
    rig.begin()
    rig.reaches("running")
    rig.speaking.clear()
    for _ in range(10):
        rig.stream.deliver(480, value=None)
    wait_for(lambda: rig.states.said("only digital zeros"), "message")
    rig.speaking.set()
    wait_for(lambda: rig.states.said("sound again"), "message")
    rig.close()


def test_quiet_is_not_silence() -> None:
    detector = SilenceDetector(16_000, 1.0)
    quiet = np.full(1600, 3e-5, np.float32)  # one step of a 16-bit converter
    assert all(detector.look(quiet) is None for _ in range(100))


# Choosing a device.

DEVICES = [
    InputDevice(0, "HDA Intel PCH: ALC257 Analog (hw:0,0)", "ALSA", 2, 44_100),
    InputDevice(2, "USB PnP Sound Device: Audio (hw:1,0)", "ALSA", 1, 48_000),
    InputDevice(3, "USB PnP Sound Device: Audio (hw:2,0)", "ALSA", 1, 48_000),
    InputDevice(5, "pulse", "ALSA", 32, 44_100, default=True),
]


@pytest.mark.parametrize(
    ("spec", "index"), [("default", 5), ("2", 2), ("alc257", 0), ("hw:2,0", 3), ("pulse", 5), ("PULSE", 5)]
)
def test_devices_are_found(spec: str, index: int) -> None:
    assert find_device(spec, DEVICES).index == index


def test_an_ambiguous_name_lists_the_candidates() -> None:
    with pytest.raises(SourceError, match=r"ambiguous: 2: USB.*hw:1,0.*; 3: USB.*hw:2,0.*more of the name"):
        find_device("usb", DEVICES)


def test_an_unknown_name_or_index_lists_what_there_is() -> None:
    for spec in ("Røde", "7"):
        with pytest.raises(SourceError, match=r"there are: 0: HDA Intel.*5: pulse"):
            find_device(spec, DEVICES)


def test_no_device_at_all_says_where_to_look() -> None:
    with pytest.raises(SourceError, match=r"no sound input.*usermod -aG audio.*avel doctor"):
        find_device("default", [])


def test_monitors_are_recognised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULSE_SOURCE", "alsa_output.hdmi.monitor")
    assert looks_like_monitor(InputDevice(0, "Monitor of Built-in Audio", "PulseAudio", 2, 44_100))
    assert looks_like_monitor(DEVICES[3]) == "alsa_output.hdmi.monitor"
    monkeypatch.setenv("PULSE_SOURCE", "alsa_input.usb")
    assert looks_like_monitor(DEVICES[3]) is None
    assert looks_like_monitor(DEVICES[1]) is None


def test_missing_portaudio_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def fail(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "sounddevice":
            raise OSError("PortAudio library not found")
        return real(name, *args, **kwargs)

    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr(builtins, "__import__", fail)
    with pytest.raises(SourceError, match="sudo apt install libportaudio2"):
        portaudio.input_devices()


# The ring.


@given(
    capacity=st.integers(1, 64),
    steps=st.lists(st.one_of(st.integers(1, 40), st.just("read")), max_size=60),
    channels=st.integers(1, 3),
)
def test_ring_never_mixes_never_doubles_and_counts_what_it_drops(
    capacity: int, steps: list[Any], channels: int
) -> None:
    ring = PcmRing(capacity, channels)
    counter = dropped = unread = 0
    expected: list[tuple[int, int, int]] = []
    seen: list[tuple[int, int, int]] = []

    def read() -> None:
        for first, t_ns, overflow, data in ring.read():
            assert not overflow
            np.testing.assert_array_equal(data[:, 0], np.arange(first, first + len(data)))
            assert data.shape[1] == channels
            seen.append((first, t_ns, len(data)))

    for step in steps:
        if step == "read":
            read()
            unread = 0
        else:
            data = np.repeat(np.arange(counter, counter + step, dtype=np.float32)[:, None], channels, 1)
            ring.write(data, counter * 10, False)
            if unread + step > capacity:
                dropped += step
            else:
                expected.append((counter, counter * 10, step))
                unread += step
            counter += step
    read()
    assert seen == expected
    assert ring.dropped == dropped


def test_ring_between_two_threads() -> None:
    ring = PcmRing(4096, 1)
    total, seen = 200_000, []
    done = threading.Event()

    def write() -> None:
        k = 0
        while k < total:
            n = min(97, total - k)
            before = ring.dropped
            ring.write(np.arange(k, k + n, dtype=np.float32)[:, None], k, False)
            assert ring.dropped in (before, before + n)
            k += n
        done.set()

    thread = threading.Thread(target=write)
    thread.start()
    end = 0
    while not done.is_set() or ring._records_written != ring._records_read:
        for first, _, _, data in ring.read():
            assert first >= end
            np.testing.assert_array_equal(data[:, 0], np.arange(first, first + len(data), dtype=np.float32))
            end = first + len(data)
            seen.append(len(data))
    thread.join()
    assert sum(seen) + ring.dropped == total
