"""Paths and PIL images have the pixels that `tfrecords.read_image` gives."""

import warnings

import keras
import numpy as np
import pytest
from PIL import Image
from tiff_in_planes import in_planes

import tfrecords
from dual_encoder import image_inputs

rng = np.random.default_rng(0)
TILES = Image.fromarray(rng.integers(256, size=(5, 7, 3), dtype=np.uint8))
PHOTO = TILES.resize((61, 43), Image.Resampling.BICUBIC)


def turned():
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera lay on its side
    return {"exif": exif}


def translucent():
    alpha = PHOTO.convert("RGBA")
    alpha.putalpha(PHOTO.convert("L"))
    return alpha


FILES = {
    "photo.jpg": (PHOTO, {"quality": 90}),
    "turned.jpg": (PHOTO, {"quality": 90, **turned()}),
    "photo.png": (PHOTO, {}),
    "grey.png": (PHOTO.convert("L"), {}),
    "palette.png": (PHOTO.convert("P"), {}),
    "translucent.png": (translucent(), {}),
    "deep.png": (Image.fromarray(rng.integers(65536, size=(43, 61), dtype=np.uint16)), {}),
    "cmyk.jpg": (PHOTO.convert("CMYK"), {}),
    "lossless.webp": (PHOTO, {"lossless": True}),
}
WAYS = [
    {"image_size": 32, "resize": resize, "interpolation": interpolation}
    for resize in ("crop", "squash")
    for interpolation in ("bicubic", "bilinear")
]
WAYS += [way | {"crop_fraction": 0.7} for way in WAYS[::2]]


@pytest.mark.parametrize("name", FILES)
def test_files_have_the_pixels_of_evaluation(name, tmp_path):
    image, options = FILES[name]
    image.save(tmp_path / name, **options)
    for way in WAYS:
        ours = image_inputs.as_pixels(tmp_path / name, **way)
        theirs = tfrecords.read_image(tmp_path / name, **way)
        assert ours.shape == (1, 32, 32, 3) and ours.dtype == np.uint8
        # Pillow itself, and TensorFlow by Pillow's rules: they differ in a few last bits.
        difference = np.abs(ours[0].astype(int) - theirs)
        assert difference.max() <= 1 and difference.mean() < 0.02


def test_small_images_grow_and_sides_round_down():
    for width, height in ((20, 31), (31, 20), (32, 32), (33, 65)):
        image = TILES.resize((width, height), Image.Resampling.BICUBIC)
        ours = image_inputs.as_pixels(image, **WAYS[0])[0].astype(int)
        theirs = tfrecords.read_image(np.asarray(image), **WAYS[0])
        assert np.abs(ours - theirs).max() <= 1


def test_animations_and_deep_pixels_are_refused(tmp_path):
    PHOTO.save(tmp_path / "two.gif", save_all=True, append_images=[PHOTO.rotate(180)])
    with pytest.raises(ValueError, match=r"two\.gif: expected one frame; got 2"):
        image_inputs.as_pixels(tmp_path / "two.gif", image_size=32)
    with pytest.raises(ValueError, match="32 bits per pixel"):
        image_inputs.as_pixels(PHOTO.convert("L").convert("F"), image_size=32)
    shallow = Image.fromarray(rng.integers(4096, size=(43, 61), dtype=np.uint16))
    with pytest.raises(ValueError, match="expected values that fill the 16 bits"):
        image_inputs.as_pixels(shallow, image_size=32)
    (tmp_path / "page.eps").write_text("%!PS-Adobe-3.0 EPSF-3.0")
    with pytest.raises(ValueError, match=r"page\.eps: not a readable image"):
        image_inputs.as_pixels(tmp_path / "page.eps", image_size=32)


