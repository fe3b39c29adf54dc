"""What a calibration comes to: graphs, and a card that says what they belong to and what they cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...model.checkpoint import file_sha256
from ...model.profiles import Profile
from ...model.runtime.base import Network
from ...model.runtime.int8_graphs import FORMAT, TARGETS, Target
from .quantise import Method
from .report import Cost


@dataclass(frozen=True)
class Int8Result:
    """Graphs in a scratch folder, and what they cost.

    Attributes:
        profile: whose.
        folder: holds the graphs.
        graphs: network → target → file.
        weights: digests of the weights it belongs to.
        method: how ranges were found.
        kept: layers left in float32.
        costs: of each target.
        details: everything else worth a line in the report.

    """

    profile: Profile
    folder: Path
    graphs: dict[Network, dict[Target, Path]]
    weights: dict[str, str]
    method: Method
    kept: tuple[str, ...]
    costs: dict[Target, Cost]
    details: dict[str, Any]

    def to_dict(self, targets: Sequence[Target] = TARGETS) -> dict[str, Any]:
        """What is written beside the graphs of these targets."""
        return {
            "format": FORMAT,
            "profile": self.profile.name,
            "weights": self.weights,
            "networks": {
                network: {
                    target: {"file": path.name, "sha256": file_sha256(path), **self._needs(target)}
                    for target, path in paths.items()
                    if target in targets
                }
                for network, paths in self.graphs.items()
            },
            "method": self.method,
            "kept_in_float": list(self.kept),
            "cost": {target: self.costs[target].to_dict() for target in targets},
            **self.details,
        }

    def _needs(self, target: Target) -> dict[str, str]:
        exact = target == "cpu" and not self.details["seven_bits"]
        return {"needs": "exact int8 products (VNNI, AMX, ARM dot product)"} if exact else {}
