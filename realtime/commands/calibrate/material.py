"""Labelled material, and the engine that looks at it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ....model.runtime.base import EngineInfo
from ...config.schema import Config
from ...core.clock import SystemClock
from ...core.errors import UsageError
from ...recordings.labelled import Clip, is_manifest, manifest_clips
from ...ui.console import Console
from .features import ave_clips, scene_clips
from .marks import marked_clips

if TYPE_CHECKING:
    from ....model.runtime.base import Engine


@dataclass(frozen=True)
class Fit:
    """Where labelled material comes from and where results go."""

    data: Path | None
    """None where marks are all there is."""
    split: str
    output: Path | None
    plot: Path | None
    json_out: Path | None
    dry_run: bool
    marks: bool = False
    """Also what people said of events, out of the memory."""

    @property
    def name(self) -> str:
        """Where it comes from, for messages."""
        return " and ".join([*([str(self.data)] if self.data else []), *(["marks"] if self.marks else [])])

    @property
    def title(self) -> str:
        """The same for pictures, without folders."""
        return " and ".join([*([self.data.name] if self.data else []), *(["marks"] if self.marks else [])])


@contextmanager
def engine_of(config: Config, console: Console) -> Iterator[Engine]:
    """The networks that the configuration asks for, closed afterwards."""
    from ...session.open import make_engine

    with console.status("loading the networks"):
        engine = make_engine(config)
    try:
        yield engine
    finally:
        engine.close()


def is_work_folder(folder: Path) -> bool:
    """Whether `avel train lite` worked there and left evidence of its photographs."""
    return (folder / "pictures.npz").is_file() and (folder / "views.npz").is_file()


def labelled(config: Config, fit: Fit, console: Console) -> tuple[EngineInfo, list[Clip]]:
    """The scores of all labelled material, and what gave them.

    Raises:
        UsageError: the folder holds nothing known.

    """
    if fit.data is None and not fit.marks:
        raise UsageError("calibrate: say --data FOLDER (labelled clips) or --from-marks, or both")
    known = None if fit.data is None else _known(config, fit.data, fit.split, console)
    if not fit.marks:
        assert known is not None
        return known
    with engine_of(config, console) as engine, console.status("looking at marked events") as status:

        def looked(done: int, total: int) -> None:
            status.update(f"looking at marked events: clip {done} of {total}")

        clips, line = marked_clips(config.memory.file, engine, looked)
        console.print(line)
        return engine.info, [*(known[1] if known else ()), *clips]


def _known(config: Config, data: Path, split: str, console: Console) -> tuple[EngineInfo, list[Clip]]:
    if not data.is_dir():
        raise UsageError(f"--data {data}: no such folder")
    is_features = (data / "visual_feature.h5").is_file() or is_work_folder(data)
    if not (is_features or is_manifest(data)):
        raise UsageError(
            f"--data {data}: neither MANIFEST.tsv, nor visual_feature.h5, nor pictures.npz there"
        )
    with console.status("") as status:

        def progress(done: int, total: int) -> None:
            status.update(f"looking at labelled material: {done} of {total}")

        if is_features:
            return _from_features(config, data, split, progress)
    with engine_of(config, console) as engine, console.status("") as status:
        return engine.info, list(manifest_clips(data, engine, SystemClock(), progress))


def _from_features(
    config: Config, data: Path, split: str, progress: Callable[[int, int], None]
) -> tuple[EngineInfo, list[Clip]]:
    """Features need the head alone, which every backend runs in fp32."""
    from ....model.checkpoint import read_info
    from ....model.profiles import get_profile
    from ....model.runtime.networks import head_path

    path = head_path(get_profile(config.profile), config.checkpoint)
    head = read_info(path)
    precision = "fp32" if config.precision == "auto" else config.precision
    info = EngineInfo(config.profile, "torch", precision, "cpu", head.labels, head.sha256)
    if is_work_folder(data):
        return info, list(scene_clips(data, path, config.profile, progress=progress))
    clips = ave_clips(data, path, split=split, profile=config.profile, progress=progress)
    return info, list(clips)
