"""Which recordings there are, which of them are done already, and what is written for each.

For `in/a/b.mp4` under `-o out`: `out/a/b.mp4.{csv,events.csv,vtt,srt,labels.txt,eaf,html,json}`, the `srt`
only where there are events. The JSON is written last and says of which file (size, time, SHA-256) and with
which settings: the mark of completion.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import indent
from typing import Any, Final
from urllib.parse import quote

from ...model.checkpoint import file_sha256
from ...model.files import SHIPPED, atomic_write
from ...model.teach.pack import installed
from ..config.keys import keys, value_of
from ..config.schema import NONE, Config
from ..core.errors import SourceError, writing
from ..core.text import file_name
from ..sinks.records import lost_record, tracks_record
from ..sources.suffixes import passed_over, recordings_in
from .annotations import FORMATS, desed, label_studio, rttm
from .findings import Findings
from .page import Media, page_pieces, render_index
from .subtitles import subrip, webvtt
from .tracks import audacity, elan_pieces, events_csv, seconds_lines

_SEGMENTS: Final = ' "segments": ['
"""How the seconds begin in a recording's JSON."""
_DECIDING_FILES: Final = frozenset({".safetensors", ".onnx", ".json"})
"""Weights, graphs and calibrations that ship."""


@dataclass(frozen=True)
class Job:
    """One recording and where its results go, relative to the output folder, without suffix."""

    source: Path
    relative: Path

    @property
    def name(self) -> str:
        """What people read: the relative path, as text whatever its bytes are."""
        return file_name(self.relative.as_posix())

    def output(self, out: Path, suffix: str) -> Path:
        """A result file."""
        return out / self.relative.with_name(self.relative.name + suffix)


def find_jobs(paths: Sequence[Path], out: Path, say: Callable[[str], None] = lambda line: None) -> list[Job]:
    """Every recording in files and folders, in order, none twice; hidden files and `out` itself left out.

    Args:
        paths: files and folders; a file is taken whatever its name.
        out: where results go.
        say: told what was passed over.

    Raises:
        SourceError: a path that does not exist, or nothing to do.

    """
    jobs: dict[Path, Job] = {}
    taken: set[Path] = set()
    for path in paths:
        if not path.exists():
            raise SourceError(f"{path}: no such file or folder")
        found = [path]
        if path.is_dir():
            found, passed = recordings_in(path, lambda folder: folder.resolve() != out.resolve())
            if line := passed_over(passed):
                say(f"{path}: {line}")
        for source in found:
            relative = source.relative_to(path) if path.is_dir() else Path(source.name)
            if relative in taken:
                relative = (
                    Path(path.resolve().name if path.is_dir() else path.resolve().parent.name) / relative
                )
            number = 1
            while relative in taken:
                number += 1
                relative = relative.with_name(f"{number}-{relative.name}")
            if source.resolve() not in jobs:
                taken.add(relative)
                jobs[source.resolve()] = Job(source, relative)
    if not jobs:
        raise SourceError(
            f"{', '.join(map(str, paths))}: no recordings in there; give a file or another folder"
        )
    return list(jobs.values())


def fingerprint(config: Config, version: str) -> str:
    """A short hash of everything beside the recording that decides what is found."""
    deciding = [key.path for key in keys() if key.option.affects != "start"]
    values: dict[str, str] = {path: str(value_of(config, path)) for path in deciding}
    for name in ("checkpoint", "audio_weights", "visual_weights"):
        path = value_of(config, name)
        if path is not None and Path(path).is_file():
            values[f"{name} content"] = file_sha256(Path(path))
    for path in sorted(p for p in SHIPPED.rglob("*") if p.suffix in _DECIDING_FILES):
        values[path.relative_to(SHIPPED).as_posix()] = file_sha256(path)
    if NONE not in config.taught:  # what is taught meanwhile may be in a recording that is done
        for path in installed():
            values[f"taught {path.name}"] = file_sha256(path)
    packed = json.dumps([version, values], sort_keys=True)
    return hashlib.sha256(packed.encode()).hexdigest()[:16]


def finished(job: Job, out: Path, print_: str, also: Sequence[str] = ()) -> dict[str, Any] | None:
    """The results of an earlier run if they are of this very file and these settings, else None.

    Args:
        job: the recording.
        out: where results go.
        print_: `fingerprint` of the settings.
        also: further formats (`annotations.FORMATS`) that must be there.

    """
    path = job.output(out, ".json")
    try:
        record = _head(path)
        given, stat = record["input"], job.source.stat()
        same = record["settings"] == print_ and given["size"] == stat.st_size
        if same and given["mtime_ns"] != stat.st_mtime_ns:
            same = given["sha256"] == file_sha256(job.source)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    files = [job.output(out, suffix) for suffix in (".html", *(FORMATS[name] for name in also))]
    return record if same and all(path.is_file() for path in files) else None


