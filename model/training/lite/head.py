"""Training the bundled head: DIIA on composed scenes.

Checkpoints are picked on scenes composed from held-out photographs and recordings, never on real
clips: those measure, they do not choose.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import torch
from torch.optim.swa_utils import AveragedModel

from ...committee import Head
from ...diia import DIIA, DIIAConfig, loss
from ...labels import BACKGROUND
from .compose import Composer
from .material import Batch


@dataclass(frozen=True)
class HeadSettings:
    """How the head is trained.

    Attributes:
        steps: optimiser steps.
        batch: scenes a step.
        rate: peak learning rate of AdamW, reached after a tenth of the steps.
        held: what it falls to, and stays at while weights are averaged.
        averaged: share of the steps, at the end, whose weights are averaged; below 0.9.
        weight_decay: of AdamW.
        noise: standard deviation of the noise on evidence.
        smoothing: label smoothing; confidence is calibrated afterwards.
        validate_every: steps between validations.
        seed: of weights, scenes and noise.

    """

    steps: int = 1600
    batch: int = 32
    rate: float = 2e-3
    held: float = 1e-3
    averaged: float = 0.5
    weight_decay: float = 0.02
    noise: float = 0.03
    smoothing: float = 0.02
    validate_every: int = 400
    seed: int = 0


def tensors(batch: Batch) -> tuple[torch.Tensor, ...]:
    """Visual, audio, masks and labels of a batch."""
    return tuple(
        torch.from_numpy(x)
        for x in (batch.visual, batch.audio, batch.visual_mask, batch.audio_mask, batch.label)
    )


@torch.inference_mode()
def scene_accuracy(model: Head, batches: list[Batch]) -> tuple[float, float]:
    """Share of seconds named rightly, and of event seconds."""
    model.eval()
    right = total = events = named = 0
    for batch in batches:
        visual, audio, visual_mask, audio_mask, label = tensors(batch)
        answer = model(visual, audio, visual_mask, audio_mask).logits.argmax(-1)
        known = visual_mask | audio_mask
        event = label != BACKGROUND
        right += int((answer == label)[known].sum())
        total += int(known.sum())
        named += int((answer == label)[event].sum())
        events += int(event.sum())
    return right / max(1, total), named / max(1, events)


@torch.inference_mode()
def background_shift(model: Head, nothing: list[Batch], share: float) -> float:
    """What to add to the background's logit so that `share` of the seconds of nothing are given an event.

    A live stream is mostly nothing, composed scenes are mostly events: accuracy on them says little of how
    often a silent room is given a name.

    Args:
        model: a trained head.
        nothing: held-out scenes without any event.
        share: of their known seconds, 0..1.

    """
    ahead = []
    for batch in nothing:
        visual, audio, visual_mask, audio_mask, _ = tensors(batch)
        logits = model(visual, audio, visual_mask, audio_mask).logits
        event, background = logits[..., :BACKGROUND].amax(-1), logits[..., BACKGROUND]
        ahead.append((event - background)[visual_mask | audio_mask])
    return float(torch.cat(ahead).quantile(1.0 - share))


def train_head(
    config: DIIAConfig,
    settings: HeadSettings,
    composer: Composer,
    validation: list[Batch],
    progress: Callable[[int, float, float, float], None] = lambda *_: None,
) -> tuple[DIIA, float]:
    """The best head by validation accuracy, and that accuracy.

    A head is the average of what it was at many steps (Izmailov et al., Averaging Weights Leads to Wider
    Optima and Better Generalization, 2018): those of single steps are right in as many seconds of composed
    scenes, but miss more events.

    Args:
        config: dimensions of the head.
        settings: see `HeadSettings`.
        composer: training scenes.
        validation: scenes composed from held-out material.
        progress: told (step, loss, validation accuracy, event accuracy) now and then.

    """
    torch.manual_seed(settings.seed)
    model = DIIA(config)
    optimiser = torch.optim.AdamW(model.parameters(), lr=settings.rate, weight_decay=settings.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: rate_at(step + 1, settings))
    average = AveragedModel(model)
    best, best_state = -1.0, {k: v.clone() for k, v in model.state_dict().items()}
    running = 0.0
    for step in range(1, settings.steps + 1):
        model.train()
        visual, audio, visual_mask, audio_mask, label = tensors(composer.batch(settings.batch))
        visual = visual + settings.noise * torch.randn_like(visual)
        audio = audio + settings.noise * torch.randn_like(audio)
        logits = model(visual, audio, visual_mask, audio_mask).logits
        known = visual_mask | audio_mask
        cost = loss_on(logits[known], label[known], settings.smoothing)
        optimiser.zero_grad(set_to_none=True)
        cost.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        averaging = step > (1.0 - settings.averaged) * settings.steps
        if averaging:
            average.update_parameters(model)
        running += (float(cost.detach()) - running) * 0.02
        if step % settings.validate_every == 0 or step == settings.steps:
            head = cast("DIIA", average.module) if averaging else model
            accuracy, named = scene_accuracy(head, validation)
            progress(step, running, accuracy, named)
            if accuracy > best:
                best, best_state = accuracy, {k: v.clone() for k, v in head.state_dict().items()}
    model.load_state_dict(best_state)
    return model.eval(), best


def rate_at(step: int, settings: HeadSettings) -> float:
    """Of the peak learning rate at a step, counted from 1: up in a line, down in a half wave, then held."""
    done, warm, down = step / settings.steps, 0.1, 1.0 - settings.averaged
    if done <= warm:
        return done / warm
    held = settings.held / settings.rate
    wave = 0.5 + 0.5 * math.cos(math.pi * min(1.0, (done - warm) / (down - warm)))
    return held + (1.0 - held) * wave


def loss_on(logits: torch.Tensor, label: torch.Tensor, smoothing: float) -> torch.Tensor:
    """Eq. (12) on the known seconds, with label smoothing."""
    if smoothing == 0.0:
        return loss(logits[None], label[None])
    return torch.nn.functional.cross_entropy(logits, label, label_smoothing=smoothing)
