"""Runs of a grid of few-shot runs: what a model's cells share is made once, then cell by cell."""

import shutil
import time
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.fewshot import methods as fewshot_methods
from pipelines.fewshot import sampling
from pipelines.fewshot.grid import Cell, Task

if TYPE_CHECKING:
    from dual_encoder import DualEncoder
    from tfrecords import Manifest


def prepare(
    options: Any,
    manifest: "Manifest",
    name: str,
    cells: list[Cell],
    *,
    names: list[str],
    templates: list[str],
) -> Task:
    """Load a model and embed, once, all images that its cells need."""
    import dual_encoder
    import tfrecords
    from pipelines.fewshot import features as fewshot_features

    model = dual_encoder.load(name)
    if not isinstance(model, dual_encoder.DualEncoder):
        raise ValueError(
            "--models: expected dual encoders, which know classes by their names; "
            f"{name} has one tower ({type(model).__name__})"
        )
    ids, labels = tfrecords.labels(options.data, "train")
    seen, unseen = sides(options, manifest)
    _say_short(cells, labels, manifest, seen)
    needed: set[int] = set()
    for cell in cells:
        if cell.shots:
            drawn = sampling.sample(labels, classes=seen, shots=cell.shots, seed=cell.seed)
            needed |= set(drawn.train.tolist()) | set(drawn.validation.tolist())
    _check_names(options, cells, model, names)
    places = np.array(sorted(needed), np.int64)
    embed = fewshot_features.Embedder(options, manifest, model, name)
    train = embed.images("train", ids[places]) if needed else None
    return Task(
        options,
        manifest,
        model,
        names,
        templates,
        seen=seen,
        unseen=unseen,
        ids=ids,
        labels=labels,
        rows={place: row for row, place in enumerate(places.tolist())},
        train=np.empty((0, model.embed_dim)) if train is None else train.values,
        test=embed.split(options.split),
    )


def sides(options: Any, manifest: "Manifest") -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Classes that are learnt, and those that are measured all the same, ascending."""
    from pipelines.runs.class_split import held_out_classes

    classes = range(len(manifest.class_names))
    unseen = held_out_classes(manifest, count=options.held_out, names=options.held_out_classes)
    if options.base_to_new:
        unseen = tuple(classes[-(-len(classes) // 2) :])
    return tuple(label for label in classes if label not in unseen), unseen


def _check_names(options: Any, cells: list[Cell], model: "DualEncoder", names: list[str]) -> None:
    """Complain about names and vectors before images are embedded."""
    for method in {cell.method for cell in cells} & {"coop", "cocoop"}:
        fewshot_methods.learner(method, model, names, options)


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


def run(cell: Cell, task: Task) -> str:
    """Learn and measure one cell, or go on with it; its main figures in words."""
    from pipelines.evaluation import measure
    from pipelines.metrics import classification, seen_unseen
    from pipelines.reporting import text as reporting_text
    from pipelines.runs import predictions, results

    cell.folder.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    logits, more = fewshot_methods.METHODS[cell.method](cell, task)
    labels, options = task.test[1], task.options
    rows = np.isin(labels, task.seen) if task.unseen else np.ones(len(labels), bool)
    places = np.searchsorted(task.seen, labels[rows])
    measured = measure.measure(
        places,
        classification.softmax(logits[rows][:, list(task.seen)]),
        task.seen_names,
        resamples=options.bootstrap,
        seed=cell.seed,
    )
    if task.unseen:
        figures = partial(seen_unseen.figures, seen=task.seen, held_out=task.unseen)
        measured["metrics"] |= figures(labels, logits)
        measured["intervals"] |= seen_unseen.intervals(
            figures, labels, logits, resamples=options.bootstrap, seed=cell.seed
        )
    document = results.document(
        measured,
        command="prompt",
        dataset=task.manifest.dataset,
        split=options.split,
        model=cell.model,
        judged_by=task.manifest.metric
        if task.manifest.metric in classification.METRICS
        else "top1",
        cost={
            "seconds": time.perf_counter() - start,
            "peak_rss_bytes": results.peak_rss_bytes(),
            "trained_parameters": more.pop("trained_parameters"),
        },
        config=asdict(options),
        protocol=_protocol(options, task),
        method=cell.method,
        shots=cell.shots,
        **{**more, "seed": cell.seed},
    )
    said = predictions.of(labels, logits, seen=task.seen, held_out=task.unseen)
    predictions.write(cell.folder, said)
    results.write(cell.folder / results.FILE, document)  # by it the cell is known to be finished
    shutil.rmtree(cell.folder / "checkpoints", ignore_errors=True)
    figures = document["metrics"]
    words = [reporting_text.percent(figures["top1"])]
    if figures.get("unseen_top1") is not None:
        words.append(f"unseen {reporting_text.percent(figures['unseen_top1'])}")
    return ", ".join(words)


def _protocol(options: Any, task: Task) -> str:
    if options.base_to_new:
        return "base-to-new"
    return "held-out classes" if task.unseen else "few-shot"
