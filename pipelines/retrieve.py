"""Find pictures by words or by a picture: make an index of embeddings once, then ask it."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from dual_encoder import DualEncoder
    from pipelines.runs.answers import Query


@dataclass(frozen=True)
class Options:
    """Make an index of pictures (--build), or find pictures in one (--query, --queries, --image).

    Args:
        index: folder of the index.
        build: embed the pictures that are new, drop those that are gone; what is embedded stays.
        folder: with --build, a folder of pictures, subfolders included; later, where it is now.
        data: with --build, a folder of records in place of --folder; later, where it is now.
        splits: with --build --data, which splits; without it all.
        model: a checkpoint's name, a .keras file or the folder of a training run; without it the
            one that made the index.
        query: words to find pictures for, one text or several.
        queries: file with a query per line.
        image: pictures to find similar ones for.
        prompts: file of prompts learnt with the index's model, as `prompt` writes it with coop; a
            query in words is then a class name, which is put into them.
        k: how many pictures for each query.
        json: print JSON in place of lines.
        html: file for a page with the pictures found; never overwritten.
        search: exact, or by an index of faiss (extra `faiss`), which --build makes; auto is exact
            up to a million pictures.
        check: with hnsw or ivf, search exactly too and print the recall of these very queries.
        batch_size: pictures embedded at a time.
        runner: with --build, "beam" for Apache Beam (extra `beam`).
        beam_options: with --runner beam, its options, e.g. "--runner=FlinkRunner".
    """

    index: str
    build: bool = False
    folder: str | None = None
    data: str | None = None
    splits: list[str] | None = None
    model: str | None = None
    query: list[str] | None = None
    queries: str | None = None
    image: list[str] | None = None
    prompts: str | None = None
    k: int = 10
    json: bool = False
    html: str | None = None
    search: Literal["auto", "exact", "hnsw", "ivf"] = "auto"
    check: bool = False
    batch_size: int = 32
    runner: Literal["local", "beam"] = "local"
    beam_options: str = ""


def run(options: Options) -> None:
    """Builds, asks, or both."""
    from pipelines.runs import quiet
    from pipelines.runs.config import check_ranges

    check_ranges(options, {"[1, 1000000]": ("k",), "[1, 65536]": ("batch_size",)})
    if options.folder and options.data:
        raise ValueError("expected --folder or --data, got both")
    queries = _queries(options)
    if not options.build and not queries:
        raise ValueError("expected --build, --query, --queries or --image; got none of them")
    if options.html and Path(options.html).exists():
        raise FileExistsError(f"{options.html} exists; give --html another name")
    quiet.import_tensorflow()
    model = _build(options) if options.build else None
    if queries:
        _ask(options, queries, model)


# --- Building ---------------------------------------------------------------------------------


def _build(options: Options) -> DualEncoder:
    """Make the index, or bring it up to date; the model that did."""
    from pipelines.runs import embedding

    started = time.perf_counter()
    import dual_encoder
    import tfrecords

    name, source = _what_to_build(options)
    folder, listing = Path(options.index), tfrecords.pictures_of(**source).listing()
    model = embedding.load_dual_encoder(name)
    facts = dual_encoder.IndexFacts(
        name, dual_encoder.fingerprint(model), model.embed_dim, source, ()
    )
    builder = dual_encoder.IndexBuilder(folder, listing, facts)
    job = embedding.Job(folder, facts, options.batch_size)
    todo = [(name, listing[name]) for name in builder.missing]
    if options.runner == "beam":
        embedding.embed_with_beam(todo, job, options=options.beam_options)
    else:
        _embed_with_bar(todo, job, model, total=len(listing))
    changes = builder.finish()
    what = f"{changes.added:,} new, {changes.dropped:,} dropped"
    took = f"{time.perf_counter() - started:.1f} s"
    print(f"{folder}: {changes.total:,} pictures ({what}) in {took}")
    if changes.unreadable:
        print(
            f"{changes.unreadable:,} pictures could not be read: see "
            f"{folder / dual_encoder.UNREADABLE}"
        )
    _approximate(options, folder)
    return model


def _what_to_build(options: Options) -> tuple[str, dict[str, Any]]:
    """The model's name and where the pictures are, as given or as the index has it."""
    import dual_encoder
    import tfrecords

    source: dict[str, Any] | None = None
    if options.folder:
        source = tfrecords.PictureFolder(Path(options.folder)).describe()
    elif options.data:
        splits = tuple(options.splits or ())
        source = tfrecords.PictureRecords(Path(options.data), splits).describe()
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


