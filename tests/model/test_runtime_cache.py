"""The engine cache: whole entries or none, and nothing foreign or damaged is ever used."""

import json
import multiprocessing
import time
from pathlib import Path

import pytest
from avel_live.model.errors import ModelFileError
from avel_live.model.runtime.cache import EngineCache, default_root, digest

KEY = {"weights": "abc", "precision": "fp32", "gpu": "H100 (SM 9.0)"}


def _writer(text: str):
    def write(path: Path) -> None:
        path.write_text(text)

    return write


def test_an_entry_is_found_by_its_key_alone(tmp_path):
    cache = EngineCache(tmp_path)
    assert cache.get("net", KEY) is None
    path = cache.put("net", KEY, ".onnx", _writer("graph"))
    assert cache.get("net", KEY) == path
    assert path.read_text() == "graph"
    assert cache.get("net", dict(reversed(KEY.items()))) == path
    assert cache.get("other", KEY) is None
    for name in KEY:
        assert cache.get("net", {**KEY, name: "changed"}) is None, name


def test_a_damaged_entry_is_built_again(tmp_path):
    cache = EngineCache(tmp_path)
    path = cache.put("net", KEY, ".onnx", _writer("graph"))
    path.write_text("grbph")
    assert cache.get("net", KEY) is None
    rebuilt = cache.get_or_put("net", KEY, ".onnx", _writer("graph"))
    assert rebuilt.read_text() == "graph"


@pytest.mark.parametrize(
    "card", ["", "{", "[]", "{}", '{"key": 1}', '{"key": {}, "file": "/etc/passwd", "sha256": ""}']
)
def test_a_foreign_card_is_ignored(tmp_path, card):
    cache = EngineCache(tmp_path)
    cache.put("net", KEY, ".onnx", _writer("graph"))
    (tmp_path / f"net-{digest(KEY)}.json").write_text(card)
    assert cache.get("net", KEY) is None
    assert cache.get_or_put("net", KEY, ".onnx", _writer("again")).read_text() == "again"


def test_a_card_never_leads_out_of_the_folder(tmp_path):
    cache = EngineCache(tmp_path / "cache")
    cache.put("net", KEY, ".onnx", _writer("graph"))
    outside = tmp_path / "outside.onnx"
    outside.write_text("graph")
    card = cache.root / f"net-{digest(KEY)}.json"
    entry = json.loads(card.read_text())
    card.write_text(json.dumps({**entry, "file": str(outside)}))
    assert cache.get("net", KEY) is None


def test_a_failed_build_leaves_nothing_behind(tmp_path):
    def fail(path: Path) -> None:
        path.write_text("half")
        raise RuntimeError("out of memory")

    cache = EngineCache(tmp_path)
    with pytest.raises(RuntimeError):
        cache.put("net", KEY, ".onnx", fail)
    assert list(tmp_path.iterdir()) == []


def test_building_again_removes_the_old_artefact(tmp_path):
    cache = EngineCache(tmp_path)
    old = cache.put("net", KEY, ".onnx", _writer("one"))
    new = cache.put("net", KEY, ".onnx", _writer("two"))
    assert cache.get("net", KEY) == new
    assert not old.exists()
    assert cache.clear() == 2
    assert cache.get("net", KEY) is None


def test_a_folder_that_cannot_be_made_says_what_to_do(tmp_path):
    blocker = tmp_path / "file"
    blocker.write_text("")
    with pytest.raises(ModelFileError, match="AVEL_CACHE_DIR"):
        EngineCache(blocker / "cache").get_or_put("net", KEY, ".onnx", _writer("graph"))


def test_the_environment_names_the_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("AVEL_CACHE_DIR", str(tmp_path))
    assert default_root() == tmp_path / "engines"


def _build_slowly(root: str, log: str) -> None:
    def write(path: Path) -> None:
        with Path(log).open("a") as file:
            file.write("built\n")
        time.sleep(0.3)
        path.write_text("graph")

    EngineCache(Path(root)).get_or_put("net", KEY, ".onnx", write)


def test_two_processes_build_once(tmp_path):
    log = tmp_path / "log"
    context = multiprocessing.get_context("fork")
    both = [context.Process(target=_build_slowly, args=(str(tmp_path / "cache"), str(log))) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join(60)
    assert [one.exitcode for one in both] == [0, 0]
    assert log.read_text() == "built\n"
