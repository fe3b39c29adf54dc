"""`avel evaluate`: what a checkpoint is worth, on AVE, on own videos, or on real clips as a stream."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ....model.profiles import PROFILES
from ...errors import OutputError, UsageError

if TYPE_CHECKING:
    from ....model.checkpoint import CheckpointInfo
    from ....model.training.data import DataSet


def evaluate(
    checkpoint: Annotated[
        Path | None, typer.Argument(help="A .safetensors file written by `avel train`.")
    ] = None,
    ave: Annotated[Path | None, typer.Option(help="Folder of AVE's features.")] = None,
    features: Annotated[Path | None, typer.Option(help="Folder made by `avel extract`.")] = None,
    labels: Annotated[Path | None, typer.Option(help="CSV: file,start,end,label[,split].")] = None,
    synthetic: Annotated[str | None, typer.Option(help="Generated features: joint, audio or visual.")] = None,
    clips: Annotated[Path | None, typer.Option(help="MANIFEST.tsv of real clips, scored as streams.")] = None,
    profile: Annotated[str, typer.Option(help=f"With --clips: {', '.join(PROFILES)}.")] = "lite",
    audio_weights: Annotated[
        Path | None, typer.Option(help="With --clips: weights of the audio network.")
    ] = None,
    annotations: Annotated[Path | None, typer.Option(help="Annotations.txt, if not in the folder.")] = None,
    splits: Annotated[Path | None, typer.Option(help="Folder of the split files, if elsewhere.")] = None,
    split: Annotated[str, typer.Option(help="train, val or test.")] = "test",
    seed: Annotated[int, typer.Option(help="Of generated features.")] = 0,
    temperature: Annotated[float, typer.Option(help="Divides the logits (calibrated confidence).")] = 1.0,
    streaming: Annotated[bool, typer.Option(help="Make the streaming table.")] = True,
    json_out: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder for JSON, PNG and HTML.")] = None,
) -> None:
    """Accuracy, event F1, confusion, calibration error, and what waiting for the future buys."""
    sources = {"ave": ave, "features": features, "synthetic": synthetic, "clips": clips}
    given = [name for name, value in sources.items() if value is not None]
    if len(given) != 1:
        raise UsageError(
            f"give one of --ave, --features, --synthetic, --clips; got {', '.join(given) or 'none'}"
        )
    if clips is not None:
        from .clips import score_clips

        score_clips(
            clips,
            checkpoint=checkpoint,
            json_out=json_out,
            out=out,
            profile=profile,
            audio_weights=audio_weights,
        )
        return
    if checkpoint is None:
        raise UsageError("give the checkpoint to evaluate")
    if split not in ("train", "val", "test"):
        raise UsageError(f"--split {split}: expected train, val or test")
    if not temperature > 0:
        raise UsageError(f"--temperature {temperature}: must be positive")
    from ....model.checkpoint import load_checkpoint
    from ....model.training.evaluate import evaluate as judge
    from ....model.training.evaluate import to_json

    model, info = load_checkpoint(checkpoint)

    def open_data() -> DataSet:
        if ave is not None:
            from ....model.training.ave import AveData

            return AveData(ave, annotations=annotations, splits=splits)
        if features is not None:
            from ....model.training.folder import FolderData

            if labels is None:
                raise UsageError("--features needs --labels, the CSV file")
            return FolderData(features, labels, info.labels[:-1])
        from ..train import generated

        return generated(str(synthetic), annotations, splits, seed)

    data = _checked(open_data, info)
    if not len(data.splits[split]):
        raise UsageError(f"--split {split}: no videos in it")
    result = judge(model, data, split, streaming=streaming, temperature=temperature)
    plain = {"checkpoint": str(checkpoint), "sha256": info.sha256, "profile": info.profile, **to_json(result)}
    if json_out:
        print(json.dumps(plain, ensure_ascii=False))
    else:
        from .view import print_evaluation

        print_evaluation(result)
    if out is not None:
        from ....model.training.report import write_html, write_png

        try:
            out.mkdir(parents=True, exist_ok=True)
            (out / "evaluation.json").write_text(json.dumps(plain, indent=1, ensure_ascii=False) + "\n")
            write_png(result, out / "evaluation.png")
            write_html(result, out / "evaluation.html", f"{checkpoint.name} on {given[0]}, {split}")
        except OSError as error:
            raise OutputError(f"--out {out}: can't be written ({error})") from error
        print(f"wrote {out}/evaluation.json, .png and .html", file=sys.stderr)


def _checked(open_data: Callable[[], DataSet], info: CheckpointInfo) -> DataSet:
    """The data, refused where it is not what the checkpoint was trained on."""
    from ....model.checkpoint import check_features
    from ....model.errors import ModelFileError

    data = open_data()
    if data.profile != info.profile:
        raise ModelFileError(
            f"checkpoint {info.path}: trained on {info.profile!r} features, but these are {data.profile!r}; "
            "extract them with the same profile"
        )
    check_features(info, data.visual_dim, data.audio_dim, data.grid)
    if tuple(data.labels) != tuple(info.labels):
        raise ModelFileError(f"checkpoint {info.path}: its classes are not those of the data")
    return data
