"""Weak supervision: only "this video has a helicopter somewhere" is known, never when.

Multiple-instance learning (MIL): the answers of the segments are pooled to one answer for the video, and
that is compared with the video's label. Background can't be learnt from videos that all have an event, so
a set of background-only ("noisy") videos is added; their label is background.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

Pooling = Literal["mean", "max", "lse"]


def pool(logits: Tensor, valid: Tensor, pooling: Pooling = "mean") -> Tensor:
    """Segment logits to video log-probabilities.

    Args:
        logits: [B, T, C].
        valid: [B, T], 1 where the segment exists; at least one a row.
        pooling: `mean` averages the segments' probabilities, `max` takes each class's best segment,
            `lse` is between: log-mean-exp of the logits.

    Returns:
        [B, C] log-probabilities.

    """
    weight = valid.to(logits.dtype).unsqueeze(-1)
    count = weight.sum(dim=1).clamp(min=1.0)
    if pooling == "mean":
        mean = (torch.softmax(logits, dim=-1) * weight).sum(dim=1) / count
        return torch.log(mean.clamp(min=1e-8))
    hidden = logits.masked_fill(weight == 0, -1e4)
    if pooling == "max":
        return torch.log_softmax(hidden.amax(dim=1), dim=-1)
    return torch.log_softmax(torch.logsumexp(hidden, dim=1) - torch.log(count), dim=-1)


def loss(logits: Tensor, video_target: Tensor, valid: Tensor, pooling: Pooling = "mean") -> Tensor:
    """Cross-entropy of the pooled answer: [B, T, C], [B] class indices, [B, T] → scalar."""
    return F.nll_loss(pool(logits, valid, pooling), video_target)
