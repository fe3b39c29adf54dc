"""INT8 calibration: seconds of a stream in, quantised graphs and an honest account of their cost out.

    streams ──▶ reservoir (ranges)  ──▶ min-max, entropy, percentile: the one that hurts features least
            └─▶ held-out seconds    ──▶ layer by layer: which ones hurt, kept in float until labels agree
                                    ──▶ two graphs (CPU, TensorRT), their cost, installed or refused

The check never sees the seconds that the ranges come from. Graphs are judged with exact integer arithmetic
(simulated in float), which is what VNNI and TensorRT compute.
"""

from __future__ import annotations

from .result import Int8Result
from .search import Int8Settings, calibrate, split

__all__ = ["Int8Result", "Int8Settings", "calibrate", "split"]
