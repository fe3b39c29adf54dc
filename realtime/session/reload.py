"""SIGHUP, applied: a new configuration's thresholds go to the decoder, its outputs replace the old ones."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

from ..config.keys import keys, value_of
from ..config.load import Loaded
from ..config.schema import Config
from ..core.clock import Clock
from ..events import Decoder, DecoderConfig
from ..sinks.base import Predecessor, Report, Sink
from ..sinks.switchboard import Switchboard
from .outputs import make_outputs


@dataclass(frozen=True)
class ReloadPlan:
    """What is different in a new configuration."""

    decoding: bool
    outputs: tuple[str, ...]
    """Groups to exchange."""
    restart: tuple[str, ...]
    """Keys that only a restart can change."""

    def applied(self, old: Config, new: Config) -> Config:
        """The old configuration, with what can change while a stream runs."""
        changed = {key.path for key in keys() if value_of(old, key.path) != value_of(new, key.path)}
        taken = {path.split(".")[0] for path in changed - set(self.restart)}
        return replace(old, **{name: getattr(new, name) for name in taken})

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

    It is all or nothing: new outputs are built and started beside the old ones, and only when all of them
    stand do they take over. What is compared the next time is what is in force, not what was read.

    Args:
        loaded: the configuration in use.
        outputs: what `make_outputs` built from it.
        switchboard: where they are plugged in.
        decoder: of the running stream.
        decoding: a configuration's decoder settings, calibration included.
        report: for new outputs.
        clock: for new outputs.
        stop: for new outputs.
        several: for new outputs.

    """

    def __init__(
        self,
        loaded: Loaded,
        outputs: Mapping[str, Sink],
        switchboard: Switchboard,
        decoder: Decoder,
        decoding: Callable[[Config], DecoderConfig],
        report: Report,
        clock: Clock,
        stop: threading.Event | None = None,
        *,
        several: bool = False,
    ) -> None:
        self._loaded, self._outputs, self._switchboard = loaded, dict(outputs), switchboard
        self._decoder, self._decoding = decoder, decoding
        self._report, self._clock, self._stop, self._several = report, clock, stop, several

    @property
    def in_force(self) -> Config:
        """The configuration that the stream runs by: as read, less what only a restart changes."""
        return self._loaded.config

    @property
    def outputs(self) -> Mapping[str, Sink]:
        """What is plugged in."""
        return self._outputs

    def __call__(self) -> str:
        """Read it again, and apply what changed; raises what `take` does."""
        if self._loaded.again is None:
            return "reloaded: nothing, the configuration did not come from anywhere"
        return self.take(self._loaded.again())

    def check(self, new: Config) -> None:
        """See that the stream could take these thresholds and classes; nothing changes. From any thread.

        Raises:
            UsageError: why it could not.

        """
        plan = plan_reload(self._loaded.config, new)
        if plan.decoding:
            self._decoder.prepare(self._decoding(plan.applied(self._loaded.config, new)))

    def take(self, new: Loaded) -> str:
        """Apply what changed, and say what that was.

        Raises:
            UsageError, OutputError: what the configuration or a new output said; all stays as it was.

        """
        plan = plan_reload(self._loaded.config, new.config)
        config = plan.applied(self._loaded.config, new.config)
        decide = self._decoder.prepare(self._decoding(config)) if plan.decoding else None
        self._exchange(config, plan.outputs)
        # From here on nothing can fail.
        if decide is not None:
            decide()
        self._loaded = replace(new, config=config)
        return str(plan)

    def _exchange(self, config: Config, groups: Collection[str]) -> None:
        leaving = {group: self._outputs[group] for group in groups if group in self._outputs}
        replacing = {group: Predecessor(old, threading.Event()) for group, old in leaving.items()}
        coming = make_outputs(
            config,
            self._report,
            self._clock,
            groups,
            stop=self._stop,
            replacing=replacing,
            several=self._several,
        )
        self._switchboard.exchange(leaving, coming, {name: one.gone for name, one in replacing.items()})
        self._outputs = {k: v for k, v in self._outputs.items() if k not in groups} | coming
