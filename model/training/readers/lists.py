"""Lists of many recordings: dcase_util's and DESED's, LLP (AVVP), AudioSet strong, VGGSound, AVE.

Shapes as published:

    dcase_util       file onset offset label, or file scene onset offset label; tab, comma or semicolon; with
                     or without a header (filename, onset, offset, event_label); a file alone has no event
    LLP (AVVP)       filename onset offset event_labels; of the training part: filename event_labels, the
                     labels of a whole clip with commas between; names are VIDEO_FROM_TO, clips are stored so
                     or under the eleven signs of the video alone
    AudioSet strong  segment_id start_time_seconds end_time_seconds label [present]; the id is VIDEO_FROMMS,
                     labels are machine ids unless mid_to_display_name.tsv lies beside
    VGGSound         VIDEO,FROM,label,split without a header; the label holds for ten seconds
    AVE              label&VIDEO&quality&start&end; 0 to 0 is nothing at all
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from .reading import WHOLE, Reading, is_number

Rows = Sequence[tuple[int, list[str]]]

_CLIP: Final = re.compile(r"(.{11})_\d+_\d+")
_PARTS: Final = frozenset({"train", "test", "val", "validation"})
_NAMES: Final = {
    "filename": "file",
    "file": "file",
    "segment_id": "file",
    "onset": "start",
    "event_onset": "start",
    "start_time_seconds": "start",
    "offset": "end",
    "event_offset": "end",
    "end_time_seconds": "end",
    "event_label": "label",
    "event_labels": "label",
    "label": "label",
    "present": "present",
}
_STRONG: Final = frozenset({"segment_id", "start_time_seconds", "end_time_seconds"})


def with_header(path: Path, header: Sequence[str], rows: Rows) -> Reading | None:
    """A list whose first line names its columns; None where these are no columns of such a list."""
    names = [cell.strip().lower() for cell in header]
    strong = set(names) >= _STRONG
    at = {_NAMES[name]: k for k, name in enumerate(names) if name in _NAMES}
    if (not strong and "filename" not in names) or "label" not in at:
        return None
    timed = {"start", "end"} <= set(at)
    if not timed and "event_labels" not in names:
        return None
    found = Reading(path, "list of AudioSet's strong labels" if strong else "event list")
    spelled = _display_names(path) if strong else {}
    for line, cells in rows:
        row = {name: cells[k].strip() if k < len(cells) else "" for name, k in at.items()}
        if row.get("present", "PRESENT").upper() not in ("PRESENT", ""):
            found.leave(line, "said not to be there")
            continue
        file, also = _named(row["file"], strong)
        if not timed:
            _weak(found, line, file, also, row["label"])
        elif not (row["start"] or row["end"] or row["label"]) and file:
            found.nothing(line, file, also=also)
        else:
            found.add(
                line, file, row["start"], row["end"], spelled.get(row["label"], row["label"]), also=also
            )
    if strong and any((e.label or "").startswith(("/m/", "/t/", "/g/")) for e in found.events):
        found.say("classes are AudioSet's ids; with mid_to_display_name.tsv beside it they get their names")
    return found


def without_header(path: Path, rows: Rows) -> Reading | None:
    """A list without names of columns, told by where its numbers are; None where it is none of these."""
    first = rows[0][1]
    if len(first) == 4 and is_number(first[1]) and not is_number(first[2]) and first[3].strip() in _PARTS:
        return _vggsound(path, rows)
    at = next(
        (k for k in (1, 2) if len(first) > k + 1 and is_number(first[k]) and is_number(first[k + 1])), 0
    )
    if not at:
        return None
    found = Reading(path, "event list")
    for line, cells in rows:
        cells = [cell.strip() for cell in cells]
        file, also = _named(cells[0], strong=False)
        if len([cell for cell in cells if cell]) == 1:
            found.nothing(line, file, also=also)
        elif len(cells) < at + 3:
            found.leave(line, "no onset, offset and label")
        else:
            found.add(line, file, cells[at], cells[at + 1], cells[at + 2], also=also)
    return found


def ave(path: Path, rows: Rows) -> Reading:
    """AVE's Annotations.txt."""
    found = Reading(path, "list of AVE's annotations")
    for line, cells in rows:
        if len(cells) != 5:
            found.leave(line, "not five fields")
        elif (cells[3].strip(), cells[4].strip()) == ("0", "0"):
            found.nothing(line, cells[1])
        else:
            found.add(line, cells[1], cells[3], cells[4], cells[0])
    return found


def _vggsound(path: Path, rows: Rows) -> Reading:
    found = Reading(path, "list of VGGSound")
    found.say("a label holds for the whole clip of ten seconds; the list does not say when in it")
    for line, cells in rows:
        if len(cells) != 4 or not cells[1].strip().isdigit():
            found.leave(line, "not VIDEO,FROM,label,split")
            continue
        video, start = cells[0].strip(), int(cells[1])
        names = (f"{video}_{start}", f"{video}_{start}_{start + 10}", _ms(video, start * 1000))
        found.add(line, f"{video}_{start:06d}", 0.0, WHOLE, cells[2], split=cells[3].strip(), also=names)
    return found


def _weak(found: Reading, line: int, file: str, also: tuple[str, ...], labels: str) -> None:
    found.say("labels without times hold for the whole clip")
    for label in labels.split(","):
        found.add(line, file, 0.0, WHOLE, label, also=also)


def _named(name: str, strong: bool) -> tuple[str, tuple[str, ...]]:
    """The name of a clip in a list, and what its file may be called instead."""
    if strong and (match := re.fullmatch(r"(.{11})_(\d+)", name)):
        video, ms = match[1], int(match[2])
        start = ms // 1000
        return name, (f"Y{name}", _ms(video, ms), f"{video}_{start}_{start + 10}", f"{video}_{start:06d}")
    match = _CLIP.fullmatch(name)
    return name, (match[1],) if match else ()


def _ms(video: str, start: int) -> str:
    return f"{video}_{start}_{start + 10_000}"


def _display_names(path: Path) -> Mapping[str, str]:
    """AudioSet's table of machine ids and names, where it lies beside."""
    table = path.parent / "mid_to_display_name.tsv"
    if not table.is_file():
        return {}
    pairs = (line.split("\t", 1) for line in table.read_text(encoding="utf-8-sig").splitlines())
    return {pair[0]: pair[1].strip() for pair in pairs if len(pair) == 2}
