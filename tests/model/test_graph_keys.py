"""An exported graph is known by the code it came from: whatever the export runs, changed, makes a new one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from avel_live.model.profiles import get_profile
from avel_live.model.runtime.base import EngineOptions
from avel_live.model.runtime.graphs import wanted
from avel_live.model.runtime.sources import source_digest, sources

MODEL = Path(__file__).resolve().parents[2] / "model"

_KEYS = """
import json
from avel_live.model.profiles import get_profile
from avel_live.model.runtime.base import EngineOptions
from avel_live.model.runtime.graphs import wanted
print(json.dumps({g.network: g.key() for g in wanted(get_profile("lite"), EngineOptions())}))
"""


def run(code: str, root: Path) -> str:
    """Of a process that finds `avel_live` in `root` and nowhere else."""
    environment = {**os.environ, "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def keys(root: Path) -> dict[str, dict[str, str]]:
    """The keys of the light profile's three graphs."""
    found: dict[str, dict[str, str]] = json.loads(run(_KEYS, root))
    return found


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Path:
    """A folder with a copy of the model package that may be changed."""
    root = tmp_path_factory.mktemp("copy")
    shutil.copytree(MODEL, root / "avel_live/model", ignore=shutil.ignore_patterns("__pycache__"))
    (root / "avel_live/__init__.py").touch()  # a folder without one loses to an installed package
    return root


@pytest.fixture
def changed(copy):
    """Change a file of the copy for one test; its line of text changes, what it does not."""
    touched: list[tuple[Path, bytes]] = []

    def change(name: str) -> None:
        path = copy / "avel_live/model" / name
        touched.append((path, path.read_bytes()))
        path.write_bytes(path.read_bytes() + b"\n# changed\n")

    yield change
    for path, content in touched:
        path.write_bytes(content)


ALL = {"head", "visual", "audio"}


@pytest.mark.parametrize(
    ("name", "networks"),
    [
        ("committee.py", ALL),  # both heads that ship are committees
        ("diia_config.py", ALL),
        ("diia.py", ALL),
        ("formats/weights.py", ALL),
        ("checkpoint.py", ALL),
        ("backbones/visual_concepts.py", {"visual"}),
        ("backbones/audio_cnn.py", {"audio"}),
        ("backbones/vgg19.py", set()),  # of another profile
        ("runtime/pads.py", ALL),
        ("runtime/select.py", set()),
        ("training/loop.py", set()),
    ],
)
def test_a_changed_file_makes_new_graphs_of_what_it_makes(copy, changed, name, networks):
    before = keys(copy)
    changed(name)
    after = keys(copy)
    assert {network for network in before if before[network] != after[network]} == networks
    for network in before:
        assert {k for k in before[network] if before[network][k] != after[network][k]} <= {"code"}


_RUN = """
import json, sys
from pathlib import Path
from avel_live.model.profiles import get_profile
from avel_live.model.runtime import export
from avel_live.model.runtime.networks import build_network
for network in ("visual", "audio", "head"):
    module = build_network(network, get_profile("lite"))
    export.export_onnx(module, network, get_profile("lite"), Path(sys.argv[1]) / f"{network}.onnx", None)
print(json.dumps(sorted(name for name in sys.modules if name.startswith("avel_live.model"))))
"""


def test_all_that_an_export_runs_is_in_its_key(tmp_path):
    """Held against what a process has imported once it has exported every network."""
    done = subprocess.run(
        [sys.executable, "-c", _RUN, str(tmp_path)], capture_output=True, text=True, check=True, timeout=120
    )
    ran = set(json.loads(done.stdout))
    assert len(ran) > 15
    graphs = wanted(get_profile("lite"), EngineOptions())
    assert ran <= {name for graph in graphs for name in sources(*graph.code())}


def test_every_file_counts_and_where_it_lies_does_not(copy, monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(copy / "avel_live"))
    names = sources("model.runtime.export")
    before = source_digest("model.runtime.export")
    for path in names.values():
        content = path.read_bytes()
        path.write_bytes(content + b"\n# changed\n")
        source_digest.cache_clear()
        assert source_digest("model.runtime.export") != before, path
        path.write_bytes(content)
    shutil.copytree(copy / "avel_live/model", tmp_path / "model")
    source_digest.cache_clear()
    assert source_digest("model.runtime.export") == before


def test_what_the_door_of_the_library_opens_onto_is_no_part_of_a_graph():
    """`import avel_live` leads to every room; a change in the screen must not make the graphs anew."""
    names = sources("avel_live.model.runtime.export")
    assert "avel_live.model.diia" in names
    assert {name for name in names if not name.startswith("avel_live.model")} == {"avel_live"}


def test_imports_of_every_form_are_followed(tmp_path, monkeypatch):
    files = {
        "top/__init__.py": "",
        "top/start.py": "import json\nimport top.plain\nfrom . import beside\nfrom .inner.deep import name\n",
        "top/plain.py": "",
        "top/beside.py": "def f():\n    from .inner import hidden\n",
        "top/inner/__init__.py": "",
        "top/inner/deep.py": "from .. import name\nname = 1\n",
        "top/inner/hidden.py": "raise SystemExit('read, never run')\n",
        "top/unused.py": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    found = {str(path.relative_to(tmp_path)) for path in sources("top.start").values()}
    assert found == set(files) - {"top/unused.py"}
    assert not [name for name in sys.modules if name.split(".")[0] == "top"]
    with pytest.raises(ModuleNotFoundError, match=r"top\.nothing"):
        sources("top.nothing")
