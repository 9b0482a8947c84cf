"""The record: which keys an image is stored under, and how it is written and parsed.

A record is a plain `tf.train.Example`, keyed as in TensorFlow's own image records, so any
TFRecord reader can use it. Serialising needs protobuf alone, not TensorFlow: the processes that
write shards start in a fraction of a second and stay small.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

if TYPE_CHECKING:
    import tensorflow as tf


VERSION = 1  # of records with one label per image, or none

MULTI_LABEL_VERSION = 2  # of records with several

FORMATS = ("jpeg", "png")

# The class number of an image, or in a multi-label set those of all its classes, ascending;
# () is an image that shows none of them.
Label = int | tuple[int, ...]


@dataclass(frozen=True)
class RawExample:
    """One image as a source offers it, before anybody has looked at its pixels.

    Attributes:
        filename: where it comes from, relative to the source.
        load: reads or draws the file and returns its bytes, JPEG, PNG or another kind.
        label: class number, in a multi-label set the numbers; None without labels.
        captions: the captions of the image, none or several.
    """

    filename: str
    load: Callable[[], bytes]
    label: Label | None = None
    captions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Example:
    """One image as it is stored.

    Attributes:
        image: the encoded image, upright RGB or greyscale with 8 bits per channel.
        format: how it is encoded, one of `FORMATS`.
        height, width: size in pixels once decoded.
        id: position of the image in its split as the source lists it, from 0. A rejected
            image leaves a gap, so the others keep their ids.
        filename: where it came from, relative to the source.
        label: class number, in a multi-label set the numbers; None without labels.
        captions: the captions of the image, none or several.
        class_name: name of the class, or names with "|" between, for people who look into the
            record.
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
        feature["image/class/labels"].int64_list.SetInParent()  # a list also where it is empty
        put_int("image/class/labels", *example.label)
    elif example.label is not None:
        put_int("image/class/label", example.label)
    if example.label is not None:
        put_bytes("image/class/text", example.class_name.encode())
    if example.captions:
        put_bytes("image/caption", *(caption.encode() for caption in example.captions))
    return record.SerializeToString(deterministic=True)


def deserialize(data: bytes) -> Example:
    """The image that `serialize` made `data` of; ValueError if a required key is missing."""
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
    """Any `tf.train.Example` as a dict of lists of bytes, floats or integers, without a graph."""
    features = _example_message().FromString(data).features.feature
    return {
        key: list(getattr(feature, kind).value)
        for key, feature in features.items()
        if (kind := feature.WhichOneof("kind"))
    }


def features() -> dict:
    """What `tf.io.parse_example` needs; a missing label reads as -1, missing lists as empty."""
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
    """The `tensorflow.Example` message class, described here so as not to import TensorFlow.

    It lives in a pool of its own: TensorFlow registers the same name in the default pool.
    """
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="duet/example.proto", package="tensorflow", syntax="proto3"
    )

    def add_message(name: str) -> descriptor_pb2.DescriptorProto:
        return file.message_type.add(name=name)

    for name, kind in [
        ("BytesList", field.TYPE_BYTES),
        ("FloatList", field.TYPE_FLOAT),
        ("Int64List", field.TYPE_INT64),
    ]:
        add_message(name).field.add(name="value", number=1, type=kind, label=field.LABEL_REPEATED)

    feature = add_message("Feature")
    feature.oneof_decl.add(name="kind")
    for number, name in enumerate(["bytes_list", "float_list", "int64_list"], start=1):
        feature.field.add(
            name=name,
            number=number,
            type=field.TYPE_MESSAGE,
            label=field.LABEL_OPTIONAL,
            type_name=".tensorflow." + name.title().replace("_", ""),
            oneof_index=0,
        )

    table = add_message("Features")
    entry = table.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=field.TYPE_STRING, label=field.LABEL_OPTIONAL)
    entry.field.add(
        name="value",
        number=2,
        type=field.TYPE_MESSAGE,
        label=field.LABEL_OPTIONAL,
        type_name=".tensorflow.Feature",
    )
    table.field.add(
        name="feature",
        number=1,
        type=field.TYPE_MESSAGE,
        label=field.LABEL_REPEATED,
        type_name=".tensorflow.Features.FeatureEntry",
    )
    add_message("Example").field.add(
        name="features",
        number=1,
        type=field.TYPE_MESSAGE,
        label=field.LABEL_OPTIONAL,
        type_name=".tensorflow.Features",
    )

    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("tensorflow.Example"))
