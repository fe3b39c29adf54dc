"""The visual half of `avel train lite`: photographs → views → evidence, and the probes on the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from ...backbones.efficientnet_lite import FEATURE_DIM, EfficientNetLite
from ...backbones.visual_concepts import PROBES
from ...backbones.visual_evidence import VisualEvidence
from ...errors import ModelFileError
from ...labels import BACKGROUND, label_index
from ...profiles import LITE, get_profile
from .manifests import gpl_alone, read_manifest
from .material import PERSON, PicturePool
from .scenes import Image, plain_view, webcam_view
from .stages import keep_arrays

# Photographs under these terms may be looked at to measure, never to train what is shipped.
_NOT_FOR_TRAINING: Final = "ImageNet"
_VIEWS: Final = 200
"""Views per kind to aim for, between 4 and 16 of each photograph."""
_FEW: Final = 4
"""Where probes alone are wanted, one photograph in so many is enough of what they do not name."""
HELD_OUT: Final = 5
"""One subject in so many is kept for validation."""
_PROBE_KINDS: Final = {
    "helicopter": label_index("Helicopter"),
    "mandolin": label_index("Mandolin"),
    "face": PERSON,
}


@dataclass(frozen=True)
class Photo:
    """One photograph of the manifest: its file and its event, BACKGROUND or PERSON."""

    file: Path
    kind: int

    def load(self) -> Image:
        """[H, W, 3] uint8 RGB.

        Raises:
            ModelFileError: it can't be read.

        """
        image = cv2.imread(str(self.file))
        if image is None:
            raise ModelFileError(f"photograph {self.file}: can't be read")
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def read_photos(folder: Path) -> list[Photo]:
    """The photographs of `MANIFEST.tsv` (file, class, source, licence, note) that may be trained on.

    Raises:
        ModelFileError: no manifest.

    """
    kinds = {"_bg": BACKGROUND, "_person": PERSON}
    rows = [
        r
        for r in read_manifest(folder)
        if not (r["licence"].startswith(_NOT_FOR_TRAINING) or gpl_alone(r["licence"]))
    ]
    return [
        Photo(folder / r["file"], kinds[r["class"]] if r["class"] in kinds else label_index(r["class"]))
        for r in rows
    ]


def view_features(
    photos: list[Photo],
    network: EfficientNetLite,
    path: Path,
    seed: int,
    progress: Callable[[float], None],
    *,
    few: bool = False,
) -> None:
    """Views of photographs through a network, written to `path` (npz: grid, kind, subject).

    Args:
        photos: all there are.
        network: what sees them.
        path: the file.
        seed: of the views.
        progress: told the share done.
        few: enough to fit probes: two views of each photograph of what they name and of some others.

    """
    rng = np.random.default_rng(seed)
    per_kind = Counter(photo.kind for photo in photos)
    behind = [photo.load() for photo in photos if photo.kind == BACKGROUND][::2]
    grids: list[NDArray[np.float16]] = []
    kinds: list[int] = []
    subjects: list[int] = []
    for subject, photo in enumerate(photos):
        if few and subject % _FEW and photo.kind not in _PROBE_KINDS.values():
            continue
        image = photo.load()
        count = 1 if few else int(np.clip(_VIEWS // per_kind[photo.kind], 4, 16))
        seen = [plain_view(image)]
        seen += [webcam_view(image, behind[rng.integers(len(behind))], rng) for _ in range(count)]
        with torch.inference_mode():
            grids.append(network(torch.from_numpy(np.stack(seen))).half().numpy())
        kinds += [photo.kind] * len(seen)
        subjects += [subject] * len(seen)
        progress((subject + 1) / len(photos))
    keep_arrays(path, grid=np.concatenate(grids), kind=np.array(kinds), subject=np.array(subjects))


def fit_probes(pooled: NDArray[np.float32], kind: NDArray[np.int64]) -> torch.nn.Linear:
    """One-against-rest logistic probes for `PROBES` on [N, 1280] pooled features, L2-regularised (LBFGS)."""
    x = torch.from_numpy(pooled)
    wanted = torch.from_numpy(np.stack([kind == _PROBE_KINDS[name] for name in PROBES], axis=1)).float()
    mean, spread = x.mean(0), x.std(0) + 0.05
    z = (x - mean) / spread
    share = wanted.mean(0)
    positive_weight = 0.15 * (1 - share) / share
    weight = torch.zeros(len(PROBES), FEATURE_DIM, requires_grad=True)
    bias = torch.full((len(PROBES),), -3.0, requires_grad=True)
    optimiser = torch.optim.LBFGS([weight, bias], max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        cost = torch.nn.functional.binary_cross_entropy_with_logits(
            z @ weight.T + bias, wanted, pos_weight=positive_weight
        )
        cost = cost + 3e-3 * (weight**2).sum()
        cost.backward()
        return cost

    optimiser.step(closure)
    probes = torch.nn.Linear(FEATURE_DIM, len(PROBES))
    with torch.no_grad():
        probes.weight.copy_(weight / spread)
        probes.bias.copy_(bias - (weight * mean / spread).sum(1))
    return probes


def kept(work: Path, profile: str) -> tuple[Path, Path]:
    """Where the features and the evidence of what a profile's eye sees lie in a work folder."""
    eye = get_profile(profile).visual
    more = "" if eye == LITE.visual else f"_{eye.name}"
    return work / f"views{more}.npz", work / f"pictures{more}.npz"


def held_out(subject: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which rows belong to subjects kept for validation."""
    kept: NDArray[np.bool_] = (subject * 7919 % HELD_OUT) == 0
    return kept


def picture_pools(
    features: Path, network: EfficientNetLite, target: Path, progress: Callable[[float], None]
) -> tuple[PicturePool, PicturePool, torch.nn.Linear]:
    """Fit the probes and turn stored features into evidence: pools for training and for validation.

    Args:
        features: what `view_features` wrote.
        network: what it asked.
        target: where the evidence is kept (npz), so that a second run starts from there.
        progress: told the share done.

    """
    with np.load(features) as stored:
        kind, subject = stored["kind"], stored["subject"]
        grid = stored["grid"]
    pooled = np.concatenate(
        [grid[i : i + 256].astype(np.float32).mean((1, 2)) for i in range(0, len(grid), 256)]
    )
    keep = held_out(subject)
    probes = fit_probes(pooled[~keep], kind[~keep])
    if not target.is_file():
        eye = VisualEvidence(network)
        eye.probes = probes
        cells, whole = [], []
        with torch.inference_mode():
            for start in range(0, len(grid), 64):
                part = torch.from_numpy(grid[start : start + 64]).float()
                cells.append(eye.judge(part).half().numpy())
                whole.append(eye.judge(part.mean((1, 2))).half().numpy())
                progress(start / len(grid))
        keep_arrays(target, cells=np.concatenate(cells), whole=np.concatenate(whole))
    train, validation = load_picture_pools(features, target)
    return train, validation, probes


def load_picture_pools(features: Path, evidence: Path) -> tuple[PicturePool, PicturePool]:
    """What `view_features` and `picture_pools` kept, as pools for training and for validation."""
    with np.load(features) as stored:
        kind, subject = stored["kind"], stored["subject"]
    with np.load(evidence) as stored:
        cells, whole = stored["cells"], stored["whole"]
    keep = held_out(subject)
    train, validation = (
        PicturePool(cells[rows], whole[rows], kind[rows], subject[rows]) for rows in (~keep, keep)
    )
    return train, validation
