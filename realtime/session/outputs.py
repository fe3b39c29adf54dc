"""Every output beside screen and files that the configuration asks for, each in a thread of its own."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ..clock import Clock
from ..config.schema import Config, LogOptions
from ..sinks.base import Sink
from ..sinks.csv import HEADER, CsvFile
from ..sinks.jsonl import JsonlFile
from ..sinks.rotating import RotatingFile, Rotation
from ..sinks.runner import Report, SinkRunner

STREAM_NAME = "avel"
"""What a stream is called that has no `--name`."""

RECORDING_FLUSH_S = 30.0
"""How long the end of a recording waits for outputs that are behind; the rest is counted and reported.
A live stream ends sooner: whoever stops it wants it to stop."""


def make_outputs(
    config: Config, report: Report, clock: Clock, only: Collection[str] | None = None
) -> dict[str, Sink]:
    """Build them, by the name of their group in the configuration; nothing is imported for one that is off.

    Args:
        config: what is asked for.
        report: where the outputs tell their troubles.
        clock: the stream's clock.
        only: just these groups.

    Raises:
        UsageError: an address, command or budget that makes no sense.
        OutputError: a folder that can't be written, a taken port, a missing package or program.

    """
    outputs: dict[str, Sink] = {}
    try:
        _build(config, report, clock, only, outputs)
    except BaseException:
        for sink in outputs.values():
            sink.close()
        raise
    return outputs


def _build(
    config: Config, report: Report, clock: Clock, only: Collection[str] | None, outputs: dict[str, Sink]
) -> None:
    name = config.name or STREAM_NAME

    def wanted(group: str) -> bool:
        return only is None or group in only

    # A recording waits for its reader, so what is slow need not lose anything of it.
    lossless = not config.is_live
    patience: dict[str, Any] = {"lossless": True, "flush_s": RECORDING_FLUSH_S} if lossless else {}

    def isolated(label: str, sink: Sink, flush_s: float, lossless: bool = lossless) -> None:
        outputs[label] = SinkRunner(
            label, sink, report, deadline_s=flush_s + 2, lossless=lossless, clock=clock
        )

    if config.metrics.port is not None and wanted("metrics"):
        from ..sinks.metrics import MetricsSettings, MetricsSink

        o = config.metrics
        outputs["metrics"] = MetricsSink(MetricsSettings(config.metrics.port, o.host, o.token), clock)
    if config.mqtt.url is not None and wanted("mqtt"):
        from ..sinks.mqtt.sink import MqttSettings, MqttSink

        m = config.mqtt
        mqtt = MqttSettings(
            config.mqtt.url,
            name=name,
            topic=m.topic,
            username=m.username,
            password=m.password,
            ca_file=m.ca_file,
            client_id=m.client_id,
            discovery=m.discovery,
            discovery_prefix=m.discovery_prefix,
            buffer=m.buffer,
            **patience,
        )
        isolated("mqtt", MqttSink(mqtt, report, clock), mqtt.flush_s)
    if config.webhook.url is not None and wanted("webhook"):
        from ..sinks.webhook import WebhookSettings, WebhookSink

        w = config.webhook
        webhook = WebhookSettings(
            config.webhook.url,
            w.secret,
            name=name,
            timeout_s=w.timeout_s,
            retries=w.retries,
            buffer=w.buffer,
            **patience,
        )
        isolated("webhook", WebhookSink(webhook, report, clock), webhook.flush_s)
    if config.exec.command is not None and wanted("exec"):
        from ..sinks.exec import ExecSettings, ExecSink

        program = ExecSettings(config.exec.command, name=name, timeout_s=config.exec.timeout_s, **patience)
        isolated("exec", ExecSink(program, report, clock), program.flush_s)
    if config.notify and wanted("notify"):
        from ..sinks.desktop import DesktopSettings, DesktopSink

        # Nobody reads hundreds of notifications: the newest few are enough, of a recording too.
        isolated("notify", DesktopSink(DesktopSettings(name=name), report, clock), 1.0, lossless=False)
    if config.record.dir is not None and wanted("record"):
        from ..sinks.clips.sink import ClipSettings, ClipSink

        r = config.record
        # Has a thread of its own, and wants the media that a runner does not pass on.
        clips = ClipSettings(
            config.record.dir, pre_s=r.pre_s, post_s=r.post_s, max_s=r.max_s, keep=r.keep, name=name
        )
        outputs["record"] = ClipSink(clips, report, clock)


def log_sinks(options: LogOptions, report: Report, *, live: bool) -> list[Sink]:
    """`--log` and `--csv`. A live stream never waits for the disk; a recording does, and loses no line.

    Raises:
        OutputError: a file can't be written.

    """
    rotation = Rotation(options.rotate_mb, options.rotate_days, options.keep_files)
    sinks: list[Sink] = []
    if options.jsonl is not None:
        file = RotatingFile(options.jsonl, "log", report, rotation=rotation, fsync=options.fsync)
        sinks.append(SinkRunner("log", JsonlFile(file), report, lossless=not live))
    if options.csv is not None:
        file = RotatingFile(options.csv, "csv", report, rotation=rotation, fsync=options.fsync, header=HEADER)
        sinks.append(SinkRunner("csv", CsvFile(file), report, lossless=not live))
    return sinks
