"""SIGHUP, applied: a new configuration's thresholds go to the decoder, its outputs replace the old ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ...clock import Clock
from ...config.keys import keys, value_of
from ...config.load import Loaded
from ...config.schema import Config
from ...events import Decoder, DecoderConfig
from ...session.outputs import make_outputs
from ...sinks.base import Report, Sink
from ...sinks.switchboard import Switchboard


@dataclass(frozen=True)
class ReloadPlan:
    """What is different in a new configuration."""

    decoding: bool
    outputs: tuple[str, ...]
    """Groups to exchange."""
    restart: tuple[str, ...]
    """Keys that only a restart can change."""

    def __str__(self) -> str:
        said = []
        if self.decoding:
            said.append("thresholds")
        said += self.outputs
        text = f"reloaded: {', '.join(said)}" if said else "reloaded: nothing that can change now"
        return f"{text}; only a restart changes {', '.join(self.restart)}" if self.restart else text


def plan_reload(old: Config, new: Config) -> ReloadPlan:
    """Compare two configurations key by key."""
    changed = [key for key in keys() if value_of(old, key.path) != value_of(new, key.path)]
    # Without a folder for clips from the start sources do not deliver full pictures.
    late_clips = old.clips.dir is None and new.clips.dir is not None
    decoding, outputs, restart = False, set[str](), []
    for key in changed:
        group = key.path.split(".")[0]
        if group == "clips" and late_clips:
            restart.append(key.path)
        elif group in new.outputs:
            outputs.add(group)
        elif key.option.affects == "decoding":
            decoding = True
        elif key.path == "name":
            # It stands in topics and file names; metrics and logs do not know it.
            outputs |= set(new.outputs) - {"metrics", "log"} - ({"clips"} if late_clips else set())
        else:
            restart.append(key.path)
    return ReloadPlan(decoding, tuple(group for group in new.outputs if group in outputs), tuple(restart))


class Reloader:
    """Calling it reads the configuration again, applies what can be applied, and says what that was.

    Args:
        loaded: the configuration in use.
        outputs: what `make_outputs` built from it.
        switchboard: where they are plugged in.
        decoder: of the running stream.
        decoding: a configuration's decoder settings, calibration included.
        report: for new outputs.
        clock: for new outputs.

    """

    def __init__(
        self,
        loaded: Loaded,
        outputs: dict[str, Sink],
        switchboard: Switchboard,
        decoder: Decoder,
        decoding: Callable[[Config], DecoderConfig],
        report: Report,
        clock: Clock,
    ) -> None:
        self._loaded, self._outputs, self._switchboard = loaded, dict(outputs), switchboard
        self._decoder, self._decoding = decoder, decoding
        self._report, self._clock = report, clock

    def __call__(self) -> str:
        """Apply what changed.

        Raises:
            UsageError, OutputError: what the configuration or a new output said; the old ones stay.

        """
        if self._loaded.again is None:
            return "reloaded: nothing, the configuration did not come from anywhere"
        new = self._loaded.again()
        plan = plan_reload(self._loaded.config, new.config)
        decoding = self._decoding(new.config) if plan.decoding else None
        self._exchange(new.config, [group for group in plan.outputs if group != "metrics"])
        if "metrics" in plan.outputs:
            # A port can't be held twice: the old server leaves before its successor comes.
            if (old := self._outputs.get("metrics")) is not None:
                old.close()
            self._exchange(new.config, ["metrics"])
        if decoding is not None:
            self._decoder.reconfigure(decoding)
        self._loaded = new
        return str(plan)

    def _exchange(self, config: Config, groups: list[str]) -> None:
        coming = make_outputs(config, self._report, self._clock, groups)
        leaving = [self._outputs[group] for group in groups if group in self._outputs]
        self._switchboard.exchange(leaving, list(coming.values()))
        self._outputs = {k: v for k, v in self._outputs.items() if k not in groups} | coming
