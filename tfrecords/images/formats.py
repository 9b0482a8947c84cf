"""Supported image formats, recognised by their first bytes, and image file extensions."""

from __future__ import annotations

WORDS = "JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF, HEIC"

HEAD_BYTES = 32

_OF_READ = (
    ".jpg .jpeg .jpe .jfif .jif .pjpeg .pjp .mpo .png .apng .webp .gif .bmp .dib .tif .tiff "
    ".heic .heics .heif .heifs .hif .avif .avifs"
)

# Unsupported image formats: reported when found, never skipped silently.
_OF_OTHERS = (
    ".jp2 .j2k .jpx .jxl .jxr .svg .psd .psb .xcf .ai .eps .ico .icns .tga .ppm .pgm .pbm .pnm "
    ".pcx .dds .exr .hdr .dng .cr2 .cr3 .nef .nrw .arw .srf .sr2 .orf .rw2 .raf .pef .srw .3fr "
    ".iiq .x3f .dcm .fits"
)

IMAGE_SUFFIXES = frozenset((_OF_READ + " " + _OF_OTHERS).split())

_SIGNATURES = (
    (0, b"\xff\xd8\xff", "JPEG"),
    (0, b"\x89PNG\r\n\x1a\n", "PNG"),
    (0, b"GIF87a", "GIF"),
    (0, b"GIF89a", "GIF"),
    (0, b"II*\0", "TIFF"),
    (0, b"MM\0*", "TIFF"),
    (0, b"II+\0", "TIFF"),
    (0, b"MM\0+", "TIFF"),
    (8, b"WEBP", "WEBP"),
)

# Brands of ISO base media files (ISO/IEC 23008-12, annex B; AV1 Image File Format, section 4).
_BRANDS = {
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"), "HEIF"),
    **dict.fromkeys((b"mif1", b"msf1"), "HEIF"),
    **dict.fromkeys((b"avif", b"avis"), "AVIF"),
}


# How files begin that are no images, though they are called so, or of a kind that is not read here.
_OTHERS = {
    b"version https://git-lfs": "a pointer of Git LFS to it (git lfs pull)",
    b"<!doctype html": "a page of HTML",
    b"<html": "a page of HTML",
    b"<svg": "an SVG",
    b"<?xml": "XML",
    b"{": "JSON",
    b"\x1f\x8b": "compressed by gzip",
    b"pk\3\4": "a ZIP archive",
    b"%pdf": "a PDF",
    b"8bps": "a file of Photoshop",
    b"\xff\x0a": "JPEG XL",
    b"\0\0\0\x0cjxl ": "JPEG XL",
    b"\0\0\0\x0cjp  ": "JPEG 2000",
}


def other_kind_of(head: bytes) -> str:
    """Returns what a file is that is no image read here, by how it begins; "" if unknown."""
    small = head.lower().lstrip(b"\xef\xbb\xbf \t\r\n")
    return next((kind for begin, kind in _OTHERS.items() if small.startswith(begin)), "")


def kind_of(head: bytes) -> str | None:
    """Returns a file's format, by Pillow's name, from its first `HEAD_BYTES`; None for others."""
    for place, signature, kind in _SIGNATURES:
        if head[place:].startswith(signature) and (kind != "WEBP" or head[:4] == b"RIFF"):
            return kind
    if head[4:8] == b"ftyp":
        brands = [head[at : at + 4] for at in (8, *range(16, HEAD_BYTES, 4))]
        named = [_BRANDS[brand] for brand in brands if brand in _BRANDS]
        return "AVIF" if "AVIF" in named else named[0] if named else None
    # The two-letter signature is weak evidence, so the header size after it must be valid too.
    is_bmp = head[:2] == b"BM" and head[14:15] in b"\x0c\x28\x34\x38\x40\x6c\x7c" and head[14:15]
    return "BMP" if is_bmp and head[15:18] == b"\0\0\0" else None
