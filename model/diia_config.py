"""The dimensions and switches of the DIIA network.

They stand apart from it so that a checkpoint's header can be read without torch.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from .labels import NUM_CLASSES

Modalities = Literal["audio-visual", "audio", "visual", "concat"]


@dataclass(frozen=True)
class DIIAConfig:
    """Dimensions and switches of the network; the defaults are the paper's, read as above.

    Attributes:
        visual_dim: channels Dv of a visual grid cell.
        audio_dim: width Da of the audio vector.
        grid: side of the square visual grid.
        width: d, the common width of both modalities.
        heads: attention heads (must divide width).
        ffn: hidden width of Eq. (2).
        depth: how often Eq. (3)–(10) are repeated.
        hidden: width between the two fully connected layers of the classifier.
        classes: C, background last.
        dropout: in attention blocks and on the visual cells.
        guided: audio-guided spatial-channel attention; off = mean over the grid.
        guided_dim: inner width of that attention; None = visual_dim, as in CMRAN.
        spatial_dim: width in which picture cells and sound are compared, as in CMRAN.
        gate: conditional gates (5)–(8).
        intra: intra-modality attention (3) (4).
        inter: inter-modality attention (9) (10).
        modalities: which evidence is used. The baselines "audio" and "visual" have one modality that
            attends to itself (3) (4); "concat" has both, which meet in Eq. (11) only: no guidance, no
            gates, no inter-modality attention.
        causal: a segment sees only itself and earlier ones.
        normalize: LayerNorm on the raw features before projection (off in the paper).

    """

    visual_dim: int = 512
    audio_dim: int = 128
    grid: int = 7
    width: int = 256
    heads: int = 4
    ffn: int = 1024
    depth: int = 1
    hidden: int = 64
    classes: int = NUM_CLASSES
    dropout: float = 0.1
    guided: bool = True
    guided_dim: int | None = None
    spatial_dim: int = 256
    gate: bool = True
    intra: bool = True
    inter: bool = True
    modalities: Modalities = "audio-visual"
    causal: bool = False
    normalize: bool = False

    def __post_init__(self) -> None:
        """Reject dimensions that can't work."""
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        for name in (
            "visual_dim",
            "audio_dim",
            "grid",
            "spatial_dim",
            "width",
            "heads",
            "ffn",
            "depth",
            "hidden",
            "classes",
        ):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.modalities not in get_args(Modalities):
            raise ValueError(f"modalities must be one of {get_args(Modalities)}, got {self.modalities!r}")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for checkpoints."""
        return asdict(self)
