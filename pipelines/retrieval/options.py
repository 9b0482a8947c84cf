"""The options of `retrieve`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Options:
    """Make an index of images (--build), or find images in one (--query, --queries, --image).

    Args:
        index: folder of the index.
        build: embed the images that are new, drop those that are gone; what is embedded stays.
        folder: with --build, a folder of images, subfolders included; later, where it is now.
        data: with --build, a folder of records in place of --folder; later, where it is now.
        splits: with --build --data, which splits; without it all.
        model: a checkpoint's name, a .keras file or the folder of a training run; without it the
            one that made the index.
        query: words to find images for, one text or several.
        queries: file with a query per line.
        image: images to find similar ones for.
        prompts: file of prompts learnt with the index's model, as `prompt` writes it with coop; a
            query in words is then a class name, which is put into them.
        k: how many images for each query.
        json: print JSON in place of lines.
        html: file for a page with the images found; never overwritten.
        search: exact, or by an index of faiss (extra `faiss`), which --build makes; auto is exact
            up to a million images.
        check: with hnsw or ivf, search exactly too and print the recall of these very queries.
        batch_size: images embedded at a time.
        first_frame: with --build, take the first frame of animated images and of files of several
            pages.
        max_pixels: with --build, leave out images of more pixels; without it 89,478,485.
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
    first_frame: bool = False
    max_pixels: int | None = None
    runner: Literal["local", "beam"] = "local"
    beam_options: str = ""
