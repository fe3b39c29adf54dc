"""The first start makes graphs in a helper process: it may be chatty, and the disk may be full."""

from __future__ import annotations

import errno
import threading
from pathlib import Path

import numpy as np
import pytest
from avel_live.model.errors import ModelFileError
from avel_live.model.profiles import get_profile
from avel_live.model.runtime import graphs, helper
from avel_live.model.runtime.base import EngineOptions
from avel_live.model.runtime.cache import EngineCache
from avel_live.model.runtime.graphs import GraphError, ensure, wanted
from avel_live.model.runtime.select import load_engine


@pytest.fixture(autouse=True)
def exported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Graphs come from the helper, as those of every profile do that the package has no outlines of."""
    monkeypatch.setattr(graphs, "outline", lambda _: None)


def helpers(folder: Path, monkeypatch: pytest.MonkeyPatch, code: str, name: str = "some_helper") -> str:
    """A module that runs as the helper does."""
    (folder / f"{name}.py").write_text(f"import os, sys, time\nsys.stdin.buffer.read()\n{code}\n")
    monkeypatch.syspath_prepend(str(folder))
    return name


def test_a_chatty_helper_hangs_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "for k in range(3):\n"
        "    print('visual', flush=True)\n"
        "    sys.stderr.write('a warning of eighty characters, again and again and again\\n' * 20_000)\n"
        "print('no room left', file=sys.stderr)\n"
        "raise SystemExit(9)"
    )
    module, lines = helpers(tmp_path, monkeypatch, code), list[str]()
    outcome: list[tuple[int, str]] = []
    thread = threading.Thread(
        target=lambda: outcome.append(helper.run(module, get_profile("lite"), (), lines.append)), daemon=True
    )
    thread.start()
    thread.join(60)
    assert outcome == [(9, "no room left")]
    assert lines == ["visual"] * 3


def test_a_helper_that_outlives_its_pipes_or_says_no_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = (
        "sys.stdout.buffer.write(b'\\xff\\xfe' * 100_000)\nsys.stderr.buffer.write(b'\\xff\\n')\nsys.exit(3)"
    )
    got: list[str] = []
    code_, last = helper.run(helpers(tmp_path, monkeypatch, code), get_profile("lite"), (), got.append)
    assert (code_, last) == (3, "\ufffd")
    assert sum(map(len, got)) >= 200_000


def test_whatever_ends_us_ends_the_helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        f"open('{tmp_path}/pid', 'w').write(str(os.getpid()))\nprint('visual', flush=True)\ntime.sleep(600)"
    )

    def stop(_: str) -> None:
        raise SystemExit(0)

    with pytest.raises(SystemExit):
        helper.run(helpers(tmp_path, monkeypatch, code), get_profile("lite"), (), stop)
    pid = (tmp_path / "pid").read_text()
    assert not Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        ("print('weights w: no such file', file=sys.stderr); sys.exit(4)", ModelFileError, "weights w"),
        ("print('OSError: No space left', file=sys.stderr); sys.exit(5)", GraphError, "No space left"),
        ("os.kill(os.getpid(), 9)", GraphError, "exit code -9"),
    ],
)
def test_what_can_heal_is_told_from_what_can_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, kind: type[Exception], words: str
) -> None:
    monkeypatch.setattr(graphs, "EXPORT", helpers(tmp_path, monkeypatch, code))
    options = EngineOptions(profile="lite")
    with pytest.raises(ModelFileError, match=words) as caught:
        ensure(wanted(get_profile("lite"), options, ("head",)), EngineCache(tmp_path / "cache"))
    assert type(caught.value) is kind


@pytest.mark.parametrize("fault", ["helper", "folder"])
def test_without_room_for_graphs_torch_computes_and_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    if fault == "helper":
        code = "print('No space left on device', file=sys.stderr); sys.exit(5)"
        monkeypatch.setattr(graphs, "EXPORT", helpers(tmp_path, monkeypatch, code))
    else:

        def full(*_: object, **__: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(graphs.tempfile, "TemporaryDirectory", full)
    told: list[str] = []
    engine = load_engine(
        EngineOptions(profile="lite", precision="fp32", cache_dir=tmp_path / "cache", progress=told.append)
    )
    try:
        assert engine.info.backend == "torch"
        assert "No space left" in engine.info.note
        assert any("No space left" in line and "torch instead" in line for line in told)
        assert engine.audio(np.zeros(16_000, np.float32)).shape == (get_profile("lite").audio.dim,)
    finally:
        engine.close()


def test_asked_for_by_name_it_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphs, "EXPORT", helpers(tmp_path, monkeypatch, "sys.exit(5)"))
    with pytest.raises(GraphError):
        load_engine(EngineOptions(profile="lite", backend="onnxruntime", cache_dir=tmp_path / "cache"))


def test_a_unit_is_started_again_after_what_can_heal() -> None:
    from avel_live.realtime import deploy

    for name in ("avel-live.service", "avel-live@.service"):
        lines = deploy.text(name).splitlines()
        assert "Restart=on-failure" in lines
        assert "RestartPreventExitStatus=2" in lines
