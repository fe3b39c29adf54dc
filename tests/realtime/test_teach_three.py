"""Three events that AVE has no class of, taught live through a camera and a microphone, then heard live.

A rooster and a sneeze by ear (ESC-10, CC-BY 3.0, K. J. Piczak, clips of Freesound), a saxophone by ear and
eye (sounds of FSDKaggle2018, CC0 and CC-BY 3.0; photographs of Caltech-101, CC-BY 4.0 by its record). All of
it lies beside the checkout and is none of the project's; `MANIFEST.tsv` names each file's source and licence.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import cv2
import numpy as np
import pytest
from avel_live.model.training.lite.audio_data import decode
from support.peers import Mosquitto, Subscriber, eventually
from support.pulse import PulseServer
from support.shared import DATA, needs_data
from support.stage import SOURCE_RATE, Stage

EXAMPLES, TRIED = 5, 3
PERIOD_S = 9.0
"""Room between two presses for some seconds that belong to neither."""
CODE = "import sys; from avel_live.realtime.commands import main, live_main; "


@dataclass(frozen=True)
class Event:
    name: str
    heard_as: str
    seen_as: str = ""

    @property
    def flags(self) -> list[str]:
        return [] if self.seen_as else ["--heard"]


EVENTS = (Event("Rooster", "rooster"), Event("Sneeze", "sneeze"), Event("My sax", "Saxophone", "saxophone"))


def files(kind: str, note: str) -> list[Path]:
    """Freely licensed ones, in an order that has nothing to do with their names."""
    with (DATA / kind / "MANIFEST.tsv").open(newline="", encoding="utf-8") as file:
        rows = [r for r in csv.DictReader(file, delimiter="\t") if r["note"] == note]
    assert all("CC" in r["licence"] for r in rows)
    found = [DATA / kind / r["file"] for r in rows]
    return [found[k] for k in np.random.default_rng(0).permutation(len(found))]


def sound(file: Path) -> np.ndarray:
    """The two seconds around its loudest one."""
    wave = decode(file).astype(np.float32) / 32768
    loud = np.convolve(np.square(wave), np.ones(SOURCE_RATE), "valid") if len(wave) > SOURCE_RATE else [0]
    first = max(0, int(np.argmax(loud)) - SOURCE_RATE // 2)
    part = wave[first : first + 2 * SOURCE_RATE]
    return part * (0.3 / max(1e-3, float(np.abs(part).max())))


def picture(file: Path) -> np.ndarray:
    image = cv2.imread(str(file))
    assert image is not None, file
    return cv2.resize(image, (320, 240), interpolation=cv2.INTER_AREA)[..., ::-1]


def shots(event: Event) -> list[tuple[np.ndarray, np.ndarray | None]]:
    """Sounds, and pictures where it is seen, each of another recording and photograph."""
    sounds = files("audio", event.heard_as)[: EXAMPLES + TRIED]
    pictures = files("photos", event.seen_as)[: EXAMPLES + TRIED] if event.seen_as else []
    return [(sound(f), picture(pictures[k]) if pictures else None) for k, f in enumerate(sounds)]


def teach(event: Event, stage: Stage, devices: list[str], environment: dict[str, str], cwd: Path) -> str:
    """What it says after it was shown five times."""
    command = [sys.executable, "-c", CODE + "main(sys.argv[1:])", "teach", event.name, "--live"]
    teaching = subprocess.Popen(
        [*command, *event.flags, *devices],
        stdin=subprocess.PIPE, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=environment, cwd=cwd,
    )  # fmt: skip
    assert teaching.stdin is not None
    assert teaching.stderr is not None
    assert "press Enter when it happens" in teaching.stderr.readline()
    time.sleep(3)
    for wave, shown in shots(event)[:EXAMPLES]:
        lasts = stage.happen(wave, shown)
        time.sleep(lasts + 0.4)
        teaching.stdin.write("\n")
        teaching.stdin.flush()
        time.sleep(PERIOD_S - lasts - 0.4)
    out, err = teaching.communicate("q\n", timeout=120)
    assert teaching.returncode == 0, err
    return out


@pytest.mark.slow
@needs_data
def test_three_events_are_taught_live_and_named_live_to_a_broker_and_to_home_assistant(
    pulse: PulseServer, broker: Mosquitto, tmp_path: Path
) -> None:
    environment = {**os.environ, **pulse.env, "AVEL_DATA_DIR": str(tmp_path / "data"), "COLUMNS": "200"}
    rooms = files("photos", "BACKGROUND_Google")
    said_live = tmp_path / "said.jsonl"
    tried = {event.name: shots(event)[EXAMPLES:] for event in EVENTS}
    subscriber = Subscriber(broker.port)
    with Stage(pulse, picture(rooms[0])) as stage, said_live.open("wb") as written:
        devices = ["--camera", stage.url, "--mic", "default"]
        for event in EVENTS:
            said = teach(event, stage, devices, environment, tmp_path)
            print(said)
            assert f"of {EXAMPLES} examples are found" in said
        live = subprocess.Popen(
            [
                sys.executable, "-c", CODE + "live_main(sys.argv[1:])", *devices, "--json", "--name", "hall",
                "--mqtt", f"mqtt://127.0.0.1:{broker.port}",
            ],
            env=environment, cwd=tmp_path, stdout=written,
        )  # fmt: skip
        eventually(lambda: subscriber.last("/config") is not None, "the announcement", 60)
        time.sleep(5)
        played: list[str] = []
        for k in range(TRIED):
            for event in EVENTS:
                played.append(event.name)
                # Anywhere in a second: what is not loud in most of one is harder to tell.
                time.sleep(stage.happen(*tried[event.name][k]) + 5 + 0.3 * len(played) % 1)
        time.sleep(5)  # a busy machine is behind
        live.terminate()
        live.wait(timeout=60)
    records = [json.loads(line) for line in said_live.read_text(encoding="utf-8").splitlines()]
    names = [event.name for event in EVENTS]
    assert records[0]["labels"][-4:-1] == names
    ends = [r for r in records if r["type"] == "event" and r["event"] == "end"]
    print([(r["label"], r["start_s"], r["end_s"]) for r in ends], played)
    # One that is told in two pieces is one. In the order in which they were played, and most of them.
    named = [label for label, _ in groupby(r["label"] for r in ends) if label in names]
    rest = iter(played)
    assert all(label in rest for label in named), named
    assert set(named) == set(names)
    assert len(named) >= 2 * TRIED

    # To the broker each event goes as it is told here, and Home Assistant is told of entities for each class.
    told = [r["label"] for r in subscriber.json("/event/end")]
    assert told == [r["label"] for r in ends]
    announced = subscriber.json("homeassistant/device/avel_hall/config")[-1]
    entities = {part.get("name"): part for part in announced["components"].values()}
    assert set(names) <= set(entities)
    assert all(entities[name]["platform"] == "binary_sensor" for name in names)
    topic = entities["Rooster"]["state_topic"]
    states = [payload for where, payload, _ in subscriber.messages if where == topic]
    assert b"ON" in states
    assert states[-1] == b"OFF"
    subscriber.close()
