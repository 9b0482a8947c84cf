"""Image search by text or image: build an index of embeddings, then query it."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from duet import atomic_files
from pipelines.retrieval.build import build
from pipelines.retrieval.options import Options

if TYPE_CHECKING:
    import numpy as np

    from dual_encoder import DualEncoder
    from pipelines.retrieval.answers import Query


OF_BUILD = {  # options that nothing reads in a search, and what they are where nobody gives them
    "splits": None,
    "features": None,
    "runner": "local",
    "beam_options": "",
    "precision": "auto",
    "batch_size": 32,
}


def run(options: Options) -> None:
    """Builds, asks, or both."""
    from pipelines.runs import runtime
    from pipelines.runs.option_parsing import check_ranges, refuse_without

    ranges = {"[1, 1000000]": ("k",), "[1, 65536]": ("batch_size",), "[1, inf)": ("max_pixels",)}
    check_ranges(options, ranges)
    if options.folder and options.data:
        raise ValueError("expected --folder or --data, got both")
    queries = _queries(options)
    if not options.build and not queries:
        raise ValueError("expected --build, --query, --queries or --image; got none of them")
    if not options.build:
        refuse_without(options, OF_BUILD, other="--build")
    if options.html and Path(options.html).exists():
        raise FileExistsError(f"{options.html} exists; give --html another name")
    runtime.import_tensorflow()
    model, embeddings = build(options, queries) if options.build else (None, None)
    if queries:
        _ask(options, queries, model, embeddings)


def _queries(options: Options) -> list[Query]:
    """All queries, in the order of the options."""
    from pipelines.retrieval.answers import Query
    from pipelines.runs import class_name_options

    texts = list(options.query or ())
    if options.queries is not None:
        texts += class_name_options.lines(options.queries, what="--queries")
    if any(not text.strip() for text in texts) or (options.queries and not texts):
        raise ValueError("query: expected words; got an empty text")
    return [Query("text", text) for text in texts] + [
        Query("image", path) for path in options.image or ()
    ]


def _ask(
    options: Options,
    queries: list[Query],
    model: DualEncoder | None,
    embeddings: np.ndarray | None,
) -> None:
    from pipelines.retrieval import answers
    from pipelines.retrieval.searcher import Searcher

    asked = Searcher.open(options, model)
    if options.check and asked.kind == "exact":
        print("--check: the search is exact, and finds what there is", file=sys.stderr)
    total = len(asked.index)
    if options.k > total:
        print(f"--k {options.k:,}: the index has {total:,} images", file=sys.stderr)
    if embeddings is None:
        embeddings = asked.encode(queries, prompts=options.prompts)
    started = time.perf_counter()
    hits = asked.search(embeddings, options.k)
    took = time.perf_counter() - started
    found = answers.answers(queries, hits, asked.index, asked.images)
    how: dict[str, Any] = {"search": asked.kind, "k": options.k}
    if asked.approximate:
        how["recall_at_10"] = asked.approximate.facts["recall_at_10"]
    if options.check and asked.kind != "exact":
        how["recall_of_these"] = asked.recall_of(embeddings, hits)
    if options.html:
        page = answers.contact_sheet(
            found, asked.index, asked.images, max_pixels=options.max_pixels
        )
        atomic_files.write(options.html, page)
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
