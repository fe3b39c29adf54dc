"""What a `messages.Status` may say, and how bad it is.

Apart from the messages, so that `--help`, which reads options of outputs, need not make the classes.
"""

from __future__ import annotations

from typing import Final, Literal

CONFIGURATION: Final = "configuration"
"""The `device` of what is said about a reload (SIGHUP)."""

DeviceState = Literal["opening", "running", "stalled", "lost", "recovering", "failed", "ended"]
"""The life of a device; `realtime.sources.health` draws the legal steps."""

State = (
    DeviceState
    | Literal["loading", "reloaded", "adjusted", "effort", "late", "overloaded"]
    | Literal["damaged", "truncated", "incomplete", "failing", "dropping", "overrun"]
)
"""Everything a `Status` may say: of devices, of the machine and the recording, of outputs."""

Severity = Literal["info", "warning", "error"]
