"""Weights as torch writes them (`.bin`, `.pt`, `.pth`), read without torch, running nothing."""

from dual_encoder.checkpoints.torch_files.read import map_torch_tensors as map_torch_tensors
