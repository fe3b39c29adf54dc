"""Slow: every network of every profile becomes an engine in every precision; the table of what it took."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from avel_live.model.backbones import registry
from avel_live.model.profiles import PROFILES, get_profile
from avel_live.model.runtime.probe import installed
from bench.rtx_precisions import cases, rows
from support.shared import DATA

YAMNET = DATA / "teacher" / "yamnet_spectra_in.tflite"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not installed("tensorrt_rtx"), reason="TensorRT for RTX has no wheel for this machine (x86-64 only)"
    ),
]


@pytest.mark.parametrize("profile", PROFILES)
def test_every_network_is_built_in_every_precision(
    profile: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """With `-s` the table is shown; weights of the paper's profiles are random here."""
    hears = get_profile(profile).audio == registry.YAMNET
    if hears and not YAMNET.is_file():
        pytest.skip(f"YAMNet's weights are not at {YAMNET}")
    folder: Path = tmp_path_factory.mktemp(profile)
    table = []
    for row in rows([profile], YAMNET if hears else None, folder):
        print(json.dumps(row), flush=True)
        table.append(row)
    found = {row["engine"]: row for row in table}
    assert list(found) == [case.name for case in cases(profile)]
    for row in table:
        assert row["layers"] <= 600 or " head " not in row["engine"]
    assert table
    whole = {name: row for name, row in found.items() if " fp32 " in name}
    assert whole
    for name, row in whole.items():
        assert found[name.replace(" fp32 ", " fp16 ")]["MB"] < row["MB"]
