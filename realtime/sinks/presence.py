"""Which devices are there: the newest word about each one's *life*, whatever else is said about it.

A camera that was lost stays lost while it is being reopened (`recovering`), and while somebody says something
else about it (`damaged`, `late`): only `running` heals. One place for `/healthz` and for screens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, get_args

from ..core.states import DeviceState

if TYPE_CHECKING:
    from ..core.messages import Status

_AWAY: Final = frozenset({"stalled", "lost", "recovering", "failed"})
_LIFE: Final = frozenset(get_args(DeviceState))
_SILENT: Final = frozenset({"opening", "ended"})
"""Say nothing about whether a device that was away is back."""


class Presence:
    """What is away, by device."""

    def __init__(self) -> None:
        self._away: dict[str, Status] = {}

    def take(self, status: Status) -> bool:
        """Note what a status says about its device's life.

        Returns:
            whether it is the newest word about the device; False for an aside about one that is away.

        """
        device, state = status.device, status.state
        if state in _AWAY:
            self._away[device] = status
            return True
        if state in _LIFE - _SILENT:
            self._away.pop(device, None)
            return True
        return device not in self._away

    def away(self, device: str) -> Status | None:
        """The last word about a device that is not there; None where nothing is wrong with it."""
        return self._away.get(device)

    @property
    def all(self) -> dict[str, Status]:
        """Every device that is away."""
        return dict(self._away)
