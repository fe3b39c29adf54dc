"""An output of your own: a class that overrides what it wants to hear of.

python -m avel_live.realtime.examples.custom_sink [SOURCE]

In a notebook:

    from avel_live.realtime.examples.custom_sink import Tally
    tally = Tally()
    with avel_live.open("demo") as stream:
        stream.run(tally)
    tally.seconds
"""

from __future__ import annotations

import sys
from collections import Counter

import avel_live


class Tally(avel_live.Sink):
    """Counts the seconds of every class, background too."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()

    def hop(self, record: avel_live.Hop) -> None:
        """Called with every answer; `settled` are the seconds that became final with it."""
        self.seconds.update(second.name for second in record.settled)

    def status(self, status: avel_live.Status) -> None:
        """A device or the machine has something to say."""
        print(f"{status.device}: {status.reason}", file=sys.stderr)

    def end(self, end: avel_live.StreamEnd) -> None:
        """The stream is over; the last seconds come here."""
        self.seconds.update(second.name for second in end.last_settled)


def tally(source: str = "demo") -> Counter[str]:
    """Seconds by class."""
    counted = Tally()
    with avel_live.open(source) as stream:
        stream.run(counted)
    return counted.seconds


if __name__ == "__main__":
    for name, count in tally(*sys.argv[1:]).most_common():
        print(f"{count:5} s  {name}")
