"""Training a model from captions, and what every training run shares."""
