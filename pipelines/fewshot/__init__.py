"""Learning from a few images per class, on cached embeddings."""
