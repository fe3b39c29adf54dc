"""Audio-guided attention: what its equations promise."""

import torch
from avel_live.model.guided import GuidedAttention, MeanPool


def test_attention_is_a_picture_that_sums_to_one_and_depends_on_the_sound():
    torch.manual_seed(0)
    pool = GuidedAttention(6, 5, channel_hidden=7, spatial_dim=4).eval()
    visual, audio = torch.randn(2, 3, 9, 6), torch.randn(2, 3, 5)
    with torch.no_grad():
        out, alpha = pool(visual, audio)
        _, other = pool(visual, torch.randn(2, 3, 5) * 4)
    assert out.shape == (2, 3, 6)
    assert torch.allclose(alpha.sum(-1), torch.ones(2, 3))
    assert not torch.allclose(alpha, other)
    # tanh bounds the scores, so no cell can outweigh another by more than e².
    assert float((alpha.amax(-1) / alpha.amin(-1)).max()) <= 7.39


def test_moving_the_cells_moves_the_attention():
    torch.manual_seed(0)
    pool = GuidedAttention(6, 5).eval()
    visual, audio = torch.randn(1, 2, 9, 6), torch.randn(1, 2, 5)
    order = torch.randperm(9)
    with torch.no_grad():
        out, alpha = pool(visual, audio)
        moved, moved_alpha = pool(visual[:, :, order], audio)
    assert torch.allclose(out, moved, atol=1e-6)
    assert torch.allclose(alpha[..., order], moved_alpha, atol=1e-6)


def test_the_ablation_ignores_the_sound():
    torch.manual_seed(0)
    pool = MeanPool(6, inner_dim=4).eval()
    visual = torch.randn(1, 2, 9, 6)
    with torch.no_grad():
        out, alpha = pool(visual, torch.zeros(1, 2, 5))
        same, _ = pool(visual, torch.ones(1, 2, 5))
    assert out.shape == (1, 2, 4)
    assert torch.equal(out, same)
    assert torch.allclose(alpha, torch.full((1, 2, 9), 1 / 9))
