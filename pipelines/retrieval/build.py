"""Build an index of image embeddings from records or a folder."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from duet import disk_errors, folder_locks, name_list
from pipelines.retrieval.options import Options
from pipelines.runs import rerun_command

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from dual_encoder import DualEncoder, IndexBuilder
    from pipelines.retrieval.answers import Query


def build(options: Options, queries: Sequence[Query] = ()) -> tuple[DualEncoder, np.ndarray | None]:
    """Builds or updates the index; returns the model, and the embeddings [q, e] of the queries.

    Raises ValueError, FileNotFoundError for queries that the model cannot be asked, before images
    are embedded.
    """
    from pipelines.retrieval import searcher
    from pipelines.runs import inference_precision, models

    started = time.perf_counter()
    import dual_encoder
    import tfrecords

    folder = Path(options.index)
    name, source = _what_to_build(options)
    _check_features(options, source)
    store = tfrecords.images_of(**source)
    listing = store.listing()
    for note in getattr(store, "notes", ()):
        print(note)
    if options.search not in ("auto", "exact"):
        dual_encoder.check_approximate(options.search, len(listing))
    images = len(listing) if options.runner == "local" else 0  # workers load it as it is
    model = inference_precision.load(
        name, options.precision, images=images, read=models.load_dual_encoder
    )
    embeddings = None
    if queries:
        reading = {"first_frame": options.first_frame, "max_pixels": options.max_pixels}
        embeddings = searcher.encoded(
            model, queries, prompts=options.prompts, backbone=name, **reading
        )
    facts = dual_encoder.IndexFacts(
        name, dual_encoder.fingerprint(model), model.embed_dim, source, ()
    )
    dual_encoder.IndexBuilder(folder, listing, facts)  # complains before anything is made
    with folder_locks.locked(folder):
        changes = _built(options, dual_encoder.IndexBuilder(folder, listing, facts), model)
        took = time.perf_counter() - started
        what = f"{changes.added:,} new, {changes.dropped:,} dropped"
        print(f"{folder}: {name_list.counted(changes.total, 'image')} ({what}) in {took:.1f} s")
        if changes.unreadable:
            where = folder / dual_encoder.UNREADABLE
            print(
                f"{name_list.counted(changes.unreadable, 'image')} could not be read: see {where}"
            )
        _approximate(options, folder)
    return model, embeddings


def _built(options: Options, builder: IndexBuilder, model: DualEncoder) -> Any:
    """Embed what has no embedding yet, and make the index; the `Changes`."""
    from pipelines.retrieval import embedding_jobs

    listing, facts = builder.listing, builder.facts
    size = max(1, min(options.batch_size, len(listing)))  # batches are filled up
    job = embedding_jobs.Job(builder.folder, facts, size, options.first_frame, options.max_pixels)
    todo = [(name, listing[name]) for name in builder.missing]
    if todo:  # parts, and the index that is made of them
        room = 2 * 4.0 * len(todo) * facts.embed_dim
        print(disk_errors.room(builder.folder, room, what="embeddings"))
    if todo and options.features:
        embedding_jobs.embed_through_cache(todo, job, model, cache=Path(options.features))
    elif options.runner == "beam":
        embedding_jobs.embed_with_beam(todo, job, options=options.beam_options)
    else:
        _embed_with_bar(todo, job, model, total=len(listing))
    return builder.finish()


def _what_to_build(options: Options) -> tuple[str, dict[str, Any]]:
    """Returns the model's name and the image source, from the options or the existing index."""
    import dual_encoder
    import tfrecords

    source: dict[str, Any] | None = None
    if options.folder:
        source = tfrecords.ImageFolder(Path(options.folder)).describe()
    elif options.data:
        splits = tuple(options.splits or ())
        source = tfrecords.ImageRecords(Path(options.data), splits).describe()
    if options.splits and not options.data:
        raise ValueError("--splits goes with --data")
    model = options.model
    if source is None or model is None:
        try:
            facts = dual_encoder.Index.open(options.index).facts
        except FileNotFoundError:
            missing = [n for n, v in (("--folder or --data", source), ("--model", model)) if not v]
            raise ValueError(f"--build: expected {' and '.join(missing)}; got none") from None
        source, model = source or facts.source, model or facts.model
    return model, source


def _check_features(options: Options, source: dict[str, Any]) -> None:
    """Raises ValueError for `--features` with what its cache has no part in."""
    if options.features is None:
        return
    if source.get("kind") != "records":
        raise ValueError(f"--features goes with records (--data), not with {source['path']}")
    for name, usual in (("runner", "local"), ("first_frame", False), ("max_pixels", None)):
        if getattr(options, name) != usual:
            raise ValueError(f"--features does not go with {rerun_command.flag(name)}")


def _embed_with_bar(todo: list, job: Any, model: DualEncoder, *, total: int) -> None:
    from tqdm import tqdm

    from pipelines.retrieval import embedding_jobs

    done = total - len(todo)
    with tqdm(desc=f"embedding {job.folder}", total=total, initial=done, unit=" images") as bar:
        embedding_jobs.embed_here(todo, job, model, advance=bar.update)


def _approximate(options: Options, folder: Path) -> None:
    """Builds the requested faiss index, unless it exists."""
    from tqdm import tqdm

    import dual_encoder

    index = dual_encoder.Index.open(folder)
    there, kind = (index.facts.approximate or {}).get("kind"), options.search
    if kind == "auto":
        kind = there or ("hnsw" if len(index) > dual_encoder.EXACT_UP_TO else "exact")
    if kind in ("exact", there):
        return
    with tqdm(desc=f"building {kind}", total=len(index), unit=" images") as bar:
        found = dual_encoder.build_approximate(index, kind, advance=bar.update)
    facts = found.facts
    print(
        f"{kind}: recall@10 {facts['recall_at_10']:.3f} against exact search, of "
        f"{facts['queries']} images that were not in it yet"
    )
