"""Which rows an extraction makes: from videos, folders, or AVE's zip file."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple

from ....model.profiles import WINDOW
from ...errors import SourceError, UsageError
from ...sources.opening import open_container

SUFFIXES: Final = frozenset(
    ".mp4 .mkv .webm .avi .mov .m4v .mpg .mpeg .ts .flv .3gp .ogv .wmv".split()  # noqa: SIM905
)
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
                if PurePosixPath(member).suffix.lower() in SUFFIXES:
                    found.setdefault(PurePosixPath(member).stem, (archive, member))
    if folder is not None:
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() in SUFFIXES:
                found.setdefault(path.stem, (path, None))
    missing = archive or folder or Path()
    return [
        Job(row, video, *found.get(video, (missing / f"{video}.mp4", None)), 0)
        for row, video in enumerate(ids)
    ]


def _duration_s(path: Path) -> float:
    from av.error import FFmpegError

    try:
        with open_container(path) as container:
            return (container.duration or 0) / 1_000_000
    except (FFmpegError, OSError, ValueError):
        return 0.0  # the worker will say what is wrong with it


def find_jobs(inputs: Sequence[Path], annotations: Path | None = None) -> list[Job]:
    """The rows that these inputs make.

    With AVE's `Annotations.txt` (given, or found beside the videos): one row for each of its lines, found
    by video id, in a folder or in AVE's zip file. Otherwise every video of every folder, cut into rows of
    ten seconds.

    Raises:
        SourceError: nothing to extract.

    """
    if len(inputs) == 1:
        source = inputs[0]
        if source.is_file() and source.suffix.lower() == ".zip":
            return _zip_jobs(source, annotations)
        if source.is_dir() and annotations is None and (source / "Annotations.txt").is_file():
            annotations = source / "Annotations.txt"
        if annotations is not None and source.is_dir():
            return _ave_jobs(source, None, _ids(annotations))
    if annotations is not None:
        raise UsageError("--annotations goes with one folder or zip file of videos")
    jobs: list[Job] = []
    for source in inputs:
        if source.is_dir():
            files = sorted(p for p in source.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
            named = [(p.relative_to(source).as_posix(), p) for p in files]
        elif source.exists():
            named = [(source.name, source)]
        else:
            raise SourceError(f"{source}: no such file or folder")
        for name, path in named:
            windows = min(MAX_WINDOWS, max(1, -(-round(_duration_s(path)) // WINDOW)))
            jobs += [Job(len(jobs) + k, name, path, None, k * WINDOW) for k in range(windows)]
    if not jobs:
        raise SourceError(f"{inputs[0]}: no videos in it (known endings: {' '.join(sorted(SUFFIXES))})")
    return jobs


def _ids(annotations: Path) -> list[str]:
    from ....model.training.annotations import read_annotations

    return [row.video for row in read_annotations(annotations)]


def _zip_jobs(archive: Path, annotations: Path | None) -> list[Job]:
    try:
        with zipfile.ZipFile(archive) as z:
            names = z.namelist()
            inside = next((n for n in names if PurePosixPath(n).name == "Annotations.txt"), None)
            if annotations is None and inside is None:
                videos = sorted(n for n in names if PurePosixPath(n).suffix.lower() in SUFFIXES)
                if not videos:
                    raise SourceError(f"{archive}: no videos in it")
                return [Job(i, n, archive, n, 0) for i, n in enumerate(videos)]
            if annotations is not None:
                ids = _ids(annotations)
            else:
                with tempfile.TemporaryDirectory() as scratch:
                    ids = _ids(Path(z.extract(str(inside), scratch)))
    except zipfile.BadZipFile as error:
        raise SourceError(f"{archive}: not a zip file, or damaged ({error})") from error
    return _ave_jobs(None, archive, ids)
