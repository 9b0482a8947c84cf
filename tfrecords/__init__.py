"""From images on disk to batches: sources, records, and the reader that feeds `fit`."""

from typing import TYPE_CHECKING, Any

from tfrecords.load_options import Augmentation as Augmentation
from tfrecords.load_options import Subset as Subset
from tfrecords.load_options import Texts as Texts
from tfrecords.manifest import Manifest as Manifest
from tfrecords.preprocessing import Preprocessing as Preprocessing
from tfrecords.schema import Example as Example
from tfrecords.schema import RawExample as RawExample
from tfrecords.sources.catalog import DATASETS as DATASETS
from tfrecords.sources.catalog import Dataset as Dataset

if TYPE_CHECKING:
    from tfrecords.class_name_keys import more_than_name as more_than_name
    from tfrecords.class_name_keys import name_key as name_key
    from tfrecords.images.export_decode import uploads_to_squares as uploads_to_squares
    from tfrecords.images.file_batches import read_images as read_images
    from tfrecords.images.graph_ops import read_image as read_image
    from tfrecords.images.image_lookup import ImageFolder as ImageFolder
    from tfrecords.images.image_lookup import ImageRecords as ImageRecords
    from tfrecords.images.image_lookup import ImageStore as ImageStore
    from tfrecords.images.image_lookup import examples_at as examples_at
    from tfrecords.images.image_lookup import images_of as images_of
    from tfrecords.images.reencoding import UnreadableError as UnreadableError
    from tfrecords.images.reencoding import thumbnail as thumbnail
    from tfrecords.iteration_counting import looking as looking
    from tfrecords.iteration_counting import without_autotuning as without_autotuning
    from tfrecords.non_utf8_names import escaped as escaped
    from tfrecords.non_utf8_names import unescaped as unescaped
    from tfrecords.reader import examples as examples
    from tfrecords.reader import load as load
    from tfrecords.reader import steps_per_epoch as steps_per_epoch
    from tfrecords.runners import run_beam as run_beam
    from tfrecords.selection import image_ids as image_ids
    from tfrecords.selection import labels as labels
    from tfrecords.sources.base import prompt_names as prompt_names
    from tfrecords.sources.table_parsing import read_table as read_table
    from tfrecords.sources.walk import passed_over as passed_over
    from tfrecords.text_files import read_json as read_json
    from tfrecords.text_files import read_lines as read_lines
    from tfrecords.verification import naming_damage as naming_damage
    from tfrecords.verification import verify as verify
    from tfrecords.verification import verify_splits as verify_splits
    from tfrecords.writer import REJECTED as REJECTED
    from tfrecords.writer import write as write

_LAZY = {
    "ImageFolder": "images.image_lookup",
    "ImageRecords": "images.image_lookup",
    "ImageStore": "images.image_lookup",
    "REJECTED": "writer",
    "UnreadableError": "images.reencoding",
    "escaped": "non_utf8_names",
    "examples": "reader",
    "examples_at": "images.image_lookup",
    "image_ids": "selection",
    "images_of": "images.image_lookup",
    "labels": "selection",
    "load": "reader",
    "looking": "iteration_counting",
    "more_than_name": "class_name_keys",
    "name_key": "class_name_keys",
    "naming_damage": "verification",
    "passed_over": "sources.walk",
    "prompt_names": "sources.base",
    "read_image": "images.graph_ops",
    "read_images": "images.file_batches",
    "read_json": "text_files",
    "read_lines": "text_files",
    "read_table": "sources.table_parsing",
    "run_beam": "runners",
    "steps_per_epoch": "reader",
    "thumbnail": "images.reencoding",
    "unescaped": "non_utf8_names",
    "uploads_to_squares": "images.export_decode",
    "verify": "verification",
    "verify_splits": "verification",
    "without_autotuning": "iteration_counting",
    "write": "writer",
}

# Old names from before version 0.2, still accepted with a DeprecationWarning.
_RENAMED = {
    "PictureFolder": "ImageFolder",
    "PictureRecords": "ImageRecords",
    "Pictures": "ImageStore",
    "pictures_of": "images_of",
    "read_picture": "read_image",
    "read_pictures": "read_images",
}


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})


def __getattr__(name: str) -> Any:
    # Lazy: the reader imports TensorFlow (seconds); the catalogue and manifests do not need it.
    import importlib
    import warnings

    if name in _RENAMED:
        new = _RENAMED[name]
        message = f"tfrecords.{name} is tfrecords.{new} now"
        warnings.warn(message, DeprecationWarning, stacklevel=2)
        name = new
    if name not in _LAZY:
        raise AttributeError(f"module 'tfrecords' has no attribute {name!r}")
    return getattr(importlib.import_module(f"tfrecords.{_LAZY[name]}"), name)
