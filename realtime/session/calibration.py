"""Where calibration meets the live loop: which calibration applies, and what it changes.

    logits ──Calibrator──▶ probabilities                                  (localizer)
    thresholds ──▶ DecoderConfig                                          (decoder)
    offset of this camera with this microphone ──▶ camera_delay_ms        (timeline)

`--calibration` unset: the user's file for this checkpoint and precision, else the one in the package (which
says how sure to be and changes no decision: `DecoderConfig.stated_at`), else none. `--calibration none`: raw
confidences. A name or a path: that one, or a reason why not.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...calibration.places import calibration_path
from ...model.files import SHIPPED, all_stored, stored
from ...model.ood import veto
from ...model.runtime.base import EngineInfo
from ..config.schema import NONE, Config
from ..core.errors import AvelError, ModelFileError
from ..core.messages import SourceInfo
from ..events.config import DecoderConfig
from ..stream.window import Calibrate, softmax

if TYPE_CHECKING:  # what reads them takes a while to import, and most streams run without
    from ...calibration.contents import Calibration, DeviceFile, Devices
    from ...calibration.rules import Rules


@dataclass(frozen=True)
class ActiveCalibration:
    """What a stream runs with. Without a calibration: softmax, and no rules."""

    name: str = ""
    calibrate: Calibrate = softmax
    rules: Rules | None = None
    note: str = ""
    temperature: float = 1.0
    """At which confidences are stated while decisions stay what they are: that of the package's own."""


def devices_of(info: SourceInfo) -> Devices | None:
    """The pair behind a live source; None for recordings, streams, and single devices."""
    camera, microphone = info.details.get("camera"), info.details.get("microphone")
    if not (camera and microphone):
        return None
    from ...calibration.contents import Devices

    return Devices(camera=camera, microphone=microphone)


def apply_calibration(
    config: Config, engine: EngineInfo, source: SourceInfo, *, bundled: bool = True
) -> ActiveCalibration:
    """The calibration that belongs to this engine and source, and `--veto` on top.

    Args:
        config: what was asked for.
        engine: the networks in use.
        source: that is listened to.
        bundled: with none of the user's own, take the package's; thresholds are chosen without.

    Raises:
        ModelFileError: the one asked for is missing, damaged, or made for something else.

    """
    own = _belonging(config, engine, source)
    applied = own or ActiveCalibration()
    if bundled and config.calibration is None and applied.calibrate is softmax:
        shipped = _packaged(engine)
        if own is None:
            applied = shipped
        elif shipped.temperature != 1:
            # One's own thresholds were chosen on raw confidences, which is what decides beside the package's.
            applied = replace(own, calibrate=shipped.calibrate, temperature=shipped.temperature)
    limit = config.veto
    if limit is None:
        return applied

    def calibrate(logits: NDArray[np.float32], length: int) -> NDArray[np.float32]:
        return veto(logits, applied.calibrate(logits, length), limit)

    return replace(applied, calibrate=calibrate)


def _belonging(config: Config, engine: EngineInfo, source: SourceInfo) -> ActiveCalibration | None:
    """The calibration asked for, or the user's own; None where there is neither.

    Raises:
        ModelFileError: the one asked for is missing, damaged, or made for something else.

    """
    if config.calibration == NONE:
        return ActiveCalibration()
    devices = devices_of(source)
    if config.calibration is not None:
        path = _named(config.calibration)
        found = _loaded(path)
        _check(found, str(path), engine, devices)
        return _applied(found, engine, "")
    own = calibration_path(engine.checkpoint, engine.precision)
    if own.is_file():
        found = _loaded(own)
        _check(found, str(own), engine, None)
        room = found.thresholds.devices if found.thresholds else None
        if room is not None and room != devices:
            return _applied(
                found.model_copy(update={"thresholds": None}), engine, f"thresholds of {room} not used here"
            )
        return _applied(found, engine, "")
    return None


def _check(found: Calibration, where: str, engine: EngineInfo, devices: Devices | None) -> None:
    from ...calibration.files import check_fits

    check_fits(
        found,
        where,
        checkpoint=engine.checkpoint,
        precision=engine.precision,
        labels=engine.labels,
        devices=devices,
    )


def _loaded(path: Path) -> Calibration:
    from ...calibration.files import load_calibration

    return load_calibration(path)


