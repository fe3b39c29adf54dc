"""Is a confidence calibration of the bundled heads worth shipping, and which one?

    python tests/bench/bundled_confidence.py WORK CLIPS OUT [--profile lite] [--ear YAMNET.tflite] [--ship]

WORK is the folder in which `avel train lite` kept what it made, OUT the one into which `rerecorded.py`
re-recorded CLIPS. Fitted on scenes composed from held-out material, on re-recordings, and on both with equal
weight: one temperature; one for each number of seconds of future; one, and how much likelier *background*
is than it says. The errors (ECE) of the clips are printed as they are, with the fit, and with the *cross*
fit: a clip is judged by a fit on re-recordings of other clips alone, half of all (by source), mean of five
splits both ways. Then what the fit with `--ship` would do to decisions: events of composed scenes with the
decoder's thresholds, on raw confidences, on calibrated ones, and on raw ones that are stated calibrated.

With `--ship` the one temperature of both is written beside the weights, also for profiles with another eye
before heads like these. Refused where the cross fit does not better the error of settled answers of clips.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np
from avel_live.calibration.confidence import Calibrator, fit, fit_temperature
from avel_live.calibration.contents import Confidence
from avel_live.calibration.files import save
from avel_live.calibration.looks import FUTURES, Looks
from avel_live.model.files import SHIPPED
from avel_live.model.labels import BACKGROUND, LABELS
from avel_live.model.probabilities import bootstrap, reliability
from avel_live.model.profiles import PROFILES, get_profile
from avel_live.model.runtime.base import EngineOptions
from avel_live.model.runtime.networks import head_path
from avel_live.model.runtime.select import load_engine
from avel_live.realtime.commands.calibrate.features import scene_clips
from avel_live.realtime.commands.calibrate.store import calibration_of
from avel_live.realtime.events.config import DecoderConfig
from avel_live.realtime.recordings.labelled import Clip, groups_of, looks_of, settled
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from support.decided import worth
from support.kept_looks import clips

Fit = Callable[[Looks], Calibrator]
SPLITS = 5
SCENES = 160


def one(looks: Looks) -> Calibrator:
    """One temperature for every look."""
    warmth = fit_temperature(looks.logits, looks.targets)
    return Calibrator.from_temperatures(np.full(FUTURES, warmth), looks.logits.shape[1])


def with_background(looks: Looks) -> Calibrator:
    """One temperature, and a bias of *background*."""
    from scipy.optimize import minimize

    z, y = looks.logits.astype(np.float64), looks.targets

    def loss(x: np.ndarray) -> float:
        s = z * np.exp(x[0])
        s[:, BACKGROUND] += x[1]
        top = s.max(1, keepdims=True)
        return float(np.mean(np.log(np.exp(s - top).sum(1)) + top[:, 0] - s[np.arange(len(y)), y]))

    x = minimize(loss, np.zeros(2), method="Nelder-Mead", options={"xatol": 1e-3, "fatol": 1e-6}).x
    bias = np.zeros((FUTURES, z.shape[1]))
    bias[:, BACKGROUND] = x[1]
    return Calibrator("vector", np.full_like(bias, np.exp(x[0])), bias)


FITS: dict[str, Fit] = {"one": one, "by future": fit, "and background": with_background}


def both(composed: Looks, again: Looks) -> Looks:
    """Composed scenes and re-recordings with about equal weight."""
    many = max(1, round(len(composed) / len(again)))
    return Looks.gather([composed, *([again] * many)])


Answers = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Probabilities [N, C], truth [N], witness [N]."""


def settled_answers(heard: list[Clip], calibrators: list[Calibrator]) -> Answers:
    """Settled answers, each clip with its own calibrator."""
    rows = []
    for clip, calibrator in zip(heard, calibrators, strict=True):
        said = settled(clip.scores, lambda z, _n, c=calibrator: c.of_window(z), DecoderConfig())  # type: ignore[misc]
        rows.append(said[: len(clip.targets)])
    truth = np.concatenate([clip.targets[: len(row)] for clip, row in zip(heard, rows, strict=True)])
    groups = np.repeat(groups_of(heard), [len(row) for row in rows])
    known = truth >= 0
    return np.concatenate(rows)[known], truth[known], groups[known]


