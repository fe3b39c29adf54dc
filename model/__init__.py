"""The DIIA network, its features, weights, runtimes and training.

Imports nothing from `avel_live.realtime` or `avel_live.calibration`, and nothing heavy at
import time: torch is loaded by the modules that compute with it.
"""
