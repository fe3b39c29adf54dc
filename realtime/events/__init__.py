"""From per-window scores to settled seconds and events with a beginning and an end.

config    DecoderConfig: every number, validated          fusion   looks → one posterior a second
track     posteriors → labels with hysteresis → spans     decoder  Scores → Settled, Event records
ledger    Event records → the state they describe
"""

from .config import DecoderConfig, class_set
from .decoder import Decoder, DecoderStep
from .ledger import EventSpan, Ledger

__all__ = ["Decoder", "DecoderConfig", "DecoderStep", "EventSpan", "Ledger", "class_set"]
