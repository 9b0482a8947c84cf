"""Image-text retrieval between captions and images (`evaluate --protocol retrieval`)."""

import csv
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dual_encoder import row_length
from duet import unit_rows
from pipelines.evaluation import captions_report, measure
from pipelines.metrics import retrieval
from pipelines.runs import folder, results
from pipelines.runs.feature_cache import FeatureCache
from pipelines.runs.option_parsing import write_config
from tfrecords.images import reencoding

if TYPE_CHECKING:
    from dual_encoder import DualEncoder
    from tfrecords import Manifest


FILES = ("results.json", "report.html", "ranks.csv", "config.yaml")

SHOWN, ANSWERS = 8, 4  # captions on the page, and images shown for each

ROWS = 256  # captions encoded at a time

JUDGED_BY = "text_to_image_recall1"


@dataclass(frozen=True)
class Captioned:
    """Unit-length embeddings of one split.

    Attributes:
        images: float32 [p, e]; ids: int [p], of the records.
        captions: float32 [c, e]; texts: of the captions; owner: int [c], row of each one's image.
        rate: images per second.
    """

    images: np.ndarray
    ids: np.ndarray
    captions: np.ndarray
    texts: list[str]
    owner: np.ndarray
    rate: float


def evaluate(
    options: Any,
    manifest: "Manifest",
    model: "DualEncoder",
    *,
    out: Path,
    look: Callable[[], Sequence[str]] = tuple,
) -> dict[str, Any]:
    """Measure, and write the files named in `FILES` to `out`. Returns the results.

    Args:
        options: of `evaluate`.
        manifest: of its records.
        model: with a tokenizer.
        out: the folder of the run.
        look: reads the images, and gives lines on them for the page and the results.

    Raises:
        ValueError: the model has no tokenizer.
    """
    if model.tokenizer is None:
        raise ValueError(
            f"--model: expected one with a tokenizer to read captions; {options.model} has none"
        )
    health = look()
    start = time.perf_counter()
    with folder.filled_at_once(out) as staging:
        cache = FeatureCache(
            Path(options.features) if options.features else None,
            options.data,
            manifest,
            batch_size=options.batch_size,
        )
        found = embed(options, model, cache)
        distractors = [
            unit_rows.unit(cache.read(model, split).values) for split in options.distractors or ()
        ]
        more = np.concatenate(distractors) if distractors else None
        places = retrieval.both_ways(found.images, found.captions, found.owner, distractors=more)
        document = _document(options, manifest, model, found, places, start=start)
        document |= results.health(health)
        shown = _choose(found, places, seed=options.seed)
        with open(staging / "ranks.csv", "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(_ranks(options, found, places, shown))
        page = captions_report.page(document, shown, places)
        (staging / "report.html").write_text(page, encoding="utf-8")
        write_config(options, staging / "config.yaml")
        results.write(staging / results.FILE, document)
    return document


def embed(options: Any, model: "DualEncoder", cache: FeatureCache) -> Captioned:
    """Embeds the images and captions of the split."""
    import tfrecords

    images = cache.read(model, options.split)
    rate = len(images.values) / max(images.seconds, 1e-9)
    texts: list[str] = []
    owner: list[int] = []
    ids: list[int] = []
    for row, example in enumerate(tfrecords.examples(options.data, options.split)):
        chosen = example.captions[: options.captions_per_image]
        texts += chosen
        owner += [row] * len(chosen)
        ids.append(example.id)
    if not np.array_equal(ids, cache.labels(options.split)[0]):
        raise RuntimeError(f"{options.data} changed while it was read")
    return Captioned(
        unit_rows.unit(images.values),
        np.array(ids),
        encode_captions(model, texts),
        texts,
        np.array(owner),
        rate,
    )


def encode_captions(model: "DualEncoder", texts: Sequence[str]) -> np.ndarray:
    """Returns unit-length embeddings float32 [n, e]; long texts are truncated as in training.

    Groups texts by length if the text tower's `trims_exactly` allows it.
    """
    from tqdm import tqdm

    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    rows = min(ROWS, len(texts))
    found = np.empty((len(texts), model.embed_dim), np.float32)
    starts = tqdm(range(0, len(texts), rows), "encoding captions", delay=2, leave=False)
    for first in starts:
        chosen = order[first : first + rows]
        batch = [texts[i] for i in chosen]
        filled = batch + batch[-1:] * (rows - len(batch))  # every batch has the same shape
        ids = model.tokenizer(filled, length=row_length(model, batch))
        found[chosen] = np.asarray(model.encode_text(ids))[: len(chosen)]
    return found


def _document(
    options: Any,
    manifest: "Manifest",
    model: "DualEncoder",
    found: Captioned,
    places: dict[str, np.ndarray],
    *,
    start: float,
) -> dict[str, Any]:
    resampled = {"resamples": options.bootstrap, "seed": options.seed}
    return results.document(
        {
            "images": len(found.images),
            "captions": len(found.texts),
            "metrics": retrieval.summary(places, found.owner),
            "intervals": retrieval.intervals(places, found.owner, **resampled),
            "per_class": [],
            "confusion_matrix": [],
            "seed": options.seed,
        },
        command="evaluate",
        dataset=manifest.dataset,
        split=options.split,
        model=options.model,
        judged_by=JUDGED_BY,
        cost=measure.cost(start, found.rate),
        config=asdict(options),
        protocol="retrieval",
        searched=len(found.images)
        + sum(manifest.split(split).count for split in options.distractors or ()),
        logit_scale=float(model.logit_scale),
    )


def _choose(
    captioned: Captioned, places: dict[str, np.ndarray], *, seed: int
) -> list[dict[str, Any]]:
    """Returns random captions, each with its best-matching images of the split."""
    count = min(SHOWN, len(captioned.texts))
    drawn = np.random.default_rng(seed).choice(len(captioned.texts), size=count, replace=False)
    answers = retrieval.top(captioned.captions[drawn], captioned.images, ANSWERS)
    return [
        {
            "caption": captioned.texts[i],
            "rank": int(places["text_to_image"][i]),
            "rows": rows.tolist(),
            "right": int(captioned.owner[i]),
            "images": {},
        }
        for i, rows in zip(drawn, answers, strict=True)
    ]


def _ranks(
    options: Any, found: Captioned, places: dict[str, np.ndarray], shown: list[dict[str, Any]]
) -> Iterator[tuple]:
    """Yields the rows of ranks.csv and collects the images to show, in one pass."""
    import tfrecords

    yield "id", "filename", "rank_of_first_caption_found", "caption", "rank_of_image"
    captions: list[list[int]] = [[] for _ in found.ids]
    for caption, row in enumerate(found.owner):
        captions[row].append(caption)
    for row, example in enumerate(tfrecords.examples(options.data, options.split)):
        for chosen in shown:
            if row in chosen["rows"]:
                chosen["images"][row] = {
                    "pixels": reencoding.pixels(example.image),
                    "filename": example.filename,
                }
        for caption in captions[row]:
            first = int(places["image_to_text"][row])
            rank = int(places["text_to_image"][caption])
            yield example.id, example.filename, first, found.texts[caption], rank
