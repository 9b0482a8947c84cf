"""The built-in miniature world: synthetic images with captions and classes."""
