"""Evaluate a model on a split of records."""
