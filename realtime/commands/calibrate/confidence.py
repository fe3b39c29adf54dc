"""`avel calibrate confidence`: how sure to be, by seconds of future."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ....calibration.confidence import Calibrator, Method
from ....calibration.contents import Calibration, Confidence
from ....calibration.files import check_fits, load_calibration
from ....calibration.report import ConfidenceReport, Line, assess, compare
from ....model.runtime.base import EngineInfo
from ...config.schema import Config
from ...core.errors import ModelFileError, UsageError
from ...core.text import finite
from ...events.config import DecoderConfig
from ...recordings.labelled import Clip, groups_of, looks_of, settled
from ...stream.window import Calibrate, softmax
from ...ui.console import Console
from .material import Fit, labelled
from .store import drawn, store, write


def calibrate_confidence(config: Config, fit: Fit, method: Method, judge: Path | None = None) -> None:
    """`avel calibrate confidence`; with `judge`, a calibration that is not fitted here but looked at."""
    found = None if judge is None else load_calibration(judge)
    console = Console(stderr=True)
    info, clips = labelled(config, fit, console)
    looks = looks_of(clips)
    given = None if found is None else _calibrator(found, judge, info)
    try:
        report = assess(looks, method, given=given)
    except ValueError as error:
        raise UsageError(f"{fit.name}: {error}") from error
    decoder = DecoderConfig(settle=config.settle, labels=info.labels)
    line = _settled_line(clips, report, decoder)
    from .views import confidence_view

    Console().print(confidence_view(report, line, config.settle))
    if fit.plot is not None:
        drawn(fit.plot, lambda path: _reliability(path, report, info, fit.title))
        console.print(f"drawn: {fit.plot}")
    if fit.json_out is not None:
        write(fit.json_out, json.dumps(finite(_figures(report, line, len(clips))), indent=1, allow_nan=False))
    if given is not None:
        return
    made = Confidence.of(
        report.calibrator,
        report.by_future[0].before.count,
        report.overall.before.ece,
        report.overall.after.ece,
    )
    store(info, fit.output, console, fit.dry_run, confidence=made)


def _calibrator(given: Calibration, where: Path | None, info: EngineInfo) -> Calibrator:
    """What a file holds, refused where it is another checkpoint's."""
    # Floating precisions share a calibration, and what is judged may have been fitted in another one.
    check_fits(given, str(where), checkpoint=info.checkpoint, precision=given.precision, labels=info.labels)
    if given.confidence is None:
        raise ModelFileError(f"calibration {where}: holds no confidence; run `avel calibrate confidence`")
    return given.confidence.calibrator(len(info.labels))


def _settled_line(clips: list[Clip], report: ConfidenceReport, decoder: DecoderConfig) -> Line | None:
    """Quality of the settled answers: looks fused as the decoder fuses them."""
    raw, honest, truth, groups = [], [], [], []
    for group, clip in zip(groups_of(clips), clips, strict=True):
        if group not in report.fits:
            continue
        fitted = report.fits[group]
        before = settled(clip.scores, softmax, decoder)
        after = settled(clip.scores, _window(fitted), decoder)
        count = min(len(before), len(clip.targets))
        known = clip.targets[:count] >= 0
        raw.append(before[:count][known])
        honest.append(after[:count][known])
        truth.append(clip.targets[:count][known])
        groups.append(np.full(int(known.sum()), group))
    if not raw or not sum(map(len, raw)):
        return None
    return compare(np.concatenate(raw), np.concatenate(honest), np.concatenate(truth), np.concatenate(groups))


def _window(calibrator: Calibrator) -> Calibrate:
    return lambda logits, _length: calibrator.of_window(logits)


def _reliability(path: Path, report: ConfidenceReport, info: EngineInfo, data: str) -> None:
    from ....calibration.plots import reliability_png

    o = report.overall
    reliability_png(
        path,
        report.before,
        report.after,
        title=f"{info.profile}, {info.precision}: confidence on {data} ({report.clips} clips)",
        note=(
            f"ECE {o.before.ece:.3f} [{o.before_ece[0]:.3f}, {o.before_ece[1]:.3f}] → "
            f"{o.after.ece:.3f} [{o.after_ece[0]:.3f}, {o.after_ece[1]:.3f}], "
            + ("by a calibration made elsewhere" if report.given else "cross-validated over clips")
        ),
        futures={f: (line.before.ece, line.after.ece) for f, line in report.by_future.items()},
    )


def _figures(report: ConfidenceReport, line: Line | None, clips: int) -> dict[str, Any]:
    return {
        "clips": clips,
        "witnesses": report.clips,
        "temperatures": report.calibrator.temperatures.tolist(),
        "all": asdict(report.overall),
        "settled": None if line is None else asdict(line),
        "by_future": {str(f): asdict(x) for f, x in report.by_future.items()},
    }
