"""Fetching checkpoints from the Hugging Face hub."""
