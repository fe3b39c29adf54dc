"""Heads of own classes, as `avel train` writes them: any number, none of them AVE's."""

from __future__ import annotations

from pathlib import Path


def own_labels(classes: int) -> tuple[str, ...]:
    """`classes` names, background last."""
    return (*(f"Own {k}" for k in range(classes - 1)), "background")


def own_head(path: Path, classes: int) -> Path:
    """A small head on the features of `lite`; it has learnt nothing."""
    import torch
    from avel_live.model.checkpoint import save_checkpoint
    from avel_live.model.diia import DIIA, DIIAConfig
    from avel_live.model.profiles import LITE

    torch.manual_seed(classes)
    head = DIIA(
        DIIAConfig(
            visual_dim=LITE.visual.dim,
            audio_dim=LITE.audio.dim,
            width=16,
            heads=2,
            ffn=16,
            classes=classes,
            spatial_dim=16,
            guided_dim=16,
        )
    )
    save_checkpoint(path, head.eval(), profile="lite", labels=own_labels(classes))
    return path
