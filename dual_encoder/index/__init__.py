"""The embedding index: building, files, exact and approximate search."""
