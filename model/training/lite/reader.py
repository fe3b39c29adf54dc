"""What `lite-yamnet` has beside YAMNet: a reader of its embedding, learnt from labels.

YAMNet's 521 classes tell some of the 28 events badly apart (a banjo from a guitar, a chainsaw from other
tools); its embedding knows more. On publishers and speakers never heard, a reader of it is far better than
our small network's own classes: `tests/bench/sources.py`.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from ...backbones.audio_evidence import Reader
from .audio_pool import Pool
from .audio_student import event_targets

EPOCHS: Final = 4
_BATCH: Final = 256
_RATE: Final = 3e-3
_LEAST_SPREAD: Final = 0.05
"""Added to each dimension's standard deviation: some of them hardly ever move."""


def train_reader(pool: Pool, seed: int = 0) -> Reader:
    """[..., 1024] embeddings of the teacher → [..., 28] logits, learnt from a pool.

    Args:
        pool: as for the student.
        seed: of weights, order and dropout.

    """
    torch.manual_seed(seed)
    target, weight = (torch.from_numpy(x) for x in event_targets(pool))
    embedding = torch.from_numpy(pool.embedding.astype(np.float32))
    mean, spread = embedding.mean(0), embedding.std(0) + _LEAST_SPREAD
    embedding = (embedding - mean) / spread
    reader = Reader()
    optimiser = torch.optim.AdamW(reader.parameters(), lr=_RATE, weight_decay=0.02)
    per_epoch = max(1, len(pool) // _BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _RATE, total_steps=EPOCHS * per_epoch)
    for _ in range(EPOCHS):
        order = torch.randperm(len(pool))
        for rows in order.split(_BATCH)[:per_epoch]:
            logits = reader(embedding[rows])
            cost = F.binary_cross_entropy_with_logits(logits, target[rows], weight[rows], reduction="sum")
            optimiser.zero_grad()
            (cost / len(rows)).backward()
            optimiser.step()
            schedule.step()
    first = reader[0]
    assert isinstance(first, nn.Linear)
    with torch.no_grad():  # from now on it reads embeddings as they are
        first.weight.div_(spread)
        first.bias.sub_(first.weight @ mean)
    return reader.eval()
