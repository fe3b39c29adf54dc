"""A committee in one pass gives the mean of its members: whole, in halves, as a graph, in every variant."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from avel_live.model.committee import Committee
from avel_live.model.diia import DIIA, DIIAConfig
from avel_live.model.profiles import get_profile
from avel_live.model.runtime.export import INPUTS, example_inputs, export_onnx
from avel_live.model.runtime.onnx_engine import open_session
from avel_live.model.runtime.onnx_head import KEPT, SlidingHead
from avel_live.model.stacking import SegmentHalf, StackedHead, WindowHalf

LITE = {"visual_dim": 76, "audio_dim": 72, "width": 16, "heads": 2, "ffn": 16, "guided_dim": 8, "hidden": 8}
VARIANTS: dict[str, dict[str, object]] = {
    "as shipped": {},
    "two cycles": {"depth": 2},
    "causal": {"causal": True},
    "normalised": {"normalize": True},
    "without guidance": {"guided": False},
    "without gates": {"gate": False},
    "sound alone": {"modalities": "audio"},
    "pictures alone": {"modalities": "visual"},
    "without inter-modality attention": {"inter": False},
}


def committee(count: int = 3, **changes: object) -> Committee:
    members = []
    for seed in range(count):
        torch.manual_seed(seed)
        member = DIIA(DIIAConfig(**(LITE | changes)))  # type: ignore[arg-type]
        for parameter in member.parameters():  # fresh norms and missing vectors would all be alike
            torch.nn.init.normal_(parameter, std=0.3)
        members.append(member)
    return Committee(members).eval()


@pytest.fixture(params=VARIANTS.values(), ids=VARIANTS.keys())
def heads(request: pytest.FixtureRequest) -> Committee:
    return committee(**request.param)


@torch.inference_mode()
def test_the_stack_answers_as_the_committee_does(heads: Committee) -> None:
    inputs = example_inputs("head", get_profile("lite"))
    expected, got = heads(*inputs), StackedHead(heads).eval()(*inputs)
    assert float(expected.logits.std()) > 0.05
    torch.testing.assert_close(got.logits, expected.logits, atol=2e-5, rtol=1e-5)
    torch.testing.assert_close(got.attention, expected.attention, atol=1e-6, rtol=1e-5)


@torch.inference_mode()
def test_its_halves_make_the_whole(heads: Committee) -> None:
    visual, audio, seen, heard = example_inputs("head", get_profile("lite"))
    stack = StackedHead(heads).eval()
    v, a, attention = SegmentHalf(stack)(visual, audio, seen, heard)
    logits = WindowHalf(stack)(v, a, seen, heard)
    whole = stack(visual, audio, seen, heard)
    torch.testing.assert_close(logits, whole.logits, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(attention, whole.attention, atol=1e-6, rtol=1e-5)


def graphs(heads: Committee, folder: Path) -> SlidingHead:
    for network in ("head", "segment", "window"):
        export_onnx(heads, network, get_profile("lite"), folder / f"{network}.onnx", None)
    return SlidingHead(open_session(folder / "segment.onnx"), open_session(folder / "window.onnx"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The graphs of a committee of three."""
    made = tmp_path_factory.mktemp("stack")
    graphs(committee(), made)
    return made


@pytest.fixture
def fresh(folder: Path) -> SlidingHead:
    return SlidingHead(open_session(folder / "segment.onnx"), open_session(folder / "window.onnx"))


def feed(inputs: tuple[torch.Tensor, ...]) -> tuple[np.ndarray, ...]:
    return tuple(x.numpy() for x in inputs)


@pytest.mark.parametrize("name", ["causal", "normalised", "sound alone", "pictures alone"])
def test_its_graphs_agree_too(name: str, tmp_path: Path) -> None:
    heads = committee(2, **VARIANTS[name])
    sliding = graphs(heads, tmp_path)
    inputs = example_inputs("head", get_profile("lite"))
    session = open_session(tmp_path / "head.onnx")
    names = {one.name for one in session.get_inputs()}
    given = {k: v for k, v in zip(INPUTS["head"], feed(inputs), strict=True) if k in names}
    whole = session.run(["logits", "attention"], given)
    halves = sliding(*feed(inputs))
    with torch.inference_mode():
        expected = heads(*inputs)
    for got in (whole, halves):
        np.testing.assert_allclose(got[0], expected.logits, atol=1e-4)
        np.testing.assert_allclose(got[1], expected.attention, atol=1e-5)


def test_sizes_are_constants_in_its_graphs(folder: Path) -> None:
    import onnx

    for network in ("head", "segment", "window"):
        graph = onnx.load(folder / f"{network}.onnx").graph
        kinds = {node.op_type for node in graph.node}
        assert not kinds & {"Shape", "Gather", "Slice", "Concat", "Constant", "Mod", "Identity", "If"}
        assert len(graph.node) < 300


class Counted:
    """A session that counts its runs."""

    def __init__(self, session: object) -> None:
        self.session, self.runs = session, 0

    def run(self, *args: object) -> object:
        self.runs += 1
        return self.session.run(*args)  # type: ignore[attr-defined]

    def get_inputs(self) -> object:
        return self.session.get_inputs()  # type: ignore[attr-defined]


def test_a_segment_is_looked_at_once_and_the_answers_are_the_same_bit_for_bit(fresh: SlidingHead) -> None:
    segment = Counted(fresh._segment)
    sliding = SlidingHead(segment, fresh._window)
    make = np.random.default_rng(1)
    stream = [
        (make.random((7, 7, 76), np.float32), make.random(72, np.float32), make.random(2) < 0.8)
        for _ in range(15)
    ]
    for end in range(10, 16):
        ten = stream[end - 10 : end]
        visual, audio = (np.stack([row[k] for row in ten])[None] for k in (0, 1))
        seen, heard = (np.stack([row[2][k] for row in ten])[None] for k in (0, 1))
        got = sliding(visual, audio, seen, heard)
        assert segment.runs == end
        anew = SlidingHead(fresh._segment, fresh._window)(visual, audio, seen, heard)
        for ours, theirs in zip(got, anew, strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_a_picture_that_differs_in_one_cell_is_another_one(fresh: SlidingHead) -> None:
    segment = Counted(fresh._segment)
    sliding = SlidingHead(segment, fresh._window)
    visual, audio = np.ones((1, 10, 7, 7, 76), np.float32), np.ones((1, 10, 72), np.float32)
    here = np.ones((1, 10), np.bool_)
    sliding(visual, audio, here, here)
    assert segment.runs == 1
    visual[0, 4, 1, 1, 0] = 2.0
    sliding(visual, audio, here, here)
    assert segment.runs > 1
    make = np.random.default_rng(2)
    for _ in range(KEPT // 10 + 2):
        sliding(make.random(visual.shape, np.float32), audio, here, here)
    assert len(sliding._known) == KEPT
