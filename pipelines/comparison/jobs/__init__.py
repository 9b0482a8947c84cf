"""The runs of a comparison as jobs: what they are, the processes that run them, their time."""
