"""The dimensions and switches of the DIIA network.

They stand apart from it so that a checkpoint's header can be read without torch.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final, Literal, get_args

from .labels import NUM_CLASSES

Modalities = Literal["audio-visual", "audio", "visual", "concat"]
_SIZES: Final = (
    *("visual_dim", "audio_dim", "grid", "spatial_dim", "guided_dim", "width", "heads", "ffn", "depth"),
    *("hidden", "classes"),
)
_LARGEST: Final = 65_536
_DEEPEST: Final = 64
"""Beyond these it is a damaged header, and would fill the memory."""


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
        for name in _SIZES:
            size = getattr(self, name)
            if name == "guided_dim" and size is None:
                continue
            if not isinstance(size, int) or not 1 <= size <= _LARGEST:
                raise ValueError(f"{name} must be a whole number of 1 to {_LARGEST}, got {size!r}")
        if self.depth > _DEEPEST:
            raise ValueError(f"depth must be at most {_DEEPEST}, got {self.depth}")
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        if not 0 <= self.dropout <= 1:
            raise ValueError(f"dropout must be 0 to 1, got {self.dropout}")
        if self.modalities not in get_args(Modalities):
            raise ValueError(f"modalities must be one of {get_args(Modalities)}, got {self.modalities!r}")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for checkpoints."""
        return asdict(self)
