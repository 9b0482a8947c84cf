"""Pictures and words to embeddings: by this process, or by the workers of Apache Beam."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.runs.answers import Query
from pipelines.runs.texts import row_length

if TYPE_CHECKING:
    from dual_encoder import CoOp, DualEncoder, IndexFacts

PART = 1024  # pictures whose embeddings are kept together while an index is built
Named = tuple[str, tuple[int, ...]]  # a picture's id and stamp


def load_dual_encoder(name: str) -> "DualEncoder":
    """The model of that name; ValueError where it has one tower."""
    import dual_encoder
    from pipelines.runs import loading

    model = loading.load(name)
    if not isinstance(model, dual_encoder.DualEncoder):
        raise ValueError(
            "--model: expected a dual encoder, which puts pictures and words in one space; "
            f"{name} has one tower ({type(model).__name__})"
        )
    return model


def encode_texts(model: "DualEncoder", texts: Sequence[str]) -> np.ndarray:
    """Queries in words -> embeddings float32 [q, e].

    Raises:
        ValueError: a text is empty, or longer than the model reads: the rest would count for
            nothing, and nobody would know.
    """
    ids = token_ids(model, texts)
    rows = 1 << (len(ids) - 1).bit_length()  # few shapes: each new one is compiled anew
    ids = np.concatenate([ids, np.repeat(ids[:1], rows - len(ids), axis=0)])
    return np.asarray(model.encode_text(ids))[: len(texts)]


def token_ids(model: "DualEncoder", texts: Sequence[str]) -> np.ndarray:
    """Queries as the text tower takes them, int32 [q, n], n a multiple of 8 where it may be cut.

    Raises ValueError as `encode_texts` does.
    """
    for text in texts:
        if not text.strip():
            raise ValueError("query: expected words; got an empty text")
    length = row_length(model, texts, strict=True)
    return model.tokenizer(list(texts), length=length, strict=True)


def encode_queries(
    model: "DualEncoder", queries: Sequence[Query], *, prompts: "CoOp | None" = None
) -> np.ndarray:
    """Queries in words and pictures -> embeddings float32 [q, e], in their order.

    With learnt prompts, words are class names to put into them.

    Raises:
        ValueError: as `encode_texts` does, or a picture that cannot be read; prompts that take no
            other names than their own.
        FileNotFoundError: no such picture.
    """
    import tfrecords

    found = np.empty((len(queries), model.embed_dim), np.float32)
    places: dict[str, list[int]] = {"text": [], "image": []}
    for place, query in enumerate(queries):
        places[query.kind].append(place)
    images = []
    for place in places["image"]:
        path = Path(queries[place].text)
        if not path.is_file():
            raise FileNotFoundError(f"--image: no file {path}")
        images.append(tfrecords.read_picture(path, **model.preprocessing))
    if images:
        found[places["image"]] = encode_pictures(model, np.stack(images), rows=min(32, len(images)))
    if places["text"]:
        texts = [queries[i].text for i in places["text"]]
        matrix = None if prompts is None else prompts.class_matrix(texts)
        found[places["text"]] = encode_texts(model, texts) if matrix is None else matrix.T
    return found


def encode_pictures(model: "DualEncoder", images: np.ndarray, *, rows: int) -> np.ndarray:
    """Pixels [b, s, s, 3] -> embeddings float32 [b, e], always `rows` at a time.

    A batch of another size would be compiled anew; what fills the last one up is cut off again.
    """
    found = [np.empty((0, model.embed_dim), np.float32)]
    for first in range(0, len(images), rows):
        batch = images[first : first + rows]
        filled = np.zeros((rows, *batch.shape[1:]), batch.dtype)
        filled[: len(batch)] = batch
        found.append(np.asarray(model.encode_image(filled))[: len(batch)])
    return np.concatenate(found)


@dataclass(frozen=True)
class Job:
    """What a worker has to know to embed some pictures. It can be pickled.

    Args:
        folder: of the index.
        facts: of the index; `model` and `source` say what to load.
        batch_size: pictures at a time.
    """

    folder: Path
    facts: "IndexFacts"
    batch_size: int


def embed_here(
    named: Sequence[Named], job: Job, model: "DualEncoder", *, advance: Callable[[int], object]
) -> None:
    """Embed pictures in this process, keeping what is done after every `PART` of them."""
    import tfrecords

    pictures = tfrecords.pictures_of(**job.facts.source)
    stamps = dict(named)
    names: list[str] = []
    embeddings: list[np.ndarray] = []
    unreadable: list[tuple[str, str]] = []

    def keep() -> None:
        found = np.concatenate(embeddings) if embeddings else np.empty((0, model.embed_dim))
        _keep(job, names, [stamps[name] for name in names], found, unreadable)
        for each in (names, embeddings, unreadable):
            each.clear()

    loads = ((name, partial(pictures.load, name, stamp)) for name, stamp in named)
    batches = tfrecords.read_pictures(loads, batch_size=job.batch_size, **model.preprocessing)
    try:
        for batch in batches:
            embeddings.append(encode_pictures(model, batch.images, rows=job.batch_size))
            names += batch.names
            unreadable += batch.unreadable
            if len(names) + len(unreadable) >= PART:
                keep()
            advance(len(batch.names) + len(batch.unreadable))
    finally:
        if names or unreadable:
            keep()


def embed_with_beam(named: Sequence[Named], job: Job, *, options: str) -> None:
    """The same through Apache Beam, `PART` pictures an element.

    Pictures, index and model must be where all workers see them under the same name.
    """
    import tfrecords

    pieces = iter(named)
    tfrecords.run_beam(
        list(iter(lambda: list(islice(pieces, PART)), [])), job, options=options, work=_embed_piece
    )


def _embed_piece(named: list[Named], job: Job) -> None:
    """What one of Beam's workers does with one element."""
    from pipelines.runs import quiet

    quiet.import_tensorflow()
    import dual_encoder

    model = _loaded(job.facts.model)
    dual_encoder.check_fingerprint(job.folder, job.facts, dual_encoder.fingerprint(model))
    embed_here(named, job, model, advance=lambda count: None)


_loaded = cache(load_dual_encoder)


def _keep(
    job: Job, names: list[str], stamps: list[Any], embeddings: np.ndarray, unreadable: list
) -> None:
    from dual_encoder import IndexRows, write_part

    rows = IndexRows.of(names, stamps, embeddings)
    write_part(job.folder, rows, job.facts, unreadable=unreadable)
