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
from typing import Any, Final, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn

from ...backbones.audio_cnn import AudioCNN
from ...files import replacing
from ...formats.weights import save_weights
from ...labels import EVENT_NAMES
from ...logmel import LOG_OFFSET
from .audio_pool import Pool
from .teacher import TAUGHT_BY_TEACHER, event_scores

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
        progress: called with the share done and a line of text after every forty batches.

    """
    torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    work.mkdir(parents=True, exist_ok=True)
    saved = work / "student.pt"
    training = _Training(pool, config, progress)
    for epoch in range(training.resume(saved), config.epochs):
        training.epoch(epoch)
        training.keep(saved, epoch + 1)
    return training.averaged()


class _Training:
    """The student, the readers beside it, and what its training has come to."""

    def __init__(self, pool: Pool, config: StudentConfig, progress: Callable[[float, str], None]) -> None:
        self.pool, self.config, self.progress = pool, config, progress
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.target, self.weight = event_targets(pool)
        mean = pool.embedding.mean(0, dtype=np.float64)
        self.mean = torch.from_numpy(mean).float().to(self.device)
        self.spread = float(np.sqrt(pool.embedding.var(0, dtype=np.float64).mean()))
        self.network = AudioCNN()
        self.to_embedding = nn.Linear(self.network.classify.in_features, pool.embedding.shape[1])
        self._begin_at_base_rates()
        self.network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.to_embedding.to(self.device)
        self.average = AveragedModel(self.network, multi_avg_fn=get_ema_multi_avg_fn(config.average))
        parameters = [*self.network.parameters(), *self.to_embedding.parameters()]
        self.optimizer = torch.optim.AdamW(parameters, lr=1e-4, weight_decay=config.weight_decay)
        self.per_epoch = len(pool) // config.batch

    def _begin_at_base_rates(self) -> None:
        """Every reader says how common its classes are: the first epochs are not spent on that."""
        with torch.no_grad():
            readers = ((self.network.audioset, self.pool.scores), (self.network.classify, self.target))
            for reader, rate in readers:
                mean = torch.from_numpy(rate.mean(0, dtype=np.float64)).clamp(1e-4, 0.9).float()
                reader.bias.copy_(torch.logit(mean))
                reader.weight.mul_(0.1)
            self.to_embedding.bias.zero_()

    def _key(self) -> str:
        """What must be the same when training goes on."""
        return json.dumps({**asdict(self.config), "patches": len(self.pool)})

    def _parts(self) -> dict[str, Any]:
        """All that has a state."""
        return {
            "network": self.network,
            "average": self.average,
            "to_embedding": self.to_embedding,
            "optimizer": self.optimizer,
        }

    def resume(self, saved: Path) -> int:
        """Go on from what was kept, if it is of this very training; the next epoch's number."""
        if not saved.is_file():
            return 0
        state: dict[str, Any] = torch.load(saved, weights_only=True, map_location=self.device)
        if state["key"] != self._key():
            return 0
        for name, part in self._parts().items():
            part.load_state_dict(state[name])
        return int(state["epoch"])

    def keep(self, saved: Path, epoch: int) -> None:
        """Write all that `resume` needs; `epoch` is the next one."""
        state = {name: part.state_dict() for name, part in self._parts().items()}
        with replacing(saved) as temporary:
            torch.save({"key": self._key(), "epoch": epoch, **state}, temporary)

    def _rate_at(self, step: int) -> float:
        """A short warm-up, then half a cosine."""
        total = self.config.epochs * self.per_epoch
        warm = min(1.0, (step + 1) / (0.06 * total))
        return self.config.peak_rate * warm * (0.5 + 0.5 * math.cos(math.pi * step / total)) + 1e-6

    def epoch(self, epoch: int) -> None:
        """Learn from the whole pool once."""
        size, done = self.config.batch, epoch * self.per_epoch
        self.network.train()
        rng = np.random.default_rng((self.config.seed, epoch))  # a resumed epoch draws what it would have
        order = rng.permutation(len(self.pool))
        sums = np.zeros(3)
        for batch in range(self.per_epoch):
            for group in self.optimizer.param_groups:
                group["lr"] = self._rate_at(done + batch)
            sums += self._step(np.sort(order[batch * size : (batch + 1) * size]), rng)
            if batch % 40 == 39 or batch == self.per_epoch - 1:
                text = "scores {:.3f}  embedding {:.3f}  events {:.3f}".format(*(sums / (batch + 1)))
                share = (done + batch + 1) / (self.config.epochs * self.per_epoch)
                self.progress(share, f"epoch {epoch + 1}  {text}")

    def _step(self, rows: NDArray[np.int64], rng: np.random.Generator) -> list[float]:
        """One batch; what it missed of scores, embedding and events."""
        c = self.config
        embedding = self.network(vary(self._put(self.pool.patches[rows]), rng))
        scores = F.binary_cross_entropy_with_logits(
            self.network.audioset(embedding), self._put(self.pool.scores[rows]), reduction="none"
        )
        wanted = (self._put(self.pool.embedding[rows]) - self.mean) / self.spread
        match = F.mse_loss(self.to_embedding(embedding), wanted)
        events = F.binary_cross_entropy_with_logits(
            self.network.class_logits(embedding),
            self._put(self.target[rows]),
            self._put(self.weight[rows]),
            reduction="none",
        )
        parts = (scores.sum(1).mean(), match, events.sum(1).mean())
        loss = c.score_weight * parts[0] + c.embedding_weight * parts[1] + c.label_weight * parts[2]
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.average.update_parameters(self.network)
        return [float(part.detach()) for part in parts]

    def averaged(self) -> AudioCNN:
        """The average of the networks along the way, in eval mode.

        It sees other activations than any of them had: they are measured anew, or a short training loses half
        of what it learnt.
        """
        rng = np.random.default_rng((self.config.seed, self.config.epochs))
        drawn = (
            np.sort(rng.choice(len(self.pool), self.config.batch))
            for _ in range(min(self.per_epoch, _NORM_BATCHES))
        )
        heard = (vary(self._put(self.pool.patches[rows]), rng) for rows in drawn)
        update_bn(heard, self.average, self.device)
        return cast("AudioCNN", self.average.module).to("cpu").eval()

    def _put(self, array: NDArray[Any]) -> Tensor:
        return torch.from_numpy(array).float().to(self.device)


def vary(patches: Tensor, rng: np.random.Generator) -> Tensor:
    """Cheap changes that leave the teacher's answer as it is: a small shift in time, another gain."""
    shift = int(rng.integers(-6, 7))
    patches = torch.roll(patches, shift, 1)
    gain = torch.from_numpy(10 ** (rng.uniform(-4.0, 4.0, (len(patches), 1, 1)) / 20)).float()
    gain = gain.to(patches.device)
    return ((patches.exp() - LOG_OFFSET).clamp_min(0.0) * gain + LOG_OFFSET).log()


def save_student(network: AudioCNN, path: Path, info: dict[str, Any]) -> None:
    """The weights in float16, with what they are in the header; written atomically."""
    header = {"format": FORMAT, "events": json.dumps(list(EVENT_NAMES)), "info": json.dumps(info)}
    save_weights(path, network, header)
