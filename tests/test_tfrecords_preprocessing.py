"""A model's own preprocessing: the same pixels from records and from files, and what is refused."""

import inspect
import io
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tfrecords
from tfrecords.load_options import GROUPS
from tfrecords.preprocessing import Preprocessing
from tfrecords.schema import RawExample

SIGLIP = {"image_size": 24, "resize": "squash", "interpolation": "bicubic"}
BILINEAR = {"image_size": 24, "interpolation": "bilinear", "crop_fraction": 0.875}


def encoded(height: int, width: int, kind: str, *, mode: str = "RGB", **options) -> bytes:
    tiles = np.random.default_rng(height).integers(0, 255, (5, 4, 3), dtype=np.uint8)
    image = Image.fromarray(tiles).resize((width, height), Image.Resampling.BICUBIC).convert(mode)
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def upside_down() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 3
    return encoded(33, 47, "jpeg", exif=exif)


FILES = {
    "wide.jpg": encoded(31, 61, "jpeg"),
    "upside down.jpg": upside_down(),
    "print.jpg": encoded(45, 38, "jpeg", mode="CMYK"),
    "palette.gif": encoded(29, 40, "gif"),
    "transparent.png": encoded(41, 30, "png", mode="LA"),
}


@dataclass(frozen=True)
class Files:
    """A source of these files."""

    name = "files"
    class_names = ("thing",)
    templates = ("a {}.",)
    metric = "top1"
    lossless = True
    splits = {"test": len(FILES)}  # noqa: RUF012

    def describe(self):
        return {"kind": "files"}

    def read(self, split, start, stop):
        for name in list(FILES)[start:stop]:
            yield RawExample(name, partial(FILES.get, name), 0)


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    folder = tmp_path_factory.mktemp("records")
    tfrecords.write(Files(), folder, workers=1, progress=False)
    return folder


def load(records: Path, **preprocessing) -> np.ndarray:
    batches = tfrecords.load(records, "test", batch_size=len(FILES), **preprocessing)
    return next(batches.as_numpy_iterator())[0]["image"]


@pytest.mark.parametrize("preprocessing", [{"image_size": 24}, SIGLIP, BILINEAR])
def test_a_file_has_the_pixels_that_its_record_has(records, preprocessing, tmp_path):
    pixels = load(records, **preprocessing)
    for i, (name, data) in enumerate(FILES.items()):
        (tmp_path / name).write_bytes(data)
        for given in (tmp_path / name, str(tmp_path / name), data):
            read = tfrecords.read_image(given, **preprocessing)
            np.testing.assert_array_equal(read, pixels[i], err_msg=name)
    assert pixels.std(axis=(1, 2, 3)).min() > 5  # they show something


def test_files_are_turned_upright():
    stored = np.asarray(Image.open(io.BytesIO(FILES["upside down.jpg"])))
    read = tfrecords.read_image(FILES["upside down.jpg"], image_size=33).astype(int)
    np.testing.assert_array_equal(read, stored[::-1, ::-1][:, 7:40])
    assert np.abs(read - stored[:, 7:40]).mean() > 20


def test_pixels_are_taken_as_they_are():
    data = encoded(31, 61, "png")
    pixels = np.asarray(Image.open(io.BytesIO(data)))
    read = tfrecords.read_image(pixels, **SIGLIP)
    assert read.dtype == np.uint8 and read.shape == (24, 24, 3)
    np.testing.assert_array_equal(read, tfrecords.read_image(data, **SIGLIP))


def test_keywords_reach_the_pixels_of_evaluation_alone(records):
    crops = {"seed": 1, "training": True, "image_size": 24}
    np.testing.assert_array_equal(load(records, **crops), load(records, **{**crops, **SIGLIP}))
    seen = [load(records, **how) for how in ({"image_size": 24}, SIGLIP, BILINEAR)]
    seen.append(load(records, image_size=24, interpolation="bilinear"))
    seen.append(load(records, **SIGLIP | {"interpolation": "bilinear"}))
    for i, one in enumerate(seen):
        for other in seen[:i]:
            assert np.abs(one.astype(int) - other).mean() > 0.5


def test_training_without_random_crops_has_the_pixels_of_evaluation(records):
    training = {"training": True, "crop_scale": None}
    crops = sorted(load(records, **SIGLIP, **training).tolist())
    assert crops == sorted(load(records, **SIGLIP).tolist())


def test_everyone_takes_the_same_keywords_with_the_same_defaults():
    defaults = {field.name: field.default for field in fields(Preprocessing)}
    parameters = inspect.signature(tfrecords.read_image).parameters
    assert {name: parameters[name].default for name in defaults} == defaults
    assert GROUPS["preprocessing"] is Preprocessing  # whose fields `load` takes by name


WRONG = {
    "resize": ({"resize": "pad"}, "resize: expected one of 'crop', 'squash'; got 'pad'"),
    "interpolation": (
        {"interpolation": "lanczos"},
        "interpolation: expected one of 'bicubic', 'bilinear'; got 'lanczos'",
    ),
    "size": ({"image_size": 0}, "image_size: expected a whole number of at least 1; got 0"),
    "half a pixel": ({"image_size": 224.0}, "image_size: .* got 224.0"),
    "fraction": ({"crop_fraction": 1.1}, "crop_fraction: expected more than 0, at most 1; got 1.1"),
}


@pytest.mark.parametrize(("options", "message"), WRONG.values(), ids=WRONG)
def test_wrong_values_are_explained(records, options, message):
    with pytest.raises(ValueError, match=message):
        load(records, **options)
    with pytest.raises(ValueError, match=message):
        tfrecords.read_image(FILES["wide.jpg"], **options)


def test_what_is_no_image_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.jpg"):
        tfrecords.read_image(tmp_path / "nowhere.jpg")
    (tmp_path / "notes.jpg").write_text("not an image")
    with pytest.raises(ValueError, match=r"notes\.jpg: not an image of a kind read here"):
        tfrecords.read_image(tmp_path / "notes.jpg")
    with pytest.raises(ValueError, match="image: empty file"):
        tfrecords.read_image(b"")
    frames = [Image.new("L", (9, 9), shade) for shade in (0, 255)]
    frames[0].save(tmp_path / "film.gif", save_all=True, append_images=frames[1:])
    with pytest.raises(ValueError, match=r"film\.gif: animated"):
        tfrecords.read_image(tmp_path / "film.gif")


@pytest.mark.parametrize(
    "pixels",
    [np.zeros((9, 9, 3)), np.zeros((9, 9), "uint8"), np.zeros((2, 9, 9, 3), "uint8")],
    ids=["floats", "no channels", "a batch"],
)
def test_pixels_of_another_shape_or_type_are_refused(pixels):
    with pytest.raises(ValueError, match=r"expected pixels uint8 \[height, width, 3\]; got"):
        tfrecords.read_image(pixels)
