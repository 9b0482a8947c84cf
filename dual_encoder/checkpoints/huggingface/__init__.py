"""Checkpoints in the layout of transformers."""
