"""Dynamic Intra- and Inter-modality Attention (DIIA): the paper's network, equation by equation.

Liang et al., "Cross-Modal Attention Network for Audio-Visual Event Localization".

    paper          here                   shape        meaning
    V, A           v, a                   [B, T, d]    segments after projection to one width d
    V̂, Â           v_hat, a_hat           [B, T, d]    gated queries and keys, Eq. (5) (6)
    G_V, G_A       gate_from_v, _from_a   [B, 1, d]    conditional gates, Eq. (7) (8)
    V_intra, ...   v, a after `Intra`     [B, T, d]    Eq. (3) (4)
    V_inter, ...   v, a after `Inter`     [B, T, d]    Eq. (9) (10)
    F_va           fused                  [B, T, d]    Eq. (11)
    O_tc           softmax(logits)        [B, T, C]    class probabilities

How the paper is read where it leaves room:
- Gates are cross-modal: the sound's gate G_A scales the visual queries and keys (5), G_V the audio
  ones; "G_v" in (6) is taken as G_V. The gated sequence is query and key, the ungated one the value.
- Fig. 3 likens the blocks to the Transformer of [16]: residual and LayerNorm stand around attention
  and FFN, the residual of (3) (4) being the ungated sequence.
- A ReLU stands between (11) and the first fully connected layer, or the two linear maps would be one.
- "Cyclically" allows a stack: `depth` repeats (3)–(10).
- No positional encoding: a shifted window gives shifted answers.

Streaming needs what the paper does not: masks. A segment whose picture (or sound) is missing is
never a key or value and never counts in the gates' average; where it still is a query a learned
vector stands in for it. A window padded with missing segments gives exactly what the shorter one gives.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .diia_config import DIIAConfig
from .guided import GuidedAttention, MeanPool

__all__ = ["DIIA", "DIIAConfig", "DIIALayer", "DIIAOutput", "Tokens", "loss"]

# exp(-1e4) is 0 in float32 and -1e4 fits float16, where -inf would make NaN rows of fully masked keys.
_MASKED = -1.0e4


class DIIAOutput(NamedTuple):
    """`logits` [B, T, C] before softmax; `attention` [B, T, grid, grid], each picture summing to 1."""

    logits: Tensor
    attention: Tensor


class Tokens(NamedTuple):
    """Segments before they meet: V, A [B, T, d], masks [B, T], spatial attention [B, T, grid, grid]."""

    v: Tensor
    a: Tensor
    visual_mask: Tensor
    audio_mask: Tensor
    attention: Tensor

    def cut(self, start: int, end: int) -> Tokens:
        """The segments from `start` until before `end`: a shorter window, at no cost for the features."""
        return Tokens(*(x[:, start:end] for x in self))


class MultiHeadAttention(nn.Module):
    """Eq. (1), with several heads: softmax(Q W_Q (K W_K)ᵀ / √d_k) V W_V.

    Separate projections and a 4-D layout keep the exported graph in the form that TensorRT fuses.
    """

    manual = False
    """Spell the attention out as matmul-softmax-matmul: for TensorRT before 10.14, which lacks sdpa."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.head_dim = width // heads
        self.dropout = dropout
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)

    def _split(self, x: Tensor) -> Tensor:
        split: Tensor = x.unflatten(-1, (self.heads, self.head_dim)).transpose(1, 2)
        return split  # [B, H, T, d/H]

    def forward(self, query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
        """[B, T, d] ×3 and an additive bias broadcastable to [B, H, T, T] → [B, T, d]."""
        q, k, v = self._split(self.query(query)), self._split(self.key(key)), self._split(self.value(value))
        if self.manual:
            scores = q @ k.transpose(-1, -2) * self.head_dim**-0.5 + bias
            weights = F.dropout(torch.softmax(scores, dim=-1), self.dropout, self.training)
            mixed = weights @ v
        else:
            mixed = F.scaled_dot_product_attention(
                q, k, v, attn_mask=bias, dropout_p=self.dropout if self.training else 0.0
            )
        out: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return out


class AttentionBlock(nn.Module):
    """FFN(MHA(query; key; value)) with residual and LayerNorm around both (Fig. 3), Eq. (1) (2)."""

    def __init__(self, width: int, heads: int, ffn: int, dropout: float) -> None:
        super().__init__()
        self.attention = MultiHeadAttention(width, heads, dropout)
        self.norm_attention = nn.LayerNorm(width)
        self.ffn_in = nn.Linear(width, ffn)
        self.ffn_out = nn.Linear(ffn, width)
        self.norm_ffn = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, residual: Tensor, query: Tensor, key: Tensor, value: Tensor, bias: Tensor, any_key: Tensor
    ) -> Tensor:
        """[B, T, d] each; `any_key` [B, 1, 1] is 0 where every key is masked, so nothing is attended."""
        attended = self.attention(query, key, value, bias) * any_key
        x = self.norm_attention(residual + self.dropout(attended))
        inner = self.dropout(F.relu(self.ffn_in(x)))  # Eq. (2)
        out: Tensor = self.norm_ffn(x + self.dropout(self.ffn_out(inner)))
        return out


