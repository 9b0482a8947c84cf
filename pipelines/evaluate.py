"""Evaluate a model on a labelled split, zero-shot: figures, pictures and a page."""

import csv
import io
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from dual_encoder import ZeroShotClassifier
    from tfrecords import Manifest

FILES = (
    "results.json",
    "report.html",
    "confusion_matrix.png",
    "most_confused.png",
    "predictions.csv",
    "config.yaml",
)
SHOWN = 6  # pictures of each confused pair


@dataclass(frozen=True)
class Options:
    """Measure how well a dual encoder names the pictures of a labelled split.

    Args:
        data: folder of records, as prepare writes it.
        model: a checkpoint's name, a .keras file or the folder of a training run.
        out: folder for the results; made if missing, never overwritten.
        split: which split of the records.
        templates: prompts with {} for the class name, or one file with a prompt per line;
            without it those of the dataset.
        class_names: file with one class name per line, in the order of the labels; without it
            those of the dataset, underscores read as spaces.
        batch_size: pictures at a time.
        bootstrap: resamples for the 95 % intervals; 0 for none.
        seed: of the bootstrap.
    """

    data: str
    model: str
    out: str
    split: str = "test"
    templates: list[str] | None = None
    class_names: str | None = None
    batch_size: int = 64
    bootstrap: int = 1000
    seed: int = 0


def run(options: Options) -> None:
    """Evaluates and writes the files named in `FILES`; prints the figures."""
    from pipelines.runs import folder, metrics, quiet, report, results
    from tfrecords import Manifest

    _check_numbers(options)
    out = folder.check_free(options.out, FILES)
    manifest = Manifest.read(options.data)
    _check_labelled(manifest, options.split)
    names, templates = _class_names(options, manifest), _templates(options, manifest)
    quiet.import_tensorflow()
    import dual_encoder

    model = dual_encoder.load(options.model)
    if not isinstance(model, dual_encoder.DualEncoder):
        raise ValueError(
            "--model: expected a dual encoder, which knows classes by their names; "
            f"{options.model} has one tower ({type(model).__name__})"
        )
    start = time.perf_counter()
    classifier = dual_encoder.ZeroShotClassifier.from_names(model, names, templates, progress=True)
    with folder.filled_at_once(out) as staging:
        labels, logits, rate = predict(classifier, options, manifest.split(options.split).count)
        cost = {
            "seconds": time.perf_counter() - start,
            "pictures_per_second": rate,
            "peak_rss_bytes": results.peak_rss_bytes(),
        }
        probabilities = metrics.softmax(logits)
        document = results.document(
            results.measure(
                labels, probabilities, names, resamples=options.bootstrap, seed=options.seed
            ),
            command="evaluate",
            dataset=manifest.dataset,
            split=options.split,
            model=options.model,
            judged_by=manifest.metric if manifest.metric in metrics.METRICS else "top1",
            cost=cost,
            config=asdict(options),
            protocol="zero-shot",
            templates=templates,
            logit_scale=float(model.logit_scale),
        )
        _write(staging, options, document, labels=labels, probabilities=probabilities)
    print(report.terminal_table(document))
    print(f"Written to {out}; open {out / 'report.html'}")


def predict(
    classifier: "ZeroShotClassifier", options: Options, count: int
) -> tuple["np.ndarray", "np.ndarray", float]:
    """Labels int [n] and logits float32 [n, c] of the split's n pictures, and pictures/s."""
    import numpy as np
    from tqdm import tqdm

    import tfrecords

    batches = tfrecords.load(
        options.data,
        options.split,
        batch_size=options.batch_size,
        **classifier.preprocessing,
    )
    labels, logits, start = [], [], time.perf_counter()
    with (
        tfrecords.naming_damage(options.data),
        tqdm(total=count, desc="evaluating", unit=" pictures", delay=2) as bar,
    ):
        for x, y, weight in batches:
            real = np.asarray(weight) > 0
            logits.append(classifier.predict_on_batch(x)[real])
            labels.append(np.asarray(y)[real])
            bar.update(int(real.sum()))
    rate = count / (time.perf_counter() - start)
    return np.concatenate(labels), np.concatenate(logits), rate


def _check_numbers(options: Options) -> None:
    for name, least in (("batch_size", 1), ("bootstrap", 0), ("seed", 0)):
        value = getattr(options, name)
        if value < least:
            raise ValueError(f"--{name.replace('_', '-')}: expected {least} or more; got {value}")


