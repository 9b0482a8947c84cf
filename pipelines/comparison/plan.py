"""Plan the runs of a comparison, and run them."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from duet import files, name_list
from pipelines.comparison import budget, fit_with_costs, folds, job_definitions
from pipelines.comparison import recipe_options as comparison_recipes
from pipelines.comparison.comparison_settings import About
from pipelines.comparison.folds import Fold
from pipelines.comparison.fork_server import Call, Outcome
from pipelines.comparison.job_definitions import FAILED, LOG, Job
from pipelines.comparison.options import Options, judge
from pipelines.comparison.progress_display import Display
from pipelines.comparison.worker_pool import Workers
from pipelines.methods.registry import METHODS, STOCK
from pipelines.runs import class_name_options, class_split, folder
from pipelines.training import small_set_batch_size
from tfrecords import Manifest

FEW_TO_CHOOSE_BY = 30  # images: one of them is 3 points of the accuracy that is chosen by

UNBALANCED = 5  # ratio of the largest class to the smallest from which the page warns

RARE = 10  # test images of a class, below which its average precision is named as luck

FEW = 200  # test images, by which accuracies are known to 7 points: 1.96 sqrt(0.25 / n)


@dataclass(frozen=True)
class Plan:
    """What is run.

    Attributes:
        jobs: in their order.
        folders: method -> those of its results for each seed, one of every fold.
        job_of: method -> the jobs it depends on.
        left_out: method -> why it does not fit into the budget.
        held_out: labels of the classes that are not trained on.
        folds: how the images are divided; one is the division of the records.
        remarks: what a person should know of the images before the figures.
        names: of all classes; templates: prompts with {} for the name.
        judged_by: the metric that methods are recommended by.
    """

    jobs: list[Job]
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
    """
    options = folds.settled(options, manifest, held_out)
    recipes = comparison_recipes.read(options)
    speed = None
    if budget.seconds(options.budget) is not None:
        speed = workers.call(Call(budget.measured_speed, (options.model,)))
    chosen, left_out = budget.within(options, manifest, recipes, speed=speed)
    if STOCK in chosen and not job_definitions.stocked(chosen):
        chosen.remove(STOCK)
        left_out = {**left_out, STOCK: "no method is left whose seeds it could average"}
    chosen.sort(key=STOCK.__eq__)  # after the runs that it averages
    options = replace(options, methods=chosen)
    divisions = folds.of(options, manifest, out)
    images = min(_to_train_on(fold, manifest, held_out) for fold in divisions)
    planned: list[Job] = []
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
        planned += job_of[name]
    remarks = _remarks(options, manifest, held_out, images=images, divisions=divisions)
    templates = class_name_options.templates(options.templates, manifest, domain=options.domain)
    texts = tuple(manifest.spoken_names), tuple(templates)
    judged_by = judge(options, manifest)
    return Plan(planned, folders, job_of, left_out, held_out, divisions, remarks, *texts, judged_by)


def _of_fold(job: Job, fold: Fold) -> Job:
    return job if fold.number == 1 else replace(job, name=f"{job.name}, fold {fold.number}")


def batches(made: Plan) -> list[list[Job]]:
    """What is not finished: all rows on cached features together, every other run by itself."""
    left = [job for job in made.jobs if not job.is_done]
    shared = [job for job in left if job.method.fit is not None]
    return ([shared] if shared else []) + [[job] for job in left if job.method.fit is None]


def run(made: Plan, workers: Workers, about: About, *, claim: Callable[[], None]) -> None:
    """Run what is not finished, and say how it went.

    `claim`, which can be pickled, is called in a worker once it is sure that the compared model can
    be had, and before a run: nothing is written before.

    All rows on cached features share a process, every other run has its own. What each method
    costs to run is measured on the model of its first run.

    Raises:
        ValueError, OSError: the compared model cannot be had; nothing has been run.
    """
    for job in made.jobs:
        if job.is_done:
            folder.tidy(Path(job.options.out))  # of what it left, killed as it ended
    left = batches(made)
    needs_model = any(not job.method.network for batch in left for job in batch)
    first = [Call(claim, essential=True)]
    if needs_model:
        about_it = (about.model, made.names, made.templates)
        first.insert(0, Call(fit_with_costs.resolve, about_it, essential=True))
    if not left:
        claim()
    with Display(made.jobs, made.judged_by) as display:
        for batch in left:
            fits = [Call(fit_with_costs.fit, (job, about), job.logs / LOG) for job in batch]
            with closing(workers.run([*first, *fits])) as outcomes:  # on Ctrl-C at once
                for _ in first:
                    if error := next(outcomes).error:
                        raise error
                first = []
                _follow(batch, outcomes, display)


def _follow(batch: list[Job], outcomes: Iterator[Outcome], display: Display) -> None:
    """Say how each job went, and keep why it failed."""
    for job in batch:
        (job.logs / FAILED).unlink(missing_ok=True)
        display.begins(job)
        if error := next(outcomes).error:
            files.write(job.logs / FAILED, json.dumps({"error": str(error)}))
        display.ended(job, error)


