"""SIGHUP, applied: a new configuration's thresholds go to the decoder, its outputs replace the old ones."""

from __future__ import annotations

from collections.abc import Callable

from ...clock import Clock
from ...config.load import Loaded
from ...config.schema import Config
from ...events import Decoder, DecoderConfig
from ...session.outputs import make_outputs
from ...sinks.base import Sink
from ...sinks.runner import Report
from ...sinks.switchboard import Switchboard
from .service import plan_reload


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
