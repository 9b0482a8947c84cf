"""Run a few-shot grid: load what the cells of a model share, then cell by cell."""

import shutil
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipelines.fewshot import grid, sampling
from pipelines.fewshot.cell_results import in_words, results_of
from pipelines.fewshot.grid import Cell
from pipelines.fewshot.options import FREE, RANGES, Options, check, check_records
from pipelines.fewshot.shared_features import BATCH, Grid, feature_folder, prompt_options
from pipelines.methods import prompts
from pipelines.methods.method import Run
from pipelines.methods.registry import METHODS
from pipelines.runs import class_name_options, folder, option_parsing, resume_check, runtime
from pipelines.runs import strategy as strategies
from pipelines.runs.feature_cache import FeatureCache

if TYPE_CHECKING:
    from dual_encoder import DualEncoder
    from tfrecords import Manifest

DUAL_ENCODERS = "--models: expected dual encoders, which know classes by their names"


def cells_of(options: Options, out: Path) -> list[Cell]:
    """All cells in the order of the table."""
    return [
        cell
        for model in options.models
        for method in options.methods
        for cell in grid.cells(out, model, method, shots=options.shots, seeds=options.seeds)
    ]


def run(options: Options) -> Iterator[tuple[Cell, Run]]:
    """Runs the cells that have no results yet, and gives each as it ends.

    Model by model, so that each is loaded, and its images are embedded, once.

    Raises:
        ValueError, FileNotFoundError, FileExistsError: options that are wrong.
    """
    from tfrecords import Manifest, verify_splits

    option_parsing.check_ranges(options, RANGES)
    check(options)
    manifest = Manifest.read(options.data)
    check_records(options, manifest)
    names = class_name_options.class_names(
        options.class_names,
        manifest,
        language=options.language,
        allow_equal=options.allow_equal_names,
    )
    templates = class_name_options.templates(options.templates, manifest)
    out = folder.check_resumable(options.out, options, finished=None, free=FREE)
    begun = resume_check.of(manifest, *options.models, options=options)
    resume_check.check(out, begun)
    cells = cells_of(options, out)
    missing = [cell for cell in cells if not cell.finished]
    for cell in cells:
        if cell.finished:  # and perhaps killed before it was tidied up
            _check_model(cell)
            _remove_checkpoints(cell)
    print(f"cells: {len(cells)}, of which {len(cells) - len(missing)} are finished")
    without = [name for name in options.methods if not METHODS[name].takes_views]
    if options.views > 1 and without:
        print(f"no views of images, of which they learn nothing: {', '.join(without)}")
    if not missing:
        folder.tidy(out)
        return
    verify_splits(options.data, manifest, "train", options.split)
    strategy = runtime.start(
        options.strategy, batch_size=options.batch_size, virtual_devices=options.virtual_devices
    )
    claim = partial(_claim, options, out, begun, strategies.describe(strategy))
    with folder.held(out), strategy.scope():
        for name in options.models:
            own = [cell for cell in cells if cell.model == name]
            wanted = [cell for cell in own if not cell.finished]
            if not wanted:
                continue
            shared = prepare(
                options, manifest, name, own, names=names, templates=templates, claim=claim
            )
            for number, cell in enumerate(wanted, start=1):
                found = fit(cell, shared)
                said = in_words(found.document)
                print(f"{number} of {len(wanted)}: {cell}: {said}", flush=True)
                yield cell, found


def prepare(
    options: Options,
    manifest: "Manifest",
    name: str,
    cells: list[Cell],
    *,
    names: list[str],
    templates: list[str],
    claim: Callable[[], None],
) -> Grid:
    """Load a model and embed what the cells learn from.

    `claim` is called once it is sure that the run can begin; nothing is written before.
    """
    from pipelines.runs import inference_precision, models

    images = sum(split.count for split in manifest.splits.values())
    model = inference_precision.load(name, options.precision, images=images, read=models.untouched)
    models.check_dual_encoder(model, name, DUAL_ENCODERS)
    features = FeatureCache(feature_folder(options), options.data, manifest, batch_size=BATCH)
    seen, unseen = sides(options, manifest)
    _check_names(options, cells, model, names, templates)
    claim()  # before the cache is filled: a folder that holds files counts as taken
    if any(cell.row.learns for cell in cells):
        _say_short(cells, features.labels("train")[1], manifest, seen)
    _read_samples(cells, features, model, seen, views=options.views)
    return Grid(options, manifest, model, names, templates, seen, unseen, features)


