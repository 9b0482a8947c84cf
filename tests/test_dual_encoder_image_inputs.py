"""Paths and PIL images have the pixels that `tfrecords.read_image` gives."""

import numpy as np
import pytest
from PIL import Image

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
    with pytest.raises(ValueError, match="expected 8 or 16 bits per channel"):
        image_inputs.as_pixels(PHOTO.convert("L").convert("F"), image_size=32)
    shallow = Image.fromarray(rng.integers(4096, size=(43, 61), dtype=np.uint16))
    with pytest.raises(ValueError, match="expected values that fill their 16 bits"):
        image_inputs.as_pixels(shallow, image_size=32)
    (tmp_path / "page.eps").write_text("%!PS-Adobe-3.0 EPSF-3.0")
    with pytest.raises(ValueError, match=r"page\.eps: not a readable image"):
        image_inputs.as_pixels(tmp_path / "page.eps", image_size=32)