class Masks(NamedTuple):
    """Per modality: token validity [B, T, 1], key bias [B, 1, T or 1, T], and whether any key exists."""

    valid: Tensor
    bias: Tensor
    any_key: Tensor

    @classmethod
    def of(cls, mask: Tensor, causal: bool) -> Masks:
        """From a [B, T] float mask of ones (present) and zeros (missing)."""
        bias = (1.0 - mask)[:, None, None, :] * _MASKED
        if causal:
            length = mask.shape[1]
            future = torch.ones(length, length, dtype=mask.dtype, device=mask.device).triu(1)
            bias = torch.clamp(bias + future * _MASKED, min=_MASKED)
            seen = (mask.cumsum(dim=1) > 0).to(mask.dtype).unsqueeze(-1)
            return cls(mask.unsqueeze(-1), bias, seen)
        return cls(mask.unsqueeze(-1), bias, mask.amax(dim=1)[:, None, None])


class DIIALayer(nn.Module):
    """One cycle of Eq. (3)–(10)."""

    def __init__(self, config: DIIAConfig) -> None:
        super().__init__()
        c = config
        both = c.modalities == "audio-visual"
        self.use_gate, self.use_intra, self.use_inter = c.gate and both, c.intra, c.inter and both
        self.see, self.hear, self.causal = c.modalities != "audio", c.modalities != "visual", c.causal
        if c.intra:
            if self.see:
                self.intra_v = AttentionBlock(c.width, c.heads, c.ffn, c.dropout)
            if self.hear:
                self.intra_a = AttentionBlock(c.width, c.heads, c.ffn, c.dropout)
            if self.use_gate:
                self.gate_from_v = nn.Linear(c.width, c.width)  # W_V of Eq. (7)
                self.gate_from_a = nn.Linear(c.width, c.width)  # W_A of Eq. (8)
        if self.use_inter:
            self.inter_v = AttentionBlock(c.width, c.heads, c.ffn, c.dropout)
            self.inter_a = AttentionBlock(c.width, c.heads, c.ffn, c.dropout)

    def _average(self, x: Tensor, masks: Masks) -> Tensor:
        """Avg_pool of Eq. (7) (8) over present segments: [B, 1, d]; causal: [B, T, d], each over its past."""
        if self.causal:
            total = (x * masks.valid).cumsum(dim=1)
            return total / masks.valid.cumsum(dim=1).clamp(min=1.0)
        total = (x * masks.valid).sum(dim=1, keepdim=True)
        return total / masks.valid.sum(dim=1, keepdim=True).clamp(min=1.0)

    def forward(self, v: Tensor, a: Tensor, mask_v: Masks, mask_a: Masks) -> tuple[Tensor, Tensor]:
        """V, A [B, T, d] → V_inter, A_inter [B, T, d]."""
        if self.use_intra:
            v_hat, a_hat = v, a
            if self.use_gate:
                gate_from_v = torch.sigmoid(self.gate_from_v(self._average(v, mask_v)))  # Eq. (7)
                gate_from_a = torch.sigmoid(self.gate_from_a(self._average(a, mask_a)))  # Eq. (8)
                # A modality that is wholly missing has nothing to say: its gate stays closed.
                v_hat = (1 + gate_from_a * mask_a.any_key) * v  # Eq. (5)
                a_hat = (1 + gate_from_v * mask_v.any_key) * a  # Eq. (6)
            v_intra = self.intra_v(v, v_hat, v_hat, v, mask_v.bias, mask_v.any_key) if self.see else v  # (3)
            a_intra = self.intra_a(a, a_hat, a_hat, a, mask_a.bias, mask_a.any_key) if self.hear else a  # (4)
        else:
            v_intra, a_intra = v, a
        if not self.use_inter:
            return v_intra, a_intra
        v_inter = self.inter_v(v_intra, v_intra, a_intra, a_intra, mask_a.bias, mask_a.any_key)  # Eq. (9)
        a_inter = self.inter_a(a_intra, a_intra, v_intra, v_intra, mask_v.bias, mask_v.any_key)  # Eq. (10)
        return v_inter, a_inter


