"""Every kind of image file ends up as pixels that TensorFlow decodes rightly, or is refused."""

import gzip
import io
import struct
import sys
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps
from tiff_in_planes import in_planes

from tfrecords.images import pillow_decoding
from tfrecords.images.reencoding import UnreadableError, normalise, shrunk_size

RAMP = np.tile(np.arange(48, dtype=np.uint8) * 5, (32, 1))  # 32 high, 48 wide, dark to bright
COLOUR = np.stack([RAMP, RAMP[:, ::-1], np.full_like(RAMP, 90)], axis=-1)


def encode(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **options)
    return buffer.getvalue()


def decode(image):
    """What a plain decoder makes of it, as the reader does."""
    decoder = tf.io.decode_jpeg if image.format == "jpeg" else tf.io.decode_png
    pixels = decoder(image.data, channels=3).numpy()
    assert pixels.shape == (image.height, image.width, 3)
    return pixels.astype(int)


def close(a, b, tolerance):
    return np.abs(a.astype(int) - b.astype(int)).max() <= tolerance


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("pixels", [COLOUR, RAMP], ids=["colour", "grey"])
def test_plain_files_keep_their_bytes(kind, pixels):
    data = encode(Image.fromarray(pixels), kind)
    image = normalise(data)
    assert image.data == data
    assert (image.format, image.height, image.width) == (kind.lower(), 32, 48)


def chunk(name, content):
    body = name + content
    return len(content).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")


PNG_CHANGES = {
    "damaged end": lambda png: png[:-1] + b"x",
    "no end": lambda png: png[:-12],
    "unknown chunk": lambda png: png[:-12] + chunk(b"ABCD", b"12") + png[-12:],
    "two headers": lambda png: png[:33] + png[8:33] + png[33:],
    "pixels too many": lambda png: png[:-12] + chunk(b"IDAT", b"x" * 99) + png[-12:],
}


@pytest.mark.parametrize("what", PNG_CHANGES)
@pytest.mark.parametrize("pixels", [COLOUR, RAMP], ids=["colour", "grey"])
def test_png_that_other_decoders_refuse_is_mended(what, pixels):
    """Pillow overlooks these; TensorFlow would fail in the midst of a training."""
    data = PNG_CHANGES[what](encode(Image.fromarray(pixels), "PNG"))
    try:
        image = normalise(data)
    except UnreadableError:
        assert what == "no end"
    else:
        assert image.data != data
        assert (decode(image) == (pixels if pixels.ndim == 3 else pixels[..., None])).all()


@pytest.mark.parametrize("kind", ["WEBP", "GIF", "BMP", "TIFF"])
def test_other_kinds_are_encoded_again(kind):
    image = normalise(encode(Image.fromarray(RAMP).convert("RGB"), kind))
    assert image.format == ("jpeg" if kind == "WEBP" else "png")
    assert close(decode(image)[..., 0], RAMP, 8)


def test_a_jpeg_with_another_image_after_its_end_is_its_first_image():
    data = encode(
        Image.fromarray(COLOUR), "MPO", save_all=True, append_images=[Image.new("L", (9, 9))]
    )
    image = normalise(data)
    assert image.data == data and image.format == "jpeg"
    assert close(decode(image), COLOUR, 12)


def test_cmyk_becomes_rgb():
    image = normalise(encode(Image.fromarray(COLOUR).convert("CMYK"), "JPEG", quality=95))
    assert image.format == "jpeg"
    assert close(decode(image)[4:-4, 4:-4], COLOUR[4:-4, 4:-4], 20)


def test_palette_becomes_rgb():
    image = Image.fromarray(COLOUR).quantize(64)
    assert close(decode(normalise(encode(image, "PNG"))), np.asarray(image.convert("RGB")), 0)


