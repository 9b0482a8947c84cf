"""Which columns of a Parquet or Arrow file hold images, labels, captions and splits."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from tfrecords.sources.base import few
from tfrecords.sources.shards import arrow_files
from tfrecords.sources.table_columns import COLUMNS, plain_name

if TYPE_CHECKING:
    import pyarrow

_TEXTS = ("string", "large_string")

_WORDS = (*_TEXTS, "integer", "floating", "boolean", "dictionary")  # what a label may be

_LISTS = ("Sequence", "List", "LargeList")  # features of `datasets` with several values


@dataclass(frozen=True)
class Columns:
    """The columns that are read of a file; "" for none.

    Attributes:
        image: of bytes, such as `image.bytes`.
        path: of the images' names.
        label, caption, split: of these; a label may be a field of a column, `objects.category`.
        names: of the classes by number; () where the labels are names themselves.
    """

    image: str
    path: str = ""
    label: str = ""
    names: tuple[str, ...] = ()
    caption: str = ""
    split: str = ""

    @property
    def described(self) -> tuple[str, ...]:
        """The columns that every image has a value of, as `arrow_files.read` takes them."""
        label = self.label.partition(".")[0]
        return tuple(dict.fromkeys(filter(None, (self.path, label, self.caption, self.split))))


def columns_of(
    schema: pyarrow.Schema,
    *,
    where: object,
    image: str | None = None,
    label: str | None = None,
    caption: str | None = None,
) -> Columns:
    """Returns the columns to read: those given, or those that are called or marked so.

    Captions are sought where there are no labels, and labels not where a caption's column is given.

    Raises ValueError where a column is missing, of another kind, or may be one of several.
    """
    images = {name: parts for name in schema.names if (parts := _image(schema.field(name).type))}
    chosen = partial(_chosen, schema, where)
    column = chosen("image", image, images, list(images))
    if not column:
        raise ValueError(f"{where}: {_no_images(schema)}")
    of_bytes, of_path = images[column]
    marked = _marked(schema)
    words, texts = (_fitting(schema, kinds) for kinds in (_WORDS, _TEXTS))
    found, said = "", ""
    if label or not caption:
        own = [name for name in marked if name in schema.names] or list(marked)
        meant = dict.fromkeys([*own, *_called("label", words)])
        found = chosen("label", label, [*words, *marked], list(meant))
    if caption or not found:
        said = chosen("caption", caption, texts, _called("caption", texts))
    if not found and not said:
        raise ValueError(
            f"{where}: expected a column of labels or of captions, or --label-column or "
            f"--caption-column; it has {', '.join(schema.names)}"
        )
    return Columns(
        image=column + of_bytes,
        path=column + of_path if of_path else "",
        label=found,
        names=marked.get(found, ()),
        caption=said,
        split=next(iter(_called("split", texts)), ""),
    )


def _chosen(
    schema: pyarrow.Schema,
    where: object,
    what: str,
    given: str | None,
    usable: Collection[str],
    meant: list[str],
) -> str:
    """Returns the column given, or the only one that may be meant or is called so; or ""."""
    if given is not None:
        if given not in usable:
            raise ValueError(
                f"{where}: --{what}-column {given}: expected a column of {what}s; "
                f"it has {', '.join(_kinds(schema))}"
            )
        return given
    named = _called(what, meant)
    if len(meant) > 1 and (len(named) == 1 or plain_name((*named, "")[0]) == COLUMNS[what][0]):
        return named[0]
    if len(meant) > 1:
        raise ValueError(
            f"{where}: columns {' and '.join(meant)} may each be the {what}; "
            f"say which with --{what}-column"
        )
    return meant[0] if meant else ""


def _image(kind: pyarrow.DataType) -> tuple[str, str] | None:
    """Returns what follows a column's name for bytes, and for the image's name ("" for none); None
    if it is of no images."""
    from pyarrow import types

    def is_bytes(each: pyarrow.DataType) -> bool:
        return types.is_binary(each) or types.is_large_binary(each)

    if is_bytes(kind):
        return "", ""
    if types.is_struct(kind):
        fields = {field.name: field.type for field in kind}
        if "bytes" in fields and is_bytes(fields["bytes"]):
            return ".bytes", ".path" if "path" in fields else ""
    return None


def _marked(schema: pyarrow.Schema) -> dict[str, tuple[str, ...]]:
    """Returns the columns, and fields of them, that `datasets` knows as labels: their classes."""
    return {
        name + inner: names
        for name, feature in arrow_files.features_of(schema).items()
        if name in schema.names
        for inner, names in _class_labels(feature)
    }


def _class_labels(feature: Any) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yields what follows the name of a column for each `ClassLabel` in it, and its classes."""
    if isinstance(feature, list):
        for each in feature:
            yield from _class_labels(each)
    elif isinstance(feature, dict) and feature.get("_type") == "ClassLabel":
        yield "", tuple(map(str, feature.get("names") or ()))
    elif isinstance(feature, dict) and feature.get("_type") in _LISTS:
        yield from _class_labels(feature.get("feature"))
    elif isinstance(feature, dict) and "_type" not in feature:
        for name, each in feature.items():
            yield from ((f".{name}{inner}", names) for inner, names in _class_labels(each))


def _fitting(schema: pyarrow.Schema, kinds: Collection[str]) -> list[str]:
    """Returns the columns of such values, or of lists of them."""
    from pyarrow import types

    def fits(kind: pyarrow.DataType) -> bool:
        inner = kind.value_type if types.is_list(kind) or types.is_large_list(kind) else kind
        return any(getattr(types, f"is_{each}")(inner) for each in kinds)

    return [field.name for field in schema if fits(field.type)]


def _called(what: str, columns: Collection[str]) -> list[str]:
    """Returns those of some columns that are called as this is usually."""
    by_name = {plain_name(name): name for name in columns}
    return [by_name[name] for name in COLUMNS[what] if name in by_name]


def _kinds(schema: pyarrow.Schema) -> list[str]:
    return [f"{field.name} ({str(field.type)[:40]})" for field in schema]


def _no_images(schema: pyarrow.Schema) -> str:
    """Returns why none of the columns is of images."""
    told = f"expected a column of images, as bytes; it has {few(_kinds(schema))}"
    texts = _called("image", _fitting(schema, _TEXTS))
    return told + (
        f"; of {texts[0]}, addresses are for img2dataset, whose shards --webdataset reads, and "
        f"names of files for --labels or --captions with the table as CSV"
        if texts
        else ""
    )
