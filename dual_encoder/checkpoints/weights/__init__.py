"""Weights of any layout: their files, the names of their tensors, and their way into variables."""
