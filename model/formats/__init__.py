"""Readers for the files that people have: Keras `.h5`, torch `.pth`, TF-Slim `.npz`, safetensors.

Each reader returns plain NumPy arrays or torch tensors; which layer becomes which is the backbones' business.
Our own weight files are written and read by `weights`.
"""
