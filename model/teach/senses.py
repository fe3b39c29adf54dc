"""The eye and the ear as taught classes use them: one step before a profile's evidence.

Evidence says what the 28 classes need. What tells a doorbell from a kettle is still there one layer before
it, in what the networks' own classifiers read: EfficientNet's pooled 1280 features behind ImageNet's 1000
classes, the ear's 256 (YAMNet's 1024) behind AudioSet's 521. So each graph is cut there and gives both. The
cut graphs run beside the engine, whatever that runs on, and touch nothing of it: what the shipped classes
say stays what it was.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..profiles import get_profile
from ..runtime.base import EngineOptions
from ..runtime.cache import EngineCache
from ..runtime.graph import weights_digest
from ..runtime.graphs import ensure, wanted

Floats = NDArray[np.float32]
Sense = Literal["visual", "audio"]
SENSES: Final[tuple[Sense, Sense]] = ("visual", "audio")

_CUT: Final = "cut-1"
"""Version of how graphs are cut; part of what a pack is bound to."""


class Sensed(NamedTuple):
    """What a sense makes of pictures or seconds: `embedding` [N, D], `logits` [N, C] of its own classifier.

    C is 0 where a backbone has no classifier of its own.
    """

    embedding: Floats
    logits: Floats


@dataclass(frozen=True)
class _Cut:
    """A graph that ends where a classifier reads: a session, and the names of what goes in and comes out."""

    session: Any
    source: str
    outputs: tuple[str, ...]

    def __call__(self, given: NDArray[Any]) -> Sensed:
        made = self.session.run(list(self.outputs), {self.source: given})
        embedding = made[0]
        if embedding.ndim == 4:  # a grid of cells: the whole picture is their mean
            embedding = embedding.mean(axis=(1, 2))
        logits = made[1] if len(made) > 1 else np.zeros((len(embedding), 0), np.float32)
        return Sensed(embedding, logits)


class Senses:
    """What a profile's eye and ear say of pictures and seconds, before it is made evidence.

    Args:
        options: which profile, and whose weights; the backend does not matter.

    Raises:
        ModelFileError: a weight file is missing, or a graph can't be made.

    """

    def __init__(self, options: EngineOptions) -> None:
        self.profile = get_profile(options.profile)
        self._options = options
        self._front_end = self.profile.audio.front_end()
        self._cuts: dict[Sense, _Cut] = {}

    def see(self, frames: NDArray[np.uint8]) -> Sensed:
        """[N, 224, 224, 3] uint8 RGB → what the eye says of each."""
        cut = self._cut("visual")
        each = [cut(np.ascontiguousarray(frames[k : k + 1])) for k in range(len(frames))]
        return Sensed(*(np.concatenate(parts) for parts in zip(*each, strict=True)))

    def hear(self, samples: Floats) -> Sensed:
        """[16000] float32 at 16 kHz → what the ear says, N = 1."""
        return self._cut("audio")(self._front_end(samples)[None])

    def classes(self, sense: Sense) -> int:
        """How many classes a sense's own classifier has; 0 where it has none."""
        return len(self._classifier(sense)[1])

    def classified(self, sense: Sense, embedding: Floats) -> Sensed:
        """What the classifier says of embeddings that were kept, [N, D]."""
        weight, bias = self._classifier(sense)
        if not len(bias):
            return Sensed(embedding, np.zeros((len(embedding), 0), np.float32))
        return Sensed(embedding, np.asarray(embedding @ weight.T + bias, np.float32))

    def _classifier(self, sense: Sense) -> tuple[Floats, Floats]:
        """Weight [C, D] and bias [C], read from the cut graph."""
        import onnx
        from onnx import numpy_helper

        profile = self.profile
        name = (profile.visual if sense == "visual" else profile.audio).classifier
        graph = onnx.load(_path(self._options, sense)).graph
        kept = {one.name: one for one in graph.initializer}
        node = next((n for n in graph.node if n.op_type == "Gemm" and name in n.input), None)
        if node is None:
            return np.zeros((0, 0), np.float32), np.zeros(0, np.float32)
        weight, bias = (np.asarray(numpy_helper.to_array(kept[i]), np.float32) for i in node.input[1:3])
        return weight, bias

    def digest(self, sense: Sense) -> str:
        """What a taught pack is bound to: the network of a sense and its weights, in 16 digits."""
        return sense_digest(self._options, sense)

    def _cut(self, sense: Sense) -> _Cut:
        if sense not in self._cuts:
            self._cuts[sense] = _open(self._options, sense)
        return self._cuts[sense]


def sense_digest(options: EngineOptions, sense: Sense) -> str:
    """As `Senses.digest`, without opening anything.

    Raises:
        ModelFileError: a weight file is missing.

    """
    profile = get_profile(options.profile)
    backbone = profile.visual if sense == "visual" else profile.audio
    file = backbone.file(options.given(sense))
    weights = weights_digest((file,) if file else ())  # what lies beside is read after the cut
    return hashlib.sha256(f"{_CUT} {backbone.name} {weights}".encode()).hexdigest()[:16]


def _open(options: EngineOptions, sense: Sense) -> _Cut:
    from ..runtime.onnx_engine import open_session

    session = open_session(_path(options, sense), threads=1)
    return _Cut(session, session.get_inputs()[0].name, tuple(out.name for out in session.get_outputs()))


def _path(options: EngineOptions, sense: Sense) -> Path:
    """The cut graph, made once."""
    profile = get_profile(options.profile)
    classifier = (profile.visual if sense == "visual" else profile.audio).classifier
    cache = EngineCache(options.cache_dir)
    (graph,) = wanted(profile, options, (sense,))
    key = {**graph.key(), "cut": f"{_CUT} {classifier}"}

    def write(target: Path) -> None:
        whole = ensure((graph,), cache, options.progress)[sense]
        cut_graph(whole, classifier, target)

    name = f"{graph.name}-cut"
    # Not `get_or_put`: making the whole graph takes the same lock.
    return cache.get(name, key) or cache.put(name, key, ".onnx", write)


def cut_graph(whole: Path, classifier: str, target: Path) -> None:
    """Write the part of a graph that ends with a classifier: what it reads, and its logits.

    Args:
        whole: a graph of `runtime.graphs`.
        classifier: name of the classifier's weight in it; where there is none the graph stays as it is.
        target: the file.

    """
    import onnx
    from onnx.utils import Extractor

    model = onnx.load(whole)
    node = next((n for n in model.graph.node if n.op_type == "Gemm" and classifier in n.input), None)
    if node is not None:
        inputs = [one.name for one in model.graph.input]
        model = Extractor(onnx.shape_inference.infer_shapes(model)).extract_model(
            inputs, [node.input[0], node.output[0]]
        )
    onnx.save(model, target)
