"""The images that each method of a comparison gets wrong, small enough to embed."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pipelines.reporting import page as reporting_page
from pipelines.runs.predictions import Said
from tfrecords.images import reencoding

SHOWN = 6


def choose(said: Mapping[str, Said], *, asked: np.ndarray) -> dict[str, list[int]]:
    """Places of images that each method gets wrong, of those that `asked`, bool [n], is true of.

    Those first that the fewest methods get wrong: what is wrong with this one, not the image.
    """
    if not said:
        return {}
    wrong = {name: ~each.right & asked for name, each in said.items()}
    company = np.sum(list(wrong.values()), axis=0)
    found = {}
    for name, rows in wrong.items():
        places = np.flatnonzero(rows)
        found[name] = places[np.argsort(company[places], kind="stable")][:SHOWN].tolist()
    return found


def rows(
    tested: Sequence[tuple[str, int]],
    split: str,
    said: Mapping[str, Said],
    *,
    asked: np.ndarray,
    names: list[str],
) -> list[dict[str, Any]]:
    """One row of images per method, as the template `confusions` takes them.

    Args:
        tested: folders of records, one of each fold, and how many images of their split were
            tested.
        asked: which of the images are of classes trained on, bool [n].
    """
    import tfrecords

    chosen = choose(said, asked=asked)
    wanted = {place for places in chosen.values() for place in places}
    images, first = {}, 0
    for data, count in tested:
        own = {place - first for place in wanted if first <= place < first + count}
        for place, example in tfrecords.examples_at(data, split, own):
            images[first + place] = reencoding.jpeg(reencoding.pixels(example.image))
        first += count
    return [
        {
            "text": name,
            "thumbnails": [
                _thumbnail(images[place], *said[name].in_words(place, names)) for place in places
            ],
        }
        for name, places in chosen.items()
        if places
    ]


def _thumbnail(image: bytes, truth: str, answer: str) -> dict[str, str]:
    return {
        "uri": reporting_page.data_uri(image, "jpeg"),
        "alt": f"{truth}, taken for {answer}",
        "truth": truth,
        "answer": answer,
    }
