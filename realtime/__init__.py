"""Live capture, the segment timeline, the streaming localizer, its screens and commands.

Knows `avel_live.model` and `avel_live.calibration`; neither of them knows this package.
"""
