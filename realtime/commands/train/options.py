"""What every `avel train` on features is told: its options, and the network and training they make."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from ...core.errors import UsageError

if TYPE_CHECKING:
    from ....model.diia_config import DIIAConfig
    from ....model.training.data import DataSet
    from ....model.training.settings import TrainConfig

BASELINES: Final = {"diia": "audio-visual", "audio": "audio", "visual": "visual", "concat": "concat"}
PARTS: Final = ("gate", "intra", "inter", "guided")
POOLINGS: Final = ("mean", "max", "lse")


@dataclass(frozen=True)
class TrainOptions:
    """Options shared by `avel train ave` and `avel train folder`; the defaults are the paper's."""

    epochs: Annotated[int, typer.Option(min=1, help="Epochs at most.")] = 60
    batch: Annotated[int, typer.Option("--batch", min=1, help="Windows per step.")] = 128
    lr: Annotated[float, typer.Option(help="Adam's learning rate; halved at epochs 10, 20, 30.")] = 7e-4
    patience: Annotated[int, typer.Option(min=1, help="Stop after so many epochs without a better val.")] = 20
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0
    model: Annotated[str, typer.Option(help="diia, or a baseline: audio, visual, concat.")] = "diia"
    without: Annotated[
        list[str] | None, typer.Option(help="Ablation: gate, intra, inter, or guided; may be repeated.")
    ] = None
    width: Annotated[int, typer.Option(help="d: common width of both modalities.")] = 256
    depth: Annotated[int, typer.Option(min=1, help="How often the DIIA block is repeated.")] = 1
    causal: Annotated[bool, typer.Option("--causal", help="A second sees only itself and earlier ones.")] = (
        False
    )
    streaming: Annotated[
        bool, typer.Option("--streaming", help="Train on half-empty windows, stalls and changes of scene.")
    ] = False
    weak: Annotated[bool, typer.Option("--weak", help="Learn from video labels only (MIL).")] = False
    pooling: Annotated[str, typer.Option(help="With --weak: mean, max or lse.")] = "mean"
    clip_norm: Annotated[float | None, typer.Option(help="Largest norm of the gradient.")] = None
    resume: Annotated[bool, typer.Option("--resume", help="Go on where a killed run stopped.")] = False
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write a TensorBoard log too.")] = False

    def network(self, data: DataSet) -> DIIAConfig:
        """The network for these features.

        Raises:
            UsageError: an option names what does not exist, or dimensions can't work.

        """
        from ....model.diia_config import DIIAConfig

        if self.model not in BASELINES:
            raise UsageError(f"--model {self.model}: expected one of {', '.join(BASELINES)}")
        parts = self.without or []
        if unknown := [p for p in parts if p not in PARTS]:
            raise UsageError(f"--without {unknown[0]}: expected {', '.join(PARTS[:-1])} or {PARTS[-1]}")
        try:
            return DIIAConfig(
                visual_dim=data.visual_dim,
                audio_dim=data.audio_dim,
                grid=data.grid,
                classes=len(data.labels),
                width=self.width,
                ffn=4 * self.width,
                depth=self.depth,
                causal=self.causal,
                modalities=BASELINES[self.model],  # type: ignore[arg-type]
                **dict.fromkeys(parts, False),
            )
        except ValueError as error:
            raise UsageError(str(error)) from error

    def training(self) -> TrainConfig:
        """How it is trained.

        Raises:
            UsageError: a value that can't train.

        """
        from ....model.training.settings import TrainConfig
        from ....model.training.streaming import StreamingOptions

        if self.pooling not in POOLINGS:
            raise UsageError(f"--pooling {self.pooling}: expected mean, max or lse")
        try:
            return TrainConfig(
                epochs=self.epochs,
                batch=self.batch,
                lr=self.lr,
                patience=self.patience,
                seed=self.seed,
                weak=self.weak,
                pooling=self.pooling,  # type: ignore[arg-type]
                streaming=StreamingOptions() if self.streaming else None,
                clip_norm=self.clip_norm,
            )
        except ValueError as error:
            raise UsageError(str(error)) from error


def with_train_options(command: Callable[..., None]) -> Callable[..., None]:
    """A function for typer that has the options of `TrainOptions` in place of the argument `options`."""
    own = inspect.signature(command, eval_str=True)
    shared = inspect.signature(TrainOptions, eval_str=True).parameters.values()
    names = {f.name for f in fields(TrainOptions)}

    @functools.wraps(command)
    def run(**given: Any) -> None:
        told = {name: value for name, value in given.items() if name in names}
        rest = {name: value for name, value in given.items() if name not in names}
        command(**rest, options=TrainOptions(**told))

    parameters = [p for p in own.parameters.values() if p.name != "options"]
    keyword = inspect.Parameter.KEYWORD_ONLY
    run.__signature__ = own.replace(  # type: ignore[attr-defined]
        parameters=[p.replace(kind=keyword) for p in (*parameters, *shared)]
    )
    return run
