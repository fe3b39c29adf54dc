"""The table of faults names tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
README = (TESTS / "faults" / "README.md").read_text(encoding="utf-8")
TABLE = README.partition("# When things break")[2].partition("\n## ")[0]
ROWS = [line for line in TABLE.splitlines() if line.startswith("| ")][1:]


def test_there_is_a_table() -> None:
    assert len(ROWS) >= 19


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[1].strip())
def test_every_row_is_a_test(row: str) -> None:
    named = re.fullmatch(r".*\| `(.+\.py)::(\w+)` \|", row)
    assert named, row
    tree = ast.parse((TESTS / named[1]).read_text(encoding="utf-8"))
    functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    assert named[2] in functions
