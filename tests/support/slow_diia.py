"""The paper's equations written out with loops over segments, heads and cells, in float64 NumPy.

Shares no code with the network: it takes the network's numbers by name, and a window without padding,
where a segment may lack its picture or its sound.
"""

from __future__ import annotations

from typing import Any

import numpy as np

EPS = 1e-5


def _relu(x: np.ndarray) -> np.ndarray:
    return np.where(x > 0, x, 0.0)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-x))


def _softmax(x: list[float]) -> list[float]:
    top = max(x)
    e = [np.exp(v - top) for v in x]
    return [v / sum(e) for v in e]


class SlowDIIA:
    """`config` and `state` (name → array) of a trained network."""

    def __init__(self, config: Any, state: dict[str, np.ndarray]) -> None:
        self.c, self.w = config, {k: v.astype(np.float64) for k, v in state.items()}

    def linear(self, name: str, x: np.ndarray) -> np.ndarray:
        y = self.w[f"{name}.weight"] @ x
        return y + self.w[f"{name}.bias"] if f"{name}.bias" in self.w else y

    def norm(self, name: str, x: np.ndarray) -> np.ndarray:
        centred = x - x.mean()
        return (
            centred / np.sqrt((centred**2).mean() + EPS) * self.w[f"{name}.weight"] + self.w[f"{name}.bias"]
        )

    def pool(self, cells: np.ndarray, sound: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """FIELD: CMRAN's audio-guided spatial-channel attention on [S, Dv]; or the mean."""
        v = [_relu(self.linear("pool.visual_in", cell)) for cell in cells]
        if not (self.c.guided and self.c.modalities == "audio-visual"):
            return sum(v) / len(v), np.full(len(v), 1 / len(v))
        u_a = _relu(self.linear("pool.channel_audio", sound))
        s = sum(u_a * _relu(self.linear("pool.channel_visual", cell)) for cell in v) / len(v)
        c = _sigmoid(self.linear("pool.channel_excite", _relu(self.linear("pool.channel_squeeze", s))))
        v_c = [cell * (1 + c) for cell in v]
        p_a = _relu(self.linear("pool.spatial_audio", sound))
        scores = [
            np.tanh(self.linear("pool.spatial_score", _relu(self.linear("pool.spatial_visual", cell)) * p_a))[
                0
            ]
            for cell in v_c
        ]
        alpha = _softmax(scores)
        return sum(a * cell for a, cell in zip(alpha, v_c, strict=True)), np.array(alpha)

    def attend(self, name: str, query: list, key: list, value: list, present: list[bool]) -> list:
        """Eq. (1) for each head and each query; nothing is added where no key may be seen."""
        heads, size = self.c.heads, self.c.width // self.c.heads
        out = []
        for t, q in enumerate(query):
            keys = [s for s in range(len(key)) if present[s] and (s <= t or not self.c.causal)]
            if not keys:
                out.append(np.zeros(self.c.width))
                continue
            mixed = np.zeros(self.c.width)
            for h in range(heads):
                part = slice(h * size, (h + 1) * size)
                qh = self.linear(f"{name}.query", q)[part]
                scores = [qh @ self.linear(f"{name}.key", key[s])[part] / np.sqrt(size) for s in keys]
                for weight, s in zip(_softmax(scores), keys, strict=True):
                    mixed[part] += weight * self.linear(f"{name}.value", value[s])[part]
            out.append(self.linear(f"{name}.out", mixed))
        return out

    def block(self, name: str, residual: list, query: list, key: list, value: list, present: list) -> list:
        attended = self.attend(f"{name}.attention", query, key, value, present)
        out = []
        for r, a in zip(residual, attended, strict=True):
            x = self.norm(f"{name}.norm_attention", r + a)
            ffn = self.linear(f"{name}.ffn_out", _relu(self.linear(f"{name}.ffn_in", x)))  # (2)
            out.append(self.norm(f"{name}.norm_ffn", x + ffn))
        return out

    def gate(self, name: str, x: list, present: list[bool], t: int) -> np.ndarray:
        """Eq. (7) (8) as second t may know it; zero where the other modality was never there."""
        known = [x[s] for s in range(len(x)) if present[s] and (s <= t or not self.c.causal)]
        if not known:
            return np.zeros(self.c.width)
        return _sigmoid(self.linear(name, sum(known) / len(known)))

    def __call__(self, visual, audio, has_video, has_audio) -> tuple[np.ndarray, np.ndarray]:
        """[T, g, g, Dv], [T, Da], [T], [T] → logits [T, C], attention [T, g, g]."""
        c, w = self.c, self.w
        see, hear = c.modalities != "audio", c.modalities != "visual"
        length, cells = len(audio), c.grid * c.grid
        v, a, alphas = [], [], []
        for t in range(length):
            grid, sound = visual[t].reshape(cells, -1).astype(np.float64), audio[t].astype(np.float64)
            if c.normalize:
                grid = np.array([self.norm("norm_visual", cell) for cell in grid]) if see else grid
                sound = self.norm("norm_audio", sound) if hear else sound
            if see:
                guide = sound if has_audio[t] else w.get("missing_audio", sound)
                pooled, alpha = self.pool(grid, guide)
                v.append(self.linear("project_v", pooled) if has_video[t] else w["missing_v"])
            else:
                alpha = np.full(cells, 1 / cells)
            alphas.append(alpha.reshape(c.grid, c.grid))
            if hear:
                a.append(self.linear("project_a", sound) if has_audio[t] else w["missing_a"])
        both = c.modalities == "audio-visual"
        for n in range(c.depth):
            at = f"layers.{n}"
            if c.intra:
                v_hat, a_hat = v, a
                if c.gate and both:
                    v_hat = [
                        (1 + self.gate(f"{at}.gate_from_a", a, has_audio, t)) * v[t] for t in range(length)
                    ]
                    a_hat = [
                        (1 + self.gate(f"{at}.gate_from_v", v, has_video, t)) * a[t] for t in range(length)
                    ]
                v = self.block(f"{at}.intra_v", v, v_hat, v_hat, v, has_video) if see else v  # (3)
                a = self.block(f"{at}.intra_a", a, a_hat, a_hat, a, has_audio) if hear else a  # (4)
            if c.inter and both:
                v, a = (
                    self.block(f"{at}.inter_v", v, v, a, a, has_audio),  # (9)
                    self.block(f"{at}.inter_a", a, a, v, v, has_video),  # (10)
                )
        logits = []
        for t in range(length):
            if not see:
                fused = self.linear("fuse_a", a[t])
            elif not hear:
                fused = self.linear("fuse_v", v[t])
            else:
                fused = 0.5 * (self.linear("fuse_v", v[t]) + self.linear("fuse_a", a[t]))  # (11)
            logits.append(self.linear("classify", _relu(self.linear("hidden", _relu(fused)))))
        return np.array(logits), np.array(alphas)
