"""What every run has: configuration, strategy, callbacks, checkpoints, metrics, report."""
