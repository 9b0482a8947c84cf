"""The options of `predict`, and which of them go together."""

import os
from dataclasses import dataclass
from pathlib import Path

RANGES: dict[str, tuple[str, ...]] = {
    "[1, 65536]": ("batch_size",),
    "[1, inf)": ("max_pixels",),
    "[1, 1000000]": ("top_k",),
    "[0, 1]": ("threshold",),
}
TABLES = (".csv", ".jsonl")


@dataclass(frozen=True)
class Options:
    """Predict the classes of unlabelled images.

    Args:
        model: the folder of a run (of finetune, compare, prompt or train), a .keras file, a
            checkpoint's name, or an export: its folder, or a .tflite, .onnx or .xml file.
        images: folders, files, patterns such as "photos/*.jpg", or - for a list of files on
            standard input.
        out: file for the answers, .csv or .jsonl; never overwritten. Stopped at any point, the same
            command goes on.
        class_names: of a dual encoder: names, or one file: a name per line, JSON (a list) or a CSV.
        templates: of a dual encoder: prompts with {} for the class name, or one file with a prompt
            per line, or JSON or CSV with prompts of each class.
        prompts: of a dual encoder: file of learnt prompts, as prompt writes it.
        data: of a dual encoder: folder of records whose class names and templates it reads.
        top_k: classes listed for each image, likeliest first.
        threshold: an image is given a class only if its probability is at least this; without it
            the likeliest class, and where images have several labels those of at least the
            threshold that the run chose for each class, or 0.5.
        sure: of a run or an export that says how sure it is (all that learn do): probabilities at
            its temperature, no class where none is as likely as for 95 % of images of known
            classes, and a column `candidates`: classes that hold the true one for 90 %.
        sheet: file for a page with the images, most confident first; never overwritten.
        sort_into: folder outside --images; each image is copied into a folder of it named like its
            class.
        link: with --sort-into, links in place of copies.
        batch_size: images at a time.
        first_frame: of animated images and files of several pages, take the first in place of
            listing them as unreadable.
        max_pixels: images of more pixels are listed as unreadable; without it 89,478,485.
    """

    model: str
    images: list[str]
    out: str
    class_names: list[str] | None = None
    templates: list[str] | None = None
    prompts: str | None = None
    data: str | None = None
    top_k: int = 3
    threshold: float | None = None
    sure: bool = False
    sheet: str | None = None
    sort_into: str | None = None
    link: bool = False
    batch_size: int = 32
    first_frame: bool = False
    max_pixels: int | None = None


def check(options: Options) -> None:
    """Raises ValueError for options that do not go together, or a file that is no table."""
    if Path(options.out).suffix.lower() not in TABLES:
        raise ValueError(f"--out: expected a file that ends in .csv or .jsonl; got {options.out}")
    if options.sure and options.threshold is not None:
        raise ValueError("--sure and --threshold: expected one of them; got both")
    if options.link and options.sort_into is None:
        raise ValueError("--link goes with --sort-into")
    for folder in (word for word in options.images if os.path.isdir(word)):
        if options.sort_into and _is_inside(options.sort_into, folder):
            raise ValueError(
                f"--sort-into: {options.sort_into} lies in --images {folder}, whose images the "
                "copies would be; expected a folder outside"
            )
    if options.sheet and Path(options.sheet).suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"--sheet: expected a file that ends in .html; got {options.sheet}")


def _is_inside(path: str, folder: str) -> bool:
    return Path(path).resolve().is_relative_to(Path(folder).resolve())


def unreadable_file(out: Path) -> Path:
    """Where images that cannot be read are listed: `predictions.unreadable.csv`."""
    return out.with_name(f"{out.stem}.unreadable.csv")
