"""The rooms of this house and the floors they stand on: whoever imports upwards, or in a circle, fails here.

`python tests/test_house.py` draws the plan as text.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

FLOORS: tuple[tuple[str, ...], ...] = (
    ("realtime/api", "realtime/commands"),
    ("realtime/recordings", "realtime/serve"),
    ("realtime/session",),
    ("realtime/stream", "realtime/ui", "realtime/config", "realtime/web"),
    ("realtime/sinks", "realtime/sources", "realtime/events", "realtime/deploy"),
    ("realtime/core", "realtime/memory", "calibration"),
    ("model",),
)
"""Top to bottom. A room may use any below it, none above or beside it."""

ROOMS = tuple(room for floor in FLOORS for room in floor)
Graph = Mapping[Path, set[Path]]


def room_of(path: Path) -> str:
    """The room with the longest name that the file lies in (names of old doors: ground floor)."""
    name = re.sub(r"^realtime/(__init__|clock|messages)\b", r"realtime/core/\1", path.as_posix())
    return max((room for room in ROOMS if name.startswith(f"{room}/")), key=len)


def files() -> list[Path]:
    found = (p for top in ("realtime", "model", "calibration") for p in (ROOT / top).rglob("*.py"))
    return sorted(p.relative_to(ROOT) for p in found if "__pycache__" not in p.parts)


def imports(path: Path, source: str, dotted: Mapping[tuple[str, ...], Path], *, types: bool) -> set[Path]:
    """The files of ours that a file imports, in functions too; with `types`, also those for types alone."""
    # The library installs as the top of the package: its relative imports begin there.
    here = () if path.parts[:2] == ("realtime", "api") else path.parts[:-1]
    found: set[Path] = set()
    tree = ast.parse(source)
    asides = [
        node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
    ]
    left_out = set() if types else {id(inner) for node in asides for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if id(node) in left_out:
            continue
        if not isinstance(node, ast.ImportFrom) or not node.level:
            continue
        base = (*here[: len(here) - node.level + 1], *(node.module.split(".") if node.module else ()))
        for alias in node.names:
            target = dotted.get((*base, alias.name)) or dotted.get(base)
            if target is not None:
                found.add(target)
    return found - {path}


def read(extra: Mapping[Path, str] | None = None, *, types: bool = True) -> Graph:
    """Every file and what it imports; `extra` stands in for files as they might be."""
    paths = files()
    dotted = {(p.parts[:-1] if p.name == "__init__.py" else p.with_suffix("").parts): p for p in paths}
    given = extra or {}
    return {p: imports(p, given.get(p) or (ROOT / p).read_text(), dotted, types=types) for p in paths}


def upwards(graph: Graph) -> list[str]:
    """Imports that climb, or that go to a neighbour."""
    floor = {room: number for number, level in enumerate(FLOORS) for room in level}
    wrong = []
    for path, targets in graph.items():
        for target in sorted(targets):
            a, b = room_of(path), room_of(target)
            if a != b and floor[b] <= floor[a]:
                wrong.append(f"{path} imports {target}")
    return wrong


def arrows(graph: Graph) -> set[tuple[str, str]]:
    pairs = ((room_of(path), room_of(target)) for path, targets in graph.items() for target in targets)
    return {(a, b) for a, b in pairs if a != b}


def height(pairs: Iterable[tuple[str, str]]) -> dict[str, int]:
    """Every room's floor, counted from the ground: one above the highest that it uses."""
    below = {room: {b for a, b in pairs if a == room} for room in ROOMS}
    known: dict[str, int] = {}

    def of(room: str) -> int:
        if room not in known:
            known[room] = 1 + max((of(other) for other in below[room]), default=0)
        return known[room]

    return {room: of(room) for room in ROOMS}


def circle(graph: Graph) -> list[Path]:
    """Files that import each other in a ring; empty where there is none."""
    done: set[Path] = set()

    def visit(path: Path, above: tuple[Path, ...]) -> list[Path]:
        if path in above:
            return [*above[above.index(path) :], path]
        if path in done:
            return []
        for other in sorted(graph[path]):
            if found := visit(other, (*above, path)):
                return found
        done.add(path)
        return []

    return next((found for path in graph if (found := visit(path, ()))), [])


@pytest.fixture(scope="module")
def graph() -> Graph:
    return read()


def test_old_doors_lead_to_the_same_things_and_nobody_here_uses_them(graph: Graph) -> None:
    from avel_live.realtime import clock, messages
    from avel_live.realtime.core import clock as own_clock
    from avel_live.realtime.core import messages as own_messages

    assert clock.ManualClock is own_clock.ManualClock
    assert messages.EndOfStream is own_messages.EndOfStream
    assert messages.SAMPLE_RATE == own_messages.SAMPLE_RATE
    doors = {Path("realtime/clock.py"), Path("realtime/messages.py")}
    assert not [path for path, used in graph.items() if used & doors]


def test_nobody_imports_upwards(graph: Graph) -> None:
    assert sum(map(len, graph.values())) > 500, "the imports are read at all"
    assert upwards(graph) == []


def test_no_files_import_each_other_in_a_ring() -> None:
    assert circle(read(types=False)) == []


def test_the_house_stays_small(graph: Graph) -> None:
    pairs = arrows(graph)
    assert len(ROOMS) <= 18
    assert max(height(pairs).values()) <= 7
    # 60; 8 of the room of several streams, that puts together what all those below it make; 4 that lead to
    # the memory and on to the model's errors; 4 of the page.
    assert len(pairs) <= 76


def test_a_planted_import_is_found() -> None:
    """The guard itself: an import that climbs, and one that closes a ring."""
    path = Path("realtime/sinks/records.py")
    text = (ROOT / path).read_text()
    climbing = read({path: text + "\ndef later():\n    from ..session.open import make_engine\n"})
    assert upwards(climbing) == ["realtime/sinks/records.py imports realtime/session/open.py"]
    base = Path("realtime/sinks/base.py")
    ring = read(types=False, extra={base: (ROOT / base).read_text() + "\nfrom .records import JsonSink\n"})
    assert set(circle(ring)) == {path, base}


if __name__ == "__main__":
    plan = read()
    floors = height(arrows(plan))
    for number in range(max(floors.values()), 0, -1):
        print(f"{number}  " + "   ".join(room for room in ROOMS if floors[room] == number))
    print(f"\n{len(ROOMS)} rooms, {max(floors.values())} floors, {len(arrows(plan))} arrows")
    for a, b in sorted(arrows(plan), key=lambda pair: (-floors[pair[0]], pair)):
        print(f"  {a} → {b}")
    for line in upwards(plan):
        print("UP", line)