def write_results(
    findings: Findings,
    job: Job,
    out: Path,
    print_: str,
    *,
    embed: bool,
    version: str,
    also: Sequence[str] = (),
) -> dict[str, Any]:
    """Write everything about one recording; the JSON comes last.

    Args:
        findings: what was found.
        job: the recording.
        out: where results go.
        print_: `fingerprint` of the settings.
        embed: put the recording itself into the page.
        version: of avel-live.
        also: further formats, of `annotations.FORMATS`.

    Returns:
        its record, without the seconds.

    Raises:
        OutputError: a file can't be written.

    """
    page = job.output(out, ".html")
    stat = job.source.stat()
    with writing(page.parent):
        page.parent.mkdir(parents=True, exist_ok=True)
        video = bool(findings.start.source.video)
        media = (
            Media.inside(job.source, video=video) if embed else Media.beside(job.source, page, video=video)
        )
        beside = Media.beside(job.source, page, video=video)
        atomic_write(job.output(out, ".csv"), seconds_lines(findings))
        atomic_write(job.output(out, ".events.csv"), events_csv(findings.events))
        atomic_write(job.output(out, ".vtt"), webvtt(findings.events))
        if findings.events:
            atomic_write(job.output(out, ".srt"), subrip(findings.events))
        else:
            # SubRip has no header: without cues it would be an empty file, which players call damaged.
            job.output(out, ".srt").unlink(missing_ok=True)
        atomic_write(job.output(out, ".labels.txt"), audacity(findings.events))
        atomic_write(job.output(out, ".eaf"), elan_pieces(findings, beside.url))
        for name in also:
            text = {
                "rttm": lambda: rttm(findings.events, job.name),
                "desed": lambda: desed(findings.events, job.name),
                "label-studio": lambda: label_studio(findings.events, beside.url, version, video=video),
            }[name]()
            atomic_write(job.output(out, FORMATS[name]), text)
        atomic_write(page, page_pieces(findings, media))
        record = _record(findings, job, print_, version, stat)
        atomic_write(job.output(out, ".json"), _with_segments(record, findings.seconds))
    return record


def write_index(rows: Sequence[dict[str, Any]], out: Path) -> Path:
    """The page over all recordings. Rows as `render_index` wants them."""
    path = out / "index.html"
    with writing(path):
        atomic_write(path, render_index(rows))
    return path


def index_row(job: Job, record: dict[str, Any] | None, error: str = "") -> dict[str, Any]:
    """One recording in the index; `record` is its JSON, None when it failed."""
    row: dict[str, Any] = {
        "name": job.name,
        "page": None,
        "seconds": 0,
        "events": [],
        "error": error,
        "remarks": [],
    }
    if record is not None:
        page = job.relative.with_name(job.relative.name + ".html")
        row["page"] = quote(os.fsencode(page.as_posix()))
        row["seconds"] = record["seconds"]
        row["events"] = [{k: e[k] for k in ("label", "start_s", "end_s")} for e in record["events"]]
        row["remarks"] = record.get("remarks", [])
    return row


def _record(findings: Findings, job: Job, print_: str, version: str, stat: os.stat_result) -> dict[str, Any]:
    start, end = findings.start, findings.end
    return {
        "schema": 1,
        "version": version,
        "input": {
            "name": file_name(job.source.name),
            "size": stat.st_size,
            "mtime_ns": stat.st_mtime_ns,
            "sha256": file_sha256(job.source),
        },
        "settings": print_,
        "profile": start.profile,
        "backend": start.backend,
        "precision": start.precision,
        "calibration": start.calibration or None,
        "labels": list(start.labels),
        "seconds": round(end.seconds, 3),
        "real_time_factor": round(end.real_time_factor, 4),
        "tracks": tracks_record(end),
        "lost": lost_record(end),
        "remarks": list(findings.remarks),
        "events": [
            {"id": e.id, "label": e.label, "start_s": e.start_s, "end_s": e.end_s, "confidence": e.confidence}
            for e in findings.events
        ],
    }


def _with_segments(record: dict[str, Any], seconds: Iterable[dict[str, Any]]) -> Iterator[str]:
    """A record and the seconds it was made of, in pieces, as one JSON document with an indent of one."""
    yield _dump(record).removesuffix("\n}")
    yield f",\n{_SEGMENTS}"
    mark = ""
    for second in seconds:
        plain = {key: value for key, value in second.items() if key != "type"}
        yield f"{mark}\n" + indent(_dump(plain), "  ")
        mark = ","
    yield "\n ]\n}\n" if mark else "]\n}\n"


def _head(path: Path) -> dict[str, Any]:
    """The record without its seconds, which come last: a day of them would be 60 MB to hold.

    Raises:
        OSError, ValueError: not there, or no record.

    """
    head = ""
    with path.open(encoding="utf-8") as file:
        for line in file:
            if line.startswith(_SEGMENTS):
                return dict(json.loads(head.rstrip().removesuffix(",") + "}"))
            head += line
    return dict(json.loads(head))


def _dump(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1)
