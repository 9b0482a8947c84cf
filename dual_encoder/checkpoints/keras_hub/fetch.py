"""Download KerasHub presets by name or Kaggle handle, into Kaggle's cache.

Cache and credentials are where kagglehub looks for them: KAGGLEHUB_CACHE, KAGGLE_USERNAME,
KAGGLE_KEY.
"""

import re
from pathlib import Path

from duet import exception_summary

ADDRESS = "kaggle://"

NAME = re.compile(r"[a-z0-9.]+(_[a-z0-9.]+)+")  # bert_base_en: no hyphens, no folder, no suffix


def handle(name: str) -> str | None:
    """The handle of a preset on Kaggle; None where the name is not one of KerasHub's.

    Raises:
        ValueError: an address that is none.
    """
    if name.startswith(ADDRESS):
        found = name.removeprefix(ADDRESS)
        if len(found.split("/")) not in (4, 5):
            raise ValueError(
                f"{name}: expected {ADDRESS}ORG/MODEL/keras/PRESET, and perhaps /VERSION"
            )
        return found
    if not NAME.fullmatch(name):
        return None
    import keras_hub

    row = keras_hub.models.Backbone.presets.get(name)
    return None if row is None else str(row["kaggle_handle"]).removeprefix(ADDRESS)


def kind(found: str) -> str | None:
    """The class of KerasHub of a preset by its handle; None where KerasHub does not list it."""
    import keras_hub

    name, made = found.split("/")[3], keras_hub.models.Backbone
    while deeper := [each for each in made.__subclasses__() if name in each.presets]:
        made = deeper[0]
    return None if made is keras_hub.models.Backbone else made.__name__


def fetch(name: str, found: str) -> Path:
    """The folder of a preset by its handle, `found`; errors call it `name`.

    Raises:
        ConnectionError: Kaggle cannot be reached, or does not give it.
    """
    import kagglehub

    try:
        return Path(kagglehub.model_download(found))
    except Exception as error:  # of Kaggle's API, HTTP and archives: nothing in common
        reason = exception_summary.first_line(error)
        raise ConnectionError(
            f"{name}: Kaggle did not give {found} ({reason}); check the network and, for what is "
            "not public, KAGGLE_USERNAME and KAGGLE_KEY"
        ) from error
