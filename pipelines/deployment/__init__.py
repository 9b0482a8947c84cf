"""Exporting a classifier: SavedModel, LiteRT, quantization."""