def _to_train_on(fold: Fold, manifest: Manifest, held_out: tuple[int, ...]) -> int:
    """How many images are left to train on, without those that methods choose by.

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
    divided = class_split.divide(
        np.arange(len(fold.labels)),
        fold.labels,
        manifest,
        held_out=held_out,
        fraction=options.validation,
        seed=options.seeds[0],
    )
    return len(divided.train)


def _remarks(
    options: Options,
    manifest: Manifest,
    held_out: tuple[int, ...],
    *,
    images: int,
    divisions: Sequence[Fold],
) -> tuple[str, ...]:
    found = []
    size, _ = small_set_batch_size.fitting(
        options.batch_size, options.micro_batch, images=max(images, 1)
    )
    if images and size < options.batch_size:
        found.append(small_set_batch_size.said(size, options.batch_size))
    found += _of_the_classes(options, manifest, held_out, images=images)
    if options.views > 1:
        without = [name for name in options.methods if not METHODS[name].takes_views]
        found.append(
            f"Rows on cached features learn from {options.views} views of each training image"
            + (f"; {', '.join(without)} take{'s' * (len(without) == 1)} none." if without else ".")
        )
    once = [name for name in options.methods if not METHODS[name].draws and name != STOCK]
    if len(options.seeds or ()) > 1 and once:
        found.append(f"Run once, for no seed changes them: {', '.join(once)}.")
    if len(divisions) > 1:
        found.append(_of_the_folds(options, manifest, divisions))
    tests = folds.tested(divisions)
    if without := [manifest.spoken_names[label] for label, count in enumerate(tests) if not count]:
        names = name_list.first_of(without)
        found.append(f"Without a test image: {names}; no figure says anything of these.")
    if manifest.multi_label:
        return (*found, *_of_rare_labels(manifest, tests))
    tested = sum(count for label, count in enumerate(tests) if label not in held_out)
    if 0 < tested < FEW:
        found.append(
            f"{tested} test images of the classes trained on: an accuracy is known to about "
            f"{98 / tested**0.5:.0f} points either way, whatever the intervals say."
        )
    return tuple(found)


def _of_rare_labels(manifest: Manifest, tests: Sequence[int]) -> list[str]:
    """What the mean over classes hides, of images with several classes each."""
    rare = [manifest.spoken_names[label] for label, count in enumerate(tests) if 0 < count < RARE]
    if not rare:
        return []
    return [
        f"Fewer than {RARE} test images of {name_list.first_of(rare)}: their average precision is "
        "partly luck, and counts in the mean as much as that of any other class."
    ]


def _of_the_folds(options: Options, manifest: Manifest, divisions: Sequence[Fold]) -> str:
    of_records, whole = (sum(fold.tested for fold in some) for some in (divisions[:1], divisions))
    return (
        f"{of_records} test images are few, so that the images are divided {len(divisions)} times "
        f"and every method is trained as often: {whole} images are tested once each (--folds 1 "
        "for the division of the records alone; --budget 10m for what fits into ten minutes)."
    )


def _of_the_classes(
    options: Options, manifest: Manifest, held_out: tuple[int, ...], *, images: int
) -> list[str]:
    """What follows from how many images the classes have, and how many classes are held out."""
    counts = manifest.split("train").class_counts
    seen = {label: count for label, count in enumerate(counts) if label not in held_out}
    found = []
    if held_out:
        names = name_list.first_of([manifest.spoken_names[label] for label in held_out])
        found.append(f"Held out, which no method is trained on: {names}.")
    if len(held_out) == 1:
        found[-1] += (
            " Among one class every answer is right, so that there is no figure for held-out "
            "classes among themselves; the one among all says what is lost."
        )
    whole = manifest.split("train").count if manifest.multi_label else sum(seen.values())
    chosen_by = whole - images
    if 0 < chosen_by < FEW_TO_CHOOSE_BY:
        found.append(
            f"{chosen_by} images to choose by: what a method chooses by them (a strength, how far "
            "to go back) is partly luck; --validation takes a larger share."
        )
    said = unbalanced(
        seen,
        manifest,
        weighted=bool(options.class_weight),
        by_class=judge(options, manifest) != "top1",
    )
    if said and not manifest.multi_label:  # whose figure is a mean over classes anyway
        found.append(said)
    return found


def unbalanced(
    counts: Mapping[int, int], manifest: Manifest, *, weighted: bool, by_class: bool = False
) -> str:
    """A remark where the classes' numbers of training images differ by more than 5 : 1.

    weighted: whether methods count every class alike; by_class: whether the recommendation does.
    """
    some = {label: count for label, count in counts.items() if count}
    if not some:
        return ""
    rare, common = min(some, key=some.__getitem__), max(some, key=some.__getitem__)
    if some[common] <= UNBALANCED * some[rare]:
        return ""
    names = manifest.spoken_names
    advice = {
        "--judge-by mean_per_class recommends by a figure that counts every class alike": by_class,
        "--class-weight 1 trains so": weighted,
    }
    left = ", ".join(each for each, done in advice.items() if not done)
    return (
        f"Classes differ by more than {UNBALANCED} : 1 ({names[common]} has {some[common]:,} "
        f"training images, {names[rare]} {some[rare]:,}){': ' if left else ''}{left}."
    )
