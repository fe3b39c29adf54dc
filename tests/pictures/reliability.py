"""How sure the bundled model is, against how often it is right: drawn for calibration/README.md.

    python tests/pictures/reliability.py CLIPS      # measures, keeps the bins, draws
    python tests/pictures/reliability.py            # draws the bins that were kept

CLIPS is a folder with a MANIFEST.tsv; what is measured is what `avel calibrate confidence --data CLIPS
--profile lite --dry-run` prints.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from pictures.svg import GOOD, INK, LINE, OVER, QUIET, UNDER, Picture

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / "tests" / "data" / "pictures" / "reliability.json"
PICTURE = ROOT / "calibration" / "pictures" / "reliability.svg"
SIDE = 260


def measure(clips: Path) -> dict[str, Any]:
    """Bins before and after, and the errors with their intervals."""
    from avel_live.calibration.report import assess
    from avel_live.realtime.commands.calibrate.material import Fit, labelled
    from avel_live.realtime.config.load import config_from
    from avel_live.realtime.recordings.labelled import looks_of
    from rich.console import Console

    fit = Fit(clips, "val", None, None, None, dry_run=True)
    info, found = labelled(config_from({"profile": "lite"}), fit, Console(stderr=True))
    report = assess(looks_of(found), "temperature")
    overall = report.overall
    sides = {
        "before": (report.before, overall.before, overall.before_ece),
        "after": (report.after, overall.after, overall.after_ece),
    }
    return {
        "clips": report.clips,
        "profile": info.profile,
        "precision": info.precision,
        **{
            name: {
                "edges": bins.edges.round(4).tolist(),
                "count": bins.count.tolist(),
                "confidence": [
                    round(c, 4) if n else None for c, n in zip(bins.confidence, bins.count, strict=True)
                ],
                "accuracy": [
                    round(a, 4) if n else None for a, n in zip(bins.accuracy, bins.count, strict=True)
                ],
                "ece": round(quality.ece, 4),
                "interval": [round(x, 4) for x in interval],
            }
            for name, (bins, quality, interval) in sides.items()
        },
    }


def draw(kept: dict[str, Any]) -> Picture:
    """Both diagrams."""
    picture = Picture(700, 390, "Reliability before and after calibration")
    picture.text(
        24, 30, f"{kept['profile']}, {kept['precision']}, {kept['clips']} real clips", bold=True, size=15
    )
    titles = {"before": "raw confidence", "after": "fitted on the other clips"}
    for column, (side, title) in enumerate(titles.items()):
        _diagram(picture, kept[side], title, 70 + column * 330, 80)
    return picture


def _diagram(picture: Picture, bins: dict[str, Any], title: str, left: float, top: float) -> None:
    low, high = bins["interval"]
    picture.text(left, top - 22, title, bold=True)
    picture.text(left, top - 6, f"ECE {bins['ece']:.3f} [{low:.3f}–{high:.3f}]", size=12, fill=QUIET)
    picture.rect(left, top, SIDE, SIDE, "none", line=LINE)
    total = max(1, sum(bins["count"]))
    rows = zip(
        bins["edges"], bins["edges"][1:], bins["count"], bins["confidence"], bins["accuracy"], strict=False
    )
    for start, end, count, confidence, accuracy in rows:
        if not count:
            continue
        x, w = left + SIDE * start, SIDE * (end - start)
        picture.rect(
            x + 0.5,
            top + SIDE * (1 - accuracy),
            w - 1,
            SIDE * accuracy,
            GOOD,
            opacity=0.35 + 0.65 * count / total,
        )
        lower, upper = sorted((confidence, accuracy))
        colour = OVER if confidence > accuracy else UNDER
        picture.rect(x + 0.5, top + SIDE * (1 - upper), w - 1, SIDE * (upper - lower), colour, opacity=0.6)
    picture.line([(left, top + SIDE), (left + SIDE, top)], stroke=INK, dashed=True)
    for share in (0.0, 0.5, 1.0):
        picture.text(left + SIDE * share, top + SIDE + 16, f"{share:g}", size=11, fill=QUIET, anchor="middle")
        picture.text(left - 6, top + SIDE * (1 - share) + 4, f"{share:g}", size=11, fill=QUIET, anchor="end")
    picture.text(left + SIDE / 2, top + SIDE + 34, "stated confidence", size=12, fill=QUIET, anchor="middle")
    if left < 100:
        picture.text(
            left - 30,
            top + SIDE / 2,
            "share that was right",
            size=12,
            fill=QUIET,
            anchor="middle",
            turned=True,
        )


def main(clips: Path | None) -> None:
    """Measure where there are clips; draw."""
    if clips is not None:
        KEPT.parent.mkdir(parents=True, exist_ok=True)
        KEPT.write_text(json.dumps(measure(clips), indent=1) + "\n", encoding="utf-8")
    draw(json.loads(KEPT.read_text(encoding="utf-8"))).write(PICTURE)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
