"""Images as people send them: a graph gives the pixels that Pillow gives."""

import io
import struct
from zlib import compress, crc32

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
    files += [of_orientation(6, before=b"\xff\xff"), of_orientation(8, before=comment + b"\xff")]
    found, expected = squares(files)
    np.testing.assert_array_equal(found, expected)
    assert len({image.tobytes() for image in expected}) == 8


@pytest.mark.parametrize("order", ["<", ">"])
def test_an_orientation_may_be_of_two_bytes_or_four(squares, order):
    """Types 3, 8 and 4, 9 of EXIF; Pillow heeds no single byte, type 1."""
    files = []
    for kind, form in ((3, "H2x"), (8, "h2x"), (4, "I"), (9, "i"), (1, "B3x")):
        head = b"II*\0" if order == "<" else b"MM\0*"
        exif = head + struct.pack(f"{order}IHHHI{form}I", 8, 1, 0x0112, kind, 1, 6, 0)
        files.append(encoded(photograph(), exif=b"Exif\0\0" + exif))
    found, expected = squares(files)
    np.testing.assert_array_equal(found, expected)
    assert (expected[:4] == expected[0]).all() and (expected[4] != expected[0]).any()


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


def png_of_bits(bits, *, colours=0, key=b""):
    """A PNG of so many bits per channel, grey or RGB, maybe with a transparent colour."""
    pixels = np.asarray(photograph(mode="L" if colours == 0 else "RGB"), np.uint32)
    values = (pixels * 257) >> (16 - bits)
    rows = b"".join(
        b"\0" + np.packbits(((row.reshape(-1)[:, None] >> np.arange(bits)[::-1]) & 1).ravel()
                            .astype(np.uint8)).tobytes()
        for row in values
    )  # fmt: skip

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", crc32(name + data))

    header = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], bits, colours, 0, 0, 0)
    parts = [chunk(b"IHDR", header)] + ([chunk(b"tRNS", key)] if key else [])
    parts += [chunk(b"IDAT", compress(rows)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def test_png_of_few_colours_or_bits_and_with_a_transparent_colour(squares):
    """TensorFlow fills up alpha wrongly below 8 bits, and knows no transparent colour of grey."""
    few = [photograph().quantize(colours) for colours in (2, 4, 16, 256)]
    files = [encoded(image, "PNG", optimize=True) for image in few]
    files += [encoded(image, "PNG", optimize=True, transparency=1) for image in few]
    files += [encoded(photograph(mode="1"), "PNG"), encoded(photograph(mode="LA"), "PNG")]
    files += [png_of_bits(bits) for bits in (1, 2, 4, 8, 16)]
    files += [png_of_bits(bits, colours=2) for bits in (8, 16)]
    corner = int(np.asarray(photograph(mode="L"))[9, 9])
    files += [png_of_bits(bits, key=struct.pack(">H", (257 * corner) >> (16 - bits)))
              for bits in (2, 4, 8)]  # fmt: skip
    colour = [int(v) for v in np.asarray(photograph())[9, 9]]
    files += [png_of_bits(8, colours=2, key=struct.pack(">HHH", *colour))]
    found, expected = squares(files)
    assert list(abs(found - expected).max(axis=(1, 2, 3)) > 2) == [False] * len(files)
    for keyed, plain in ((18, 12), (19, 13)):  # the colour is there, and white
        assert (expected[keyed] > expected[plain]).any()


def test_png_is_turned_as_its_exif_says(squares):
    exif = Image.Exif()
    exif[0x0112] = 6
    found, expected = squares([encoded(photograph(), "PNG", exif=exif)])
    np.testing.assert_array_equal(found, expected)
    assert (expected != squares([encoded(photograph(), "PNG")])[1]).any()


XMP = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'


def with_chunk(data, name, content, *, last=False):
    """A PNG with another chunk, before its pixels or after them."""
    at = data.rindex(b"IEND" if last else b"IDAT") - 4
    chunk = struct.pack(">I", len(content)) + name + content
    return data[:at] + chunk + struct.pack(">I", crc32(name + content)) + data[at:]


def test_images_are_turned_as_xmp_says_where_exif_does_not(squares):
    plain, text = encoded(photograph(), "PNG"), b"XML:com.adobe.xmp\0%c\0\0\0%b"
    upright = Image.Exif()
    upright[0x0112] = 1
    files = [encoded(photograph(), xmp=XMP), encoded(photograph(), xmp=XMP, exif=upright)]
    files += [with_chunk(plain, b"iTXt", text % (0, XMP)), plain, encoded(photograph())]
    found, expected = squares(files)
    np.testing.assert_array_equal(found, expected)
    assert (expected[0] != expected[1]).any() and (expected[2] != expected[3]).any()
    hidden = [with_chunk(plain, b"iTXt", text % (1, compress(XMP)))]
    hidden += [with_chunk(plain, b"zTXt", b"Raw profile type exif\0\0" + compress(b"\n" * 4))]
    for file in hidden:
        with pytest.raises(tf.errors.InvalidArgumentError, match="EXIF as text or compressed XMP"):
            squares([file])


def test_exif_after_the_pixels_of_a_png_and_cut_short(squares):
    plain = encoded(photograph(), "PNG")
    exif = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    files = [with_chunk(plain, b"eXIf", exif, last=True), with_chunk(plain, b"eXIf", exif[:20])]
    found, expected = squares(files)
    np.testing.assert_array_equal(found, expected)
    assert (expected[0] != expected[1]).any()


def test_cmyk_with_adobes_marker_is_read_and_without_refused(squares):
    data = encoded(photograph(mode="CMYK"), quality=95)
    found, expected = squares([data])
    assert abs(found - expected).max() <= 2
    at = data.index(b"\xff\xee")
    bare = data[:at] + data[at + 2 + int.from_bytes(data[at + 2 : at + 4], "big") :]
    with pytest.raises(tf.errors.InvalidArgumentError, match="CMYK JPEG without the marker"):
        squares([bare])


@pytest.mark.parametrize("kind", ["GIF", "BMP", "WEBP", "TIFF"])
def test_other_kinds_are_refused(squares, kind):
    with pytest.raises(tf.errors.InvalidArgumentError, match="expected a JPEG or PNG file"):
        squares([encoded(photograph(), kind)])


def test_what_evaluation_refuses_is_refused(squares):
    dark = Image.fromarray(np.asarray(photograph(mode="L"), np.uint16) * 16)
    with pytest.raises(tf.errors.InvalidArgumentError, match="12 or fewer are used"):
        squares([encoded(dark, "PNG")])
    for colours, key in ((0, b"\0\1"), (2, b"\0\1" * 3)):
        clear = png_of_bits(16, colours=colours, key=key)
        with pytest.raises(tf.errors.InvalidArgumentError, match="with a transparent colour"):
            squares([clear])
        with pytest.raises(tfrecords.UnreadableError, match="with a transparent colour"):
            tfrecords.read_image(clear)
    moving = encoded(photograph(), "PNG", save_all=True, append_images=[photograph(36)])
    with pytest.raises(tf.errors.InvalidArgumentError, match="animated PNG"):
        squares([moving])


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