def _check_model(cell: Cell) -> None:
    """Raises ValueError where a finished cell is of another model, whose folder has that name."""
    from pipelines.runs import results

    found = results.read(cell.folder)["model"]
    if found != cell.model:
        raise ValueError(
            f"--models: {cell.folder} holds results of {found}, not of {cell.model}, which would "
            "be in a folder of the same name; give one of them another --out"
        )


def _read_samples(
    cells: list[Cell],
    features: FeatureCache,
    model: "DualEncoder",
    seen: tuple[int, ...],
    *,
    views: int,
) -> None:
    """Puts the features of all images that some cell learns from or chooses by into the cache."""
    plain, augmented = set[int](), set[int]()
    for cell in (cell for cell in cells if cell.row.learns):
        _, labels = features.labels("train")
        drawn = sampling.sample(labels, classes=seen, shots=cell.shots, seed=cell.seed)
        plain.update(drawn.train.tolist(), drawn.validation.tolist())
        augmented.update(drawn.train.tolist() if cell.row.takes_views else ())
    for places, count in ((plain, 1), (augmented, views)):
        if places:
            features.read(model, "train", features.labels("train")[0][sorted(places)], views=count)


def _claim(options: Options, out: Path, begun: resume_check.Origin, devices: list[str]) -> None:
    """Make the folder; its config says what was asked for last."""
    folder.claim(out, options)
    option_parsing.write_config(options, out / folder.CONFIG)
    resume_check.keep(out, begun, devices=devices)


def sides(options: Options, manifest: "Manifest") -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Classes that are learnt, and those that are measured all the same, ascending."""
    from pipelines.runs.class_split import held_out_classes

    classes = range(len(manifest.class_names))
    unseen = held_out_classes(manifest, count=options.held_out, names=options.held_out_classes)
    if options.base_to_new:
        unseen = tuple(classes[-(-len(classes) // 2) :])
    return tuple(label for label in classes if label not in unseen), unseen


def _check_names(
    options: Options,
    cells: list[Cell],
    model: "DualEncoder",
    names: list[str],
    templates: list[str],
) -> None:
    """Complain about names and vectors before images are embedded."""
    import dual_encoder

    dual_encoder.refuse_equal_names(model, names, templates)
    for method in {cell.method for cell in cells} & set(prompts.LEARNT):
        prompts.learner(method, model, names, prompt_options(options))


def _say_short(
    cells: list[Cell], labels: np.ndarray, manifest: "Manifest", seen: tuple[int, ...]
) -> None:
    most = max(cell.shots for cell in cells)
    if short := sampling.short_of(labels, classes=seen, shots=most):
        label, count = min(short.items(), key=lambda pair: pair[1])
        print(
            f"fewer images than {most} shots: {len(short)} of {len(seen)} classes, the fewest "
            f"{manifest.class_names[label]!r} with {count}; each is used several times"
        )


def fit(cell: Cell, shared: Grid) -> Run:
    """Learn and measure one cell, or go on with it."""
    from pipelines.metrics import calibration_conformal_rejection
    from pipelines.runs import peak_memory, predictions, results

    cell.folder.mkdir(parents=True, exist_ok=True)
    peak_memory.forget_peak()
    test = shared.measured()
    task, seconds = shared.task(cell)
    start = time.perf_counter()
    assert cell.row.fit is not None, cell.method
    fitted = cell.row.fit(task)
    logits = fitted.logits(test.values)
    cost = {
        "seconds": seconds + time.perf_counter() - start,
        "peak_rss_bytes": peak_memory.peak_rss_bytes(),
        "trained_parameters": fitted.trained_parameters,
    }
    document = results_of(cell, shared, fitted, labels=test.labels, logits=logits, cost=cost)
    held, wanted = task.validation
    if len(wanted):
        document["certainty"] = calibration_conformal_rejection.certainty(
            (fitted.logits(held), wanted), (logits, test.labels), seen=task.seen
        )
    said = predictions.of(test.labels, logits, seen=shared.seen, held_out=shared.unseen)
    predictions.write(cell.folder, said)
    results.write(cell.folder / results.FILE, document)  # by it the cell is known to be finished
    _remove_checkpoints(cell)
    return Run(cell.folder, document, said, shared.model)


def _remove_checkpoints(cell: Cell) -> None:
    shutil.rmtree(cell.folder / "checkpoints", ignore_errors=True)
