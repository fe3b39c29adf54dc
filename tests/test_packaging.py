"""What is installed is what is here, and the three packages know each other in one direction only."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
TOP = ("realtime", "model", "calibration")
LIBRARY = Path("realtime/api")  # what `import avel_live` gives: installed as the package itself
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def modules(top: str) -> Iterator[Path]:
    return (p for p in sorted((ROOT / top).rglob("*.py")) if "__pycache__" not in p.parts)


def folder_names() -> set[str]:
    """Every folder with Python in it, under the name it installs as."""
    folders = {p.parent.relative_to(ROOT) for top in TOP for p in modules(top)}
    return {
        "avel_live" if folder == LIBRARY else ".".join(("avel_live", *folder.parts)) for folder in folders
    }


def test_every_package_is_listed() -> None:
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == folder_names()


def test_every_package_has_an_init() -> None:
    for top in TOP:
        for path in modules(top):
            assert (path.parent / "__init__.py").is_file(), path.parent


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """(line, absolute dotted name) of everything a module imports; ours begin with `avel_live.`."""
    package = ["avel_live", *path.relative_to(ROOT).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            stem = ".".join([*base, *([node.module] if node.module else [])])
            yield node.lineno, stem
            for alias in node.names:
                yield node.lineno, f"{stem}.{alias.name}"


MAY_KNOW = {
    "model": {"model"},
    "calibration": {"calibration", "model"},
    "realtime": {"realtime", "calibration", "model"},
}


@pytest.mark.parametrize("top", TOP)
def test_who_knows_whom(top: str) -> None:
    for path in modules(top):
        for line, name in imported(path):
            parts = name.split(".")
            where = f"{path.relative_to(ROOT)}:{line} imports {name}"
            assert parts[0] not in TOP, f"{where}: the folders have other names when installed"
            if parts[0] == "avel_live" and len(parts) > 1:
                assert parts[1] in MAY_KNOW[top], where


def test_no_absolute_imports_of_ourselves() -> None:
    for top in TOP:
        for path in modules(top):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.ImportFrom) and not node.level:
                    assert (node.module or "").split(".")[0] != "avel_live", f"{path}:{node.lineno}"


def test_time_is_asked_in_one_place() -> None:
    """No module of the live path but the clock reads the time or sleeps."""
    for path in modules("realtime"):
        if path.name == "clock.py" or {"bench", "commands"} & set(path.parts):
            continue
        for line, name in imported(path):
            assert name.split(".")[0] != "time", f"{path.relative_to(ROOT)}:{line} imports time; use a Clock"


def test_entry_points_exist() -> None:
    for target in PROJECT["project"]["scripts"].values():
        module, _, name = target.partition(":")
        assert callable(getattr(import_module(module), name))


def test_wheel(tmp_path: Path) -> None:
    """Built from a clean copy: all our modules and data, and nothing at the top but `avel_live`."""
    source = tmp_path / "source"
    for top in TOP:
        shutil.copytree(ROOT / top, source / top, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    script = "import sys; from setuptools.build_meta import build_wheel; print(build_wheel(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, str(tmp_path)],
        cwd=source, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    ours = {name for name in names if ".dist-info/" not in name}
    assert {name.split("/")[0] for name in ours} == {"avel_live"}
    assert "avel_live/__init__.py" in ours
    for top in TOP:
        for path in modules(top):
            if path.parent.relative_to(ROOT) != LIBRARY:
                assert f"avel_live/{path.relative_to(ROOT).as_posix()}" in ours
        assert f"avel_live/{top}/py.typed" in ours
    shipped = [p for p in (ROOT / "model" / "weights").iterdir() if p.suffix == ".safetensors"]
    assert shipped
    data = [p for p in (ROOT / "realtime" / "data").rglob("*") if p.is_file()]
    for path in [*shipped, *data]:
        assert f"avel_live/{path.relative_to(ROOT).as_posix()}" in ours
    assert not [name for name in ours if "test" in name.split("/")[1]]
