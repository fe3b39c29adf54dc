"""Twenty minutes in which nothing happens that has a name: the open world, made up as a test reads it.

Five kinds of four minutes each, in scenes of twenty seconds. Where the material knows sounds and pictures
that no training may touch, those are taken. Everything is drawn by one seed.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from avel_live.model.training.lite.audio_data import decode
from avel_live.realtime.core.messages import SAMPLE_RATE, EndOfStream, SourceInfo, TimedAudio, TimedFrame
from avel_live.realtime.sources.account import Account

NS = 1_000_000_000
SCENE_S = 20
SCENES = 12
FPS = 4

# What can be heard in a room where nothing happens; frying pans and cooking that sounds like them left out.
ROOM_NOTES = {"fridge", "microwave", "book", "drawer", "cupboard", "plates", "cutlery", "sweep"}
INSTRUMENT_NOTES = {"Saxophone", "Clarinet", "Cello", "Double_bass", "trombone", "french horn", "clarinet"}
INSTRUMENT_PICTURES = {"saxophone", "grand_piano"}

Wave = np.ndarray
Scene = tuple[np.ndarray, Wave]
"""A picture [224, 224, 3] uint8 and [SCENE_S · 16000] float32."""


def _rows(folder: Path, want: Callable[[dict[str, str]], bool]) -> list[Path]:
    with (folder / "MANIFEST.tsv").open(newline="", encoding="utf-8") as file:
        return [folder / row["file"] for row in csv.DictReader(file, delimiter="\t") if want(row)]


class Nothing:
    """Scenes without any of the 28 events, from a folder laid out like the training data."""

    def __init__(self, data: Path, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        audio, photos = data / "audio", data / "photos"
        self.rooms_heard = _rows(audio, lambda r: r["class"] == "_bg" and r["note"] in ROOM_NOTES)
        self.instruments = _rows(audio, lambda r: r["class"] == "_bg" and r["note"] in INSTRUMENT_NOTES)
        self.things = _rows(
            photos, lambda r: r["class"] == "_bg" and r["licence"].startswith("ImageNet")
        ) or _rows(photos, lambda r: r["class"] == "_bg")
        self.faces = _rows(photos, lambda r: r["class"] == "_person")
        self.players = _rows(photos, lambda r: r["class"] == "_bg" and r["note"] in INSTRUMENT_PICTURES)
        self.kinds: dict[str, Callable[[], Scene]] = {
            "silence": self.silence,
            "noise": self.noise,
            "other instruments": self.music,
            "silent faces": self.face,
            "empty rooms": self.room,
        }

    def _picture(self, files: list[Path]) -> np.ndarray:
        file = files[self.rng.integers(len(files))]
        image = cv2.imread(str(file))
        assert image is not None, file
        return np.asarray(cv2.resize(image, (224, 224), interpolation=cv2.INTER_AREA)[..., ::-1], np.uint8)

    def _sound(self, files: list[Path]) -> Wave:
        """Recordings one after the other, with pauses, at the level of a room or of a player in it."""
        out = np.zeros(SCENE_S * SAMPLE_RATE, np.float32)
        at = 0
        while at < len(out):
            wave = decode(files[self.rng.integers(len(files))]).astype(np.float32) / 32768.0
            wave *= 10 ** (self.rng.uniform(-30, -6) / 20) / (np.abs(wave).max() + 1e-6)
            piece = wave[: len(out) - at]
            out[at : at + len(piece)] += piece
            at += len(wave) + int(self.rng.uniform(0, 1.5) * SAMPLE_RATE)
        return out + self._hiss(-60)

    def _hiss(self, dbfs: float) -> Wave:
        return self.rng.normal(0, 10 ** (dbfs / 20), SCENE_S * SAMPLE_RATE).astype(np.float32)

    def silence(self) -> Scene:
        """Anything but people and players, digital silence or a converter's hiss."""
        sound = self._hiss(self.rng.uniform(-90, -55)) if self.rng.random() < 0.7 else self._hiss(-200)
        return self._picture(self.things), sound

    def noise(self) -> Scene:
        """White to brown noise or mains hum; a covered lens or a thing."""
        n = SCENE_S * SAMPLE_RATE
        f = np.fft.rfftfreq(n, 1 / SAMPLE_RATE) + 1.0
        spectrum = np.fft.rfft(self.rng.normal(size=n)) / f ** self.rng.uniform(0, 1.0)
        sound = np.fft.irfft(spectrum, n)
        if self.rng.random() < 0.3:
            t = np.arange(n) / SAMPLE_RATE
            sound = sum(np.sin(2 * np.pi * 50 * k * t) / k for k in range(1, 8)) + sound / sound.std() * 0.1
        sound = sound / sound.std() * 10 ** (self.rng.uniform(-45, -15) / 20)
        dark = np.full((224, 224, 3), self.rng.integers(0, 30), np.uint8)
        picture = dark if self.rng.random() < 0.3 else self._picture(self.things)
        return picture, np.clip(sound, -1, 1).astype(np.float32)

    def music(self) -> Scene:
        """Instruments that are none of the 28, in view or not."""
        seen = self.players if self.players and self.rng.random() < 0.6 else self.things
        return self._picture(seen), self._sound(self.instruments)

    def face(self) -> Scene:
        """Someone who says nothing, in a still or a working room."""
        return self._picture(self.faces), self._sound(self.rooms_heard)

    def room(self) -> Scene:
        """Nobody there."""
        return self._picture(self.things), self._sound(self.rooms_heard)

    def scenes(self) -> Iterator[Scene]:
        """All of them, kind after kind."""
        for make in self.kinds.values():
            for _ in range(SCENES):
                yield make()

    def kind_at(self, second: float) -> str:
        """Which kind of nothing is on at that time."""
        names = list(self.kinds)
        return names[min(len(names) - 1, int(second // (SCENE_S * SCENES)))]


class NothingSource:
    """Those scenes as a file's stream, made as they are read; pictures carry a sensor's noise and shake."""

    def __init__(self, nothing: Nothing) -> None:
        self.nothing = nothing
        self.seconds = SCENE_S * SCENES * len(nothing.kinds)
        self.info = SourceInfo("nothing", "file", "made up", "made up", duration_s=float(self.seconds))
        self.account = Account()
        self.dropped = 0
        self.behind_ns = 0
        self.skew_ms = None
        self.drift_ppm = None
        self._items = self._make()

    def _make(self) -> Iterator[TimedFrame | TimedAudio]:
        rng = np.random.default_rng(1)
        for number, (picture, sound) in enumerate(self.nothing.scenes()):
            for second in range(SCENE_S):
                now = number * SCENE_S + second
                start = second * SAMPLE_RATE
                yield TimedAudio(now * SAMPLE_RATE, sound[start : start + SAMPLE_RATE])
                for k in range(FPS):
                    moved = np.roll(picture, tuple(rng.integers(-2, 3, size=2)), (0, 1)).astype(np.int16)
                    noisy = moved + rng.integers(-6, 7, size=moved.shape, dtype=np.int16)
                    yield TimedFrame(now * NS + k * NS // FPS, np.clip(noisy, 0, 255).astype(np.uint8))

    def open(self) -> None: ...

    def read(self, timeout_s: float) -> object:
        return next(self._items, EndOfStream(self.seconds * NS))

    def stream_now_ns(self) -> int | None:
        return None

    def close(self) -> None: ...
