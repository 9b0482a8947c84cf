"""Figures that others published, and whether a run of ours agrees with them."""