def _check_labelled(manifest: "Manifest", split: str) -> None:
    if not manifest.split(split).labels:
        labelled = [name for name, info in manifest.splits.items() if info.labels]
        raise ValueError(
            f"split {split!r} of {manifest.dataset} has no labels to measure against; "
            f"labelled splits: {', '.join(labelled) or 'none'}"
        )


def _class_names(options: Options, manifest: "Manifest") -> list[str]:
    if options.class_names is None:
        return list(manifest.spoken_names)
    names = _lines(options.class_names, what="--class-names")
    if len(names) != len(manifest.class_names):
        raise ValueError(
            f"--class-names: expected {len(manifest.class_names)} lines, one for each class of "
            f"{manifest.dataset}; {options.class_names} has {len(names)}"
        )
    return names


def _templates(options: Options, manifest: "Manifest") -> list[str]:
    given = options.templates
    if given is None:
        return list(manifest.prompt_templates)
    if len(given) == 1 and "{}" not in given[0]:
        return _lines(given[0], what="--templates")
    return given


def _lines(path: str, *, what: str) -> list[str]:
    """The lines of a text file that are not empty."""
    if not Path(path).is_file():
        raise FileNotFoundError(f"{what}: no file {path}")
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if line.strip()]


def _write(
    folder: Path,
    options: Options,
    document: dict[str, Any],
    *,
    labels: "np.ndarray",
    probabilities: "np.ndarray",
) -> None:
    """Everything a run leaves, of which `results.json` is the one that other commands read."""
    import numpy as np

    from pipelines.runs import metrics, plots, report, results
    from pipelines.runs.config import write_config

    names = [row["name"] for row in document["per_class"]]
    confusion = np.array(document["confusion_matrix"])
    order = metrics.similar_order(confusion)
    matrix = confusion[np.ix_(order, order)]
    pairs = _choose_pictures(document["most_confused"], labels, probabilities)
    with open(folder / "predictions.csv", "w", newline="", encoding="utf-8") as file:
        rows = _predictions(options, names, labels, probabilities, pairs)
        csv.writer(file).writerows(rows)
    named = [names[i] for i in order]
    (folder / "confusion_matrix.png").write_bytes(plots.confusion_matrix(matrix, named))
    (folder / "most_confused.png").write_bytes(plots.most_confused(pairs, names))
    (folder / "report.html").write_text(report.evaluation_page(document, pairs), encoding="utf-8")
    write_config(options, folder / "config.yaml")
    results.write(folder / results.FILE, document)


def _choose_pictures(
    pairs: list[dict[str, Any]], labels: "np.ndarray", probabilities: "np.ndarray"
) -> list[dict[str, Any]]:
    """Adds to each pair which pictures to show: the mistakes the model was surest of."""
    import numpy as np

    predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    chosen = []
    for pair in pairs:
        (places,) = np.nonzero((labels == pair["true"]) & (predicted == pair["predicted"]))
        surest = places[np.argsort(-confidence[places], kind="stable")][:SHOWN]
        chosen.append({**pair, "places": surest.tolist(), "pictures": [], "captions": []})
    return chosen


def _predictions(
    options: Options,
    names: list[str],
    labels: "np.ndarray",
    probabilities: "np.ndarray",
    pairs: list[dict[str, Any]],
) -> Iterator[tuple]:
    """Rows of predictions.csv; fills in the pairs' pictures as they come by, in one pass."""
    from tqdm import tqdm

    import tfrecords

    wanted = {place: pair for pair in pairs for place in pair["places"]}
    yield "id", "filename", "true", "predicted", "confidence", "probability_of_true"
    examples = tfrecords.examples(options.data, options.split)
    bar = tqdm(examples, "listing", total=len(labels), unit=" pictures", delay=2, leave=False)
    for place, (example, label, p) in enumerate(zip(bar, labels, probabilities, strict=True)):
        if example.label != label:
            raise RuntimeError(f"{options.data} changed while it was read (picture {example.id})")
        said = int(p.argmax())
        if place in wanted:
            wanted[place]["pictures"].append(_thumbnail(example.image))
            wanted[place]["captions"].append(f"{example.filename}, {p[said]:.0%} sure")
        confidences = f"{p[said]:.6f}", f"{p[label]:.6f}"
        yield example.id, example.filename, names[label], names[said], *confidences


def _thumbnail(encoded: bytes, *, side: int = 160) -> "np.ndarray":
    """A picture's bytes to pixels uint8 [h, w, 3], at most `side` high and wide."""
    import numpy as np
    from PIL import Image

    image = Image.open(io.BytesIO(encoded)).convert("RGB")
    image.thumbnail((side, side))
    return np.asarray(image)
