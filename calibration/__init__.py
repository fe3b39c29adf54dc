"""Calibration: confidence, thresholds, the room, the camera-microphone offset, and INT8.

Takes arrays and iterables, opens no device and knows no screen. Imports `avel_live.model`, never
`avel_live.realtime`.
"""
