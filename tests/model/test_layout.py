"""The model's and the calibration's files know each other in one direction, and start without torch."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("torch", "onnx", "onnxruntime", "cv2", "av", "scipy", "matplotlib", "rich")


def imports_of(path: Path, files: dict[tuple[str, ...], Path]) -> set[Path]:
    """The files of ours that a file imports, inside functions too."""
    here = path.relative_to(ROOT).parts
    found: set[Path] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.ImportFrom) or not node.level:
            continue
        base = (*here[: len(here) - node.level], *(node.module.split(".") if node.module else ()))
        names = {(*base, alias.name) for alias in node.names}
        found |= {files[name] for name in names & set(files)}
        if base in files and not names <= set(files):
            found.add(files[base])
    return found - {path}


@pytest.fixture(scope="module")
def graph() -> dict[Path, set[Path]]:
    paths = [p for top in ("model", "calibration") for p in sorted((ROOT / top).rglob("*.py"))]
    dotted = {}
    for path in paths:
        parts = path.relative_to(ROOT).with_suffix("").parts
        dotted[parts[:-1] if parts[-1] == "__init__" else parts] = path
    return {path: imports_of(path, dotted) for path in paths}


def test_no_file_is_imported_by_what_it_imports(graph) -> None:
    """Counting imports inside functions: what has to hide its imports there is in the wrong file."""
    done: set[Path] = set()

    def visit(path: Path, above: tuple[Path, ...]) -> None:
        assert path not in above, " → ".join(str(p.relative_to(ROOT)) for p in (*above, path))
        if path not in done:
            for other in sorted(graph[path]):
                visit(other, (*above, path))
            done.add(path)

    assert sum(map(len, graph.values())) > 150
    for path in graph:
        visit(path, ())


@pytest.mark.parametrize(
    "module",
    ["labels", "profiles", "files", "probabilities", "spans", "checkpoint", "downloads", "runtime.select"],
)
def test_what_starts_without_torch(module) -> None:
    code = f"import sys, avel_live.model.{module}; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"
