"""How sound travels everywhere in the program. Apart from the arithmetic, so that asking costs no NumPy."""

from __future__ import annotations

from typing import Final

SAMPLE_RATE: Final = 16_000
"""Samples per second of all sound after capture, mono float32 in [-1, 1)."""
