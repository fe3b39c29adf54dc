"""The student: the small ear learns from the teacher's scores and embeddings, and from labels on top.

Three things are asked of each patch's embedding, with linear readers trained beside it: the teacher's
521 scores, the teacher's own embedding, and the 28 events. The first and the last reader ship with the
network; the second is scaffolding.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from ...files import replacing
from ...formats.weights import save_weights
from ...labels import EVENT_NAMES
from ...logmel import LOG_OFFSET
from .audio_pool import Pool
from .audioset import TAUGHT_BY_TEACHER, event_scores

if TYPE_CHECKING:
    from torch import Tensor

    from ...backbones.audio_cnn import AudioCNN

FORMAT: Final = "avel-audio-1"
_NORM_BATCHES: Final = 200
"""Most batches that the averaged network's normalisation is measured on."""
FEWEST_LABELLED: Final = 30
"""Below so many labelled patches, the teacher alone teaches a class."""


@dataclass(frozen=True)
class StudentConfig:
    """How the student is trained."""

    epochs: int = 7
    batch: int = 64
    average: float = 0.999
    """What is kept is a running average of the weights, so much of it the old one at each step."""
    peak_rate: float = 1.8e-3
    weight_decay: float = 0.02
    score_weight: float = 1.0
    embedding_weight: float = 20.0
    label_weight: float = 2.0
    seed: int = 0
    threads: int = 1


DEFAULT: Final = StudentConfig()


