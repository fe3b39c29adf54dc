"""The polyphonic sound detection score (Bilen et al., ICASSP 2020), by sed_scores_eval (Ebbers et al., 2022).

Area under the curve of true-positive rate over false positives an hour, over all thresholds, in the two
scenarios of DCASE 2021's task 4. The package is an extra (`avel-live[scores]`); it is exact, and needs the
classes that are scored to occur: those that do not are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..spans import of_labels
from .data import IGNORE, Rows

SCENARIOS: Final[Mapping[str, Mapping[str, float | None]]] = {
    "psds1": {
        "dtc_threshold": 0.7, "gtc_threshold": 0.7, "cttc_threshold": None, "alpha_ct": 0.0, "alpha_st": 1.0
    },
    "psds2": {
        "dtc_threshold": 0.1, "gtc_threshold": 0.1, "cttc_threshold": 0.3, "alpha_ct": 0.5, "alpha_st": 1.0
    },
}  # fmt: skip
"""When an event must be (1), and which it is (2)."""
MOST_PER_HOUR: Final = 100.0


def psds(probabilities: NDArray[np.floating[Any]], truth: Rows) -> dict[str, float]:
    """Both scores; empty where no event occurs.

    Args:
        probabilities: [M, S, C] of M recordings, background last.
        truth: [M, S]; `IGNORE` where nobody judged, which may only be at a recording's end.

    Raises:
        ImportError: sed_scores_eval is not installed.

    """
    from sed_scores_eval import intersection_based
    from sed_scores_eval.base_modules.scores import create_score_dataframe

    background = probabilities.shape[-1] - 1
    lengths = [int((row != IGNORE).sum()) for row in truth]
    events = [
        of_labels(np.where(row[:n] == IGNORE, background, row[:n]), background)
        for row, n in zip(truth, lengths, strict=True)
    ]
    occurring = sorted({event.label for row in events for event in row})
    if not occurring:
        return {}
    scores, there, durations = {}, {}, {}
    for k, (row, n) in enumerate(zip(events, lengths, strict=True)):
        if not n:
            continue
        values = np.asarray(probabilities[k, :n][:, occurring], np.float64)
        scores[str(k)] = create_score_dataframe(values, np.arange(n + 1.0), [str(c) for c in occurring])
        there[str(k)] = [(e.start_s, e.end_s, str(e.label)) for e in row]
        durations[str(k)] = float(n)
    common = {"unit_of_time": "hour", "max_efpr": MOST_PER_HOUR}
    return {
        name: float(intersection_based.psds(scores, there, durations, **how, **common)[0])
        for name, how in SCENARIOS.items()
    }
