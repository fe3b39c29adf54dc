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

if TYPE_CHECKING:
    from ....model.runtime.base import Engine


@dataclass(frozen=True)
class Fit:
    """Where labelled material comes from and where results go."""

    data: Path
    split: str
    output: Path | None
    plot: Path | None
    json_out: Path | None
    dry_run: bool


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
    if not fit.data.is_dir():
        raise UsageError(f"--data {fit.data}: no such folder")
    is_features = (fit.data / "visual_feature.h5").is_file() or is_work_folder(fit.data)
    if not (is_features or is_manifest(fit.data)):
        raise UsageError(
            f"--data {fit.data}: neither MANIFEST.tsv, nor visual_feature.h5, nor pictures.npz there"
        )
    with console.status("") as status:

        def progress(done: int, total: int) -> None:
            status.update(f"looking at labelled material: {done} of {total}")

        if is_features:
            return _from_features(config, fit, progress)
    with engine_of(config, console) as engine, console.status("") as status:
        return engine.info, list(manifest_clips(fit.data, engine, SystemClock(), progress))


def _from_features(
    config: Config, fit: Fit, progress: Callable[[int, int], None]
) -> tuple[EngineInfo, list[Clip]]:
    """Features need the head alone, which every backend runs in fp32."""
    from ....model.checkpoint import read_info
    from ....model.profiles import get_profile
    from ....model.runtime.networks import head_path

    path = head_path(get_profile(config.profile), config.checkpoint)
    head = read_info(path)
    precision = "fp32" if config.precision == "auto" else config.precision
    info = EngineInfo(config.profile, "torch", precision, "cpu", head.labels, head.sha256)
    if is_work_folder(fit.data):
        return info, list(scene_clips(fit.data, path, config.profile, progress=progress))
    clips = ave_clips(fit.data, path, split=fit.split, profile=config.profile, progress=progress)
    return info, list(clips)
