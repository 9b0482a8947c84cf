"""Match the class names of a model with those of records: by name, never by place."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from duet import name_list

if TYPE_CHECKING:
    from tfrecords import Manifest


#: What to do about classes that go by other names; no option can give those of a classifier.
RENAME = (
    "the same by other names: rename the folders or labels of the images and prepare them again"
)


def match_classes(own: Sequence[str], manifest: "Manifest", *, model: str) -> np.ndarray:
    """Where each class of the records is among the model's own, int [C]; -1 where it is not.

    Case, underscores and spaces, and composed or decomposed letters make no difference; a name
    that is spelt just the same goes first. Of a name that several classes have in both, as in
    published lists, the first is the first, and so on.

    Raises:
        ValueError: the model has none of the classes, or one of them may be two of its own.
    """
    import tfrecords

    exact: dict[str, list[int]] = {}
    places: dict[str, list[int]] = {}
    met: Counter[str] = Counter()
    for place, name in enumerate(own):
        exact.setdefault(name, []).append(place)
        places.setdefault(tfrecords.name_key(name), []).append(place)
    found = []
    for name, spoken in zip(manifest.class_names, manifest.spoken_names, strict=True):
        near = places.get(tfrecords.name_key(spoken), [])
        same = next((exact[text] for text in (name, spoken) if text in exact), [])
        same = same[min(met[name], len(same) - 1) :] if same else []
        met[name] += 1
        if len(near) > 1 and not same:
            raise ValueError(
                f"class {name!r} of {manifest.dataset} may be {own[near[0]]!r} or "
                f"{own[near[1]]!r} of {model}"
            )
        found.append((same or near or [-1])[0])
    if all(place < 0 for place in found):
        theirs, ours = (name_list.first_of(each, 3) for each in (manifest.spoken_names, own))
        raise ValueError(
            f"{model} has none of the classes of {manifest.dataset}: expected {theirs}; it has "
            f"{ours}; {RENAME}"
        )
    return np.array(found)