def _embed_with_bar(todo: list, job: Any, model: DualEncoder, *, total: int) -> None:
    from tqdm import tqdm

    from pipelines.runs import embedding

    done = total - len(todo)
    with tqdm(desc=f"embedding {job.folder}", total=total, initial=done, unit=" pictures") as bar:
        embedding.embed_here(todo, job, model, advance=bar.update)


def _approximate(options: Options, folder: Path) -> None:
    """Make the faiss index that was asked for, unless it is there."""
    from tqdm import tqdm

    import dual_encoder

    index = dual_encoder.Index.open(folder)
    there, kind = (index.facts.approximate or {}).get("kind"), options.search
    if kind == "auto":
        kind = there or ("hnsw" if len(index) > dual_encoder.EXACT_UP_TO else "exact")
    if kind in ("exact", there):
        return
    with tqdm(desc=f"building {kind}", total=len(index), unit=" pictures") as bar:
        found = dual_encoder.build_approximate(index, kind, advance=bar.update)
    facts = found.facts
    print(
        f"{kind}: recall@10 {facts['recall_at_10']:.3f} against exact search, of "
        f"{facts['queries']} pictures that were not in it yet"
    )


# --- Asking -----------------------------------------------------------------------------------


def _queries(options: Options) -> list[Query]:
    """All queries, in the order of the options."""
    from pipelines.runs.answers import Query

    texts = list(options.query or ())
    if options.queries is not None:
        if not Path(options.queries).is_file():
            raise FileNotFoundError(f"--queries: no file {options.queries}")
        written = Path(options.queries).read_text(encoding="utf-8").splitlines()
        texts += [line.strip() for line in written if line.strip()]
    if any(not text.strip() for text in texts) or (options.queries and not texts):
        raise ValueError("query: expected words; got an empty text")
    return [Query("text", text) for text in texts] + [
        Query("image", path) for path in options.image or ()
    ]


def _ask(options: Options, queries: list[Query], model: DualEncoder | None) -> None:
    from pipelines.runs import answers
    from pipelines.runs.searching import Searcher

    asked = Searcher.open(options, model)
    total = len(asked.index)
    if options.k > total:
        print(f"--k {options.k:,}: the index has {total:,} pictures", file=sys.stderr)
    embeddings = asked.encode(queries, prompts=options.prompts)
    started = time.perf_counter()
    hits = asked.search(embeddings, options.k)
    took = time.perf_counter() - started
    found = answers.answers(queries, hits, asked.index, asked.pictures)
    how: dict[str, Any] = {"search": asked.kind, "k": options.k}
    if asked.approximate:
        how["recall_at_10"] = asked.approximate.facts["recall_at_10"]
    if options.check and asked.kind != "exact":
        how["recall_of_these"] = asked.recall_of(embeddings, hits)
    if options.html:
        page = answers.contact_sheet(found, asked.index, asked.pictures)
        Path(options.html).write_text(page, encoding="utf-8")
    if options.json:
        document = answers.document(found, asked.index, **how, search_seconds=round(took, 6))
        print(json.dumps(document, indent=2, ensure_ascii=False))
        return
    print(answers.lines(found))
    if asked.kind != "exact":
        print(f"\n{asked.kind}: {_recalls(how)}")
    if options.html:
        print(f"\nOpen {options.html} to see them")


def _recalls(how: dict[str, Any]) -> str:
    """What approximate search finds, in words."""
    words = f"recall@10 was {how['recall_at_10']:.3f} when the index was built"
    if "recall_of_these" in how:
        words += f"; of these queries it is {how['recall_of_these']:.3f}"
    return words
