"""Training and serving costs: FLOPs, time, memory, size."""
