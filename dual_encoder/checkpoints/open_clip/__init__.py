"""Checkpoints in OpenCLIP's layout."""
