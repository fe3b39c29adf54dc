"""Threads and queues of a live stream, from two devices to the outputs: drawn for realtime/README.md.

    python tests/pictures/threads.py

Names in `THREADS` and `QUEUES` are those in the code; tests/realtime/test_pictures.py looks them up there.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from pictures.svg import GOOD, LINE, QUIET, Picture

ROOT = Path(__file__).resolve().parents[2]
PICTURE = ROOT / "realtime" / "pictures" / "threads.svg"

THREADS = {
    "camera": "sources/camera.py",
    "microphone": "sources/microphone.py",
    "watchdog": "sources/live.py",
    "reader": "stream/reader.py",
}
"""Thread → where it is started or runs."""
QUEUES = {
    "LiveBuffer": "sources/buffers.py",
    "PcmRing": "sources/pcmring.py",
    "SegmentQueue": "stream/queue.py",
    "DeliveryQueue": "sinks/delivery.py",
}


def _thread(picture: Picture, x: float, y: float, w: float, h: float, name: str, *lines: str) -> None:
    picture.rect(x, y, w, h, "#eaf2f8", line=GOOD, radius=6)
    picture.text(x + 12, y + 22, name, bold=True)
    for k, line in enumerate(lines):
        picture.text(x + 12, y + 42 + 17 * k, line, size=12, fill=QUIET)


def _queue(picture: Picture, x: float, y: float, name: str, *lines: str) -> None:
    for k in range(4):
        picture.rect(x + 17 * k, y, 15, 30, "#fdf0e3", line="#c77b30", radius=2)
    picture.text(x, y - 8, name, size=12, bold=True)
    for k, line in enumerate(lines):
        picture.text(x, y + 46 + 15 * k, line, size=11, fill=QUIET)


def draw() -> Picture:
    """The drawing."""
    picture = Picture(1120, 470, "Threads and queues of a live stream")
    picture.text(24, 32, "Threads and queues of a live stream", bold=True, size=15)
    _devices(picture)
    _queue(picture, 262, 183, "LiveBuffer", "full: the oldest", "goes, counted", "and said")
    picture.line([(336, 198), (376, 198)], arrow=True)
    _thread(picture, 380, 146, 150, 104, "reader", "cuts seconds;", "runs no network,", "waits for none")
    picture.line([(455, 250), (455, 392)], arrow=True)
    picture.text(380, 412, "sinks that want media:", size=12, fill=QUIET)
    picture.text(380, 429, "clips, the screen's meter", size=12, fill=QUIET)
    picture.line([(530, 198), (564, 198)], arrow=True)
    live = ("live: one in work,", "one waits, others", "are skipped and said")
    _queue(picture, 568, 183, "SegmentQueue", *live, "recording: its reader", "waits, nothing is lost")
    picture.line([(642, 198), (706, 198)], arrow=True)
    loop = ("features → window", "→ head → decoder", "", "for hop in stream:", "or stream.run(sinks)")
    _thread(picture, 710, 128, 160, 140, "yours", *loop)
    for name, y in (("log", 84), ("webhook", 183), ("mqtt", 282)):
        picture.line([(870, 198), (892, 198), (892, y + 15), (918, y + 15)], arrow=True)
        _queue(picture, 922, y, "DeliveryQueue" if name == "webhook" else "")
        picture.line([(994, y + 15), (1020, y + 15)], arrow=True)
        picture.text(1028, y + 12, name, bold=True)
        picture.text(1028, y + 28, "its thread", size=11, fill=QUIET)
    picture.text(922, 72, "a queue and a thread each", size=12, fill=QUIET)
    picture.line([(568, 366), (1096, 366)], stroke=LINE)
    picture.text(568, 390, "Blue: a thread. Orange: a queue; every one is bounded.", size=12, fill=QUIET)
    stuck = "A stuck driver holds up its own thread alone: abandoned, the device is opened again."
    picture.text(568, 410, stuck, size=12, fill=QUIET)
    return picture


def _devices(picture: Picture) -> None:
    _thread(picture, 24, 60, 176, 74, "camera", "grab, stamp, decode", "→ timeline, 224 × 224")
    picture.text(24, 172, "sound card's", size=12, fill=QUIET)
    picture.text(24, 188, "callback", size=12, fill=QUIET)
    picture.line([(76, 184), (118, 184)], arrow=True)
    _queue(picture, 122, 169, "PcmRing")
    picture.line([(156, 201), (156, 226)], arrow=True)
    _thread(picture, 24, 230, 176, 74, "microphone", "drains the ring", "→ timeline, 16 kHz")
    _thread(picture, 24, 366, 176, 60, "watchdog", "age of the last data")
    picture.line([(112, 366), (112, 308)], dashed=True, arrow=True)
    picture.line([(200, 97), (230, 97), (230, 192), (258, 192)], arrow=True)
    picture.line([(200, 267), (230, 267), (230, 206), (258, 206)], arrow=True)


def main() -> None:
    """Write it."""
    draw().write(PICTURE)


if __name__ == "__main__":
    main()
