"""Several heads computed in one pass: their weights lie one upon the other, and a product serves them all.

The members of a committee differ in nothing but numbers. So the network is built once, and where a member had
a matrix the stack has one for each: a window goes in once, and from the first matrix on there is one answer
for each member along the batch. The equations stay where they are, in `diia` and `guided`.

    member           in the stack      of
    [out, in]        [M, in, out]      `nn.Linear`
    [width]          [M, 1, width]     `nn.LayerNorm`, and parameters of their own

It is for running, not for training: checkpoints hold the members. A graph of it has a fifth of the nodes, and
comes in two halves where a stream slides over segments: nine of ten were looked at a second ago.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .committee import Committee, Head
from .diia import DIIA, DIIAOutput, Tokens


class StackedHead(nn.Module):
    """A committee as one network, for one window at a time; a single head is a stack of one.

    Args:
        head: in eval mode; its weights are copied.

    """

    def __init__(self, head: Head) -> None:
        super().__init__()
        members = list(head.members) if isinstance(head, Committee) else [head]
        self.stack = cast("DIIA", _stacked(members))

    def forward(self, visual: Tensor, audio: Tensor, visual_mask: Tensor, audio_mask: Tensor) -> DIIAOutput:
        """As `DIIA.forward`, [1, T, …]; logits and attention are means over the members."""
        logits, attention = self.stack(visual, audio, visual_mask, audio_mask)
        return DIIAOutput(logits.mean(dim=0, keepdim=True), attention.mean(dim=0, keepdim=True))


class SegmentHalf(nn.Module):
    """What the stack makes of each segment by itself; its answers last as long as the segment does."""

    def __init__(self, head: StackedHead) -> None:
        super().__init__()
        self.stack = head.stack

    def forward(
        self, visual: Tensor, audio: Tensor, visual_mask: Tensor, audio_mask: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """[1, T, …] → V, A [M, T, d] (of a modality that is not used [1, T, 1]), attention [1, T, 7, 7]."""
        tokens = self.stack.tokens(visual, audio, visual_mask, audio_mask)
        return tokens.v, tokens.a, tokens.attention.mean(dim=0, keepdim=True)


class WindowHalf(nn.Module):
    """How the segments of a window relate."""

    def __init__(self, head: StackedHead) -> None:
        super().__init__()
        self.stack = head.stack

    def forward(self, v: Tensor, a: Tensor, visual_mask: Tensor, audio_mask: Tensor) -> Tensor:
        """What `SegmentHalf` gave, and masks [1, T] → logits [1, T, C]."""
        kind = (a if v.shape[-1] == 1 else v).dtype
        logits: Tensor = self.stack.decide(Tokens(v, a, visual_mask.to(kind), audio_mask.to(kind), v))
        return logits.mean(dim=0, keepdim=True)


class StackedLinear(nn.Module):
    """One matrix for each member: [1 or M, …, in] → [M, …, out]."""

    def __init__(self, layers: Sequence[nn.Linear]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.stack([layer.weight.T for layer in layers]).contiguous())
        biases: list[Tensor] = [layer.bias for layer in layers if layer.bias is not None]
        self.bias = nn.Parameter(torch.stack(biases)[:, None]) if biases else None

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        rows = x if x.dim() == 3 else x.flatten(1, -2)
        y = rows @ self.weight
        if self.bias is not None:
            y = y + self.bias
        return y if x.dim() == 3 else y.unflatten(1, x.shape[1:-1])


class StackedNorm(nn.Module):
    """One scale and shift for each member: [1 or M, …, width] → [M, …, width]."""

    def __init__(self, layers: Sequence[nn.LayerNorm]) -> None:
        super().__init__()
        self.shape, self.eps = layers[0].normalized_shape, layers[0].eps
        self.weight = nn.Parameter(torch.stack([layer.weight for layer in layers])[:, None])
        self.bias = nn.Parameter(torch.stack([layer.bias for layer in layers])[:, None])

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        alike = F.layer_norm(x, self.shape, None, None, self.eps)
        extra = (1,) * (x.dim() - 3)
        y: Tensor = alike * self.weight.unflatten(1, (*extra, 1)) + self.bias.unflatten(1, (*extra, 1))
        return y


def _stacked(members: Sequence[nn.Module]) -> nn.Module:
    """One module of the members' kind, every number in it that of all members."""
    first = members[0]
    if isinstance(first, nn.Linear):
        return StackedLinear(cast("Sequence[nn.Linear]", members))
    if isinstance(first, nn.LayerNorm):
        return StackedNorm(cast("Sequence[nn.LayerNorm]", members))
    whole = first.__class__.__new__(first.__class__)
    whole.__dict__.update(first.__dict__)
    whole._parameters = {
        name: nn.Parameter(torch.stack([member.get_parameter(name) for member in members])[:, None])
        for name in first._parameters
    }
    whole._modules = {
        name: _stacked([member.get_submodule(name) for member in members]) for name in first._modules
    }
    return whole
