"""Audio-guided spatial-channel attention: which channels, then where in the picture, fit the sound.

The paper (§3.2) takes it from CMRAN (Xu et al. 2020, its reference [10]).

    symbol   variable     meaning
    v        visual       [B, T, S, Dv]   S = 49 grid cells of one segment
    a        audio        [B, T, Da]
    s        joint        [B, T, Dv]      audio and picture multiplied, averaged over the cells
    c        channel      [B, T, Dv]      channel attention, 0..1
    α        spatial      [B, T, S]       spatial attention, sums to 1 over the cells

    v   ← Dropout(ReLU(W_v v))
    s   = mean_S( ReLU(U_a a) ⊙ ReLU(U_v v) )
    c   = σ( W_2 ReLU(W_1 s) )
    v^c = v ⊙ (1 + c)
    α   = softmax_S( tanh( w ( ReLU(P_v v^c) ⊙ ReLU(P_a a) ) ) )
    out = Σ_S α v^c
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class GuidedAttention(nn.Module):
    """Pools a visual grid to one vector per segment, guided by the sound of the same segment.

    Args:
        visual_dim: Dv, channels of a grid cell.
        audio_dim: Da, width of the audio vector.
        channel_hidden: width between W_1 and W_2.
        spatial_dim: width of P_v and P_a.
        dropout: on the transformed cells.
        inner_dim: width that W_v maps the cells to; Dv itself in CMRAN.

    """

    def __init__(
        self,
        visual_dim: int,
        audio_dim: int,
        *,
        channel_hidden: int = 256,
        spatial_dim: int = 256,
        dropout: float = 0.1,
        inner_dim: int | None = None,
    ) -> None:
        super().__init__()
        inner = inner_dim or visual_dim
        self.out_dim = inner
        self.visual_in = nn.Linear(visual_dim, inner)
        self.channel_audio = nn.Linear(audio_dim, inner)
        self.channel_visual = nn.Linear(inner, inner)
        self.channel_squeeze = nn.Linear(inner, channel_hidden)
        self.channel_excite = nn.Linear(channel_hidden, inner)
        self.spatial_audio = nn.Linear(audio_dim, spatial_dim)
        self.spatial_visual = nn.Linear(inner, spatial_dim)
        self.spatial_score = nn.Linear(spatial_dim, 1, bias=False)
        self.dropout = nn.Dropout(dropout)

    def forward(self, visual: Tensor, audio: Tensor) -> tuple[Tensor, Tensor]:
        """[B, T, S, Dv], [B, T, Da] → pooled [B, T, inner], spatial attention [B, T, S]."""
        v = self.dropout(F.relu(self.visual_in(visual)))
        joint = F.relu(self.channel_audio(audio)).unsqueeze(2) * F.relu(self.channel_visual(v))
        s = joint.mean(dim=2)
        c = torch.sigmoid(self.channel_excite(F.relu(self.channel_squeeze(s))))
        v_c = v * (1 + c).unsqueeze(2)
        match = F.relu(self.spatial_visual(v_c)) * F.relu(self.spatial_audio(audio)).unsqueeze(2)
        alpha = torch.softmax(torch.tanh(self.spatial_score(match)).squeeze(-1), dim=-1)
        return (alpha.unsqueeze(-1) * v_c).sum(dim=2), alpha


class MeanPool(nn.Module):
    """The ablation without guidance: the plain mean over the grid, with uniform attention."""

    def __init__(self, visual_dim: int, *, dropout: float = 0.1, inner_dim: int | None = None) -> None:
        super().__init__()
        self.out_dim = inner_dim or visual_dim
        self.visual_in = nn.Linear(visual_dim, self.out_dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, visual: Tensor, audio: Tensor) -> tuple[Tensor, Tensor]:
        """[B, T, S, Dv], [B, T, Da] → pooled [B, T, inner], uniform attention [B, T, S]."""
        v = self.dropout(F.relu(self.visual_in(visual)))
        uniform = torch.full_like(visual[..., 0], 1.0 / visual.shape[2])
        return v.mean(dim=2), uniform
