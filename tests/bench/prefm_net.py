"""PreFM (Yu et al., NeurIPS 2025, arXiv 2505.23155) as its authors describe it, written anew.

One vector of sound and one of picture a second, the last `past` seconds; zeros before the stream began:

    1. a linear layer each, to width D
    2. `layers` hybrid layers, the same weights for both modalities: what a modality attends to in itself and
       in the other is added, then a two-layer network; the picture's turn comes after the sound's and sees
       what became of it (dropout, residuals, LayerNorm after each sum)
    3. a pseudo-future of `future` seconds for each modality: learnt queries that attend to its past
    4. each pseudo-future attends to itself, to the other modality's, and to its own modality's past
    5. each past attends to itself, to its own modality's pseudo-future of 4, and to the other's past
    6. both modalities side by side, one linear layer for all seconds, past and to come; the answer at time t
       is that of the last second of the past, and no future was seen

Training also judges the seconds to come, and weighs seconds by a Gaussian around now (`time_weights`).

Left out: the distillation from embeddings of the events' names and recordings (a large network's, which
generated features have none of). Different: one label a second, so a softmax over 29 classes, where the
authors use a sigmoid for each of theirs. Uncertain: what of a picture's grid belongs into its one vector
(theirs is CLIP's; `prefm.py` tries two), and positions: the published program adds none, nor does this,
except that with `positions` a learnt one is added after 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class PreFMConfig:
    """The defaults are those of the published runs (UnAV-100, CLIP and CLAP features)."""

    visual_dim: int = 768
    audio_dim: int = 768
    width: int = 256
    heads: int = 8
    ffn: int = 1024
    layers: int = 4
    past: int = 10
    future: int = 5
    classes: int = 29
    dropout: float = 0.1
    positions: bool = False


class Block(nn.Module):
    """Attention of one sequence to several, the results added to it, then a two-layer network."""

    def __init__(self, c: PreFMConfig, sources: int) -> None:
        super().__init__()
        self.attend = nn.ModuleList(
            nn.MultiheadAttention(c.width, c.heads, dropout=c.dropout, batch_first=True)
            for _ in range(sources)
        )
        self.first, self.second = nn.LayerNorm(c.width), nn.LayerNorm(c.width)
        self.drop = nn.Dropout(c.dropout)
        self.think = nn.Sequential(
            nn.Linear(c.width, c.ffn), nn.ReLU(), nn.Dropout(c.dropout), nn.Linear(c.ffn, c.width)
        )

    def forward(self, x: Tensor, *sources: Tensor) -> Tensor:
        """[B, N, D] and as many sources [B, M, D] as were said → [B, N, D]."""
        told = [a(x, s, s, need_weights=False)[0] for a, s in zip(self.attend, sources, strict=True)]
        x = self.first(x + sum(self.drop(one) for one in told))
        return self.second(x + self.drop(self.think(x)))


class PreFM(nn.Module):
    """Sound [B, past, Da] and pictures [B, past, Dv] → logits [B, past + future, C]."""

    def __init__(self, config: PreFMConfig) -> None:
        super().__init__()
        self.config = c = config
        self.hear, self.see = nn.Linear(c.audio_dim, c.width), nn.Linear(c.visual_dim, c.width)
        if c.positions:
            self.when = nn.Parameter(torch.randn(1, c.past, c.width) * 0.02)
        self.hybrid = nn.ModuleList(Block(c, 2) for _ in range(c.layers))
        self.queries = nn.ParameterList(torch.randn(1, c.future, c.width) for _ in range(2))
        self.foresee = nn.ModuleList(Block(c, 1) for _ in range(2))
        self.future = nn.ModuleList(Block(c, 3) for _ in range(2))
        self.present = nn.ModuleList(Block(c, 3) for _ in range(2))
        self.classify = nn.Linear(2 * c.width, c.classes)

    def forward(self, visual: Tensor, audio: Tensor) -> Tensor:
        """See the class; the answer at once is `[:, past - 1]`."""
        a, v = self.hear(audio), self.see(visual)
        if self.config.positions:
            a, v = a + self.when, v + self.when
        for layer in self.hybrid:
            a = layer(a, a, v)
            v = layer(v, v, a)
        now = (a, v)
        queries = (query.expand(len(a), -1, -1) for query in self.queries)
        guess = [block(q, past) for block, q, past in zip(self.foresee, queries, now, strict=True)]
        later = [self.future[k](guess[k], guess[k], guess[1 - k], now[k]) for k in range(2)]
        known = [self.present[k](now[k], now[k], later[k], now[1 - k]) for k in range(2)]
        both = torch.cat([torch.cat(known, dim=-1), torch.cat(later, dim=-1)], dim=1)
        return self.classify(both)


def time_weights(past: int, future: int) -> Tensor:
    """[past + future]: how much each second counts in training, mean 1 over either part.

    Gaussians: around 9.5 of ten seconds past with deviation 5, around −0.5 of five to come with 2.5.
    """

    def bell(count: int, centre: float) -> Tensor:
        weight = torch.exp(-0.5 * ((torch.arange(count) - centre) / (count / 2)) ** 2)
        return weight * count / weight.sum()

    return torch.cat([bell(past, past - 0.5), bell(future, -0.5)])
