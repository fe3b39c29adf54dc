"""Weak supervision and stream-like batches, against slow versions of what they say."""

import numpy as np
import pytest
import torch
from avel_live.model.training import weak
from avel_live.model.training.data import IGNORE, read_batch
from avel_live.model.training.streaming import StreamingOptions, stream_like
from support.training import small_data


def test_pooling_is_what_it_says():
    torch.manual_seed(0)
    logits = torch.randn(2, 4, 3, dtype=torch.float64)
    valid = torch.tensor([[1, 1, 1, 0], [1, 0, 0, 0]])
    x = logits.numpy()
    p = np.exp(x) / np.exp(x).sum(-1, keepdims=True)
    mean = weak.pool(logits, valid, "mean").numpy()
    assert np.allclose(mean[0], np.log(p[0, :3].mean(0)))
    best = weak.pool(logits, valid, "max").exp().numpy()
    top = np.exp(x[0, :3].max(0))
    assert np.allclose(best[0], top / top.sum())
    lse = weak.pool(logits, valid, "lse").exp().numpy()
    between = np.exp(x[0, :3]).mean(0)
    assert np.allclose(lse[0], between / between.sum())
    for pooled in (mean, np.log(best), np.log(lse)):
        assert np.allclose(pooled[1], np.log(p[1, 0]))  # one segment: all the same


def test_weak_loss_sees_only_the_video_label_and_the_valid_segments():
    logits = torch.randn(2, 4, 3, requires_grad=True)
    valid = torch.tensor([[1, 1, 0, 0], [1, 1, 1, 1]])
    value = weak.loss(logits, torch.tensor([2, 0]), valid)
    value.backward()
    assert torch.isfinite(value)
    assert (logits.grad[0, 2:] == 0).all()
    assert (logits.grad[0, :2] != 0).any()


def batch():
    return read_batch(small_data(40), np.arange(40))


def test_nothing_asked_for_changes_nothing():
    b = batch()
    same = stream_like(b, StreamingOptions(0, 0, 0), np.random.default_rng(0), 4)
    assert np.array_equal(same.visual, b.visual)
    assert np.array_equal(same.target, b.target)


def test_a_window_that_has_just_begun():
    b = batch()
    got = stream_like(b, StreamingOptions(start_up=1, missing=0, offset=0), np.random.default_rng(0), 4)
    lengths = got.visual_mask.sum(1)
    assert set(lengths) == set(range(1, 11))
    for row, k in enumerate(lengths):
        assert got.visual_mask[row, :k].all()
        assert (got.target[row, :k] == b.target[row, :k]).all()
        assert (got.target[row, k:] == IGNORE).all()
        assert (got.audio[row, k:] == 0).all()
    assert b.visual_mask.all()  # the given batch is left alone


def test_a_window_across_a_change_of_scene():
    b = batch()
    got = stream_like(b, StreamingOptions(start_up=0, missing=0, offset=1), np.random.default_rng(0), 4)
    for row in range(40):
        found = [
            (shift, other)
            for shift in range(1, 10)
            for other in range(40)
            if np.array_equal(got.audio[row], np.concatenate([b.audio[row, shift:], b.audio[other, :shift]]))
        ]
        assert len(found) == 1
        shift, other = found[0]
        assert np.array_equal(
            got.target[row], np.concatenate([b.target[row, shift:], b.target[other, :shift]])
        )


def test_a_modality_goes_missing_and_the_label_stays():
    b = batch()
    got = stream_like(b, StreamingOptions(start_up=0, missing=1, offset=0), np.random.default_rng(0), 4)
    assert (got.visual_mask | got.audio_mask).all()
    assert (~got.visual_mask).any()
    assert (~got.audio_mask).any()
    assert np.array_equal(got.target, b.target)
    assert (got.visual[~got.visual_mask] == 0).all()


@pytest.mark.parametrize("bad", [{"start_up": -0.1}, {"missing": 1.5}, {"offset": float("nan")}])
def test_what_is_no_probability_is_refused(bad):
    with pytest.raises(ValueError, match=r"must be within 0..1"):
        StreamingOptions(**bad)
