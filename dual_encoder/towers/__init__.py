"""Image and text towers, and the layers they are made of."""
