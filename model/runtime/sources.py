"""What code a result was made by: the modules that made it and all that they import, by reading them.

Nothing is imported for that: an export's own code needs torch, and whoever asks for a graph must not.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Iterator
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final, NamedTuple

_IMPORT: Final = re.compile(
    r"^[ \t]*(?:from[ \t]+(\.*)[ \t]*([\w.]*)[ \t]+import[ \t]+(\([^)]*\)|(?:[^\n\\]|\\\n)*)"
    r"|import[ \t]+((?:[^\n\\]|\\\n)*))",
    re.MULTILINE,
)
"""An import statement. A line of text that looks like one does no harm: what it names is looked up, and only
counts where there is such a module. Parsing says the same in eight times the time, at every start."""


class Module(NamedTuple):
    """A module's file, where it has one, and the folders of its own modules, where it is a package."""

    file: Path | None
    folders: tuple[Path, ...]


@lru_cache(maxsize=64)
def source_digest(*modules: str) -> str:
    """SHA-256 over the source of modules and of all that they import from their own top-level packages.

    The same wherever they are installed. Other packages (torch, numpy) are known by their versions.

    Args:
        modules: dotted names.

    Raises:
        ModuleNotFoundError: there is no module of that name.

    """
    whole = hashlib.sha256()
    for name, path in sorted(sources(*modules).items()):
        whole.update(f"{name}\0".encode())
        whole.update(hashlib.sha256(path.read_bytes()).digest())
    return whole.hexdigest()


def sources(*modules: str) -> dict[str, Path]:
    """Files by module name: of modules, and of all that they import from their own top-level packages.

    Imports inside functions count, and so do the packages that a module lies in. What the top-level package
    imports does not: it is the door for whoever uses the library, and leads everywhere.

    Raises:
        ModuleNotFoundError: there is no module of that name.

    """
    for name in modules:
        if _find(name) is None:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    tops = {name.partition(".")[0] for name in modules}
    seen: set[str] = set()
    found: dict[str, Path] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name in seen or name.partition(".")[0] not in tops:
            continue
        seen.add(name)
        module = _find(name)
        if module is None:
            continue  # a name in a module, not a module
        if parent := name.rpartition(".")[0]:
            waiting.append(parent)
        if module.file is not None:
            found[name] = module.file
            if module.file.suffix == ".py" and (name in modules or "." in name):
                waiting += _imported(name, module)
    return found


@lru_cache(maxsize=1024)
def _imported(name: str, module: Module) -> tuple[str, ...]:
    """See `_names`; read once for all that ask."""
    return tuple(_names(name, module))


def _names(name: str, module: Module) -> Iterator[str]:
    """Dotted names of what a module imports, and of what it imports from there."""
    assert module.file is not None
    package = name.split(".") if module.folders else name.split(".")[:-1]
    for dots, source, names, plain in _IMPORT.findall(module.file.read_text(encoding="utf-8")):
        if plain:
            yield from _words(plain)
            continue
        base = package[: len(package) - len(dots) + 1] if dots else []
        stem = ".".join([*base, *([source] if source else [])])
        yield stem
        yield from (f"{stem}.{word}" for word in _words(names))


def _words(names: str) -> Iterator[str]:
    """What is imported, without its other name and what is said of it."""
    bare = re.sub(r"#[^\n]*", "", names).strip("() \t\n\\")
    for part in bare.replace("\\\n", " ").split(","):
        if words := part.split():
            yield words[0]


@lru_cache(maxsize=1024)
def _find(name: str) -> Module | None:
    """A module's place, without importing it or a package that is not imported already."""
    parent, _, last = name.rpartition(".")
    if not parent or parent in sys.modules:
        try:
            spec = find_spec(name)
        except (ImportError, ValueError):  # what it lies in is no package
            return None
        if spec is None:
            return None
        file = Path(spec.origin) if spec.has_location and spec.origin else None
        return Module(file, tuple(Path(folder) for folder in spec.submodule_search_locations or ()))
    package = _find(parent)
    for folder in package.folders if package else ():
        if (inside := folder / last / "__init__.py").is_file():
            return Module(inside, (inside.parent,))
        if (file := folder / f"{last}.py").is_file():
            return Module(file, ())
        if (folder / last).is_dir():
            return Module(None, (folder / last,))
    return None