def test_files_are_read_as_into_records(tmp_path):
    """Scans: white is 0, 12 bits of 16, a transparent shade, 16 bits with channels apart."""
    grey = rng.integers(4096, size=(43, 61), dtype=np.uint16)
    for name, values, tags in (("a", grey * 16, {262: 0}), ("b", grey, {281: 4095})):
        Image.fromarray(values).save(tmp_path / f"{name}.tif", tiffinfo=tags)
    PHOTO.convert("L").save(tmp_path / "c.png", bits=8, transparency=90)
    (tmp_path / "d.tif").write_bytes(in_planes(np.asarray(PHOTO), bits=16))
    for path in sorted(tmp_path.iterdir()):
        ours = image_inputs.as_pixels(path, **WAYS[0])[0].astype(int)
        assert np.abs(ours - tfrecords.read_image(path, **WAYS[0])).max() <= 2


def test_a_file_that_did_not_arrive_whole(tmp_path):
    noise = Image.fromarray(rng.integers(256, size=(200, 300, 3), dtype=np.uint8))
    noise.save(tmp_path / "a.jpg")
    whole = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(whole[: len(whole) // 2] + bytes(len(whole) // 2))
    with pytest.raises(ValueError, match=r"a\.jpg: not a readable image \(the rest .* zeros\)"):
        image_inputs.as_pixels(tmp_path / "a.jpg", image_size=32)


@pytest.mark.parametrize(
    ("change", "got"),
    [
        (lambda x: x / 255, "floats of at most 1: leave out"),
        (lambda x: (x / 127.5 - 1).astype("float32"), "float32 from -1 to 1"),
        (lambda x: x * np.uint16(257), "uint16 from 0 to 6.55e.04"),
        (lambda x: x > 127, "floats of at most 1: leave out"),
    ],
)
def test_pixels_of_another_range_are_warned_of(change, got):
    pixels = rng.integers(256, size=(1, 32, 32, 3), dtype=np.uint8)
    pixels[0, 0, :2] = [[0] * 3, [255] * 3]
    with pytest.warns(UserWarning, match=f"expected pixels 0-255, .*; got {got}"):
        image_inputs.as_pixels(change(pixels), image_size=32)
    image_inputs.as_pixels(pixels.astype("float32") * 1.02 - 3, image_size=32)  # bicubic


FOUND = {
    "fractions": (lambda x: x / 255, "floats of at most"),
    "from -1 to 1": (lambda x: x / 127.5 - 1, "float32 from -1 to 1"),
    "normalised": (lambda x: (x / 255 - 0.45) / 0.22, "float.* from -2"),
    "a tensor": (lambda x: keras.ops.convert_to_tensor(x / 255), "floats of at most"),
    "after black ones": (lambda x: x / 255 * (np.arange(32) > 9)[:, None, None, None], "floats of"),
}


@pytest.mark.parametrize("change, said", FOUND.values(), ids=FOUND)
def test_images_that_are_no_pixels_are_noticed(change, said):
    pixels = rng.integers(256, size=(32, 8, 8, 3)).astype("float32")
    with pytest.warns(UserWarning, match=f"images: expected pixels 0-255, which .*; got {said}"):
        image_inputs.notice_range(change(pixels))


@pytest.mark.parametrize("change", [np.uint8, lambda x: x, lambda x: x * 0, lambda x: x - 3])
def test_pixels_are_not_remarked_on(change):
    pixels = rng.integers(256, size=(32, 8, 8, 3)).astype("float32")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        image_inputs.notice_range(change(pixels))


@pytest.mark.parametrize("none", [[], np.zeros((0, 8, 8, 3), "uint8")], ids=["list", "array"])
def test_no_image_is_refused(none):
    with pytest.raises(ValueError, match="images: expected one or more; got none"):
        image_inputs.as_pixels(none, image_size=8)


def test_images_of_a_graph_have_no_values_to_look_at():
    """A functional model, and a `tf.function` of any batch."""
    import tensorflow as tf

    images = keras.Input((8, 8, 3))
    assert image_inputs.as_pixels(images, image_size=8) is images
    spec = tf.TensorSpec([None, 8, 8, 3])
    as_they_are = tf.function(lambda images: image_inputs.as_pixels(images, image_size=8))
    assert as_they_are.get_concrete_function(spec).output_shapes.as_list() == [None, 8, 8, 3]
