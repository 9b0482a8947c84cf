"""Read data sets prepared by TensorFlow Datasets from its shards, without importing TensorFlow.

TFDS lists the files and record counts of a split; the records are plain `tf.train.Example` with
the original encoded images, so nothing is decoded or re-encoded.
"""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tfrecords.framing import read_records
from tfrecords.schema import RawExample, parse_features
from tfrecords.sources.base import prompt_names
from tfrecords.sources.catalog import Dataset

_REACH_SECONDS = 10

_FILE_NAME_KEYS = ("file_name", "image/filename", "image/file_name", "id")


@dataclass(frozen=True)
class TfdsSource:
    """A data set prepared by TFDS.

    Args:
        shards: split -> its files with their numbers of records, in order.
        Others: see `Source`.
    """

    name: str
    version: str
    shards: dict[str, list[tuple[str, int]]]
    class_names: tuple[str, ...]
    templates: tuple[str, ...]
    metric: str
    lossless: bool

    @property
    def splits(self) -> dict[str, int]:
        return {split: sum(n for _, n in shards) for split, shards in self.shards.items()}

    def describe(self) -> dict:
        return {"kind": "tfds", "name": self.name, "version": self.version}

    def read(self, split: str, start: int, stop: int) -> Iterator[RawExample]:
        """Yields images in TFDS's order, which is already shuffled."""
        first = 0
        for path, count in self.shards[split]:
            lower, upper = max(start - first, 0), min(stop - first, count)
            if lower < upper:
                for index, data in enumerate(read_records(path, lower, upper), first + lower):
                    yield _raw_example(data, split, index)
            first += count


def tfds_source(entry: Dataset, *, data_dir: str | None, download: bool) -> TfdsSource:
    """Find the prepared TFDS data set of a catalogue entry.

    Args:
        data_dir: the TFDS folder; None for its default (`~/tensorflow_datasets`).
        download: let TFDS download and prepare a missing data set.

    Raises:
        FileNotFoundError: it is missing and `download` is False; the message has the command.
        ConnectionError: its host cannot be reached for the download.
        ValueError: it was prepared in a file format other than TFRecord.
    """
    import tensorflow_datasets as tfds

    builder = tfds.builder(entry.tfds, data_dir=data_dir, try_gcs=False)
    if not builder.info.splits:
        if not download:
            raise FileNotFoundError(
                f"{entry.name} is not prepared under {builder.data_dir}; where there is a network: "
                f"python -m pipelines prepare --dataset {entry.name} --download --out DIR"
                + (f" --data-dir {data_dir}" if data_dir else "")
                + (f"; or unpack {entry.archives} there" if entry.archives else "")
            )
        _reach(builder.info.homepage, entry.name)
        builder.download_and_prepare()
    if builder.info.file_format.value != "tfrecord":
        raise ValueError(
            f"{builder.data_dir} is prepared as {builder.info.file_format.value}, expected tfrecord"
        )
    splits = {ours: builder.info.splits[published] for published, ours in entry.splits.items()}
    return TfdsSource(
        name=entry.name,
        version=str(builder.info.full_name),
        shards={
            ours: [
                (os.fspath(path), count)
                for path, count in zip(split.filepaths, split.shard_lengths, strict=True)
            ]
            for ours, split in splits.items()
        },
        class_names=_class_names(entry, builder.info.features),
        templates=entry.templates,
        metric=entry.metric,
        lossless=entry.lossless,
    )


def _class_names(entry: Dataset, features: Mapping) -> tuple[str, ...]:
    if entry.class_names or "label" not in features:
        return entry.class_names
    return prompt_names(features["label"].names, renames=entry.renames)


def _raw_example(data: bytes, split: str, index: int) -> RawExample:
    record = parse_features(data)
    label = record["label"][0] if "label" in record else None
    captions = tuple(text.decode() for text in record.get("captions/text", ()))
    named = next((record[key][0] for key in _FILE_NAME_KEYS if record.get(key)), None)
    filename = named.decode() if isinstance(named, bytes) else f"{split}/{index:06d}"
    return RawExample(filename, lambda: record["image"][0], label, captions)


def _reach(url: str, name: str) -> None:
    """Fails within seconds if there is no network; TFDS itself retries for minutes."""
    try:
        urllib.request.urlopen(url, timeout=_REACH_SECONDS).close()
    except urllib.error.HTTPError:
        pass  # the host answered
    except OSError as error:
        raise ConnectionError(
            f"cannot download {name}: {url} cannot be reached ({error}); prepare it where there "
            f"is a network, copy the TFDS folder here and name it with --data-dir"
        ) from None
