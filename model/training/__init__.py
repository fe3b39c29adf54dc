"""Data sets, training loops, metrics and evaluation."""
