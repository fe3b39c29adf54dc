"""The CSV file in which people say what happens when, as their programs write it.

    file,start,end,label[,split]
    cats/tom.mp4,2.0,5.5,Cat

Read as well: `;`, tabs or `|` between the columns, a first line `sep=;`, lines that begin with `#`, UTF-16,
headers in any case, a decimal comma, and times as m:ss, m:ss.mmm or h:mm:ss. What can be read in two ways is
refused, and the message says how to go on. Files of other programs and data sets: `readers`.
"""

from __future__ import annotations

import csv
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from ..errors import ModelFileError
from ..labels import BACKGROUND_NAME
from .annotations import SPLITS

COLUMNS: Final = ("file", "start", "end", "label")
_DELIMITERS: Final = ",;\t|"
_CLOCK: Final = re.compile(r"(?:(\d+):)?(\d+):(\d{1,2}(?:[.,]\d+)?)")
_COMMA: Final = re.compile(r"[+-]?\d+,\d+")


@dataclass(frozen=True)
class Labelled:
    """A line: something from `start` to `end` seconds; `label` None says that it is nothing.

    A whole video in which nothing happens has `start` and `end` 0; `end` is infinite where the label holds
    for the whole of it.
    """

    line: int
    """Its line, or its number among the entries of a file without lines."""
    file: str
    start: float
    end: float
    label: str | None
    split: str | None
    also: tuple[str, ...] = ()
    """What else the recording may be called."""
    loose: bool = False
    """Whether `file` is an id, or a name on another machine: see `readers.recording`."""


def table(path: Path, columns: Sequence[str], what: str) -> list[tuple[int, dict[str, str]]]:
    """Line number and fields of every row that is not empty, by column names in small letters.

    Raises:
        ModelFileError: not readable, not a table with these columns, a row with more fields than columns.

    """
    lines = text_of(path, what).splitlines(keepends=True)
    skipped, delimiter, header = _header(lines, columns)
    if missing := [name for name in columns if name not in header]:
        raise ModelFileError(
            f"{path}:{skipped + 1}: expected the columns {','.join(columns)}, {missing[0]!r} is missing "
            f"(got {','.join(header) or 'nothing'})"
        )
    rows = []
    reader = csv.reader(lines[skipped + 1 :], delimiter=delimiter)
    try:
        for fields in reader:
            line = skipped + 1 + reader.line_num
            if not any(field.strip() for field in fields):
                continue
            if len(fields) < len(columns) and fields[0].lstrip().startswith("#"):
                continue
            if len(fields) > len(header):
                hint = "; quote a decimal comma, or write a point" if delimiter == "," else ""
                raise ModelFileError(f"{path}:{line}: more fields than columns{hint}")
            fields += [""] * (len(header) - len(fields))
            rows.append((line, {k: v.strip() for k, v in zip(header, fields, strict=True)}))
    except csv.Error as error:
        raise ModelFileError(f"{what} {path}: can't be read ({error})") from error
    return rows


def text_of(path: Path, what: str = "labels") -> str:
    """A file as text: UTF-8, or UTF-16 as a spreadsheet's "Unicode text".

    Raises:
        ModelFileError: not readable, or of another encoding; which one can only be guessed.

    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ModelFileError(f"{what} {path}: can't be read ({error})") from error
    encoding = "utf-8-sig"
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encoding = "utf-16"
    elif b"\0" in raw[:2]:
        encoding = "utf-16-be" if raw[:1] == b"\0" else "utf-16-le"
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        raise ModelFileError(
            f"labels {path}: can't be read ({error}); it is neither UTF-8 nor UTF-16, save it as UTF-8"
        ) from error


def _header(lines: list[str], columns: Sequence[str]) -> tuple[int, str, list[str]]:
    """Number of the header's line (from 0), the delimiter, and the column names."""
    named = ""
    for number, line in enumerate(lines):
        text = line.strip()
        if match := re.fullmatch(r"\"?sep=(.)\"?", text, re.IGNORECASE) if text else None:
            named = match[1]
        elif text.lower().strip('"') == "sep=":  # a tab that was stripped
            named = "\t"
        elif text and not text.startswith("#"):
            best: tuple[int, str, list[str]] = (number, named or ",", [])
            for delimiter in named or _DELIMITERS:
                found = [cell.strip().lower() for cell in next(csv.reader([line], delimiter=delimiter))]
                if sum(name in found for name in columns) > sum(name in best[2] for name in columns):
                    best = (number, delimiter, found)
            if best[2]:
                return best
            plain = [cell.strip() for cell in next(csv.reader([line], delimiter=best[1]))]
            return number, best[1], plain
    return 0, ",", []


