"""The record schema: the keys of an image's record, and its serialisation and parsing.

A record is a plain `tf.train.Example` with the keys of TensorFlow's image records, so any
TFRecord reader can use it. Serialising needs only protobuf, not TensorFlow: the processes that
write shards start in a fraction of a second and use little memory.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from numbers import Integral
from typing import TYPE_CHECKING, Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

if TYPE_CHECKING:
    import tensorflow as tf


VERSION = 1  # records with one label per image, or none

MULTI_LABEL_VERSION = 2  # records with several labels per image

# The class index of an image, or in multi-label data the indices of all its classes, ascending;
# () for an image with none of the classes.
Label = int | tuple[int, ...]


@dataclass(frozen=True)
class RawExample:
    """One undecoded image of a source.

    Attributes:
        filename: path relative to the source.
        load: reads or draws the file and returns its bytes, JPEG, PNG or another format.
        label: class index, in multi-label data a tuple of indices; None without labels.
        captions: the captions of the image, none or several.

    Raises:
        ValueError: a label that is no whole number, or captions that are one text.
    """

    filename: str
    load: Callable[[], bytes]
    label: Label | None = None
    captions: tuple[str, ...] = ()

    def __post_init__(self):
        given = self.label
        several = given if isinstance(given, tuple) else () if given is None else (given,)
        if any(isinstance(n, bool) or not isinstance(n, Integral) for n in several):
            raise ValueError(
                f"{self.filename}: label: expected a class index or a tuple of them; got {given!r}"
            )
        if isinstance(self.captions, str) or not all(isinstance(c, str) for c in self.captions):
            raise ValueError(
                f"{self.filename}: captions: expected a tuple of texts; got {self.captions!r}"
            )
        if several:  # NumPy's integers are of no use to JSON
            whole = sorted({int(number) for number in several})
            object.__setattr__(
                self, "label", tuple(whole) if isinstance(given, tuple) else whole[0]
            )


@dataclass(frozen=True)
class Example:
    """One image as stored in a record.

    Attributes:
        image: the encoded image, upright RGB or greyscale with 8 bits per channel.
        format: how it is encoded, jpeg or png.
        height, width: size in pixels once decoded.
        id: position of the image in its split of the source, from 0. A rejected image leaves a
            gap, so the others keep their ids.
        filename: path relative to the source.
        label: class index, in multi-label data a tuple of indices; None without labels.
        captions: the captions of the image, none or several.
        class_name: class name, or names separated by "|", for people who inspect the record.
    """

    image: bytes
    format: str
    height: int
    width: int
    id: int
    filename: str
    label: Label | None = None
    captions: tuple[str, ...] = ()
    class_name: str = ""


def serialize(example: Example) -> bytes:
    """Serialise to a `tf.train.Example`: the same image gives the same bytes everywhere."""
    record = _example_message()()
    feature = record.features.feature

    def put_bytes(key: str, *values: bytes) -> None:
        feature[key].bytes_list.value.extend(values)

    def put_int(key: str, *values: int) -> None:
        feature[key].int64_list.value.extend(values)

    put_bytes("image/encoded", example.image)
    put_bytes("image/format", example.format.encode())
    put_int("image/height", example.height)
    put_int("image/width", example.width)
    put_int("image/id", example.id)
    put_bytes("image/filename", example.filename.encode())
    if isinstance(example.label, tuple):
        feature["image/class/labels"].int64_list.SetInParent()  # writes the list even if empty
        put_int("image/class/labels", *example.label)
    elif example.label is not None:
        put_int("image/class/label", example.label)
    if example.label is not None:
        put_bytes("image/class/text", example.class_name.encode())
    if example.captions:
        put_bytes("image/caption", *(caption.encode() for caption in example.captions))
    return record.SerializeToString(deterministic=True)


def deserialize(data: bytes) -> Example:
    """Parses the result of `serialize`; ValueError if a required key is missing."""
    record = parse_features(data)
    several = record.get("image/class/labels")
    try:
        return Example(
            image=record["image/encoded"][0],
            format=record["image/format"][0].decode(),
            height=record["image/height"][0],
            width=record["image/width"][0],
            id=record["image/id"][0],
            filename=record["image/filename"][0].decode(),
            label=record.get("image/class/label", [None])[0] if several is None else tuple(several),
            captions=tuple(text.decode() for text in record.get("image/caption", ())),
            class_name=record.get("image/class/text", [b""])[0].decode(),
        )
    except KeyError as error:
        raise ValueError(f"the record has no {error}; it has: {', '.join(record)}") from None


def parse_features(data: bytes) -> dict[str, list[Any]]:
    """Parses any `tf.train.Example` to lists of bytes, floats or integers, without TensorFlow."""
    features = _example_message().FromString(data).features.feature
    return {
        key: list(getattr(feature, kind).value)
        for key, feature in features.items()
        if (kind := feature.WhichOneof("kind"))
    }


def features() -> dict:
    """Returns the features for `tf.io.parse_example`; missing label: -1, missing list: empty."""
    import tensorflow as tf

    return {
        "image/encoded": tf.io.FixedLenFeature([], tf.string),
        "image/format": tf.io.FixedLenFeature([], tf.string),
        "image/height": tf.io.FixedLenFeature([], tf.int64),
        "image/width": tf.io.FixedLenFeature([], tf.int64),
        "image/id": tf.io.FixedLenFeature([], tf.int64),
        "image/filename": tf.io.FixedLenFeature([], tf.string),
        "image/class/label": tf.io.FixedLenFeature([], tf.int64, default_value=-1),
        "image/class/labels": tf.io.RaggedFeature(tf.int64),
        "image/class/text": tf.io.FixedLenFeature([], tf.string, default_value=""),
        "image/caption": tf.io.RaggedFeature(tf.string),
    }


def parse(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
    """Parse one record (a scalar string tensor) to scalars; captions and labels are vectors.

    Works inside a graph. Raises `tf.errors.InvalidArgumentError` if a required key is missing.
    """
    import tensorflow as tf

    return tf.io.parse_single_example(serialized, features())


@cache
def _example_message() -> type[Any]:
    """Returns the `tensorflow.Example` message class, built here to avoid importing TensorFlow.

    Uses a separate descriptor pool: TensorFlow registers the same name in the default one.
    """
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="duet/example.proto", package="tensorflow", syntax="proto3"
    )

    names = ("BytesList", "FloatList", "Int64List", "Feature", "Features", "Example")
    *lists, feature, table, example = (file.message_type.add(name=name) for name in names)
    feature.oneof_decl.add(name="kind")
    entry = table.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True

    one, several = {"label": field.LABEL_OPTIONAL}, {"label": field.LABEL_REPEATED}
    for each, kind in zip(lists, ("BYTES", "FLOAT", "INT64"), strict=True):
        each.field.add(name="value", number=1, type=f"TYPE_{kind}", **several)
    for number, name in enumerate(("bytes_list", "float_list", "int64_list"), start=1):
        of = f".tensorflow.{names[number - 1]}"
        feature.field.add(name=name, number=number, type_name=of, oneof_index=0, **one)
    entry.field.add(name="key", number=1, type="TYPE_STRING", **one)
    entry.field.add(name="value", number=2, type_name=".tensorflow.Feature", **one)
    rows = ".tensorflow.Features.FeatureEntry"
    table.field.add(name="feature", number=1, type_name=rows, **several)
    example.field.add(name="features", number=1, type_name=".tensorflow.Features", **one)

    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("tensorflow.Example"))
