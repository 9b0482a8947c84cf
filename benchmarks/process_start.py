"""CPU seconds and memory of a process up to its first embedding, stage by stage.

    python benchmarks/process_start.py [--whole]

`--whole` imports TensorFlow as it comes, with JAX, matplotlib and scikit-learn where they are
installed; without it, as Duet's commands do. CPU seconds, user and system, since a shared machine
changes the clock's.
"""

import argparse
import resource


def used(stage: str) -> None:
    now = resource.getrusage(resource.RUSAGE_SELF)
    print(
        f"| {stage} | {now.ru_utime + now.ru_stime:.1f} | {now.ru_maxrss / 2**20:.2f} |", flush=True
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--whole", action="store_true")
    print("| up to | CPU seconds | peak memory, GiB |\n| --- | ---: | ---: |")
    if parser.parse_args().whole:
        import tensorflow  # noqa: F401
    else:
        from pipelines.runs import runtime

        runtime.import_tensorflow()
    used("TensorFlow and Keras imported")
    import numpy as np

    import dual_encoder

    model = dual_encoder.load("shapes-tiny")
    used("the model loaded")
    model.encode_image(np.zeros((1, 64, 64, 3), np.uint8))
    used("the first image embedded")


if __name__ == "__main__":
    main()
