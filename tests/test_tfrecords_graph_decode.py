"""Images as people send them: a graph gives the pixels that Pillow gives."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import tfrecords


def photograph(height=37, width=52, *, mode="RGB"):
    """A smooth image without symmetry."""
    down, across = np.mgrid[:height, :width] / 50
    planes = [np.sin(3 * down + 5 * across**2), np.cos(4 * down), np.sin(9 * across - down)]
    pixels = (127 + 120 * np.stack(planes, -1)).astype(np.uint8)
    return Image.fromarray(pixels).convert(mode)


def encoded(image, kind="JPEG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def of_orientation(number, *, order="<", before=b""):
    """A JPEG with so much EXIF, in either byte order, and maybe another segment before it."""
    exif = Image.Exif()
    exif.endian = order
    exif[0x010F] = "Somebody's cameras"
    exif[0x0112] = number
    data = encoded(photograph(), exif=exif)
    return data[:2] + before + data[2:]


@pytest.fixture(scope="module")
def squares():
    preprocessing = {"image_size": 16, "crop_fraction": 0.875}
    graph = tf.function(
        lambda files: tfrecords.uploads_to_squares(files, **preprocessing),
        input_signature=[tf.TensorSpec([None], tf.string)],
    )
    return lambda files: (
        graph(tf.constant(files)).numpy().astype(int),
        np.stack([tfrecords.read_image(file, **preprocessing) for file in files]).astype(int),
    )


def test_images_are_turned_as_their_exif_says(squares):
    comment = b"\xff\xfe" + (400).to_bytes(2, "big") + bytes(398)
    files = [of_orientation(number) for number in range(10)]
    files += [of_orientation(6, order=">"), of_orientation(8, before=comment)]
    found, expected = squares(files)
    np.testing.assert_array_equal(found, expected)
    assert len({image.tobytes() for image in expected}) == 8


def test_images_of_every_mode(squares):
    see_through = photograph(mode="RGBA")
    see_through.putalpha(photograph(mode="L"))
    deep = Image.fromarray(np.asarray(photograph(mode="L"), np.uint16) * 257)
    files = [
        encoded(photograph()),
        encoded(photograph(mode="L")),
        encoded(photograph(), progressive=True),
        encoded(photograph(), "PNG"),
        encoded(photograph(mode="L"), "PNG"),
        encoded(photograph(mode="P"), "PNG"),
        encoded(photograph(), "PNG", transparency=(127, 247, 127)),
        encoded(see_through, "PNG"),
        encoded(deep, "PNG"),
    ]
    found, expected = squares(files)
    np.testing.assert_array_equal(found[:7], expected[:7])
    assert abs(found - expected).max() <= 1


def test_exif_that_is_cut_short_says_nothing(squares):
    whole = of_orientation(6)
    at = whole.index(b"Exif")
    broken = whole[: at + 10] + b"\xff" * 4 + whole[at + 14 :]
    (found,), (expected,) = squares([broken])[0], squares([encoded(photograph())])[1]
    np.testing.assert_array_equal(found, expected)


def test_what_is_no_image_fails(squares):
    for file in (b"not an image", b"", encoded(photograph())[:200]):
        with pytest.raises(tf.errors.InvalidArgumentError):
            squares([file])
