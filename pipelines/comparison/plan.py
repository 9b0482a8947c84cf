"""Plan the runs of a comparison."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pipelines.comparison import data_remarks, folds
from pipelines.comparison import recipe_options as comparison_recipes
from pipelines.comparison.folds import Fold
from pipelines.comparison.jobs import budget, job_definitions
from pipelines.comparison.jobs.fork_server import Call
from pipelines.comparison.jobs.job_definitions import Job
from pipelines.comparison.jobs.worker_pool import Workers
from pipelines.comparison.options import Options, judge
from pipelines.methods.registry import METHODS, STOCK
from pipelines.runs import class_name_options, class_split
from tfrecords import Manifest


@dataclass(frozen=True)
class Plan:
    """What is run.

    Attributes:
        folders: method -> those of its results for each seed, one of every fold.
        job_of: method -> the jobs it depends on, in their order.
        left_out: method -> why it does not fit into the budget.
        held_out: labels of the classes that are not trained on.
        folds: how the images are divided; one is the division of the records.
        remarks: what a person should know of the images before the figures.
        names: of all classes; templates: prompts with {} for the name.
        judged_by: the metric that methods are recommended by.
    """

    folders: Mapping[str, list[tuple[Path, ...]]]
    job_of: Mapping[str, list[Job]]
    left_out: Mapping[str, str]
    held_out: tuple[int, ...]
    folds: Sequence[Fold]
    remarks: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    templates: tuple[str, ...] = ("{}",)
    judged_by: str = "top1"

    @property
    def jobs(self) -> list[Job]:
        """All of them, in their order."""
        return [job for jobs in self.job_of.values() for job in jobs]

    @property
    def cells(self) -> dict[str, list[Path]]:
        """Method -> the folder of its results for each seed, of the division of the records."""
        return {method: [each[0] for each in found] for method, found in self.folders.items()}

    @property
    def images(self) -> int:
        """How many images are tested, of all folds."""
        return sum(fold.tested for fold in self.folds)

    @property
    def tested(self) -> list[int]:
        """Images of each class that are tested, of all folds."""
        return folds.tested(self.folds)


def plan(
    options: Options,
    manifest: Manifest,
    workers: Workers,
    *,
    held_out: tuple[int, ...],
    out: Path,
) -> Plan:
    """The runs of a comparison: one per fold, method and seed, or per method that draws nothing.

    workers: measure how fast the model is where there is a budget.

    Raises ValueError where the folder of one holds a run with other options.
    """
    options = folds.settled(options, manifest, held_out)
    recipes = comparison_recipes.read(options)
    chosen, left_out = _affordable(options, manifest, recipes, workers)
    options = replace(options, methods=chosen)
    divisions, images, choosing = divided(options, manifest, held_out=held_out, out=out)
    folds.check_written(divisions)
    folders: dict[str, list[tuple[Path, ...]]] = {}
    job_of: dict[str, list[Job]] = {}
    for name in chosen:
        made = [
            job_definitions.of(
                METHODS[name],
                fold.options,
                recipes,
                out=fold.out,
                images=images,
                several_labels=manifest.multi_label,
            )
            for fold in divisions
        ]
        job_of[name] = [
            _of_fold(job, fold)
            for fold, (own, _) in zip(divisions, made, strict=True)
            for job in own
        ]
        folders[name] = list(zip(*(cells for _, cells in made), strict=True))
        for job in job_of[name]:
            job.check_begun()
    remarks = data_remarks.remarks(
        options, manifest, held_out, images=images, choosing=choosing, divisions=divisions
    )
    templates = class_name_options.templates(options.templates, manifest, domain=options.domain)
    texts = tuple(manifest.spoken_names), tuple(templates)
    judged_by = judge(options, manifest)
    return Plan(folders, job_of, left_out, held_out, divisions, remarks, *texts, judged_by)


def _affordable(
    options: Options, manifest: Manifest, recipes: comparison_recipes.Recipes, workers: Workers
) -> tuple[list[str], dict[str, str]]:
    """The methods that fit into the budget, in the order of their runs; the others, and why."""
    speed = None
    if budget.seconds(options.budget) is not None:
        speed = workers.call(Call(budget.measured_speed, (options.model,)))
    chosen, left_out = budget.within(options, manifest, recipes, speed=speed)
    if STOCK in chosen and not job_definitions.stocked(chosen):
        chosen.remove(STOCK)
        left_out = {**left_out, STOCK: "no method is left whose seeds it could average"}
    chosen.sort(key=STOCK.__eq__)  # after the runs that it averages
    return chosen, left_out


def divided(
    options: Options, manifest: Manifest, *, held_out: tuple[int, ...], out: Path
) -> tuple[list[Fold], int, int]:
    """The divisions, of settled options, and how many images the smallest has to train on, and to
    choose by.

    Raises:
        ValueError: no method could be trained in one of them, or measured.
    """
    divisions = folds.of(options, manifest, out)
    parts = [_parts(fold, manifest, held_out) for fold in divisions]
    return (
        divisions,
        min(len(each.train) for each in parts),
        min(len(each.validation) for each in parts),
    )


def _of_fold(job: Job, fold: Fold) -> Job:
    return job if fold.number == 1 else replace(job, name=f"{job.name}, fold {fold.number}")


def _parts(fold: Fold, manifest: Manifest, held_out: tuple[int, ...]) -> class_split.Parts:
    """The images that are left to train on, and those that methods choose by.

    Raises ValueError where no method could be trained, or measured.
    """
    options = fold.options
    if manifest.multi_label and not any(fold.test):
        which = "split " + options.test if fold.number == 1 else f"fold {fold.number} (--folds)"
        raise ValueError(
            f"no image that {which} of {manifest.dataset} tests has a label: there is nothing to "
            "find; expected one or more"
        )
    assert options.seeds
    return class_split.divide(
        np.arange(len(fold.labels)),
        fold.labels,
        manifest,
        held_out=held_out,
        fraction=options.validation,
        seed=options.seeds[0],
    )
