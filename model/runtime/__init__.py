"""The ways to run the networks: torch, ONNX Runtime, TensorRT; all giving the same answers."""
