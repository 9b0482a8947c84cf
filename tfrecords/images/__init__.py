"""Image files and pixels: formats, decoding, resizing, and where images are looked up."""