def seconds(text: str) -> float:
    """A number of seconds, with a point or a comma, or a time m:ss, m:ss.mmm, h:mm:ss.

    Raises:
        ValueError: not one, or one that could be read in two ways.

    """
    if match := _CLOCK.fullmatch(text):
        hours, minutes, rest = int(match[1] or 0), int(match[2]), float(match[3].replace(",", "."))
        if rest >= 60 or (match[1] and minutes >= 60):
            raise ValueError("no such time")
        return hours * 3600 + minutes * 60 + rest
    if _COMMA.fullmatch(text):
        whole, _, part = text.partition(",")
        # Groups of three may be thousands: 1,234 is 1.234 or 1234.
        if len(part) == 3 and whole.lstrip("+-") not in ("", "0"):
            raise ValueError(f"{text} may be {whole}.{part} or {whole}{part}; write a point")
        return float(f"{whole}.{part}")
    value = float(text)
    if "_" in text:
        raise ValueError("no number")
    return value


def read_labels(path: Path) -> list[Labelled]:
    """All lines of a label file; classes of one name, whatever its case and spaces, are spelled alike.

    Raises:
        ModelFileError: a line can't be understood; the message carries its number.

    """
    events = []
    for line, row in table(path, COLUMNS, "labels"):
        where = f"{path}:{line}"
        split = row.get("split") or None
        if split is not None and split.lower() not in SPLITS:
            raise ModelFileError(f"{where}: split must be one of {', '.join(SPLITS)}, got {split!r}")
        split = split.lower() if split else None
        if not row["file"]:
            raise ModelFileError(f"{where}: no file")
        if not row["label"]:
            raise ModelFileError(f"{where}: no label; write {BACKGROUND_NAME} where nothing happens")
        label = None if folded(row["label"]) == BACKGROUND_NAME else _tidy(row["label"])
        if label is None and not row["start"] and not row["end"]:
            events.append(Labelled(line, row["file"], 0.0, 0.0, None, split))
            continue
        try:
            start, end = seconds(row["start"]), seconds(row["end"])
        except ValueError as error:
            why = f" ({error})" if "may be" in str(error) else ""
            raise ModelFileError(
                f"{where}: start and end must be seconds, got {row['start']!r} and {row['end']!r}{why}"
            ) from error
        if not 0 <= start < end < float("inf"):
            raise ModelFileError(
                f"{where}: expected 0 ≤ start < end, got {row['start']} and {row['end']} (seconds)"
            )
        events.append(Labelled(line, row["file"], start, end, label, split))
    if not events:
        raise ModelFileError(f"labels {path}: no lines")
    return events


def _tidy(name: str) -> str:
    return " ".join(unicodedata.normalize("NFC", name).split())


def folded(name: str) -> str:
    """A class name without what people vary: case, spaces, the way accents are stored."""
    return _tidy(name).casefold()


def spellings(names: Iterable[str], known: Sequence[str] = ()) -> dict[str, str]:
    """Every spelling → the one to use: that of `known`, else the most frequent, else the first."""
    counts = Counter(names)
    chosen: dict[str, str] = {}
    for name in sorted(counts, key=lambda name: -counts[name]):  # stable: the first of equals
        chosen.setdefault(folded(name), name)
    chosen |= {folded(name): name for name in reversed(known)}
    return {name: name if name in known else chosen[folded(name)] for name in counts}


def file_key(name: str) -> str:
    """A file name without what programs vary: slashes of Windows, `./`, the way accents are stored."""
    return PurePosixPath(unicodedata.normalize("NFC", name).replace("\\", "/")).as_posix()


def near(name: str, there: Iterable[str]) -> str:
    """A hint at the file that was probably meant: same but for folder, ending or case; or nearly so."""
    from difflib import get_close_matches

    wanted, names = PurePosixPath(file_key(name)), sorted(there)
    paths = {one: PurePosixPath(file_key(one)) for one in names}
    found = [one for one, p in paths.items() if p.name.casefold() == wanted.name.casefold()]
    stems = (wanted.name.casefold(), wanted.stem.casefold())
    found = found or [one for one, p in paths.items() if p.stem.casefold() in stems]
    if found:
        return f"; did you mean {' or '.join(found[:3])}?"
    close = get_close_matches(str(wanted), names, n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else ""
