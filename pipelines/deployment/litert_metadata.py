"""Metadata of a LiteRT file: class names, templates, preprocessing.

In the form that TensorFlow Lite Support, MediaPipe and Android's code generator read (TFLite
metadata, `metadata_schema.fbs` 1.1.0): a flatbuffer in the model's metadata under
"TFLITE_METADATA" describes the tensors, and the files it names are appended as a zip archive, so
that `unzip model.tflite` or Python's `zipfile` finds them too:

labels.txt           a class name per line, in the order of the outputs
templates.txt        a prompt per line, {} for the name; empty where no text was read
preprocessing.json   `tfrecords.Preprocessing`, the class names, and how they were read
"""

import io
import json
import zipfile
import zlib
from collections.abc import Sequence

import flatbuffers

from duet import keras_private_api
from pipelines.deployment.load_classifier import Deployable

NAME = "TFLITE_METADATA"

LABELS, TEMPLATES, PREPROCESSING = "labels.txt", "templates.txt", "preprocessing.json"

MOST = 100_000_000  # bytes of all of them

_IDENTIFIER = b"M001"

_AXIS_LABELS, _DESCRIPTIONS = 2, 1  # AssociatedFileType

_FEATURES, _IMAGE = 1, 2  # ContentProperties

_NORMALIZATION = 1  # ProcessUnitOptions

_RGB = 1  # ColorSpaceType

_ZIP_TIME = (1980, 1, 1, 0, 0, 0)  # the same model gives the same bytes


def add(model: bytes, deployable: Deployable) -> bytes:
    """The file with its metadata and the appended files."""
    schema, flatbuffer_utils = keras_private_api.litert_schema()
    parsed = flatbuffer_utils.convert_bytearray_to_object(bytearray(model))
    entry, buffer = schema.MetadataT(), schema.BufferT()
    buffer.data = _describe(deployable)
    entry.name, entry.buffer = NAME, len(parsed.buffers)
    parsed.buffers.append(buffer)
    parsed.metadata = [*(parsed.metadata or ()), entry]
    packed = io.BytesIO(bytes(flatbuffer_utils.convert_object_to_bytearray(parsed)))
    packed.seek(0, io.SEEK_END)
    with zipfile.ZipFile(packed, "a") as archive:  # stored, as readers map files into memory
        for name, text in _files(deployable).items():
            archive.writestr(zipfile.ZipInfo(name, _ZIP_TIME), text)
    return packed.getvalue()


def read(model: bytes) -> dict[str, str]:
    """The appended files by name.

    Raises:
        ValueError: there are none.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(model)) as archive:
            if (size := sum(each.file_size for each in archive.infolist())) > MOST:
                raise ValueError(f"expected metadata of at most {MOST:,} bytes; got {size:,}")
            return {name: archive.read(name).decode("utf-8") for name in archive.namelist()}
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, zlib.error, EOFError):
        raise ValueError("expected a LiteRT file with metadata; it has none") from None


def _files(deployable: Deployable) -> dict[str, str]:
    about = {
        "preprocessing": deployable.preprocessing,
        "class_names": deployable.class_names,
        "templates": deployable.templates,
        "multi_label": deployable.multi_label,
        "pixels": "RGB, 0-255; normalising is inside the model",
    }
    return {
        LABELS: "".join(f"{_line(name)}\n" for name in deployable.class_names),
        TEMPLATES: "".join(f"{_line(text)}\n" for text in deployable.templates),
        PREPROCESSING: json.dumps(about, indent=1, ensure_ascii=False) + "\n",
    }


def _line(text: str) -> str:
    return " ".join(text.split())


def _describe(deployable: Deployable) -> bytes:
    """The flatbuffer `ModelMetadata`; fields by their place in the schema's tables."""
    made = _Builder()
    side = deployable.image_size
    size = made.table({0: ("uint", side), 1: ("uint", side)})  # ImageSize
    image = made.table({0: ("byte", _RGB), 1: size})  # ImageProperties
    as_given = made.table({0: made.floats([0.0]), 1: made.floats([1.0])})  # NormalizationOptions
    unit = made.table({0: ("ubyte", _NORMALIZATION), 1: as_given})  # ProcessUnit
    pixels = made.table(  # TensorMetadata
        {
            0: made.text("pixels"),
            1: made.text(f"RGB pixels 0-255 of an image resized as {PREPROCESSING} says"),
            3: made.table({0: ("ubyte", _IMAGE), 1: image}),  # Content
            4: made.tables([unit]),
            5: made.table({0: made.floats([255.0]), 1: made.floats([0.0])}),  # Stats
        }
    )
    labels = _file(made, LABELS, "class names in the order of the outputs", _AXIS_LABELS)
    probabilities = made.table(
        {
            0: made.text("probabilities"),
            1: made.text("probability of each class"),
            3: made.table({0: ("ubyte", _FEATURES), 1: made.table({})}),
            5: made.table({0: made.floats([1.0]), 1: made.floats([0.0])}),
            6: made.tables([labels]),
        }
    )
    graph = made.table({2: made.tables([pixels]), 3: made.tables([probabilities])})
    files = [
        _file(made, TEMPLATES, "prompts that the class names were read in", _DESCRIPTIONS),
        _file(made, PREPROCESSING, "how an image becomes pixels", _DESCRIPTIONS),
    ]
    root = made.table(  # ModelMetadata
        {
            0: made.text("ImageClassifier"),
            1: made.text(f"{len(deployable.class_names)} classes, made with Duet"),
            3: made.tables([graph]),
            6: made.tables(files),
            7: made.text("1.0.0"),
        }
    )
    return made.finished(root)


def _file(made: "_Builder", name: str, description: str, kind: int) -> int:
    return made.table({0: made.text(name), 1: made.text(description), 2: ("byte", kind)})


class _Builder:
    """Flatbuffers from the leaves up: each method returns the place of what it wrote."""

    def __init__(self) -> None:
        self.builder = flatbuffers.Builder(1024)

    def text(self, value: str) -> int:
        return self.builder.CreateString(value)

    def floats(self, values: Sequence[float]) -> int:
        self.builder.StartVector(4, len(values), 4)
        for value in reversed(values):
            self.builder.PrependFloat32(value)
        return self.builder.EndVector()

    def tables(self, places: Sequence[int]) -> int:
        self.builder.StartVector(4, len(places), 4)
        for place in reversed(places):
            self.builder.PrependUOffsetTRelative(place)
        return self.builder.EndVector()

    def table(self, fields: dict[int, int | tuple[str, int]]) -> int:
        """Of fields by number: a place, or a kind of number and its value."""
        builder = self.builder
        slots = {
            "uint": builder.PrependUint32Slot,
            "byte": builder.PrependInt8Slot,
            "ubyte": builder.PrependUint8Slot,
        }
        builder.StartObject(max(fields, default=-1) + 1)
        for number, value in fields.items():
            if isinstance(value, tuple):
                slots[value[0]](number, value[1], 0)
            else:
                builder.PrependUOffsetTRelativeSlot(number, value, 0)
        return builder.EndObject()

    def finished(self, root: int) -> bytes:
        self.builder.Finish(root, file_identifier=_IDENTIFIER)
        return bytes(self.builder.Output())
