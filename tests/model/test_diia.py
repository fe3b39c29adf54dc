"""The network against a slow, loop-written version of the paper's equations, and what streaming needs."""

import numpy as np
import pytest
import torch
from avel_live.model.diia import DIIA, DIIAConfig, MultiHeadAttention, loss
from hypothesis import given, settings
from hypothesis import strategies as st
from support.slow_diia import SlowDIIA

SMALL = {
    "visual_dim": 6,
    "audio_dim": 5,
    "grid": 3,
    "width": 8,
    "heads": 2,
    "ffn": 12,
    "hidden": 7,
    "classes": 4,
}
VARIANTS = {
    "whole": {},
    "two layers": {"depth": 2},
    "causal": {"causal": True},
    "causal, two layers": {"causal": True, "depth": 2},
    "normalised": {"normalize": True},
    "narrow guidance": {"guided_dim": 4, "spatial_dim": 3},
    "no gate": {"gate": False},
    "no intra": {"intra": False},
    "no inter": {"inter": False},
    "no guidance": {"guided": False},
    "nothing": {"gate": False, "intra": False, "inter": False, "guided": False},
    "audio": {"modalities": "audio"},
    "visual": {"modalities": "visual"},
    "concat": {"modalities": "concat"},
    "audio, causal": {"modalities": "audio", "causal": True},
}


def network(seed=0, **changes):
    torch.manual_seed(seed)
    model = DIIA(DIIAConfig(**{**SMALL, **changes})).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" not in name:
                parameter.normal_(0, 0.6)
    return model


def window(length, seed=0, batch=1):
    g = torch.Generator().manual_seed(seed)
    grid, dv, da = SMALL["grid"], SMALL["visual_dim"], SMALL["audio_dim"]
    return (
        torch.randn(batch, length, grid, grid, dv, generator=g),
        torch.randn(batch, length, da, generator=g),
    )


PRESENT = {
    "all": ([1] * 5, [1] * 5),
    "a picture is missing": ([1, 0, 1, 1, 1], [1] * 5),
    "both lack some": ([0, 1, 1, 0, 1], [1, 1, 0, 0, 1]),
    "no picture at all": ([0] * 5, [1] * 5),
    "no sound at all": ([1] * 5, [0] * 5),
    "the first second is empty": ([0, 1, 1, 1, 1], [0, 0, 1, 1, 1]),
}


@pytest.mark.parametrize("present", PRESENT, ids=str)
@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_agrees_with_the_equations_written_as_loops(variant, present):
    model = network(**VARIANTS[variant])
    visual, audio = window(5)
    has_video, has_audio = PRESENT[present]
    with torch.no_grad():
        got = model(visual, audio, torch.tensor([has_video]), torch.tensor([has_audio]))
    slow = SlowDIIA(model.config, {k: v.numpy() for k, v in model.state_dict().items()})
    logits, attention = slow(visual[0].numpy(), audio[0].numpy(), has_video, has_audio)
    assert np.abs(got.logits[0].numpy() - logits).max() < 1e-5 * max(1, np.abs(logits).max())
    assert np.abs(got.attention[0].numpy() - attention).max() < 1e-5


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("length", [1, 3, 9])
def test_a_padded_window_gives_what_the_shorter_one_gives(length, causal):
    model = network(causal=causal)
    visual, audio = window(10)
    mask = (torch.arange(10) < length)[None]
    noise = torch.where(mask, 0.0, 1e3)
    with torch.no_grad():
        short = model(visual[:, :length], audio[:, :length]).logits
        padded = model(visual + noise[..., None, None, None], audio + noise[..., None], mask, mask).logits[
            :, :length
        ]
    assert torch.allclose(short, padded, atol=1e-5)


def test_missing_seconds_may_stand_anywhere():
    model = network()
    visual, audio = window(6)
    keep = torch.tensor([1, 2, 4])
    mask = torch.zeros(1, 6, dtype=torch.bool).index_fill_(1, keep, True)
    with torch.no_grad():
        inside = model(visual, audio, mask, mask).logits[:, keep]
        alone = model(visual[:, keep], audio[:, keep]).logits
    assert torch.allclose(inside, alone, atol=1e-5)