class DIIA(nn.Module):
    """Audio-guided attention, DIIA, classifier: features of a window → C logits for each segment."""

    def __init__(self, config: DIIAConfig | None = None) -> None:
        super().__init__()
        self.config = c = config or DIIAConfig()
        see, hear = c.modalities != "audio", c.modalities != "visual"
        if see:
            if c.normalize:
                self.norm_visual = nn.LayerNorm(c.visual_dim)
            self.pool: GuidedAttention | MeanPool
            if c.guided and c.modalities == "audio-visual":
                self.pool = GuidedAttention(
                    c.visual_dim,
                    c.audio_dim,
                    dropout=c.dropout,
                    inner_dim=c.guided_dim,
                    spatial_dim=c.spatial_dim,
                )
                self.missing_audio = nn.Parameter(torch.zeros(c.audio_dim))
            else:
                self.pool = MeanPool(c.visual_dim, dropout=c.dropout, inner_dim=c.guided_dim)
            self.missing_v = nn.Parameter(torch.zeros(c.width))
            self.project_v = nn.Linear(self.pool.out_dim, c.width)
            self.fuse_v = nn.Linear(c.width, c.width)  # W^v_inter of Eq. (11)
        if hear:
            if c.normalize:
                self.norm_audio = nn.LayerNorm(c.audio_dim)
            self.missing_a = nn.Parameter(torch.zeros(c.width))
            self.project_a = nn.Linear(c.audio_dim, c.width)
            self.fuse_a = nn.Linear(c.width, c.width)  # W^a_inter of Eq. (11)
        self.layers = nn.ModuleList(DIIALayer(c) for _ in range(c.depth))
        self.hidden = nn.Linear(c.width, c.hidden)
        self.classify = nn.Linear(c.hidden, c.classes)
        self.dropout = nn.Dropout(c.dropout)

    def forward(
        self,
        visual: Tensor,
        audio: Tensor,
        visual_mask: Tensor | None = None,
        audio_mask: Tensor | None = None,
    ) -> DIIAOutput:
        """Classify every segment of a window.

        Args:
            visual: [B, T, grid, grid, Dv].
            audio: [B, T, Da].
            visual_mask: [B, T], 1 or True where the segment has a picture; None = everywhere.
            audio_mask: [B, T], the same for sound.

        """
        tokens = self.tokens(visual, audio, visual_mask, audio_mask)
        return DIIAOutput(self.decide(tokens), tokens.attention)

    def tokens(
        self,
        visual: Tensor,
        audio: Tensor,
        visual_mask: Tensor | None = None,
        audio_mask: Tensor | None = None,
    ) -> Tokens:
        """What is computed for each segment by itself; the arguments are those of `forward`."""
        c = self.config
        ones = torch.ones(audio.shape[:2], dtype=audio.dtype, device=audio.device)
        m_v = ones if visual_mask is None else visual_mask.to(audio.dtype)
        m_a = ones if audio_mask is None else audio_mask.to(audio.dtype)
        v, alpha = self._see(visual, audio, m_v.unsqueeze(-1), m_a.unsqueeze(-1))
        a = self._hear(audio, m_a.unsqueeze(-1))
        return Tokens(v, a, m_v, m_a, alpha.unflatten(-1, (c.grid, c.grid)))

    def decide(self, tokens: Tokens) -> Tensor:
        """Relate the segments of a window to each other and classify each: logits [B, T, C]."""
        c = self.config
        v, a = tokens.v, tokens.a
        masks_v, masks_a = Masks.of(tokens.visual_mask, c.causal), Masks.of(tokens.audio_mask, c.causal)
        for layer in self.layers:
            v, a = layer(v, a, masks_v, masks_a)
        if c.modalities == "audio":
            fused = self.fuse_a(a)
        elif c.modalities == "visual":
            fused = self.fuse_v(v)
        else:
            fused = 0.5 * (self.fuse_v(v) + self.fuse_a(a))  # Eq. (11)
        logits: Tensor = self.classify(self.dropout(F.relu(self.hidden(F.relu(fused)))))
        return logits

    def _see(self, visual: Tensor, audio: Tensor, seen: Tensor, heard: Tensor) -> tuple[Tensor, Tensor]:
        """V [B, T, d], spatial attention [B, T, grid²] (uniform if unguided); masks come as [B, T, 1]."""
        c = self.config
        if c.modalities == "audio":
            cells = c.grid * c.grid
            nothing = torch.zeros_like(audio[..., :1])
            return nothing, torch.full_like(nothing, 1.0 / cells).expand(-1, -1, cells)
        if c.normalize:
            visual = self.norm_visual(visual)
        if isinstance(self.pool, GuidedAttention):
            audio = self.norm_audio(audio) if c.normalize else audio
            audio = audio * heard + self.missing_audio * (1 - heard)
        pooled, alpha = self.pool(visual.flatten(2, 3), audio)
        return self.project_v(pooled) * seen + self.missing_v * (1 - seen), alpha

    def _hear(self, audio: Tensor, heard: Tensor) -> Tensor:
        """A [B, T, d]; `heard` is the mask as [B, T, 1]."""
        if self.config.modalities == "visual":
            return torch.zeros_like(audio[..., :1])
        audio = self.norm_audio(audio) if self.config.normalize else audio
        a: Tensor = self.project_a(audio) * heard + self.missing_a * (1 - heard)
        return a


def loss(logits: Tensor, target: Tensor) -> Tensor:
    """Eq. (12): cross-entropy averaged over segments.

    The paper also divides by C, which only rescales; `F.cross_entropy` on logits is the stable form.

    Args:
        logits: [B, T, C].
        target: [B, T] class indices, or [B, T, C] probabilities.

    """
    if target.dim() == logits.dim():
        return F.cross_entropy(logits.flatten(0, 1), target.flatten(0, 1))
    return F.cross_entropy(logits.flatten(0, 1), target.flatten())
