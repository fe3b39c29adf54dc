"""Which rows an extraction makes: from videos, folders, or AVE's zip file."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple

from ....model.profiles import WINDOW
from ...core.errors import SourceError, UsageError
from ...sources.suffixes import MEDIA, VIDEO, is_recording, passed_over, recordings_in

MAX_WINDOWS: Final = 360
"""Windows of one long video, at most: an hour."""


class Job(NamedTuple):
    """One row to fill: seconds `first_s` … of a video, which is `file` on disk or `member` of a zip."""

    row: int
    name: str
    file: Path
    member: str | None
    first_s: int


def _ave_jobs(folder: Path | None, archive: Path | None, ids: Sequence[str]) -> list[Job]:
    """Rows in the order of Annotations.txt; a video that is not there gets a job that will fail."""
    found: dict[str, tuple[Path, str | None]] = {}
    if archive is not None:
        with zipfile.ZipFile(archive) as z:
            for member in z.namelist():
                if PurePosixPath(member).suffix.lower() in VIDEO:
                    found.setdefault(PurePosixPath(member).stem, (archive, member))
    if folder is not None:
        for path in sorted(recordings_in(folder)[0]):
            if path.suffix.lower() in VIDEO:
                found.setdefault(path.stem, (path, None))
    missing = archive or folder or Path()
    return [
        Job(row, video, *found.get(video, (missing / f"{video}.mp4", None)), 0)
        for row, video in enumerate(ids)
    ]


def _seconds(path: Path) -> float:
    """How long a recording really is: headers are often wrong (browsers, recorders that were killed)."""
    from ...core.clock import ManualClock
    from ...sources.replay import Replay, ReplayOptions

    source = Replay(path, ManualClock(), ReplayOptions(speed=None))
    try:
        return source.measure_s()
    except SourceError:
        return 0.0  # the worker will say what is wrong with it
    finally:
        source.close()


def _windows(path: Path) -> int:
    return min(MAX_WINDOWS, max(1, -(-round(_seconds(path)) // WINDOW)))


def find_jobs(
    inputs: Sequence[Path],
    annotations: Path | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> list[Job]:
    """The rows that these inputs make.

    With AVE's `Annotations.txt` (given, or found beside the videos): one row for each of its lines, found
    by video id, in a folder or in AVE's zip file. Otherwise every recording of every folder and zip file, cut
    into rows of ten seconds; `say` is told what was passed over.

    Raises:
        SourceError: nothing to extract.

    """
    if len(inputs) == 1:
        source = inputs[0]
        if source.is_file() and source.suffix.lower() == ".zip":
            return _zip_jobs(source, annotations, say)
        if source.is_dir() and annotations is None and (source / "Annotations.txt").is_file():
            annotations = source / "Annotations.txt"
        if annotations is not None and source.is_dir():
            return _ave_jobs(source, None, _ids(annotations))
    if annotations is not None:
        raise UsageError("--annotations goes with one folder or zip file of videos")
    jobs: list[Job] = []
    for source in inputs:
        if source.is_dir():
            files, passed = recordings_in(source)
            if line := passed_over(passed):
                say(f"{source}: {line}")
            named = [(p.relative_to(source).as_posix(), p) for p in sorted(files)]
        elif source.is_file() and source.suffix.lower() == ".zip":
            inside = _zip_jobs(source, None, say)
            jobs += [job._replace(row=len(jobs) + k) for k, job in enumerate(inside)]
            continue
        elif source.exists():
            named = [(source.name, source)]
        else:
            raise SourceError(f"{source}: no such file or folder")
        for name, path in named:
            jobs += [Job(len(jobs) + k, name, path, None, k * WINDOW) for k in range(_windows(path))]
    if not jobs:
        raise SourceError(f"{inputs[0]}: no videos in it (known endings: {' '.join(sorted(MEDIA))})")
    return jobs


def _ids(annotations: Path) -> list[str]:
    from ....model.training.annotations import read_annotations

    return [row.video for row in read_annotations(annotations)]


def _hidden(member: str) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in PurePosixPath(member).parts)


def _rows_of_members(z: zipfile.ZipFile, archive: Path, members: Sequence[str]) -> list[Job]:
    jobs: list[Job] = []
    for member in members:
        with tempfile.TemporaryDirectory() as scratch:
            windows = _windows(Path(z.extract(member, scratch)))
        jobs += [Job(len(jobs) + k, member, archive, member, k * WINDOW) for k in range(windows)]
    return jobs


def _zip_jobs(archive: Path, annotations: Path | None, say: Callable[[str], None]) -> list[Job]:
    try:
        with zipfile.ZipFile(archive) as z:
            names = z.namelist()
            inside = next((n for n in names if PurePosixPath(n).name == "Annotations.txt"), None)
            if annotations is None and inside is None:
                members = [n for n in names if not n.endswith("/") and not _hidden(n)]
                videos = sorted(n for n in members if is_recording(n))
                if not videos:
                    raise SourceError(f"{archive}: no videos in it")
                if line := passed_over([Path(n) for n in members if not is_recording(n)]):
                    say(f"{archive}: {line}")
                return _rows_of_members(z, archive, videos)
            if annotations is not None:
                ids = _ids(annotations)
            else:
                with tempfile.TemporaryDirectory() as scratch:
                    ids = _ids(Path(z.extract(str(inside), scratch)))
    except zipfile.BadZipFile as error:
        raise SourceError(f"{archive}: not a zip file, or damaged ({error})") from error
    return _ave_jobs(None, archive, ids)
