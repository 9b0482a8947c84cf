"""The built-in data sets `shapes`: synthetic images with captions and classes."""
