"""Pixels against Pillow, and windows against what torchvision's definition allows."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfrecords import stateless_random
from tfrecords.images import graph_ops, pillow_decoding, reencoding
from tfrecords.preprocessing import Preprocessing


def photograph(height: int, width: int, *, seed: int = 0, grey: bool = False) -> Image.Image:
    """Smooth noise at several scales, as in photographs, with sharp edges across it."""
    rng = np.random.default_rng(seed)
    pixels = np.zeros((height, width, 3))
    for cells in (2, 5, 13, 37, 97):
        noise = rng.uniform(0, 255, (cells, cells, 3)).astype(np.uint8)
        layer = Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)
        pixels += np.asarray(layer, np.float64) / 5
    y, x = np.mgrid[:height, :width]
    pixels[(x + 2 * y) % 61 < 9] = (250, 240, 20)
    pixels[np.hypot(y - height / 2, x - width / 3) < height / 5] = (5, 10, 120)
    image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
    return image.convert("L") if grey else image


def encoded(image: Image.Image, kind: str = "jpeg", **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}
COMBINATIONS = [
    (resize, interpolation) for resize in ("crop", "squash") for interpolation in FILTERS
]


def pillow_square(data: bytes, how: Preprocessing) -> np.ndarray:
    """The same pixels, written with Pillow alone."""
    image = Image.open(io.BytesIO(data)).convert("RGB")
    width, height = image.size
    size, side = how.image_size, int(how.image_size / how.crop_fraction)
    if how.resize == "squash":
        width, height = side, side
    elif width <= height:
        width, height = side, int(side * height / width)
    else:
        width, height = int(side * width / height), side
    image = image.resize((width, height), FILTERS[how.interpolation])
    left, top = (width - size) // 2, (height - size) // 2
    return np.asarray(image.crop((left, top, left + size, top + size))).astype(int)


def assert_agree(pixels: np.ndarray, expected: np.ndarray, *, mean: float = 0.02):
    assert pixels.shape == expected.shape and pixels.dtype == np.uint8
    difference = np.abs(pixels.astype(int) - expected)
    assert difference.max() <= 2
    assert difference.mean() <= mean


SHAPES = {
    "square": (256, 256),
    "landscape": (301, 467),
    "portrait": (500, 333),
    "panorama": (97, 601),
    "ten times as wide": (61, 610),
    "tall": (613, 101),
    "tiny": (7, 5),
    "enlarged": (61, 83),
    "enlarged one way": (150, 447),
    "as large": (224, 224),
    "huge": (1201, 903),
}


@pytest.fixture(scope="module")
def to_square():
    return tf.function(graph_ops.to_square, reduce_retracing=True)


@pytest.mark.parametrize(("resize", "interpolation"), COMBINATIONS)
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_squares_have_the_pixels_of_pillow(shape, resize, interpolation, to_square):
    how = Preprocessing(224, resize, interpolation=interpolation)
    # Shrinking by 8:7 with a triangle makes exact halves everywhere: a rounding up or down.
    halves = shape == (256, 256) and interpolation == "bilinear"
    for kind in ("jpeg", "png"):
        data = encoded(photograph(*shape), kind)
        pixels = to_square(tf.constant(data), how).numpy()
        assert_agree(pixels, pillow_square(data, how), mean=0.04 if halves else 0.02)


@pytest.mark.parametrize(("resize", "interpolation"), COMBINATIONS)
@pytest.mark.parametrize("size", [1, 32, 63, 299])
def test_squares_of_other_sizes(size, resize, interpolation):
    how = Preprocessing(size, resize, interpolation=interpolation)
    data = encoded(photograph(211, 160, seed=size))
    assert_agree(graph_ops.to_square(data, how).numpy(), pillow_square(data, how))


@pytest.mark.parametrize(("resize", "interpolation"), COMBINATIONS)
def test_squares_of_greyscale(resize, interpolation, to_square):
    how = Preprocessing(224, resize, interpolation=interpolation)
    for kind in ("jpeg", "png"):
        data = encoded(photograph(333, 250, grey=True), kind)
        pixels = to_square(tf.constant(data), how).numpy()
        assert (pixels[..., :1] == pixels).all()
        assert_agree(pixels, pillow_square(data, how))


@pytest.mark.parametrize("resize", ["crop", "squash"])
@pytest.mark.parametrize("fraction", [0.875, 0.95])
def test_a_crop_fraction_leaves_a_margin(fraction, resize):
    how = Preprocessing(224, resize, crop_fraction=fraction)
    assert how.resized_side == {0.875: 256, 0.95: 235}[fraction]
    data = encoded(photograph(301, 467))
    assert_agree(graph_ops.to_square(data, how).numpy(), pillow_square(data, how))


def test_every_combination_is_itself_and_no_other():
    data = encoded(photograph(301, 467))
    every = {
        names: pillow_square(data, Preprocessing(64, names[0], interpolation=names[1]))
        for names in COMBINATIONS
    }
    for names in COMBINATIONS:
        pixels = (
            graph_ops.to_square(data, Preprocessing(64, names[0], interpolation=names[1]))
            .numpy()
            .astype(int)
        )
        distances = {other: np.abs(pixels - every[other]).mean() for other in every}
        assert distances.pop(names) <= 0.02
        assert min(distances.values()) > 1


@pytest.mark.parametrize(("length", "offset"), [(9, 0), (10, 1), (11, 1), (13, 2)])
def test_the_offset_of_a_centre_crop_is_rounded_down(length, offset):
    """As in transformers; rounded half to even, 11 would begin at 2."""
    pixels = np.asarray(photograph(8, length))
    for turned in (pixels, pixels.transpose(1, 0, 2)):
        data = encoded(Image.fromarray(turned), "png")
        cut = turned[tuple(slice(offset if n > 8 else 0, None) for n in turned.shape[:2])][:8, :8]
        np.testing.assert_array_equal(graph_ops.to_square(data, Preprocessing(8)), cut)


@pytest.mark.parametrize("options", [{"subsampling": 0}, {"subsampling": 2}, {"progressive": True}])
def test_decode_is_pillows_bit_for_bit(options):
    data = encoded(photograph(123, 77), "jpeg", quality=70, **options)
    expected = np.asarray(Image.open(io.BytesIO(data)))
    np.testing.assert_array_equal(graph_ops.decode(data), expected)


def test_what_is_no_image_is_an_error():
    with pytest.raises(tf.errors.InvalidArgumentError):
        graph_ops.decode(b"not an image")


def windows(count: int, shape: tuple[int, int], **options) -> np.ndarray:
    shapes = tf.fill([count, 1], 1) * tf.constant(shape)
    return graph_ops.random_windows(
        shapes, stateless_random.key(7, tf.range(count)), **options
    ).numpy()


def test_windows_have_the_asked_for_area_and_shape():
    top, left, height, width = windows(2000, (400, 300), scale=(0.2, 0.8)).T
    assert (top >= 0).all() and (top + height <= 400).all()
    assert (left >= 0).all() and (left + width <= 300).all()
    share = height * width / (400 * 300)
    assert 0.19 < share.min() < 0.22 and 0.7 < share.max() < 0.81
    aspect = width / height
    assert 0.74 < aspect.min() < 0.76 and 1.3 < aspect.max() < 1.35
    assert abs(np.sum(top) / np.sum(400 - height) - 0.5) < 0.03
    assert abs(np.sum(left) / np.sum(300 - width) - 0.5) < 0.03


def test_a_window_that_fits_nowhere_is_the_central_one():
    # 90 % of a strip of 20 x 200 never has a shape of 4:3; the largest such window is 20 x 27.
    np.testing.assert_array_equal(windows(3, (20, 200), scale=(0.9, 1.0)), [[0, 87, 20, 27]] * 3)
    np.testing.assert_array_equal(windows(1, (200, 20), scale=(0.9, 1.0)), [[87, 0, 27, 20]])


def test_a_window_of_one_pixel_is_possible():
    np.testing.assert_array_equal(windows(1, (1, 1), scale=(0.08, 1.0)), [[0, 0, 1, 1]])


def test_windows_depend_on_their_key_alone():
    together = windows(5, (400, 300), scale=(0.2, 0.8))
    assert len(np.unique(together, axis=0)) == 5
    alone = graph_ops.random_windows(
        tf.constant([400, 300]), stateless_random.key(7, 3), scale=(0.2, 0.8)
    )
    np.testing.assert_array_equal(together[3], alone)


RESIZED = {
    "enlarged": ((300, 400), (30, 41, 150, 180)),
    "enlarged one way": ((300, 400), (3, 41, 150, 330)),
    "shrunk": ((512, 512), (11, 20, 400, 380)),
    "to the edges": ((301, 403), (0, 0, 301, 403)),
}


@pytest.mark.parametrize("kind", ["jpeg", "png"])
@pytest.mark.parametrize(("shape", "window"), RESIZED.values(), ids=RESIZED)
def test_resized_crop_is_antialiased_as_pillow_is(shape, window, kind):
    data = encoded(photograph(*shape), kind)
    top, left, height, width = window
    whole = Image.open(io.BytesIO(data))
    box = (left, top, left + width, top + height)
    expected = np.asarray(whole.crop(box).resize((224, 224), Image.Resampling.BICUBIC))
    pixels = graph_ops.resized_crop(data, 224, window=window).numpy()
    # Pillow rounds between the passes, and libjpeg's fast transform is a little off.
    assert np.abs(pixels.astype(int) - expected).mean() < 0.6


@pytest.mark.parametrize("reduction", [2, 4, 8])
def test_large_windows_are_decoded_small_and_stay_close(reduction):
    side = 64 * reduction
    data = encoded(photograph(side + 32, side + 40))
    top, left, height, width = window = (16, 8, side + 8, side + 16)
    cut = Image.open(io.BytesIO(data)).crop((left, top, left + width, top + height))
    expected = np.asarray(cut.resize((64, 64), Image.Resampling.BICUBIC)).astype(int)
    aliased = np.asarray(cut.resize((64, 64), Image.Resampling.NEAREST)).astype(int)
    pixels = graph_ops.resized_crop(data, 64, window=window).numpy()
    distance = np.abs(pixels - expected).mean()
    assert distance < 6
    assert distance < 0.6 * np.abs(aliased - expected).mean()


def test_stripes_finer_than_the_result_become_grey():
    """What antialiasing is for: without it, single columns of black or white survive."""
    stripes = np.zeros((512, 512, 3), np.uint8)
    stripes[:, ::2] = 255
    for side in (400, 500):  # the first is resized at once, the second by libjpeg first
        data = encoded(Image.fromarray(stripes), quality=100)
        pixels = graph_ops.resized_crop(data, 224, window=(3, 3, side, side)).numpy().astype(int)
        assert np.abs(pixels[5:-5, 5:-5] - 127).max() < 12


def turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6  # a phone held upright
    return exif


FILES = {
    "plain": encoded(photograph(30, 40)),
    "grey": encoded(photograph(30, 40, grey=True)),
    "turned": encoded(photograph(30, 40), exif=turned()),
    "cmyk": encoded(photograph(30, 40).convert("CMYK")),
    "png": encoded(photograph(30, 40), "png"),
    "palette": encoded(photograph(30, 40).convert("P"), "png", transparency=3),
    "16 bits": encoded(
        Image.fromarray(np.arange(1200, dtype=np.uint16).reshape(30, 40) * 54), "png"
    ),
    "webp": encoded(photograph(30, 40), "webp"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_read_as_a_record_of_it_is_but_never_encoded(name, monkeypatch):
    how = Preprocessing(image_size=16)
    record = reencoding.normalise(FILES[name], lossless=True)
    expected = graph_ops.to_square(record.data, how).numpy()
    monkeypatch.delattr(reencoding, "_encode")
    if name in ("plain", "grey"):  # decoded by TensorFlow alone
        monkeypatch.delattr(pillow_decoding, "opened")
    for traced in (False, True):
        square = graph_ops.file_to_square(how, traced=traced)
        np.testing.assert_array_equal(square(FILES[name]), expected)