def _named(name: str) -> Path:
    """A path, or a name in the user's folder."""
    path = Path(name)
    if path.is_file() or path.suffix or len(path.parts) > 1:
        return path
    kept = stored("calibration", f"{name}.json")
    if kept.is_file():
        return kept
    known = [p.stem for p in all_stored("calibration", "*.json")]
    raise ModelFileError(
        f"calibration {name!r}: no such file, and none of that name in {kept.parent}; "
        + (f"there are: {', '.join(known)}" if known else "make one with `avel calibrate confidence`")
    )


def _packaged(engine: EngineInfo) -> ActiveCalibration:
    """What ships for this profile, if it was made for this very checkpoint.

    Precisions share one: floating ones agree within their tolerance, and INT8 names 99 seconds in a hundred
    alike, far closer than one temperature fits.
    """
    path = SHIPPED / f"{engine.profile.replace('-', '_')}_calibration.json"
    if not path.is_file():
        return ActiveCalibration()
    # Read at every start with defaults: a whole calibration takes a tenth of a second of imports.
    tree = json.loads(path.read_bytes())
    if tree["checkpoint"] != engine.checkpoint:
        return ActiveCalibration()
    temperatures = set(tree["confidence"].get("temperatures", ()))
    if "thresholds" in tree or len(temperatures) != 1:
        return _applied(_loaded(path), engine, "")
    (temperature,) = temperatures

    def calibrate(logits: NDArray[np.float32], _length: int) -> NDArray[np.float32]:
        return softmax(logits / np.float32(temperature))

    return ActiveCalibration("bundled", calibrate, temperature=temperature)


def _applied(found: Calibration, engine: EngineInfo, note: str) -> ActiveCalibration:
    calibrate: Calibrate = softmax
    if found.confidence is not None:
        calibrator = found.confidence.calibrator(len(engine.labels))

        def calibrate(logits: NDArray[np.float32], _length: int) -> NDArray[np.float32]:
            return calibrator.of_window(logits)

    rules = found.thresholds.rules(engine.labels) if found.thresholds is not None else None
    return ActiveCalibration(found.name, calibrate, rules, note)


def camera_delay_ms(config: Config) -> float:
    """The measured offset of the camera and microphone that the configuration names; 0 where unknown.

    The microphone's full name is looked up first: `default` may be another one tomorrow. Troubles with
    devices are left to the source, which says them better.
    """
    if config.url is not None or config.sync_offset_ms is not None:
        return 0.0
    measured = measured_offset(config.camera, config.mic)
    return measured.offset_ms if measured is not None else 0.0


def measured_offset(camera: str, microphone: str) -> DeviceFile | None:
    """What `avel calibrate sync` found for a pair, given as on the command line; None where nothing.

    Raises:
        ModelFileError: the file of this pair is damaged.

    """
    if NONE in (camera, microphone):
        return None
    from ...calibration.contents import Devices
    from ...calibration.files import load_device
    from ..core.redact import redact
    from ..sources.portaudio import find_device, input_devices

    try:
        name = find_device(microphone, input_devices()).name
    except (AvelError, OSError):
        return None
    return load_device(Devices(camera=redact(camera), microphone=name))


def with_rules(config: DecoderConfig, rules: Rules | None) -> DecoderConfig:
    """The same decoder with every class's own thresholds and least duration."""
    if rules is None:
        return config
    return replace(
        config,
        enter=tuple(rules.enter.tolist()),
        leave=tuple(rules.leave.tolist()),
        min_duration_s=tuple(rules.min_duration_s.tolist()),
    )


def with_taught(rules: Rules | None, count: int) -> Rules | None:
    """The same rules, and the decoder's own for so many taught classes: packs hold their thresholds."""
    if rules is None or not count:
        return rules
    usual = DecoderConfig()
    values = [usual.per_class(name)[:1] for name in ("enter", "leave", "min_duration_s")]
    each = zip((rules.enter, rules.leave, rules.min_duration_s), values, strict=True)
    return Rules(*(np.concatenate([known, np.repeat(value, count)]) for known, value in each))


def under_flags(config: Config, decoder: DecoderConfig, rules: Rules | None) -> DecoderConfig:
    """Calibrated rules in a decoder, except where a flag says otherwise."""
    if rules is None:
        return decoder
    from ...calibration.rules import Rules

    enter = rules.enter if config.enter is None else np.full_like(rules.enter, config.enter)
    leave = rules.leave if config.leave is None else np.full_like(rules.leave, config.leave)
    if config.enter is None:
        enter = np.maximum(enter, leave)
    else:
        leave = np.minimum(enter, leave)
    least = rules.min_duration_s
    if config.min_event_s is not None:
        least = np.full_like(least, config.min_event_s)
    return with_rules(decoder, Rules(enter, leave, least))
