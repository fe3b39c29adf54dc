"""Several DIIA heads that answer as one.

Heads that differ only in their seeds miss different seconds of rooms that no training composed. The mean of
their logits is the logarithmic opinion pool of their answers (Hinton, Training Products of Experts, 2002).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from .diia import DIIA, DIIAConfig, DIIAOutput, Tokens


class Committee(nn.Module):
    """Heads of one configuration; used as a single one is, and exported as one graph.

    Args:
        members: two or more.

    """

    def __init__(self, members: Sequence[DIIA]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    @property
    def config(self) -> DIIAConfig:
        """Of each member."""
        return self._all()[0].config

    def forward(
        self,
        visual: Tensor,
        audio: Tensor,
        visual_mask: Tensor | None = None,
        audio_mask: Tensor | None = None,
    ) -> DIIAOutput:
        """As `DIIA.forward`; logits and attention are means over the members."""
        answers = [member(visual, audio, visual_mask, audio_mask) for member in self.members]
        logits = torch.stack([answer.logits for answer in answers]).mean(dim=0)
        return DIIAOutput(logits, torch.stack([answer.attention for answer in answers]).mean(dim=0))

    def tokens(
        self,
        visual: Tensor,
        audio: Tensor,
        visual_mask: Tensor | None = None,
        audio_mask: Tensor | None = None,
    ) -> Tokens:
        """As `DIIA.tokens`, with the members one after the other along the batch (not in the attention)."""
        each = [member.tokens(visual, audio, visual_mask, audio_mask) for member in self._all()]
        v, a, seen, heard = (torch.cat(parts) for parts in list(zip(*each, strict=True))[:4])
        return Tokens(v, a, seen, heard, torch.stack([tokens.attention for tokens in each]).mean(dim=0))

    def decide(self, tokens: Tokens) -> Tensor:
        """As `DIIA.decide`, from this committee's own tokens."""
        count = len(self.members)
        v, a, seen, heard = (part.chunk(count) for part in tokens[:4])
        each = [
            member.decide(Tokens(v[k], a[k], seen[k], heard[k], tokens.attention))
            for k, member in enumerate(self._all())
        ]
        return torch.stack(each).mean(dim=0)

    def _all(self) -> list[DIIA]:
        return cast("list[DIIA]", list(self.members))


Head = DIIA | Committee
"""What a checkpoint holds."""
