"""The manifest of a folder of records: its contents, with checksums to verify them."""

from __future__ import annotations

import difflib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from shlex import quote

from duet import atomic_files, json_validation
from tfrecords import schema
from tfrecords.manifest_validation import check

FILE_NAME = "manifest.json"

WORK_FOLDER = ".unfinished"  # of records that are being written

OF_RUNS = ("config.yaml", "results.json", "export.json")  # files of folders that hold no records

DEFAULT_TEMPLATES = ("a photo of a {}.",)


@dataclass(frozen=True)
class ShardInfo:
    """One finished shard: its file name, records in it, size in bytes and SHA-256 (hex)."""

    name: str
    records: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class SplitInfo:
    """One split: its number of images, their annotations, and its shards.

    `class_counts[i]` is the number of images of class i; empty without labels. With several labels
    an image counts in each of its classes.
    `captions`: every image has captions; `labels`: every image has a label; `rejected`: the number
    of unreadable images, listed in `rejected.csv`.
    """

    count: int
    labels: bool
    captions: bool
    class_counts: tuple[int, ...]
    shards: tuple[ShardInfo, ...]
    rejected: int = 0


@dataclass(frozen=True)
class Manifest:
    """Description of a folder of records.

    Attributes:
        schema: version of the record format: 1, and 2 if `multi_label`.
        dataset: name of the data set.
        source: where the images came from, as the source describes itself.
        class_names: the class of each label, in order; empty without labels.
        templates: prompt templates with one `{}` for the class name; empty if unknown.
        metric: headline metric of the data set, one of `catalog.METRICS`.
        lossless: whether images must not be compressed lossily.
        splits: by name, in the order of the source.
        options: the writer's options.
        versions: of the libraries that decoded and encoded images.
        multi_label: an image has any number of classes, not just one. The file has this key
            only if true.
    """

    schema: int
    dataset: str
    source: dict
    class_names: tuple[str, ...]
    templates: tuple[str, ...]
    metric: str
    lossless: bool
    splits: dict[str, SplitInfo]
    options: dict
    versions: dict
    multi_label: bool = False

    @classmethod
    def read(cls, directory: str | Path) -> Manifest:
        """Read the manifest of a folder of records.

        Raises:
            FileNotFoundError: there is no folder, or it holds no finished records.
            ValueError: the manifest is damaged, does not add up, or is of another schema version.
        """
        path = Path(directory) / FILE_NAME
        try:
            data = json_validation.read(path, name=f"{path} is damaged")
        except (FileNotFoundError, NotADirectoryError):
            raise FileNotFoundError(_no_records(Path(directory))) from None
        version = data.get("schema")
        versions = (schema.VERSION, schema.MULTI_LABEL_VERSION)
        if version not in versions:
            raise ValueError(
                f"{path} has schema version {version}, expected {' or '.join(map(str, versions))}; "
                f"write the records again with: python -m pipelines prepare"
            )
        if data.get("multi_label", False) is not (version == schema.MULTI_LABEL_VERSION):
            raise ValueError(
                f"{path} is damaged: schema version {version} with multi_label "
                f"{data.get('multi_label')}"
            )
        try:
            check(data)
        except ValueError as error:
            raise ValueError(f"{path} is damaged: {error}") from None
        return _from_json(data)

    def write(self, directory: str | Path) -> None:
        """Write to `directory`, atomically."""
        atomic_files.write(Path(directory) / FILE_NAME, self.to_json())

    def to_json(self) -> str:
        data = asdict(self)
        if not self.multi_label:
            del data["multi_label"]  # schema 1 lacks this key
        return json.dumps(data, indent=2, ensure_ascii=False) + "\n"

    @property
    def spoken_names(self) -> tuple[str, ...]:
        """Class names for prompts: underscores become spaces."""
        return tuple(name.replace("_", " ") for name in self.class_names)

    @property
    def prompt_templates(self) -> tuple[str, ...]:
        """The data set's prompt templates, or a generic one."""
        return self.templates or DEFAULT_TEMPLATES

    @property
    def class_prompts(self) -> tuple[tuple[str, ...], ...]:
        """Each class name in every template, used in place of captions if there are none."""
        return tuple(
            tuple(template.replace("{}", name) for template in self.prompt_templates)
            for name in self.spoken_names
        )

    def split(self, name: str) -> SplitInfo:
        """Returns a split by name; ValueError lists the available splits."""
        if not isinstance(name, str) or name not in self.splits:
            choices = ", ".join(self.splits)
            raise ValueError(f"{self.dataset} has no split {name!r}; it has: {choices}")
        return self.splits[name]


def _from_json(data: dict) -> Manifest:
    splits = {
        name: SplitInfo(
            **{
                **split,
                "class_counts": tuple(split["class_counts"]),
                "shards": tuple(ShardInfo(**shard) for shard in split["shards"]),
            }
        )
        for name, split in data["splits"].items()
    }
    return Manifest(
        **{
            **data,
            "class_names": tuple(data["class_names"]),
            "templates": tuple(data["templates"]),
            "splits": splits,
        }
    )


def _no_records(directory: Path) -> str:
    """Says what a folder is that was mistaken for records, and how to make some."""
    why, source, out = f"{FILE_NAME} is missing", "IMAGES", directory
    if not directory.exists():
        why = "there is no such folder"
        beside = {path.parent.name for path in directory.parent.glob(f"*/{FILE_NAME}")}
        if close := difflib.get_close_matches(directory.name, beside, n=1):
            return (
                f"{directory} holds no records ({why}); did you mean {directory.parent / close[0]}?"
            )
    elif directory.is_file():
        return f"{directory} is a file; expected a folder of records, as prepare writes it"
    elif any((directory / name).is_file() for name in OF_RUNS):
        return f"{directory} holds no records: another command than prepare has written there"
    elif any(path.is_dir() for path in directory.iterdir()):
        source, out = str(directory), Path("records", directory.resolve().name)
    return (
        f"{directory} holds no records ({why}); make them with: "
        f"python -m pipelines prepare --folder {quote(source)} --out {quote(str(out))}"
    )