@pytest.mark.parametrize("most", [255, 65535])
def test_a_tiffs_palette_of_either_range_becomes_rgb(most):
    image = Image.fromarray(COLOUR).quantize(64)
    data = encode(image, "TIFF")
    palette = np.reshape(image.getpalette()[: 3 * 256] + [0] * 768, (-1, 3))[:256].T.ravel()
    stored = Image.open(io.BytesIO(data)).tag_v2[320]
    written, wanted = (struct.pack("<768H", *v) for v in (stored, palette * (most // 255)))
    assert data.count(written) == 1
    pixels = decode(normalise(data.replace(written, wanted)))
    assert close(pixels, np.asarray(image.convert("RGB")), 0)


@pytest.mark.parametrize("bits", [8, 16])
def test_a_tiff_with_each_channel_by_itself(bits):
    assert close(decode(normalise(in_planes(COLOUR, bits=bits))), COLOUR, 0)
    grey = COLOUR[..., :1]
    pixels = decode(normalise(in_planes(grey, bits=bits, kind=0)))
    assert close(pixels[..., :1], 255 - grey, 0)
    with pytest.raises(UnreadableError, match="grey and transparency in planes"):
        normalise(in_planes(COLOUR[..., :2], bits=8, kind=1))


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparent_parts_are_put_on_white(mode):
    image = Image.fromarray(RAMP).convert(mode)
    alpha = np.zeros((32, 48), np.uint8)
    alpha[:, :24] = 255
    image.putalpha(Image.fromarray(alpha))
    pixels = decode(normalise(encode(image, "PNG")))
    assert (pixels[:, 24:] == 255).all()
    assert (pixels[:, :24, 0] == RAMP[:, :24]).all()


def test_a_transparent_colour_is_put_on_white():
    image = Image.fromarray(np.where(RAMP < 100, 0, 200).astype(np.uint8)).convert("P")
    pixels = decode(normalise(encode(image, "PNG", transparency=0)))
    assert sorted({int(v) for v in pixels.flatten()}) == [200, 255]


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_exif_rotation_is_applied(kind):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn a quarter clockwise to see it upright
    image = normalise(encode(Image.fromarray(COLOUR), kind, exif=exif))
    assert (image.height, image.width) == (48, 32)
    assert close(decode(image), np.rot90(COLOUR, -1), 12)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_become_eight(kind):
    image = Image.fromarray(RAMP.astype(np.uint16) * 257)
    assert image.mode == "I;16"
    assert (decode(normalise(encode(image, kind)))[..., 0] == RAMP).all()


@pytest.mark.parametrize("bits", [8, 16])
def test_a_tiff_in_which_white_is_zero_is_no_negative(bits):
    values = np.rint((255 - RAMP.astype(int)) * (2**bits - 1) / 255).astype(f"uint{bits}")
    data = encode(Image.fromarray(values), "TIFF")
    entry = struct.pack("<HHI", 262, 3, 1)  # PhotometricInterpretation, one short
    at = data.index(entry) + len(entry)
    assert (decode(normalise(data[:at] + bytes(4) + data[at + 4 :]))[..., 0] == RAMP).all()


def test_one_bit_becomes_eight():
    image = Image.fromarray(RAMP > 100)
    assert (decode(normalise(encode(image, "PNG")))[..., 0] == (RAMP > 100) * 255).all()


@pytest.mark.parametrize("missing", [1, 2, 3])
def test_a_jpeg_without_its_end_marker_is_mended_or_refused(missing):
    """Pillow accepts some of these, TensorFlow none: what is stored must be good for both."""
    data = encode(Image.fromarray(COLOUR), "JPEG")[:-missing]
    try:
        image = normalise(data)
    except UnreadableError as error:
        assert str(error) == "truncated"
    else:
        assert image.data != data
        assert close(decode(image), COLOUR, 20)


def test_shrinks_the_short_side_as_pillow_does_and_never_enlarges():
    image = Image.fromarray(COLOUR)
    plain = normalise(encode(image, "PNG"), short_side=20)
    assert (plain.height, plain.width) == (20, 30)
    assert close(decode(plain), np.asarray(image.resize((30, 20), Image.Resampling.BICUBIC)), 0)
    data = encode(image, "JPEG")
    assert normalise(data, short_side=32).data == data
    small = normalise(data, short_side=16)
    assert (small.format, small.height, small.width) == ("jpeg", 16, 24)


@pytest.mark.parametrize("turn", [1, 6])
def test_a_large_jpeg_is_decoded_at_a_half_unless_lossless(turn):
    down, across = np.mgrid[:184, :248] / 80
    waves = 127 + 100 * np.sin(np.stack([down, across, down + across], axis=-1) * 2)
    exif = Image.Exif()
    exif[0x0112] = turn
    data = encode(Image.fromarray(waves.astype(np.uint8)), "JPEG", exif=exif, quality=95)
    with Image.open(io.BytesIO(data)) as image:
        whole = ImageOps.exif_transpose(image)
    size = shrunk_size(*whole.size, 20)
    wanted = whole.resize(size, Image.Resampling.BICUBIC)
    stored = normalise(encode(wanted, "JPEG", quality=95))
    small, exact = (normalise(data, short_side=20, lossless=kind) for kind in (False, True))
    assert (small.width, small.height) == size == ((26, 20) if turn == 1 else (20, 26))
    assert close(decode(small), decode(stored), 8)
    assert small.data != stored.data and close(decode(exact), np.asarray(wanted), 0)


def test_a_lossless_set_is_never_encoded_as_jpeg():
    data = encode(Image.fromarray(COLOUR), "JPEG")
    assert normalise(data, lossless=True).data == data
    assert normalise(data, lossless=True, short_side=16).format == "png"
    assert normalise(encode(Image.fromarray(COLOUR), "WEBP"), lossless=True).format == "png"


def test_shrunk_size_rounds_the_long_side_down():
    assert shrunk_size(500, 333, 224) == (336, 224)
    assert shrunk_size(333, 500, 224) == (224, 336)
    assert shrunk_size(300, 300, 224) == (224, 224)


def frames(kind):
    stills = [Image.fromarray(np.roll(COLOUR, i, axis=1)) for i in (0, 5)]
    return encode(stills[0], kind, save_all=True, append_images=stills[1:])


JPEG = encode(Image.fromarray(COLOUR), "JPEG")
NOISE = np.random.default_rng(0).integers(256, size=(200, 300, 3), dtype=np.uint8)
LARGE = encode(Image.fromarray(NOISE), "JPEG")
PNG = encode(Image.fromarray(COLOUR), "PNG")
FLIPPED_PNG = PNG[:60] + bytes([PNG[60] ^ 1]) + PNG[61:]


# A lossless JPEG (SOF3, predictor 1, 9 Huffman codes of 4 bits) of 8 by 6 greys, 20 x + 9 y.
LOSSLESS_JPEG = bytes.fromhex(
    "ffd8ffc3000b080006000801011100ffc4001c0000000009000000000000000000000000000102030405060708"
    "ffda000801010001000087f5a2d168b45a2d16892b45a2d168b45a2d12568b45a2d168b45a24ad168b45a2d168"
    "b4495a2d168b45a2d16892b45a2d168b45a2d3ffd9"
)


def test_a_lossless_jpeg_is_written_again_for_tensorflow_decodes_none():
    made = normalise(LOSSLESS_JPEG)
    greys = np.add.outer(9 * np.arange(6), 20 * np.arange(8))
    np.testing.assert_array_equal(tf.io.decode_png(made.data).numpy()[..., 0], greys)


@pytest.mark.parametrize("between", [b"", bytes(3), b"\xff\xff", b"\xff\xfe\x00\x06\xff\xc3ab"])
def test_a_usual_jpeg_is_known_by_its_frame_whatever_comes_before_it(between):
    data = JPEG[:2] + between + JPEG[2:]
    assert pillow_decoding.jpeg_process(data) == 0xC0
    assert (
        pillow_decoding.jpeg_process(encode(Image.fromarray(COLOUR), "JPEG", progressive=True))
        == 0xC2
    )


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file"),
        (b"<html>not found</html>", r"not an image of a kind read here .*, but a page of HTML"),
        (b"\n<!DOCTYPE html>", ", but a page of HTML"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1", "a pointer of Git LFS to it"),
        (gzip.compress(b"an image"), ", but compressed by gzip"),
        (b"\xff\x0a\xfa\x1f", ", but JPEG XL"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "not an image of a kind read here"),
        (JPEG[: len(JPEG) // 2], "truncated"),
        (LARGE[:20_000] + bytes(20_000), "truncated: the rest of the file is zeros"),
        (PNG[: len(PNG) // 2], "truncated|damaged"),
        (FLIPPED_PNG, "damaged"),
        (JPEG[:20], "truncated|damaged|not an image"),
        (JPEG[:2] + JPEG[40:], "not an image of a kind read here"),
        (PNG[:16] + bytes(4) + PNG[20:], "damaged: PNG whose header cannot be read"),
        (frames("GIF"), "2 frames, expected one"),
        (frames("WEBP"), "2 frames, expected one"),
        (frames("PNG"), "2 frames, expected one"),
        (frames("TIFF"), "2 frames, expected one"),
        (encode(Image.fromarray(RAMP.astype(np.float32)), "TIFF"), "32 bits per pixel"),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_reason(data, reason):
    with pytest.raises(UnreadableError, match=reason) as error:
        normalise(data)
    assert "\n" not in str(error.value)


def test_an_image_of_monstrous_size_is_refused(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
    with pytest.raises(UnreadableError, match=r"more than 1,000 pixels \(--max-pixels\)"):
        normalise(JPEG, max_pixels=1000)
    assert normalise(JPEG, max_pixels=10**9).data == JPEG
    huge = encode(Image.new("1", (10_000, 9_000)), "PNG")
    with pytest.raises(UnreadableError, match="more than 89,478,485 pixels"):
        normalise(huge)  # the limit of one image is not that of the next


def test_a_jpeg_larger_than_tensorflow_decodes_is_refused_unless_it_is_shrunk(monkeypatch):
    """Of 2**29 samples, as it says `Image too large`; here of fewer."""
    monkeypatch.setattr("tfrecords.images.reencoding._MOST_SAMPLES", 40 * 30 * 3)
    large, grey = (encode(Image.new(mode, (40, 30)), "JPEG") for mode in ("RGB", "L"))
    with pytest.raises(UnreadableError, match="more than 1,199 pixels, which TensorFlow does not"):
        normalise(large)
    with pytest.raises(UnreadableError, match="more than 1,199 pixels"):
        normalise(encode(Image.new("RGB", (40, 30)), "WEBP"))
    assert normalise(large, short_side=29).height == 29
    assert normalise(grey).data == grey


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_the_first_frame_is_taken_if_asked(kind):
    found = decode(normalise(frames(kind), first_frame=True, lossless=True))
    with Image.open(io.BytesIO(frames(kind))) as image:
        np.testing.assert_array_equal(found, np.asarray(image.convert("RGB")))


def test_twelve_bits_in_a_file_of_sixteen_are_scaled_where_it_says_so_and_named_where_not():
    values = ((RAMP.astype(int) * 4095 + 127) // 255).astype(np.uint16)
    with pytest.raises(UnreadableError, match=r"no value is above 3774: 12 or fewer bits"):
        normalise(encode(Image.fromarray(values), "PNG"))
    said = encode(Image.fromarray(values), "TIFF", tiffinfo={281: 4095})
    assert abs(decode(normalise(said))[..., 0] - RAMP).max() <= 1
    black = encode(Image.fromarray(values * 0), "PNG")
    assert decode(normalise(black)).max() == 0


def test_a_cameras_raw_file_is_refused_by_its_content():
    data = encode(Image.fromarray(RAMP), "TIFF", tiffinfo={254: 1})
    with pytest.raises(UnreadableError, match="a camera's raw file"):
        normalise(data)


def test_heic_is_read_with_its_extra_and_named_without(monkeypatch):
    heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(40)
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    monkeypatch.delitem(Image.OPEN, "HEIF", raising=False)
    with pytest.raises(UnreadableError, match=r"needs pillow-heif: pip install pillow-heif"):
        normalise(heic)


def test_avif_is_an_image_like_others():
    avif = encode(Image.fromarray(COLOUR), "AVIF", quality=100, subsampling="4:4:4")
    assert close(decode(normalise(avif, lossless=True)), COLOUR, 6)


@pytest.fixture
def heif():
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.register_heif_opener()
    return lambda image, **more: encode(image, "HEIF", quality=100, chroma=444, **more)


def test_heic_is_an_image_like_others(heif):
    image = Image.fromarray(COLOUR)
    turned, exif = image.copy(), Image.Exif()
    exif[0x0112] = 6
    turned.info["exif"] = exif.tobytes()
    clear = np.where(np.arange(48) < 24, 0, 255).astype(np.uint8)
    on_white = np.where(clear[:, None] == 255, COLOUR, 255)
    shows = {
        "plain": (heif(image), COLOUR),
        "turned": (heif(turned), np.rot90(COLOUR, -1)),
        "grey": (heif(Image.fromarray(RAMP)), RAMP[..., None].repeat(3, -1)),
        "clear": (heif(Image.fromarray(np.dstack([COLOUR, np.tile(clear, (32, 1))]))), on_white),
    }
    for name, (data, right) in shows.items():
        found = decode(normalise(data, lossless=True))
        assert found.shape == right.shape and close(found, right, 8), name


def test_of_a_heic_with_several_images_the_first_is_taken_if_asked(heif):
    red, blue = (Image.new("RGB", (64, 48), colour) for colour in ("red", "blue"))
    several = heif(red, save_all=True, append_images=[blue])
    with pytest.raises(UnreadableError, match="2 frames, expected one"):
        normalise(several)
    assert close(decode(normalise(several, first_frame=True)), np.array([255, 0, 0]), 8)
