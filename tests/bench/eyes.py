"""The light eyes on photographs: how often the event is what they name first, and what a look costs.

    python tests/bench/eyes.py DATA

DATA is what `avel train lite` learns from. By *ImageNet's classes* alone: photographs of what ImageNet
knows, at most 35 of an event, none of which either network learnt from here; as they are, and as a webcam
might see them (`scenes.webcam_view`). *With probes*: photographs that the probes' training kept back, of all
that is seen, and how often one of nothing is named as an event. An eye of 280×280 is given the same 224×224
pixels, enlarged. Times are of one picture on ONNX Runtime, one thread, the eyes in turn: processor
milliseconds.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from avel_live.model.backbones.efficientnet_lite import load_efficientnet_lite0, load_efficientnet_lite3
from avel_live.model.backbones.visual_concepts import CONCEPTS, PROBES
from avel_live.model.backbones.visual_evidence import (
    VisualEvidence,
    load_visual_evidence,
    load_visual_evidence_lite3,
)
from avel_live.model.labels import BACKGROUND, EVENT_NAMES, label_index
from avel_live.model.profiles import LITE
from avel_live.model.runtime.export import export_onnx
from avel_live.model.runtime.onnx_engine import open_session
from avel_live.model.training.lite.material import PERSON, SPEECH
from avel_live.model.training.lite.pictures import Photo, held_out, read_photos
from avel_live.model.training.lite.scenes import plain_view, webcam_view
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

MOST: Final = 35
BY_PROBE: Final = tuple(label_index(name) for name in ("Helicopter", "Mandolin"))
Eye = Callable[[Any], Any]


class Enlarged(nn.Module):
    """An eye that is given 224×224 pixels and sees them as `side`×`side`."""

    def __init__(self, eye: VisualEvidence, side: int) -> None:
        super().__init__()
        self.eye, self.side = eye, side

    def forward(self, frames: Tensor) -> Tensor:
        """[N, 224, 224, 3] → [N, side/32, side/32, 2C]."""
        pixels = frames.permute(0, 3, 1, 2).float()
        large = nn.functional.interpolate(pixels, (self.side, self.side), mode="bilinear")
        return self.eye(large.permute(0, 2, 3, 1))


def unprobed(eye: VisualEvidence) -> VisualEvidence:
    """An eye whose probes say nothing."""
    with torch.no_grad():
        eye.probes.weight.zero_()
        eye.probes.bias.fill_(-30.0)
    return eye.eval()


def without_probes() -> dict[str, nn.Module]:
    """Each network by ImageNet's classes alone."""
    return {
        "Lite0": unprobed(VisualEvidence(load_efficientnet_lite0())),
        "Lite3": unprobed(VisualEvidence(load_efficientnet_lite3())),
        "Lite3, 280": Enlarged(unprobed(VisualEvidence(load_efficientnet_lite3(side=280))), 280),
    }


def opened(module: nn.Module, folder: Path, name: str) -> Eye:
    """Evidence of whole pictures [N, C] on ONNX Runtime."""
    export_onnx(module.eval(), "visual", LITE, folder / f"{name}.onnx", None)
    session = open_session(folder / f"{name}.onnx", threads=1)
    (source,) = session.get_inputs()
    return lambda frames: session.run(None, {source.name: frames})[0][:, 0, 0, len(CONCEPTS) :]


def looked(eye: Eye, views: list[Any]) -> Any:
    """[N, C] evidence, a picture at a time."""
    return np.concatenate([eye(view[None]) for view in views])


def right(evidence: Any, kinds: Any) -> Any:
    """[N]: whether the concept named first is the event; people may be either voice."""
    first = evidence.argmax(axis=1)  # people are three concepts of the same evidence
    people = np.isin(first, [*SPEECH, CONCEPTS.index("person")])
    return np.where(kinds == PERSON, people, first == kinds)


def percent(found: Any) -> str:
    return f"{100 * np.mean(found):.1f}"


