"""Label files, whoever wrote them, through one door; README.md says which are read.

read_events(path)       what happens when, in which recording, and what could not be used
recording(event, names) which of the recordings an event is of
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Final

from ...errors import ModelFileError
from ..labelfile import COLUMNS, Labelled, file_key, near, read_labels, text_of
from . import lists, tracks
from .cvat import read_cvat
from .database import read_database
from .elan import parse, read_elan
from .label_studio import read_label_studio
from .reading import WHOLE as WHOLE
from .reading import Reading as Reading
from .reading import is_number as is_number

KINDS: Final = (
    "CSV with file,start,end,label; Audacity; ELAN; UnAV-100; LLP; AudioSet strong; VGGSound; AVE; "
    "Label Studio; CVAT; dcase_util; or a folder of tracks"
)
_TRACKS: Final = (".txt", ".eaf")


def read_events(path: Path, fps: float | None = None) -> Reading:
    """Everything that a label file, or a folder of label tracks, says.

    Args:
        path: what it is is told by its content.
        fps: frames a second, for files that count frames.

    Raises:
        ModelFileError: unreadable, of no known kind, or nothing in it can be used.

    """
    return (_folder(path, fps) if path.is_dir() else _file(path, fps, path.parent)).checked()


def _folder(folder: Path, fps: float | None) -> Reading:
    """Every track of a folder: Audacity's where there are any, or else ELAN's."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix.lower() in _TRACKS)
    for suffix in _TRACKS:
        chosen = [p for p in files if p.suffix.lower() == suffix]
        if chosen:
            break
    else:
        raise ModelFileError(
            f"labels {folder}: no .txt and no .eaf track in this folder; name the label file"
        )
    whole = Reading(folder, "folder of tracks")
    if others := len(files) - len(chosen):
        whole.say(f"{len(chosen)} {suffix} tracks are read, {others} {_TRACKS[1]} files beside them are not")
    for path in chosen:
        one = _file(path, fps, folder)
        whole.events += one.events
        whole.said += one.notes
    return whole


def _file(path: Path, fps: float | None, root: Path) -> Reading:
    text = text_of(path)
    start = text.lstrip()[:1]
    if start == "<":
        node = parse(path, text)
        if node.tag == "ANNOTATION_DOCUMENT":
            return read_elan(path, node, root)
        if node.tag == "annotations":
            return read_cvat(path, node, fps)
        raise ModelFileError(f"labels {path}: an XML file of <{node.tag}>; read are {KINDS}")
    if start and start in "{[":
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ModelFileError(f"labels {path}: no whole JSON document ({error})") from error
        if isinstance(data, list):
            return read_label_studio(path, data, fps)
        if "database" in data:
            return read_database(path, data["database"])
        raise ModelFileError(f"labels {path}: JSON without `database` and no list of tasks; read are {KINDS}")
    return _table(path, text, root)


def _table(path: Path, text: str, root: Path) -> Reading:
    lines = [(n, line) for n, line in enumerate(text.splitlines(), 1) if line.strip()]
    lines = [(n, line) for n, line in lines if not line.lstrip().startswith("#")]
    if lines:
        first = lines[0][1]
        if first.count("&") == 4:
            head = first.split("&")
            rest = lines if head[3].strip().isdigit() else lines[1:]
            return lists.ave(path, [(n, line.split("&")) for n, line in rest])
        delimiter = max("\t,;", key=first.count)
        rows = [(n, next(csv.reader([line], delimiter=delimiter))) for n, line in lines]
        header = [cell.strip().lower() for cell in rows[0][1]]
        if {"label", "start_s", "end_s"} <= set(header) and "file" not in header:
            return tracks.read_own(path, text, root)
        if tracks.is_track(rows[0][1]):
            return tracks.read_track(path, rows, root)
        if set(header) < set(COLUMNS) or set(header) >= set(COLUMNS):
            pass  # ours: its own reader says what is wrong
        elif found := lists.with_header(path, rows[0][1], rows[1:]) or lists.without_header(path, rows):
            return found
    own = Reading(path, "table", loose=False)
    own.events = read_labels(path)
    return own


def recording(event: Labelled, there: Keyed) -> str | None:
    """Which recording an event is of; None where none is, or where several might be.

    Args:
        event: of a label file.
        there: recordings by `file_key` of their names.

    A table of one's own names files exactly. A track or a published list names a recording by its id, or as
    it was called elsewhere: the same path, then the same path without its ending, then the same name.

    """
    key = file_key(event.file)
    if not event.loose or key in there:
        return there.get(key)
    for name in (event.file, *event.also):
        for form, named in there.forms.items():
            wanted = _whole(name) if form in (_whole, _stem) else _last(name)
            found = named.get(wanted, ())
            if len(found) == 1:
                return next(iter(found))
    return None


def grouped(
    events: Iterable[Labelled], there: Keyed, path: Path
) -> tuple[dict[str, list[Labelled]], list[str]]:
    """The events of each recording, and a note on recordings that are not there.

    Args:
        events: of a label file.
        there: recordings by `file_key` (`keyed`).
        path: the label file, for messages.

    Raises:
        ModelFileError: a recording of a table of one's own is not there, or none of a published list is.

    """
    found: dict[str, list[Labelled]] = {}
    elsewhere: dict[str, None] = {}
    for event in events:
        file = recording(event, there)
        if file is not None:
            found.setdefault(file, []).append(event)
        elif event.loose:
            elsewhere[event.file] = None
        else:
            hint = near(event.file, there.values()) or "; extract it, or mind the spelling"
            raise ModelFileError(f"{path}:{event.line}: {event.file} has no features{hint}")
    if not elsewhere:
        return found, []
    first = next(iter(elsewhere))
    if not found:
        raise ModelFileError(
            f"labels {path}: none of its {len(elsewhere)} recordings ({first} …) has features here"
            f"{near(first, there.values()) or '; extract them'}"
        )
    note = f"{path.name}: {len(elsewhere)} recordings have no features and are left out: {first} …"
    return found, [note]


def _whole(name: str) -> str:
    return file_key(name)


def _stem(name: str) -> str:
    return PurePosixPath(file_key(name)).with_suffix("").as_posix()


def _last(name: str) -> str:
    return PurePosixPath(file_key(name)).name


def _last_stem(name: str) -> str:
    return PurePosixPath(file_key(name)).stem


class Keyed(dict[str, str]):
    """Recordings by `file_key`."""

    @cached_property
    def forms(self) -> dict[Callable[[str], str], dict[str, set[str]]]:
        """The recordings that a name may mean in each form of it; lists of data sets ask for thousands."""
        found: dict[Callable[[str], str], dict[str, set[str]]] = {}
        for form in (_whole, _stem, _last, _last_stem):
            named = found[form] = {}
            for key, name in self.items():
                named.setdefault(form(key), set()).add(name)
        return found


def keyed(names: Iterable[str]) -> Keyed:
    """Recordings by `file_key`."""
    return Keyed((file_key(name), name) for name in names)
