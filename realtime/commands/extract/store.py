"""The output folder of an extraction: laid out at once, journalled, gone on with after a kill."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from ....model.checkpoint import file_sha256
from ....model.files import atomic_write, replacing
from ....model.profiles import GRID, WINDOW, get_profile
from ...core.errors import OutputError
from .jobs import Job
from .worker import Options, Result

_COLUMNS: Final = ("row", "file", "first_s", "seconds", "video_lost_s", "audio_lost_s")
_NONE: Final = (0.0, 0.0)


class FeatureStore:
    """The output folder, made or gone on with.

    Raises:
        OutputError: it holds features of another kind or other videos, or can't be written.

    """

    def __init__(self, folder: Path, jobs: Sequence[Job], options: Options) -> None:
        self.folder, self.jobs = folder, jobs
        profile = get_profile(options.profile)
        shapes = {
            "visual": (len(jobs), WINDOW, GRID, GRID, profile.visual.dim),
            "audio": (len(jobs), WINDOW, profile.audio.dim),
        }
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._agree(options)
            self.done = self._read_journal()
            self._files = {
                name: self._file(f"{name}_feature.h5", {"avadataset": (shape, np.dtype(np.float32))})
                for name, shape in shapes.items()
            }
            flags = ((len(jobs), WINDOW), np.dtype(np.bool_))
            self._files["masks"] = self._file("masks.h5", {"visual": flags, "audio": flags})
            self._journal = (folder / "journal.jsonl").open("a", encoding="utf-8")
        except OSError as error:
            raise OutputError(f"{folder}: can't be written ({error})") from error

    def _agree(self, options: Options) -> None:
        """Note what these features are; refuse a folder that holds others."""
        note = {
            "profile": options.profile,
            "visual_weights": file_sha256(options.visual_weights) if options.visual_weights else "fetched",
            "audio_weights": file_sha256(options.audio_weights) if options.audio_weights else "fetched",
            "rows": [[job.name, job.first_s] for job in self.jobs],
        }
        path = self.folder / "features.json"
        if path.is_file():
            try:
                was = json.loads(path.read_text(encoding="utf-8"))
            except ValueError as error:
                raise OutputError(f"{path}: damaged; delete the folder and extract again") from error
            if changed := [key for key in note if was.get(key) != note[key]]:
                raise OutputError(
                    f"{self.folder}: holds features of other {changed[0].replace('_', ' ')}; "
                    "choose another --out, or delete it"
                )
            return
        atomic_write(path, json.dumps(note) + "\n")

    def _read_journal(self) -> dict[int, dict[str, Any]]:
        done: dict[int, dict[str, Any]] = {}
        path = self.folder / "journal.jsonl"
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            whole = text[: text.rfind("\n") + 1]  # a kill may leave half a line
            if whole != text:
                atomic_write(path, whole)
            for line in whole.splitlines():
                entry = json.loads(line)
                done[int(entry["row"])] = entry
        return done

    def _file(self, name: str, parts: dict[str, tuple[tuple[int, ...], Any]]) -> Any:
        import h5py

        path = self.folder / name
        if not path.is_file():
            with replacing(path) as temporary, h5py.File(temporary, "w", libver="earliest") as file:
                for key, (shape, dtype) in parts.items():
                    space = h5py.h5s.create_simple(shape)
                    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
                    plan.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
                    plan.set_layout(h5py.h5d.CONTIGUOUS)
                    h5py.h5d.create(
                        file.id, key.encode(), h5py.h5t.py_create(dtype, logical=True), space, plan
                    )
            self.done.clear()
        return h5py.File(path, "r+", libver="earliest")

    def put(self, result: Result) -> None:
        """Write one row; it is done once this returns."""
        job = self.jobs[result.row]
        entry: dict[str, Any] = {"row": result.row, "file": job.name, "seconds": result.seconds}
        entry["lost_s"] = list(result.lost_s)
        if result.error:
            entry["error"] = result.error
        else:
            self._files["visual"]["avadataset"][result.row] = result.visual
            self._files["audio"]["avadataset"][result.row] = result.audio
            self._files["masks"]["visual"][result.row] = result.visual_mask
            self._files["masks"]["audio"][result.row] = result.audio_mask
            for file in self._files.values():
                file.flush()
        self._journal.write(json.dumps(entry, ensure_ascii=False) + "\n")
        self._journal.flush()
        self.done[result.row] = entry

    def close(self) -> None:
        """Write the index and the list of broken videos, and close."""
        for file in self._files.values():
            file.close()
        self._journal.close()
        rows = [(job, self.done.get(job.row, {})) for job in self.jobs]
        lines = [
            (
                job.row,
                job.name,
                job.first_s,
                0 if "error" in e else e.get("seconds", 0),
                *e.get("lost_s", _NONE),
            )
            for job, e in rows
        ]
        _write_csv(self.folder / "index.csv", _COLUMNS, lines)
        broken = [(job.row, job.name, e["error"]) for job, e in rows if "error" in e]
        _write_csv(self.folder / "broken.csv", ("row", "file", "reason"), broken)


def _write_csv(path: Path, head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(head)
        writer.writerows(rows)