@settings(max_examples=25, deadline=None)
@given(order=st.permutations(range(7)), missing=st.integers(0, 6))
def test_order_of_segments_does_not_matter(order, missing):
    model = network()
    visual, audio = window(7)
    mask = torch.ones(1, 7)
    mask[0, missing] = 0
    order = torch.tensor(order)
    with torch.no_grad():
        straight = model(visual, audio, mask, torch.ones(1, 7))
        shuffled = model(visual[:, order], audio[:, order], mask[:, order], torch.ones(1, 7))
    assert torch.allclose(straight.logits[:, order], shuffled.logits, atol=1e-5)
    assert torch.allclose(straight.attention[:, order], shuffled.attention, atol=1e-6)


def test_causal_never_looks_ahead_and_the_other_does():
    visual, audio = window(8)
    later_visual, later_audio = visual.clone(), audio.clone()
    later_visual[:, 5:] += 3
    later_audio[:, 5:] -= 3
    for causal in (True, False):
        model = network(causal=causal, depth=2)
        with torch.no_grad():
            before = model(visual, audio).logits[:, :5]
            after = model(later_visual, later_audio).logits[:, :5]
        assert torch.equal(before, after) is causal


def test_windows_of_a_batch_do_not_touch_each_other():
    model = network()
    visual, audio = window(4, batch=3)
    with torch.no_grad():
        together = model(visual, audio).logits
        alone = torch.cat([model(visual[i : i + 1], audio[i : i + 1]).logits for i in range(3)])
    assert torch.allclose(together, alone, atol=1e-6)


def test_cut_tokens_are_a_shorter_window():
    model = network()
    visual, audio = window(8)
    with torch.no_grad():
        cut = model.decide(model.tokens(visual, audio).cut(2, 6))
        short = model(visual[:, 2:6], audio[:, 2:6]).logits
    assert torch.allclose(cut, short, atol=1e-6)


def test_attention_spelt_out_is_the_same():
    model = network()
    visual, audio = window(6)
    mask = torch.tensor([[1, 1, 0, 1, 0, 1]])
    with torch.no_grad():
        fused = model(visual, audio, mask, mask).logits
        for module in model.modules():
            if isinstance(module, MultiHeadAttention):
                module.manual = True
        spelt = model(visual, audio, mask, mask).logits
    assert torch.allclose(fused, spelt, atol=1e-5)


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_every_parameter_is_used(variant):
    """No layer is constructed that the loss does not reach."""
    model = network(**VARIANTS[variant]).train()
    visual, audio = window(6, batch=2)
    mask = torch.tensor([[1, 1, 0, 1, 0, 1], [1, 1, 1, 1, 1, 1]])
    loss(model(visual, audio, mask, mask.flip(1)).logits, torch.zeros(2, 6, dtype=torch.long)).backward()
    assert [n for n, p in model.named_parameters() if p.grad is None] == []


def test_half_precision_does_not_overflow_where_keys_are_masked():
    model = network().to(torch.bfloat16)
    visual, audio = (x.to(torch.bfloat16) for x in window(4))
    nothing = torch.zeros(1, 4)
    with torch.no_grad():
        assert torch.isfinite(model(visual, audio, nothing, nothing).logits).all()
        assert torch.isfinite(torch.tensor(-1e4).half())


def test_loss_is_the_mean_cross_entropy_of_eq_12():
    logits = torch.randn(2, 3, 4, dtype=torch.float64)
    target = torch.tensor([[0, 1, 2], [3, 3, -100]])
    expected, count = 0.0, 0
    for b in range(2):
        for t in range(3):
            if target[b, t] >= 0:
                p = np.exp(logits[b, t].numpy())
                expected -= np.log(p[target[b, t]] / p.sum())
                count += 1
    assert float(loss(logits, target)) == pytest.approx(expected / count)
    soft = torch.nn.functional.one_hot(target.clamp(min=0), 4).double()
    hard = target.clamp(min=0)
    assert float(loss(logits, soft)) == pytest.approx(float(loss(logits, hard)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"heads": 3}, "not a multiple"),
        ({"depth": 0}, "depth must be a whole number of 1 to"),
        ({"modalities": "smell"}, "modalities must be one of"),
    ],
)
def test_impossible_dimensions_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        DIIAConfig(**{**SMALL, **change})


def test_paper_sizes():
    """As the paper is read here: d = 256, 4 heads, FFN 1024, one block, head 256→64→29."""
    with torch.device("meta"):
        count = sum(p.numel() for p in DIIA(DIIAConfig()).parameters())
    assert count == 4_624_413
