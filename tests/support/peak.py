"""The most memory that a process has had since its program began.

`ru_maxrss` is no measure of it: it survives fork and exec, so that what a large test runner starts begins
with the runner's own peak, and grows by nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

PEAK_MB: Final = "int(next(l for l in open('/proc/self/status') if l.startswith('VmHWM')).split()[1]) / 1024"
"""An expression for programs that are run by `python -c`."""


def peak_mb() -> float:
    """Of this process, in MB (proc(5), VmHWM)."""
    text = Path("/proc/self/status").read_text()
    return int(next(line for line in text.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024
