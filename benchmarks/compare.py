"""Where the time of a comparison goes: start, embedding, training, and everything else.

    python benchmarks/compare.py --data RECORDS [--config shapes_compare]

Runs `compare` in an empty folder and again, when all is done but the page. Of the first run it
tells elapsed and the processor's seconds, and of the elapsed ones: `start`, as `compare --dry-run`
takes; `embedding`, as the feature cache has noted; `training` and evaluation, as the runs have
noted, without the embedding; `page`, as the second run takes beyond the start; and `cost`, what is
left: exporting, serving, and workers that start. `bound` is 1.1 times the trainings and the
embedding, and 20 s; a ratio below 1 holds it.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def run(words: list[str]) -> tuple[float, float]:
    """Elapsed and the processor's seconds of a command, with all its processes."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, "-m", "pipelines", *words], check=True, stdout=sys.stderr)
    elapsed, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    return elapsed, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def embedding(folder: Path) -> float:
    """Seconds of all pieces of a feature cache."""
    from safetensors.numpy import load_file

    return float(sum(load_file(path)["seconds"].sum() for path in folder.rglob("*.safetensors")))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--config", default="shapes_compare")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        out = Path(home) / "out"
        words = ["compare", "--config", given.config, "--data", given.data]
        words += ["--out", str(out)]
        start, _ = run([*words, "--dry-run"])
        elapsed, used = run(words)
        again, _ = run(words)
        document = json.loads((out / "results.json").read_text())
        rows = {row["method"]: row["seconds"] or 0.0 for row in document["rows"]}
        embedded = embedding(out / "features")
    trained = sum(rows.values())
    bound = 1.1 * (trained + embedded) + 20
    page = max(again - start, 0.0)
    cost = elapsed - start - embedded - trained - page
    print("| part | s |\n| --- | ---: |")
    for name, seconds in (
        *{"start": start, "embedding": embedded, "training": trained}.items(),
        *{"page": page, "cost and the rest": cost, "elapsed": elapsed}.items(),
        *{"the processor's": used, "bound": bound, "elapsed / bound": elapsed / bound}.items(),
    ):
        print(f"| {name} | {seconds:.2f} |")
    print("\n| row | s |\n| --- | ---: |")
    for name, seconds in rows.items():
        print(f"| {name} | {seconds:.1f} |")


if __name__ == "__main__":
    main()
