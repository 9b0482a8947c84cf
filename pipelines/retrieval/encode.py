"""Encodes texts, queries and images with a dual encoder."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dual_encoder import row_length
from pipelines.retrieval.answers import Query
from pipelines.runs import finite_answers

if TYPE_CHECKING:
    from dual_encoder import CoOp, DualEncoder


TEXTS = 8  # several texts are encoded so many at a time


def encode_texts(model: "DualEncoder", texts: Sequence[str]) -> np.ndarray:
    """Returns embeddings float32 [q, e] of text queries.

    Raises:
        ValueError: a text is empty, or exceeds the context length: the rest would silently be
            ignored.
        RuntimeError: the model answers with NaN.
    """
    ids = token_ids(model, texts)
    rows = 1 if len(ids) == 1 else TEXTS  # two shapes, as each new one is compiled again
    missing = -len(ids) % rows
    ids = np.concatenate([ids, np.repeat(ids[:1], missing, axis=0)])
    found = [np.asarray(model.encode_text(part)) for part in np.split(ids, len(ids) // rows)]
    return finite_answers.checked(np.concatenate(found)[: len(texts)], of="texts")


def token_ids(model: "DualEncoder", texts: Sequence[str]) -> np.ndarray:
    """Returns token ids of queries, int32 [q, n], n a multiple of 8 if padding can be cut.

    Raises ValueError like `encode_texts`.
    """
    for text in texts:
        if not text.strip():
            raise ValueError("query: expected words; got an empty text")
    length = row_length(model, texts, strict=True)
    return model.tokenizer(list(texts), length=length, strict=True)


def encode_queries(
    model: "DualEncoder",
    queries: Sequence[Query],
    *,
    read: Callable[[Path], np.ndarray],
    prompts: "CoOp | None" = None,
) -> np.ndarray:
    """Returns embeddings float32 [q, e] of text and image queries, in order.

    `read` returns the pixels of an image file. With learnt prompts, text queries are class names
    to insert into them.

    Raises:
        ValueError: see `encode_texts`; also for an unreadable image, or class-specific prompts.
        FileNotFoundError: no such image.
    """
    found = np.empty((len(queries), model.embed_dim), np.float32)
    places: dict[str, list[int]] = {"text": [], "image": []}
    for place, query in enumerate(queries):
        places[query.kind].append(place)
    images = []
    for place in places["image"]:
        path = Path(queries[place].text)
        if not path.is_file():
            raise FileNotFoundError(f"--image: no file {path}")
        images.append(read(path))
    if images:
        found[places["image"]] = encode_images(model, np.stack(images), rows=min(32, len(images)))
    if places["text"]:
        texts = [queries[i].text for i in places["text"]]
        matrix = None if prompts is None else prompts.class_matrix(texts)
        found[places["text"]] = encode_texts(model, texts) if matrix is None else matrix.T
    return found


def encode_images(model: "DualEncoder", images: np.ndarray, *, rows: int) -> np.ndarray:
    """Maps pixels [b, s, s, 3] to embeddings float32 [b, e], always `rows` at a time.

    The last batch is padded, as another batch size would be compiled again. Raises RuntimeError
    where the model answers with NaN.
    """
    found = [np.empty((0, model.embed_dim), np.float32)]
    for first in range(0, len(images), rows):
        batch = images[first : first + rows]
        filled = np.zeros((rows, *batch.shape[1:]), batch.dtype)
        filled[: len(batch)] = batch
        found.append(np.asarray(model.encode_image(filled))[: len(batch)])
    return finite_answers.checked(np.concatenate(found))
