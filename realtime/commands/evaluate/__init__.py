"""`avel evaluate`: what a checkpoint is worth, on AVE, on own videos, or on real clips as a stream."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ....model.errors import ModelFileError
from ....model.files import atomic_write
from ....model.profiles import PROFILES
from ...config.schema import Frames
from ...core.errors import OutputError, UsageError
from ...core.text import finite
from ..train.data import generated

if TYPE_CHECKING:
    from ....model.checkpoint import CheckpointInfo
    from ....model.training.data import DataSet
    from ....model.training.evaluate import Evaluation


def evaluate(
    checkpoint: Annotated[
        Path | None, typer.Argument(help="A .safetensors file written by `avel train`.")
    ] = None,
    ave: Annotated[Path | None, typer.Option(help="Folder of AVE's features.")] = None,
    features: Annotated[Path | None, typer.Option(help="Folder made by `avel extract`.")] = None,
    labels: Annotated[Path | None, typer.Option(help="As for `avel train folder`.")] = None,
    fps: Annotated[float | None, typer.Option(min=0.1, help="Of labels that count frames.")] = None,
    synthetic: Annotated[str | None, typer.Option(help="Generated features: joint, audio or visual.")] = None,
    clips: Annotated[Path | None, typer.Option(help="MANIFEST.tsv of real clips, scored as streams.")] = None,
    profile: Annotated[str, typer.Option(help=f"With --clips: {', '.join(PROFILES)}.")] = "lite",
    audio_weights: Annotated[
        Path | None, typer.Option(help="With --clips: weights of the audio network.")
    ] = None,
    frames: Annotated[Frames, typer.Option(help="With --clips: as for avel-live.")] = "auto",
    annotations: Annotated[Path | None, typer.Option(help="Annotations.txt, if not in the folder.")] = None,
    splits: Annotated[Path | None, typer.Option(help="Folder of the split files, if elsewhere.")] = None,
    split: Annotated[str, typer.Option(help="train, val or test.")] = "test",
    seed: Annotated[int, typer.Option(help="Of generated features.")] = 0,
    temperature: Annotated[float, typer.Option(help="Divides the logits (calibrated confidence).")] = 1.0,
    streaming: Annotated[bool, typer.Option(help="Make the streaming table.")] = True,
    psds: Annotated[
        bool, typer.Option("--psds", help="PSDS too, over all thresholds ([scores] extra).")
    ] = False,
    json_out: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder for JSON, PNG and HTML.")] = None,
) -> None:
    """Accuracy, event F1, confusion, calibration error, and what waiting for the future buys."""
    kind = _one_of({"ave": ave, "features": features, "synthetic": synthetic, "clips": clips})
    if clips is not None:
        from .clips import score_clips

        score_clips(
            clips,
            checkpoint=checkpoint,
            json_out=json_out,
            out=out,
            profile=profile,
            audio_weights=audio_weights,
            frames=frames,
        )
        return
    if checkpoint is None:
        raise UsageError("give the checkpoint to evaluate")
    if split not in ("train", "val", "test"):
        raise UsageError(f"--split {split}: expected train, val or test")
    if not temperature > 0:
        raise UsageError(f"--temperature {temperature}: must be positive")
    if psds and find_spec("sed_scores_eval") is None:
        raise UsageError("--psds needs the package sed_scores_eval: pip install 'avel-live[scores]'")
    from ....model.checkpoint import load_checkpoint
    from ....model.training.evaluate import evaluate as judge

    model, info = load_checkpoint(checkpoint)
    material = Material(ave, features, labels, synthetic, annotations, splits, seed, fps)
    data = _checked(material.open(info), info)
    if not len(data.splits[split]):
        raise UsageError(f"--split {split}: no videos in it")
    result = judge(model, data, split, streaming=streaming, temperature=temperature, with_psds=psds)
    plain = _plain(result, info)
    if json_out:
        print(json.dumps(finite(plain), ensure_ascii=False, allow_nan=False))
    else:
        from .view import print_evaluation

        print_evaluation(result)
    if out is not None:
        _write(out, plain, result, f"{checkpoint.name} on {kind}, {split}")


def _one_of(sources: dict[str, object]) -> str:
    """The name of the one source that is given."""
    given = [name for name, value in sources.items() if value is not None]
    if len(given) != 1:
        raise UsageError(
            f"give one of {', '.join(f'--{name}' for name in sources)}; got {', '.join(given) or 'none'}"
        )
    return given[0]


@dataclass(frozen=True)
class Material:
    """Where features and labels come from: one of `ave`, `features` and `synthetic`."""

    ave: Path | None
    features: Path | None
    labels: Path | None
    synthetic: str | None
    annotations: Path | None
    splits: Path | None
    seed: int
    fps: float | None = None

    def open(self, info: CheckpointInfo) -> DataSet:
        """The data, with the classes of a checkpoint where it does not bring its own."""
        if self.ave is not None:
            from ....model.training.ave import AveData

            return AveData(self.ave, annotations=self.annotations, splits=self.splits)
        if self.features is not None:
            from ....model.training.folder import FolderData

            if self.labels is None:
                raise UsageError("--features needs --labels, the label file")
            return FolderData(self.features, self.labels, info.labels[:-1], fps=self.fps)
        return generated(str(self.synthetic), self.annotations, self.splits, self.seed)


def _checked(data: DataSet, info: CheckpointInfo) -> DataSet:
    """The data, refused where it is not what the checkpoint was trained on."""
    from ....model.checkpoint import check_classes, check_features

    if data.profile != info.profile:
        raise ModelFileError(
            f"checkpoint {info.path}: trained on {info.profile!r} features, but these are {data.profile!r}; "
            "extract them with the same profile"
        )
    check_features(info, data.visual_dim, data.audio_dim, data.grid)
    check_classes(info.labels, data.labels, "the data")
    return data


def _plain(result: Evaluation, info: CheckpointInfo) -> dict[str, Any]:
    """What is printed with --json and written with --out."""
    from ....model.training.evaluate import to_json

    about = {"checkpoint": str(info.path), "sha256": info.sha256, "profile": info.profile}
    return {**about, **to_json(result)}


def _pretty(plain: dict[str, Any]) -> str:
    return json.dumps(finite(plain), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _write(out: Path, plain: dict[str, Any], result: Evaluation, title: str) -> None:
    """The files of --out."""
    from ....model.training.report import write_html, write_png

    try:
        out.mkdir(parents=True, exist_ok=True)
        atomic_write(out / "evaluation.json", _pretty(plain))
        write_png(result, out / "evaluation.png")
        write_html(result, out / "evaluation.html", title)
    except OSError as error:
        raise OutputError(f"--out {out}: can't be written ({error})") from error
    print(f"wrote {out}/evaluation.json, .png and .html", file=sys.stderr)