def by_class(found: Any, kinds: Any) -> str:
    """Mean over the kinds."""
    return percent([found[kinds == kind].mean() for kind in np.unique(kinds)])


def imagenets(photos: list[Photo]) -> list[Photo]:
    """Of events that ImageNet knows, some of each."""
    taken: Counter[int] = Counter()
    found = []
    for number in np.random.default_rng(0).permutation(len(photos)):
        photo = photos[number]
        if photo.kind < BACKGROUND and photo.kind not in BY_PROBE and taken[photo.kind] < MOST:
            taken[photo.kind] += 1
            found.append(photo)
    return found


def times(eyes: dict[str, Eye], rounds: int = 25) -> dict[str, float]:
    """Median processor milliseconds of one picture, the eyes in turn."""
    picture = np.random.default_rng(0).integers(0, 256, (1, 224, 224, 3), np.uint8)
    took: dict[str, list[float]] = {name: [] for name in eyes}
    for _ in range(rounds):
        for name, eye in eyes.items():
            begin = time.thread_time()
            eye(picture)
            took[name].append(1e3 * (time.thread_time() - begin))
    return {name: float(np.median(each[3:])) for name, each in took.items()}


def main() -> None:
    """Print both tables."""
    console = Console(width=110)
    photos = read_photos(Path(sys.argv[1]) / "photos")
    rng = np.random.default_rng(3)
    behind = [photo.load() for photo in photos if photo.kind == BACKGROUND][::4]

    def webcam(photo: Photo) -> Any:
        return webcam_view(photo.load(), behind[rng.integers(len(behind))], rng)

    with tempfile.TemporaryDirectory() as folder:
        some = imagenets(photos)
        kinds = np.array([photo.kind for photo in some])
        sets = {"as it is": [plain_view(p.load()) for p in some], "webcam": [webcam(p) for p in some]}
        eyes = {name: opened(eye, Path(folder), name) for name, eye in without_probes().items()}
        took = times(eyes)
        table = Table(title=f"ImageNet's classes alone: {len(some)} photographs of {len(set(kinds))} events")
        for title in ("eye", *(f"{s}, {m}" for s in sets for m in ("%", "% by class")), "ms", "×"):
            table.add_column(title)
        for name, eye in eyes.items():
            cells = []
            for views in sets.values():
                found = right(looked(eye, views), kinds)
                cells += [percent(found), by_class(found, kinds)]
            table.add_row(name, *cells, f"{took[name]:.1f}", f"{took[name] / took['Lite0']:.2f}")
        console.print(table)

        kept_back = [p for p, kept in zip(photos, held_out(np.arange(len(photos))), strict=True) if kept]
        kinds = np.array([photo.kind for photo in kept_back])
        some_thing, nothing = kinds != BACKGROUND, kinds == BACKGROUND
        sets = {
            "as it is": [plain_view(p.load()) for p in kept_back],
            "webcam": [webcam(p) for p in kept_back],
        }
        probed = {"Lite0": load_visual_evidence(), "Lite3": load_visual_evidence_lite3()}
        table = Table(title=f"With probes ({', '.join(PROBES)}): {len(kept_back)} photographs kept back")
        for title in ("eye", *(f"{s}, {m}" for s in sets for m in ("%", "% by class", "nothing named"))):
            table.add_column(title)
        for name, eye in probed.items():
            cells = []
            shown = opened(eye, Path(folder), f"{name} probed")
            for views in sets.values():
                evidence = looked(shown, views)
                found = right(evidence, kinds)
                events = [k for k in range(len(EVENT_NAMES)) if k not in SPEECH]
                named = np.isin(evidence[nothing].argmax(axis=1), events)
                cells += [percent(found[some_thing]), by_class(found[some_thing], kinds[some_thing])]
                cells.append(percent(named))
            table.add_row(name, *cells)
        console.print(table)


if __name__ == "__main__":
    main()
