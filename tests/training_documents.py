"""The results document of a made-up training run."""

HISTORY = [
    {"epoch": 0, "loss": 3.0, "val_loss": 2.5, "temperature": 0.07, "val_zero_shot_top1": 0.3},
    {"epoch": 1, "loss": 2.0, "val_loss": 1.5, "temperature": 0.06, "val_zero_shot_top1": 0.52},
    {"epoch": 2, "loss": 1.0, "val_loss": 1.75, "temperature": 0.05, "val_zero_shot_top1": 0.5},
]


RESULTS = {
    "command": "train",
    "created": "2026-01-02T03:04:05+00:00",
    "dataset": "shapes",
    "model": "runs/one",
    "metrics": HISTORY[1],
    "history": HISTORY,
    "steps": 1500,
    "devices": ["CPU:0", "CPU:1"],
    "cost": {
        "seconds": 60.0,
        "images_per_second": 1000.0,
        "parameters": 12345,
        "peak_rss_bytes": 2**30,
    },
    "config": {"data": "records/shapes", "epochs": 3, "out": "runs/one <x>"},
    "versions": {"python": "3.11"},
}
