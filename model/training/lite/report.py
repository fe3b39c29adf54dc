"""What the stages of `avel train lite` tell of their progress."""

from __future__ import annotations

from collections.abc import Callable

Report = Callable[[str, float, str], None]
"""Called with the stage's name, the share of it done, and a line of text."""
