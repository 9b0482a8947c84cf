"""A folder of drawn images."""

from tfrecords.sources.shapes.source import ShapesSource

COUNT = 40


def draw(folder, first, last):
    """Images of the miniature world, called after what is on them."""
    world = ShapesSource(counts={"test": COUNT})
    folder.mkdir(exist_ok=True)
    for number, raw in enumerate(world.read("test", first, last), start=first):
        name = world.class_names[raw.label].replace(" ", "_")
        (folder / f"{number:02d}_{name}.jpg").write_bytes(raw.load())