def event_targets(pool: Pool) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Targets [N, 28] in 0..1 and weights [N, 28] (0 = left open)."""
    target = (pool.labels == 1).astype(np.float32)
    weight = (pool.labels != 2).astype(np.float32)
    taught = event_scores(pool.scores)
    thin = [c for c in range(target.shape[1]) if target[:, c].sum() < FEWEST_LABELLED]
    for event in {*TAUGHT_BY_TEACHER, *thin}:
        target[:, event] = np.maximum(target[:, event], taught[:, event])
    return target, weight


def train_student(
    pool: Pool,
    work: Path,
    config: StudentConfig = DEFAULT,
    *,
    progress: Callable[[float, str], None] = lambda _share, _text: None,
) -> AudioCNN:
    """Train, or go on from `work/student.pt`; the network comes back in eval mode.

    Args:
        pool: patches to learn from; those of sounds that may not be trained on must not be in it.
        work: folder of the checkpoint, outside the repository.
        config: schedule, loss weights, seed.
        progress: called with the share done and a line of text after every hundred batches.

    """
    import torch
    from torch import nn
    from torch.nn import functional as F
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn

    from ...backbones.audio_cnn import AudioCNN

    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    target, weight = event_targets(pool)
    mean_embedding = pool.embedding.mean(0, dtype=np.float64)
    spread = float(np.sqrt(pool.embedding.var(0, dtype=np.float64).mean()))
    network = AudioCNN()
    to_embedding = nn.Linear(network.classify.in_features, pool.embedding.shape[1])
    with torch.no_grad():  # start every reader at its base rate: the first epochs are not spent on that
        for reader, rate in ((network.audioset, pool.scores), (network.classify, target)):
            mean = torch.from_numpy(rate.mean(0, dtype=np.float64)).clamp(1e-4, 0.9).float()
            reader.bias.copy_(torch.logit(mean))
            reader.weight.mul_(0.1)
        to_embedding.bias.zero_()
    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    to_embedding.to(device)
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(config.average))
    parameters = [*network.parameters(), *to_embedding.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=1e-4, weight_decay=config.weight_decay)
    per_epoch = len(pool) // config.batch
    total = config.epochs * per_epoch

    def rate_at(step: int) -> float:
        warm = min(1.0, (step + 1) / (0.06 * total))
        return config.peak_rate * warm * (0.5 + 0.5 * math.cos(math.pi * step / total)) + 1e-6

    work.mkdir(parents=True, exist_ok=True)
    saved = work / "student.pt"
    key = json.dumps({**asdict(config), "patches": len(pool)})
    first = 0
    if saved.is_file():
        state: dict[str, Any] = torch.load(saved, weights_only=True, map_location=device)
        if state["key"] == key:
            first = state["epoch"]
            network.load_state_dict(state["network"])
            average.load_state_dict(state["average"])
            to_embedding.load_state_dict(state["to_embedding"])
            optimizer.load_state_dict(state["optimizer"])
    mean_t = torch.from_numpy(mean_embedding).float().to(device)

    def put(array: NDArray[Any]) -> Tensor:
        return torch.from_numpy(array).float().to(device)

    for epoch in range(first, config.epochs):
        network.train()
        rng = np.random.default_rng((config.seed, epoch))  # a resumed epoch draws what it would have
        order = rng.permutation(len(pool))
        sums = np.zeros(3)
        for batch in range(per_epoch):
            rows = np.sort(order[batch * config.batch : (batch + 1) * config.batch])
            for group in optimizer.param_groups:
                group["lr"] = rate_at(epoch * per_epoch + batch)
            patches = vary(put(pool.patches[rows]), rng)
            embedding = network(patches)
            scores = F.binary_cross_entropy_with_logits(
                network.audioset(embedding), put(pool.scores[rows]), reduction="none"
            )
            wanted = (put(pool.embedding[rows]) - mean_t) / spread
            match = F.mse_loss(to_embedding(embedding), wanted)
            events = F.binary_cross_entropy_with_logits(
                network.class_logits(embedding),
                put(target[rows]),
                put(weight[rows]),
                reduction="none",
            )
            parts = (scores.sum(1).mean(), match, events.sum(1).mean())
            loss = (
                config.score_weight * parts[0]
                + config.embedding_weight * parts[1]
                + config.label_weight * parts[2]
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            average.update_parameters(network)
            sums += [float(part.detach()) for part in parts]
            if batch % 40 == 39 or batch == per_epoch - 1:
                text = "scores {:.3f}  embedding {:.3f}  events {:.3f}".format(*(sums / (batch + 1)))
                progress((epoch * per_epoch + batch + 1) / total, f"epoch {epoch + 1}  {text}")
        state = {
            "key": key,
            "epoch": epoch + 1,
            "network": network.state_dict(),
            "average": average.state_dict(),
            "to_embedding": to_embedding.state_dict(),
            "optimizer": optimizer.state_dict(),
        }
        with replacing(saved) as temporary:
            torch.save(state, temporary)
    # Averaged weights see other activations than any network along the way had: measured anew, or a short
    # training loses half of what it learnt.
    rng = np.random.default_rng((config.seed, config.epochs))
    drawn = (np.sort(rng.choice(len(pool), config.batch)) for _ in range(min(per_epoch, _NORM_BATCHES)))
    update_bn((vary(put(pool.patches[r]), rng) for r in drawn), average, torch.device(device))
    return cast("AudioCNN", average.module).to("cpu").eval()


def vary(patches: Tensor, rng: np.random.Generator) -> Tensor:
    """Cheap changes that leave the teacher's answer as it is: a small shift in time, another gain."""
    import torch

    shift = int(rng.integers(-6, 7))
    patches = torch.roll(patches, shift, 1)
    gain = torch.from_numpy(10 ** (rng.uniform(-4.0, 4.0, (len(patches), 1, 1)) / 20)).float()
    gain = gain.to(patches.device)
    return ((patches.exp() - LOG_OFFSET).clamp_min(0.0) * gain + LOG_OFFSET).log()


def save_student(network: AudioCNN, path: Path, info: dict[str, Any]) -> None:
    """The weights in float16, with what they are in the header; written atomically."""
    header = {"format": FORMAT, "events": json.dumps(list(EVENT_NAMES)), "info": json.dumps(info)}
    save_weights(path, network, header)
