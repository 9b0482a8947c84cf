"""Which commands a comparison is made of."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.comparison import budget
from pipelines.comparison import jobs as comparison_jobs
from pipelines.comparison import recipes as comparison_recipes
from pipelines.comparison.jobs import Job
from pipelines.comparison.methods import COMPARED, CONTESTANTS, Contestant
from pipelines.fewshot import grid as fewshot_grid
from pipelines.runs import results
from pipelines.training import batch_size
from tfrecords import Manifest

FEW = 200  # test images, by which accuracies are known to 7 points: 1.96 sqrt(0.25 / n)


@dataclass(frozen=True)
class Plan:
    """What is run.

    Attributes:
        jobs: in their order.
        cells: method -> the folder of its results for each seed.
        job_of: method -> the jobs it depends on.
        left_out: method -> why it does not fit into the budget.
        held_out: labels of the classes that are not trained on.
        remarks: what a person should know of the images before the figures.
    """

    jobs: list[Job]
    cells: Mapping[str, list[Path]]
    job_of: Mapping[str, list[Job]]
    left_out: Mapping[str, str]
    held_out: tuple[int, ...]
    remarks: tuple[str, ...] = ()


def plan(options: Any, manifest: Manifest, *, held_out: tuple[int, ...], out: Path) -> Plan:
    """The commands of a comparison, one per method and seed; those of `prompt` do all seeds."""
    recipes = comparison_recipes.read(options)
    chosen, left_out = budget.within(options, manifest, recipes)
    images = _to_train_on(options, manifest, held_out)
    jobs: list[Job] = []
    cells: dict[str, list[Path]] = {}
    job_of: dict[str, list[Job]] = {}
    for name in chosen:
        if CONTESTANTS[name].command == "prompt":
            own = [_prompt_job(options, name, out=out)]
            cells[name] = _prompt_cells(own[0].out, name, options)
        else:
            seeds = options.seeds[:1] if name == "linear-probe" else options.seeds  # draws nothing
            job = partial(_finetune_job, options, name, recipes.get(name), images=images)
            own = [job(seed=seed, out=out) for seed in seeds]
            cells[name] = [job.out for job in own]
        jobs += own
        job_of[name] = own
    remarks = _remarks(options, manifest, held_out, images=images)
    return Plan(jobs, cells, job_of, left_out, held_out, remarks)


def run(made: Plan) -> None:
    """Run what is not finished, and say how it went."""
    for number, job in enumerate(made.jobs, start=1):
        if job.is_done:
            continue
        print(f"{number} of {len(made.jobs)}: {job.name}", flush=True)
        if error := comparison_jobs.run(job):
            print(f"  failed: {error}", flush=True)


def _to_train_on(options: Any, manifest: Manifest, held_out: tuple[int, ...]) -> int:
    """How many images are left to train on, without those that methods choose by."""
    from tfrecords import splits

    train = manifest.split("train")
    if manifest.multi_label or not train.class_counts:
        return train.count
    labels = np.repeat(np.arange(len(train.class_counts)), train.class_counts)
    kept, _ = splits.train_validation(labels, fraction=options.validation, seed=options.seeds[0])
    return int((~np.isin(labels[kept], held_out)).sum())


def _remarks(
    options: Any, manifest: Manifest, held_out: tuple[int, ...], *, images: int
) -> tuple[str, ...]:
    found = []
    size, _ = batch_size.fitting(options.batch_size, options.micro_batch, images=max(images, 1))
    if images and size < options.batch_size:
        found.append(
            f"Batches are of {size} images, not of {options.batch_size}: there are no more "
            "to train on."
        )
    counts = manifest.split(options.test).class_counts
    tested = sum(count for label, count in enumerate(counts) if label not in held_out)
    if 0 < tested < FEW:
        found.append(
            f"{tested} test images of the classes trained on: an accuracy is known to about "
            f"{98 / tested**0.5:.0f} points either way, whatever the intervals say."
        )
    return tuple(found)


def _finetune_job(
    options: Any,
    method: str,
    recipe: Mapping[str, Any] | None,
    *,
    seed: int,
    out: Path,
    images: int,
) -> Job:
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
        "precision": options.precision,
        "micro_batch": options.micro_batch,
    }
    if contestant.family == "supervised":
        given |= {"weights": options.weights, "image_size": options.image_size}
    given |= _own_options(options, contestant) if recipe is None else recipe
    given["batch_size"], given["micro_batch"] = batch_size.fitting(
        given["batch_size"], given["micro_batch"], images=max(images, 1)
    )
    return Job(
        f"{method}, seed {seed}",
        "finetune",
        {name: value for name, value in given.items() if value is not None},
        out / "runs" / method / f"seed-{seed}",
        logs=out / "logs" / f"{method}-{seed}",
        finished=("model.keras",),
    )


def _own_options(options: Any, contestant: Contestant) -> dict[str, Any]:
    """Of a method without a recipe."""
    compared = contestant.family == "dual"
    rate = options.learning_rate if compared else options.supervised_learning_rate
    return {**contestant.options, **({"learning_rate": rate} if rate else {})}


def _prompt_job(options: Any, method: str, *, out: Path) -> Job:
    """All of these methods share a folder, and in it the embeddings of the images."""
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
    found = fewshot_grid.cells(
        grid, options.model, method, shots=[options.shots], seeds=options.seeds
    )
    return [cell.folder for cell in found]


def _protocol(options: Any) -> dict[str, Any]:
    return {
        "held_out": options.held_out or None,
        "held_out_classes": options.held_out_classes,
        "templates": options.templates,
        "strategy": options.strategy,
    }
