"""The DIIA network, its features, weights, runtimes and training.

    profiles            which backbones and which head go together; `register` adds one
    backbones/          the networks before the head, and the registry that names them
    diia, committee     the head, and several that answer as one
    runtime/            the same on torch, ONNX Runtime and TensorRT; `select.load_engine` is the door
    training/           learning heads on AVE, on own videos, and all that ships
    checkpoint, formats/, downloads, files    what is read and written, and where
    labels, spans, probabilities, ood         what an answer means

Imports nothing from `avel_live.realtime` or `avel_live.calibration`, and nothing heavy at
import time: torch is loaded by the modules that compute with it.
"""
