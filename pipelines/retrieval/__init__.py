"""Building and searching an index of image embeddings."""
