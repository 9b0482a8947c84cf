"""The options of `retrieve`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Options:
    """Build an index of images (--build), or search one (--query, --queries, --image).

    Args:
        index: folder of the index.
        build: embed new images and remove deleted ones; existing embeddings are kept.
        folder: with --build, a folder of images, including subfolders; later, its new location.
        data: with --build, a folder of records in place of --folder; later, its new location.
        splits: with --build --data, the splits to index; default: all.
        features: with --build of records, folder of a feature cache, such as that of a comparison:
            cached images are not embedded again, others are added; default: no cache.
        model: a checkpoint's name, a .keras file or the folder of a training run; default: the
            index's model.
        query: one or several texts to search images for.
        queries: file with one query per line.
        image: images to find similar ones for.
        prompts: file of prompts learnt with the index's model, written by `prompt` with coop; text
            queries are then class names to insert into them.
        k: number of images per query.
        json: print JSON in place of text.
        html: file for a page with the results; never overwritten.
        search: exact, or with a faiss index (extra `faiss`) built by --build; auto is exact up to
            a million images.
        check: with hnsw or ivf, also search exactly and print the recall of these queries.
        batch_size: images per batch.
        first_frame: take the first frame of animated images and multi-page files.
        max_pixels: refuse images with more pixels; default: 89,478,485.
        runner: with --build, "beam" for Apache Beam (extra `beam`).
        precision: with --build: auto (for many images what is fastest here, within 0.01 of cosine
            distance; for few float32), float32, mixed_bfloat16 or mixed_float16.
        beam_options: with --runner beam, its options, e.g. "--runner=FlinkRunner".
    """

    index: str
    build: bool = False
    folder: str | None = None
    data: str | None = None
    splits: list[str] | None = None
    features: str | None = None
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
    first_frame: bool = False
    max_pixels: int | None = None
    runner: Literal["local", "beam"] = "local"
    beam_options: str = ""
    precision: Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"] = "auto"
