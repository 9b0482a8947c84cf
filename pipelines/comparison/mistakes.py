"""The images that each method of a comparison gets wrong, small enough to embed."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pipelines.reporting import page as reporting_page
from pipelines.runs.predictions import Predictions
from tfrecords import image_reencoding

SHOWN = 6


def choose(
    said: Mapping[str, Predictions], *, seen: Sequence[int], shown: int = SHOWN
) -> dict[str, list[int]]:
    """Places of images of seen classes that each method gets wrong.

    Those first that the fewest methods get wrong: what is wrong with this one, not the image.
    """
    if not said:
        return {}
    labels = next(iter(said.values())).labels
    wrong = {name: ~each.right & np.isin(labels, seen) for name, each in said.items()}
    company = np.sum(list(wrong.values()), axis=0)
    return {
        name: (places := np.flatnonzero(rows))[np.argsort(company[places], kind="stable")][
            :shown
        ].tolist()
        for name, rows in wrong.items()
    }


def rows(
    tested: Sequence[tuple[str, int]],
    split: str,
    said: Mapping[str, Predictions],
    *,
    seen: Sequence[int],
    names: list[str],
) -> list[dict[str, Any]]:
    """One row of images per method, as the template `confusions` takes them.

    tested: folders of records, one of each fold, and how many images of their split were tested.
    """
    import tfrecords

    chosen = choose(said, seen=seen)
    wanted = {place for places in chosen.values() for place in places}
    images, first = {}, 0
    for data, count in tested:
        own = {place - first for place in wanted if first <= place < first + count}
        for place, example in tfrecords.examples_at(data, split, own):
            images[first + place] = image_reencoding.jpeg(image_reencoding.pixels(example.image))
        first += count
    return [
        {
            "text": name,
            "thumbnails": [
                {
                    "uri": reporting_page.data_uri(images[place], "jpeg"),
                    "alt": _alt(said[name], place, names),
                    **_truth_and_answer(said[name], place, names),
                }
                for place in places
            ],
        }
        for name, places in chosen.items()
        if places
    ]


def _alt(said: Predictions, place: int, names: list[str]) -> str:
    words = _truth_and_answer(said, place, names)
    return f"{words['truth']}, taken for {words['answer']}"


def _truth_and_answer(said: Predictions, place: int, names: list[str]) -> dict[str, str]:
    true, own = int(said.labels[place]), int(said.own[place])
    return {"truth": names[true], "answer": names[own] if own >= 0 else "nothing"}
