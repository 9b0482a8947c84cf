"""Which commands a comparison is made of, and which of them there is time for."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.runs import comparing, recommendation, results
from pipelines.runs.comparing import Job
from pipelines.runs.contestants import COMPARED, CONTESTANTS
from tfrecords import Manifest

UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600}
OVERHEAD = 20.0  # seconds to start a run and to measure it


@dataclass(frozen=True)
class Plan:
    """What is run.

    Attributes:
        jobs: in their order.
        cells: method -> the folder of its results for each seed.
        job_of: method -> the jobs it depends on.
        left_out: method -> why it does not fit into the budget.
        held_out: labels of the classes that are not trained on.
    """

    jobs: list[Job]
    cells: Mapping[str, list[Path]]
    job_of: Mapping[str, list[Job]]
    left_out: Mapping[str, str]
    held_out: tuple[int, ...]


def plan(options: Any, manifest: Manifest, *, held_out: tuple[int, ...], out: Path) -> Plan:
    """The commands of a comparison, one per method and seed; those of `prompt` do all seeds."""
    chosen, left_out = _within_budget(options, manifest)
    jobs: list[Job] = []
    cells: dict[str, list[Path]] = {}
    job_of: dict[str, list[Job]] = {}
    for name in chosen:
        if CONTESTANTS[name].command == "prompt":
            own = [_prompt_job(options, name, out=out)]
            cells[name] = _prompt_cells(own[0].out, name, options)
        else:
            seeds = options.seeds[:1] if name == "linear-probe" else options.seeds  # draws nothing
            own = [_finetune_job(options, name, seed, out=out) for seed in seeds]
            cells[name] = [job.out for job in own]
        jobs += own
        job_of[name] = own
    return Plan(jobs, cells, job_of, left_out, held_out)


def run(made: Plan) -> None:
    """Run what is not finished, and say how it went."""
    for number, job in enumerate(made.jobs, start=1):
        if job.is_done:
            continue
        print(f"{number} of {len(made.jobs)}: {job.name}", flush=True)
        if error := comparing.run(job):
            print(f"  failed: {error}", flush=True)


def budget(text: str | None) -> float | None:
    """Seconds of "30m", "2h", "90s"; None without one."""
    if text is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|m|min|h)", text.strip())
    if not found or not float(found[1]):
        raise ValueError(f"--budget: expected a time such as 30m, 2h or 90s; got {text!r}")
    return float(found[1]) * UNITS[found[2]]


def _finetune_job(options: Any, method: str, seed: int, *, out: Path) -> Job:
    contestant = CONTESTANTS[method]
    given: dict[str, Any] = {
        "data": options.data,
        "model": options.model if contestant.model == COMPARED else contestant.model,
        **_protocol(options),
        "validation": options.validation,
        "split_seed": options.seeds[0],
        "epochs": options.epochs,
        "batch_size": options.batch_size,
        "seed": seed,
        "test": options.test,
        "bootstrap": options.bootstrap,
    }
    if contestant.family == "dual":
        given["learning_rate"] = options.learning_rate
    given |= contestant.options
    if contestant.family == "supervised":
        given |= {"weights": options.weights, "image_size": options.image_size}
        if options.supervised_learning_rate:
            given["learning_rate"] = options.supervised_learning_rate
    return Job(
        f"{method}, seed {seed}",
        "finetune",
        {name: value for name, value in given.items() if value is not None},
        out / "runs" / method / f"seed-{seed}",
        logs=out / "logs" / f"{method}-{seed}",
        finished=("model.keras",),
    )


def _prompt_job(options: Any, method: str, *, out: Path) -> Job:
    """All of these methods share a folder, and in it the embeddings of the pictures."""
    grid = out / "runs" / "prompt"
    given = {
        "data": options.data,
        "models": [options.model],
        "methods": [method],
        "shots": [options.shots],
        "seeds": options.seeds,
        **_protocol(options),
        "epochs": options.prompt_epochs,
        "n_ctx": options.n_ctx,
        "split": options.test,
        "bootstrap": options.bootstrap,
    }
    return Job(
        method,
        "prompt",
        {name: value for name, value in given.items() if value is not None},
        grid,
        logs=out / "logs" / method,
        finished=tuple(
            str((path / results.FILE).relative_to(grid))
            for path in _prompt_cells(grid, method, options)
        ),
    )


def _prompt_cells(grid: Path, method: str, options: Any) -> list[Path]:
    """The folders of a method's results in the grid that `prompt` makes."""
    from pipelines.runs.prompt_cells import Cell

    if method == "zero-shot":
        return [Cell(grid, options.model, method, 0, 0).folder]
    return [Cell(grid, options.model, method, options.shots, seed).folder for seed in options.seeds]


def _protocol(options: Any) -> dict[str, Any]:
    return {
        "held_out": options.held_out or None,
        "held_out_classes": options.held_out_classes,
        "templates": options.templates,
    }


def _within_budget(options: Any, manifest: Manifest) -> tuple[list[str], dict[str, str]]:
    """Methods by predicted cost, the cheapest first, as long as there is time; and the others."""
    seconds = budget(options.budget)
    if seconds is None:
        return list(options.methods), {}
    rate = _rate(options)
    pictures = manifest.split("train").count * options.epochs
    left, taken, left_out, least = seconds, set(), {}, float("inf")
    for method in sorted(options.methods, key=lambda name: CONTESTANTS[name].passes):
        runs = 1 if method in ("zero-shot", "linear-probe") else len(options.seeds)
        needed = runs * (OVERHEAD + 3 * CONTESTANTS[method].passes * pictures / rate)
        least = min(least, needed)
        if needed > left:
            left_out[method] = (
                f"about {recommendation.duration(needed)}, "
                f"{recommendation.duration(max(left, 0))} left"
            )
            continue
        left -= needed
        taken.add(method)
    if not taken:
        raise ValueError(
            f"--budget {options.budget}: too little for any method; the cheapest needs about "
            f"{recommendation.duration(least)}"
        )
    return [name for name in options.methods if name in taken], left_out


def _rate(options: Any) -> float:
    """Pictures per second through the compared model's image tower on this machine."""
    import time

    from pipelines.runs import quiet

    quiet.import_tensorflow()
    import dual_encoder

    model = dual_encoder.load(options.model)
    if not isinstance(model, dual_encoder.DualEncoder):
        raise ValueError(f"--model: expected a dual encoder; {options.model} has one tower")
    images = np.zeros((16, model.image_size, model.image_size, 3), np.uint8)
    times = []
    for _ in range(4):
        start = time.perf_counter()
        np.asarray(model.encode_image(images))
        times.append(time.perf_counter() - start)
    return len(images) / min(times)
