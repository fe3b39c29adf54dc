#!/usr/bin/env bash
# sed_scores_eval 0.0.4 (the reference implementation of PSDS for DESED) with pandas 3.1.1 and with 2.3.3.
#
# One would guess: what `create_score_dataframe` returns goes into `intersection_based.psds`; that is what it is for,
#   and `pip install sed_scores_eval` takes the newest pandas, since the package names no upper bound.
# Instead: since pandas 3 a column of a DataFrame is handed out read-only (copy-on-write), and the package's compiled
#   part asks for a writable buffer: every score ends with `ValueError: buffer source array is read-only`. Nothing in
#   the message names pandas; with pandas below 3 the same call returns the score.
# Seen:
#   pandas 3.1.1: ValueError: buffer source array is read-only
#   pandas 2.3.3: psds 1.000
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
pip=("$folder/venv/bin/pip" install --quiet --disable-pip-version-check)
cat >"$folder/score.py" <<'PY'
import sys

import numpy as np
import pandas
from sed_scores_eval import intersection_based
from sed_scores_eval.base_modules.scores import create_score_dataframe

truth = [(1.0, 4.0, "a"), (6.0, 8.0, "b")]
values = np.full((10, 2), 0.1)
values[1:4, 0] = values[6:8, 1] = 0.9
scores = {"clip": create_score_dataframe(values, np.arange(11.0), ["a", "b"])}
try:
    found = intersection_based.psds(
        scores, {"clip": truth}, {"clip": 10.0}, dtc_threshold=0.7, gtc_threshold=0.7, cttc_threshold=None,
        alpha_ct=0.0, alpha_st=1.0,
    )
    said = f"psds {found[0]:.3f}"
except ValueError as error:
    said = f"ValueError: {error}"
print(f"pandas {pandas.__version__}: {said}")
sys.exit(0 if said == sys.argv[1] else "this has changed")
PY
"${pip[@]}" sed_scores_eval==0.0.4 numpy==2.4.6 pandas==3.1.1
"$folder/venv/bin/python" "$folder/score.py" "ValueError: buffer source array is read-only"
"${pip[@]}" pandas==2.3.3
"$folder/venv/bin/python" "$folder/score.py" "psds 1.000"
