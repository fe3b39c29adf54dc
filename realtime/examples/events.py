"""What happened, as it happens.

python -m avel_live.realtime.examples.events [SOURCE]

SOURCE is `demo`, a recording, a camera (`0`), or an address (`rtsp://…`). In a notebook:

    from avel_live.realtime.examples.events import events
    events("demo")
"""

from __future__ import annotations

import sys

import avel_live


def events(source: str = "demo") -> list[avel_live.Event]:
    """Print every event when it begins and ends; give those that ended."""
    ended = []
    with avel_live.open(source) as stream:
        for event in stream.events():
            if event.kind == "start":
                print(f"{event.start_s:6.0f} s   {event.name} …")
            elif event.kind == "end" and event.end_s is not None:
                print(f"{event.end_s:6.0f} s   {event.name}, {event.end_s - event.start_s:.0f} s long")
                ended.append(event)
    return ended


if __name__ == "__main__":
    events(*sys.argv[1:])
