"""Script that measures the speed of a SavedModel in a separate process; needs only TensorFlow.

Reads a line of JSON and image files from standard input, writes a line of JSON: see
`costs.serving_measurement`.
"""

import json
import os
import resource
import sys
import time


def main() -> None:
    """Load, warm up, measure, print."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    given = json.loads(sys.stdin.buffer.readline())
    files = [sys.stdin.buffer.read(length) for length in given["lengths"]]
    import tensorflow as tf

    start = time.perf_counter()
    model = tf.saved_model.load(given["folder"])
    serve = model.signatures["serving_default"]
    loaded = time.perf_counter() - start
    batches = {}
    for size in given["batch_sizes"]:
        batch = tf.constant([files[i % len(files)] for i in range(size)])
        batches[str(size)] = measure(serve, batch, given["seconds"])
        if tf.config.list_physical_devices("GPU"):
            del batches[str(size)]["processors"]  # which wait for it
    found = {"load_seconds": loaded, "peak_rss_bytes": peak_rss_bytes(), "batches": batches}
    print(json.dumps(found))


def measure(serve, batch, seconds, *, warm_up=3, least=5, patience=10):
    """Returns the latencies of consecutive requests.

    Slow ones end after `patience` times the seconds: at least one warm-up and one measured.
    """
    import numpy as np

    latencies = []
    begun, worked = time.perf_counter(), time.process_time()
    for request in range(10**6):
        start = time.perf_counter()
        serve(image_bytes=batch)["probabilities"].numpy()
        end = time.perf_counter()
        late = end - begun > patience * seconds
        if request >= warm_up or (request and late):
            latencies.append(end - start)
        if latencies and (late or (len(latencies) >= least and sum(latencies) >= seconds)):
            break
    p50, p95 = np.percentile(latencies, [50, 95])
    return {
        "images_per_second": len(latencies) * len(batch) / sum(latencies),
        "latency_p50_ms": 1000 * p50,
        "latency_p95_ms": 1000 * p95,
        "requests": len(latencies),
        "processors": max(time.process_time() - worked, 1e-6) / (time.perf_counter() - begun),
    }


def peak_rss_bytes():
    """Of this process alone; on Linux `ru_maxrss` counts what it was forked from as well."""
    try:
        with open("/proc/self/status") as file:
            line = next(line for line in file if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    except (OSError, StopIteration):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


if __name__ == "__main__":
    main()
