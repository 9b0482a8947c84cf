"""Which commands a comparison is made of."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.runs import budget, comparing, results
from pipelines.runs.comparing import Job
from pipelines.runs.contestants import COMPARED, CONTESTANTS
from tfrecords import Manifest


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
    chosen, left_out = budget.within(options, manifest)
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
