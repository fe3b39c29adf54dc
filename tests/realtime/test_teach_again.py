"""Another eye or ear: which classes must be taught again is said, and they are, from what is still there."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from avel_live.model.files import SHIPPED
from avel_live.model.teach.pack import Pack, installed, load, save
from avel_live.realtime.commands import live_main
from avel_live.realtime.commands.teach.material import Material, Small, has_material, stored
from avel_live.realtime.core.messages import Segment
from safetensors.numpy import load_file, save_file
from support.called import avel
from support.taught import noise, recording, ringing

pytestmark = pytest.mark.usefixtures("handlers")


@pytest.fixture(scope="module")
def newer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another ear: the shipped one with every number a thousandth off."""
    from safetensors import safe_open

    shipped = SHIPPED / "lite_audio.safetensors"
    rng = np.random.default_rng(0)
    arrays = {
        name: (value * rng.normal(1, 1e-3, value.shape)).astype(value.dtype)
        if value.dtype.kind == "f"
        else value
        for name, value in load_file(shipped).items()
    }
    with safe_open(shipped, framework="numpy") as file:
        metadata = file.metadata()
    path = tmp_path_factory.mktemp("newer") / "ear.safetensors"
    save_file(arrays, path, metadata)
    return path


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Rings, a minute of the place in which nothing rings, and where they are found."""
    monkeypatch.setenv("AVEL_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    for k in range(3):
        recording(tmp_path / f"ring{k}.wav", (ringing(1, 0.97 + 0.03 * k, 0.2) + noise(1, -50, k), None))
    recording(tmp_path / "place.wav", *((noise(12, -60 + 5 * k, 50 + k), None) for k in range(6)))
    quiet, ring = noise(2, -50, 8), ringing(2, 1.01, 0.25) + noise(2, -50, 9)
    recording(tmp_path / "day.wav", (quiet, None), (ring, None), (quiet, None))
    return tmp_path


def taught(home: Path, *flags: str) -> Pack:
    rings = sorted(home.glob("ring?.wav"))
    assert avel("teach", "Ring", *rings, "--heard", "--background", home / "place.wav", *flags) == 0
    (path,) = installed()
    return load(path)


def rung(home: Path, newer: Path, capsys: pytest.CaptureFixture[str]) -> list[int]:
    """Seconds of the day at which it rings, live, for the other ear."""
    capsys.readouterr()
    args = ["--file", home / "day.wav", "--audio-weights", newer, "--fast", "--json"]
    assert avel(*args, entry=live_main) == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    found = [r for r in records if r["type"] == "event" and r["event"] == "end" and r["label"] == "Ring"]
    return [second for r in found for second in range(int(r["start_s"]), int(r["end_s"]))]


def test_a_class_of_another_ear_is_named_and_taught_again_from_its_files_or_from_what_it_keeps(
    home: Path, newer: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = taught(home, "--keep")
    assert has_material(old.kept)
    assert avel("teach", "list") == 0
    assert "another eye or ear" not in capsys.readouterr().out
    assert avel("teach", "list", "--audio-weights", newer) == 0
    assert f"avel teach again {old.card.id}" in capsys.readouterr().out
    assert rung(home, newer, capsys) == [], "it was taught with another ear"
    # Two of the examples are there; the third, and the place, are in the class alone.
    (home / "ring2.wav").unlink()
    (home / "place.wav").unlink()
    assert avel("teach", "again", "--audio-weights", newer) == 0
    (path,) = installed()
    new = load(path)
    assert new.card.senses != old.card.senses
    assert (new.card.id, new.card.made, new.card.name) == (old.card.id, old.card.made, "Ring")
    assert new.card.false_alarms_per_hour == old.card.false_alarms_per_hour
    assert [name.split()[0] for name in new.card.examples] == ["ring0.wav", "ring1.wav", "ring2.wav"]
    assert rung(home, newer, capsys) == [2, 3]
    # What it keeps, it keeps on keeping: now nothing is there but the class.
    for file in home.glob("ring?.wav"):
        file.unlink()
    assert avel("teach", "again", "Ring") == 0
    (path,) = installed()
    again = load(path)
    assert again.card.senses == old.card.senses
    assert len(again.kept["second_of"]) == len(old.kept["second_of"])
    assert again.card.found == 3
    capsys.readouterr()
    assert avel("teach", "again") == 0
    assert "every taught class fits" in capsys.readouterr().out


def test_where_nothing_is_left_to_teach_from_the_class_stays_and_one_line_says_so(
    home: Path, newer: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    taught(home)
    (path,) = installed()
    before = path.read_bytes()
    (home / "ring0.wav").unlink()
    capsys.readouterr()
    assert avel("teach", "again", "--audio-weights", newer) == 2
    error = capsys.readouterr().err.strip()
    assert "Ring: 1 of its examples are gone (ring0.wav), and it was taught without --keep" in error
    assert path.read_bytes() == before


def test_what_is_handed_on_holds_neither_pictures_nor_sounds_nor_paths(home: Path) -> None:
    pack = taught(home, "--keep")
    assert pack.card.sources[0][0] == str(home / "ring0.wav")
    assert pack.card.background == [str(home / "place.wav")]
    assert avel("teach", "export", "Ring", home / "ring.avel-class") == 0
    given = load(home / "ring.avel-class")
    assert (given.card.sources, given.card.background) == ([], [])
    assert not has_material(given.kept)
    assert set(given.kept) == {"of", "audio", "own_audio"}
    assert str(home) not in (home / "ring.avel-class").read_bytes().decode("latin-1")


def test_a_rule_needs_nothing_to_be_made_again(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert avel("teach", "Bell", "--define", "--hears", "Bell") == 0
    (path,) = installed()
    rule = load(path)
    assert avel("teach", "again", "Bell") == 0
    assert load(path).card == rule.card


def test_small_seconds_come_back_as_they_were() -> None:
    rng = np.random.default_rng(0)
    smooth = np.linspace(0, 200, 224).astype(np.uint8)
    frames = np.stack([np.stack([np.roll(smooth, 30 * k)] * 224)[..., None].repeat(3, 2) for k in range(4)])
    sound = rng.normal(0, 0.1, 16_000).astype(np.float32)
    full = Segment(0, 0, 10**9, frames, np.full(4, 0.25, np.float32), sound, 1.0, True, True)
    deaf = Segment(1, 10**9, 2 * 10**9, frames, np.full(4, 0.25, np.float32), 0 * sound, 0.0, True, False)
    material = Material()
    material.example(0, full)
    material.example(1, deaf)
    for _ in range(400):
        material.background(full)
    rows = list(stored(material.arrays()))
    assert [of for of, _, _ in rows[:3]] == [0, 1, -1]
    assert len(rows) - 2 == 90
    _, seen, heard = rows[0]
    assert seen is not None
    assert heard is not None
    # The two of four that the eye looks at.
    assert np.abs(seen.astype(int) - frames[[1, 3]].astype(int)).mean() < 3
    assert np.abs(heard - sound).max() < 1e-4
    assert rows[1][2] is None
    assert len(Small.of(deaf).pictures) == 2


def test_a_damaged_store_is_one_line(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pack = taught(home, "--keep")
    (path,) = installed()
    save(Pack(pack.card, pack.probes, {**pack.kept, "second_of": pack.kept["second_of"][:-1]}), path)
    for file in home.glob("ring?.wav"):
        file.unlink()
    capsys.readouterr()
    assert avel("teach", "again", "Ring") == 2
    assert "what the class keeps is damaged" in capsys.readouterr().err
