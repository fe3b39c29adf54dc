"""What happened, kept: one SQLite file of events, hourly totals and device states.

schema   tables, versions, migrations      write   what a running stream adds, in short transactions
query    list, count, totals by hour       tend    deleting, retention, marks
times    instants as people write them     marks   what people said of events, as examples

    with Memory(path) as memory:
        for event in memory.events(Filter(since_us=…, labels=("Bark",))): …

Knows nothing of streams and screens: text and numbers in, text and numbers out. Instants are UTC, in whole
microseconds since 1970 (`*_us`); beside them stands how far the local time of the place was from it then.
"""

from __future__ import annotations

from .files import default_path
from .marks import Marked, marked
from .query import Filter, Memory, Remembered
from .schema import VERSION, MemoryFileError
from .write import EventRow, Run, StateRow, Writer

__all__ = [
    "VERSION",
    "EventRow",
    "Filter",
    "Marked",
    "Memory",
    "MemoryFileError",
    "Remembered",
    "Run",
    "StateRow",
    "Writer",
    "default_path",
    "marked",
]
