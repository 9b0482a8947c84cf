"""Which runs a comparison is made of, and how they are run."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from duet import files
from pipelines.comparison import budget, jobs, rows
from pipelines.comparison import recipes as comparison_recipes
from pipelines.comparison.about import About
from pipelines.comparison.jobs import FAILED, LOG, Job
from pipelines.comparison.options import Options
from pipelines.comparison.worker import Call
from pipelines.comparison.workers import Workers
from pipelines.methods.table import METHODS
from pipelines.runs import class_names
from pipelines.training import batch_size
from tfrecords import Manifest

FEW_TO_CHOOSE_BY = 30  # images: one of them is 3 points of the accuracy that is chosen by

UNBALANCED = 5  # times as many images of the commonest class as of the rarest

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
        names: of all classes; templates: prompts with {} for the name.
    """

    jobs: list[Job]
    cells: Mapping[str, list[Path]]
    job_of: Mapping[str, list[Job]]
    left_out: Mapping[str, str]
    held_out: tuple[int, ...]
    remarks: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    templates: tuple[str, ...] = ("{}",)


def plan(
    options: Options,
    manifest: Manifest,
    workers: Workers,
    *,
    held_out: tuple[int, ...],
    out: Path,
) -> Plan:
    """The runs of a comparison: one per method and seed, or per method that draws nothing.

    workers: measure how fast the model is where there is a budget.
    """
    recipes = comparison_recipes.read(options)
    speed = None
    if budget.seconds(options.budget) is not None:
        speed = workers.call(Call(budget.measured_speed, (options.model,)))
    chosen, left_out = budget.within(options, manifest, recipes, speed=speed)
    images = _to_train_on(options, manifest, held_out)
    planned: list[Job] = []
    cells: dict[str, list[Path]] = {}
    job_of: dict[str, list[Job]] = {}
    for name in chosen:
        job_of[name], cells[name] = jobs.of(METHODS[name], options, recipes, out=out, images=images)
        planned += job_of[name]
    remarks = _remarks(options, manifest, held_out, images=images)
    templates = class_names.templates(options.templates, manifest)
    texts = tuple(manifest.spoken_names), tuple(templates)
    return Plan(planned, cells, job_of, left_out, held_out, remarks, *texts)


def batches(made: Plan) -> list[list[Job]]:
    """What is not finished: all rows on cached features together, every other run by itself."""
    left = [job for job in made.jobs if not job.is_done]
    shared = [job for job in left if job.method.fit is not None]
    return ([shared] if shared else []) + [[job] for job in left if job.method.fit is None]


def run(made: Plan, workers: Workers, about: About, *, claim: Callable[[], None]) -> None:
    """Run what is not finished, and say how it went.

    `claim` is called once it is sure that the compared model can be had; nothing is written before.

    All rows on cached features share a process, every other run has its own. What each method
    costs to run is measured on the model of its first run.

    Raises:
        ValueError, OSError: the compared model cannot be had; nothing has been run.
    """
    left = batches(made)
    needs_model = any(not job.method.network for batch in left for job in batch)
    resolve = Call(rows.resolve, (about.model, made.names, made.templates), essential=True)
    first = [resolve] if needs_model else []
    if not first:
        claim()
    for batch in left:
        calls = [*first, *(Call(rows.fit, (job, about), job.logs / LOG) for job in batch)]
        outcomes = workers.run(calls)
        if first and (error := next(outcomes).error):
            outcomes.close()
            raise error
        if first:
            claim()
        first = []
        for job in batch:
            print(f"{made.jobs.index(job) + 1} of {len(made.jobs)}: {job.name}", flush=True)
            (job.logs / FAILED).unlink(missing_ok=True)
            if error := next(outcomes).error:
                files.write(job.logs / FAILED, json.dumps({"error": str(error)}))
                print(f"  failed: {error}", flush=True)
        outcomes.close()


def _to_train_on(options: Options, manifest: Manifest, held_out: tuple[int, ...]) -> int:
    """How many images are left to train on, without those that methods choose by."""
    from tfrecords import splits

    train = manifest.split("train")
    if manifest.multi_label or not train.class_counts:
        return train.count
    labels = np.repeat(np.arange(len(train.class_counts)), train.class_counts)
    kept, _ = splits.train_validation(labels, fraction=options.validation, seed=options.seeds[0])
    return int((~np.isin(labels[kept], held_out)).sum())


def _remarks(
    options: Options, manifest: Manifest, held_out: tuple[int, ...], *, images: int
) -> tuple[str, ...]:
    found = []
    size, _ = batch_size.fitting(options.batch_size, options.micro_batch, images=max(images, 1))
    if images and size < options.batch_size:
        found.append(
            f"Batches are of {size} images, not of {options.batch_size}: there are no more "
            "to train on."
        )
    found += _of_the_classes(options, manifest, held_out, images=images)
    counts = manifest.split(options.test).class_counts
    tested = sum(count for label, count in enumerate(counts) if label not in held_out)
    if 0 < tested < FEW:
        found.append(
            f"{tested} test images of the classes trained on: an accuracy is known to about "
            f"{98 / tested**0.5:.0f} points either way, whatever the intervals say."
        )
    return tuple(found)


def _of_the_classes(
    options: Options, manifest: Manifest, held_out: tuple[int, ...], *, images: int
) -> list[str]:
    """What follows from how many images the classes have, and how many classes are held out."""
    counts = manifest.split("train").class_counts
    seen = {label: count for label, count in enumerate(counts) if label not in held_out}
    found = []
    if len(held_out) == 1:
        found.append(
            "One class is held out: among one class every answer is right, so that there is no "
            "figure for held-out classes among themselves; the one among all says what is lost."
        )
    chosen_by = sum(seen.values()) - images
    if not manifest.multi_label and 0 < chosen_by < FEW_TO_CHOOSE_BY:
        found.append(
            f"{chosen_by} images to choose by: what a method chooses by them (a strength, how far "
            "to go back) is partly luck; --validation takes a larger share."
        )
    if said := unbalanced(seen, manifest):
        found.append(said)
    return found


def unbalanced(counts: Mapping[int, int], manifest: Manifest) -> str:
    """A remark where the classes' numbers of training images differ by more than 5 : 1."""
    some = {label: count for label, count in counts.items() if count}
    if not some or manifest.multi_label:
        return ""
    rare, common = min(some, key=some.__getitem__), max(some, key=some.__getitem__)
    if some[common] <= UNBALANCED * some[rare]:
        return ""
    names = manifest.spoken_names
    return (
        f"Classes differ by more than {UNBALANCED} : 1 ({names[common]} has {some[common]:,} "
        f"training images, {names[rare]} {some[rare]:,}): look at the macro figures, which count "
        "every class alike, and try --class-weight 1."
    )
