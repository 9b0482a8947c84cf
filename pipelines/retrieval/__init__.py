"""Build and search an index of image embeddings."""
