"""Measuring what the pipeline costs: each configuration in a process of its own, on real clips."""
