"""Draw one image of every class, `shapes` on the left, `shapes-wild` on the right.

python examples/contact_sheet.py shapes.png
"""

import argparse
import io
from pathlib import Path

from PIL import Image, ImageDraw

from tfrecords import sources

MARGIN, ZOOM = 64, 1.5  # pixels for the names; size of an image on the sheet


def sheet(style: str, *, seed: int = 0, split: str = "test") -> Image.Image:
    """A row per colour and a column per shape, from the first hundred images of a split."""
    source = sources.named(style, seed=seed)
    colours = list(dict.fromkeys(name.split()[0] for name in source.class_names))
    shapes = list(dict.fromkeys(name.split()[1] for name in source.class_names))
    cell = int(64 * ZOOM)
    canvas = Image.new("RGB", (MARGIN + cell * len(shapes), MARGIN + cell * len(colours)), "white")
    pen = ImageDraw.Draw(canvas)
    pen.text((4, 8), style, fill="black")
    for i, shape in enumerate(shapes):
        pen.text((MARGIN + cell * i + 8, MARGIN // 2), shape, fill="black")
    for i, colour in enumerate(colours):
        pen.text((4, MARGIN + cell * i + cell // 2), colour, fill="black")
    for example in source.read(split, 0, 100):
        colour, shape = source.class_names[example.label].split()
        image = Image.open(io.BytesIO(example.load())).resize((cell - 4, cell - 4))
        column, row = shapes.index(shape), colours.index(colour)
        canvas.paste(image, (MARGIN + cell * column, MARGIN + cell * row))
    return canvas


def main(path: Path, *, seed: int = 0) -> None:
    sheets = [sheet(style, seed=seed) for style in ("shapes", "shapes-wild")]
    both = Image.new("RGB", (sum(s.width for s in sheets) + MARGIN, sheets[0].height), "white")
    both.paste(sheets[0], (0, 0))
    both.paste(sheets[1], (sheets[0].width + MARGIN, 0))
    both.save(path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    main(options.path, seed=options.seed)