def first_answers(heard: list[Clip], calibrators: list[Calibrator]) -> Answers:
    """Answers given at once."""
    found = []
    for clip, calibrator in zip(heard, calibrators, strict=True):
        looks = looks_of([clip]).at(0)
        found.append((calibrator.apply(looks.logits, 0), looks.targets))
    groups = np.repeat(groups_of(heard), [len(y) for _, y in found])
    return np.concatenate([p for p, _ in found]), np.concatenate([y for _, y in found]), groups


def error(answers: Answers) -> float:
    """Expected calibration error."""
    p, truth, _ = answers
    return reliability(p.max(-1), p.argmax(-1) == truth).error


def chance(sure: np.ndarray) -> float:
    """The error that is measured, on average, where confidences [N] are true: of few seconds it is not 0."""
    rng = np.random.default_rng(0)
    return float(np.mean([reliability(sure, rng.random(len(sure)) < sure).error for _ in range(300)]))


def interval(answers: Answers) -> str:
    """95 %, bootstrap over clips."""
    p, truth, groups = answers
    sure, right = p.max(-1), p.argmax(-1) == truth
    low, high = bootstrap(lambda drawn: reliability(sure[drawn], right[drawn]).error, groups)
    return f"[{low:.3f}–{high:.3f}]"


def crossed(
    heard: list[Clip], again: list[Clip], fitted: Callable[[Looks], Calibrator]
) -> tuple[float, float]:
    """Errors, settled and at once, of clips whose re-recordings the fit did not see; means over splits."""
    groups = np.array(groups_of([*heard, *again]))
    mine, theirs = groups[: len(heard)], groups[len(heard) :]
    looks = [looks_of([clip]) for clip in again]
    rng = np.random.default_rng(0)
    found = []
    for _ in range(SPLITS):
        ids = rng.permutation(np.unique(groups))
        half = set(ids[: len(ids) // 2].tolist())
        sides = []
        for side in (True, False):  # of the clips that are judged
            parts = [x for x, g in zip(looks, theirs, strict=True) if (int(g) in half) != side]
            sides.append(fitted(Looks.gather(parts)))
        calibrators = [sides[0] if int(g) in half else sides[1] for g in mine]
        found.append((error(settled_answers(heard, calibrators)), error(first_answers(heard, calibrators))))
    mean = np.mean(found, axis=0)
    return float(mean[0]), float(mean[1])


def main(options: argparse.Namespace) -> None:
    """Print the tables, and ship."""
    profile, console = options.profile, Console(width=150)
    ear = None if profile == "lite" else options.ear
    engine = load_engine(EngineOptions(profile=profile, audio_weights=ear, precision="fp32"))
    kept = options.out / "kept"
    heard = list(clips(options.clips, engine, kept, ear))
    again = list(clips(options.out, engine, kept, ear))
    scenes = list(islice(scene_clips(options.work, head_path(get_profile(profile), None), profile), SCENES))
    composed, recorded = looks_of(scenes), looks_of(again)
    identity = [Calibrator.identity(len(LABELS))] * len(heard)
    raw = settled_answers(heard, identity), first_answers(heard, identity)
    table = Table(title=f"{profile}: calibration error of {len(heard)} clips; {len(again)} re-recordings")
    for column in (
        "fitted on",
        "temperatures",
        "settled",
        "cross",
        "at once",
        "cross",
        "scenes",
        "re-recorded",
    ):
        table.add_column(column)
    many = [Calibrator.identity(len(LABELS))] * len(scenes), [identity[0]] * len(again)
    table.add_row(
        "nothing (raw)", "1",
        f"{error(raw[0]):.3f} {interval(raw[0])}", "", f"{error(raw[1]):.3f} {interval(raw[1])}", "",
        f"{error(settled_answers(scenes, many[0])):.3f}", f"{error(settled_answers(again, many[1])):.3f}",
    )  # fmt: skip
    worth_of: dict[tuple[str, str], float] = {}
    for how, fitted in FITS.items():
        materials: dict[str, Callable[[Looks], Looks]] = {
            "scenes": lambda _: composed,
            "re-recordings": lambda x: x,
            "both": lambda x: both(composed, x),
        }
        for name, material in materials.items():
            c = fitted(material(recorded))
            after = settled_answers(heard, [c] * len(heard)), first_answers(heard, [c] * len(heard))
            cross = (np.nan, np.nan)
            if name != "scenes":  # those hold no clip
                cross = crossed(heard, again, lambda x, f=fitted, m=material: f(m(x)))  # type: ignore[misc]
            worth_of[how, name] = cross[0]
            t = c.temperatures
            note = f" bg {c.bias[0, BACKGROUND]:+.2f}" if how == "and background" else ""
            table.add_row(
                f"{name}, {how}", f"{t[0]:.2f}" + (f" … {t[-1]:.2f}" if how == "by future" else "") + note,
                f"{error(after[0]):.3f} {interval(after[0])}", f"{cross[0]:.3f}" if name != "scenes" else "",
                f"{error(after[1]):.3f} {interval(after[1])}", f"{cross[1]:.3f}" if name != "scenes" else "",
                f"{error(settled_answers(scenes, [c] * len(scenes))):.3f}",
                f"{error(settled_answers(again, [c] * len(again))):.3f}",
            )  # fmt: skip
    console.print(table)
    said = settled_answers(heard, [one(both(composed, recorded))] * len(heard))[0].max(-1)
    console.print(f"were the last right exactly as often as they say, {chance(said):.3f} would be measured")
    table = Table(title=f"decisions on {len(scenes)} composed scenes and {len(again)} re-recordings")
    for column in (
        "confidences",
        "scenes: event seconds found, %",
        "events",
        "false",
        "re-recorded: found, %",
        "events",
        "false",
    ):
        table.add_column(column)
    chosen = one(both(composed, recorded))
    warmth = float(chosen.temperatures[0])
    ways = (("raw", identity[0], 1.0), ("calibrated", chosen, 1.0), ("stated calibrated", chosen, warmth))
    for name, c, stated_at in ways:
        cells = []
        for material in (scenes, again):
            w = worth(material, lambda z, _n, c=c: c.of_window(z), DecoderConfig(stated_at=stated_at))  # type: ignore[misc]
            cells += [f"{w.found:.2f}", str(w.events), str(w.false)]
        table.add_row(name, *cells)
    console.print(table)
    if options.ship:
        if worth_of["one", "both"] >= error(raw[0]):
            raise SystemExit(
                f"not shipped: of clips that a fit did not see the error is {worth_of['one', 'both']:.3f}, "
                f"raw {error(raw[0]):.3f}"
            )
        seconds = len(recorded.at(0)) + len(composed.at(0))
        for other in (profile, *(p.name for p in PROFILES.values() if profile in p.heads_of)):
            ship(chosen, seconds, other, options, ear)


def ship(
    chosen: Calibrator, seconds: int, profile: str, options: argparse.Namespace, ear: Path | None
) -> None:
    """Write what the package holds for a profile, with the errors of clips in it."""
    engine = load_engine(EngineOptions(profile=profile, audio_weights=ear, precision="fp32"))
    heard = list(clips(options.clips, engine, options.out / "kept", ear))
    info = engine.info
    engine.close()
    before, after = (
        error(settled_answers(heard, [c] * len(heard)))
        for c in (Calibrator.identity(len(info.labels)), chosen)
    )
    path = SHIPPED / f"{info.profile.replace('-', '_')}_calibration.json"
    if after >= before:
        path.unlink(missing_ok=True)
        print(f"{profile}: not shipped; settled answers of clips {before:.3f} → {after:.3f}")
        return
    save(path, calibration_of(info, confidence=Confidence.of(chosen, seconds, before, after)))
    print(f"{path.name}: {chosen.temperatures[0]:.3f}; settled answers of clips {before:.3f} → {after:.3f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("clips", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--profile", default="lite")
    parser.add_argument("--ear", type=Path)
    parser.add_argument("--ship", action="store_true")
    main(parser.parse_args())
