"""The options of `inspect`."""

from dataclasses import dataclass

FILES = ("inspection.json", "suspects.csv", "report.html", "config.yaml")

RANGES: dict[str, tuple[str, ...]] = {"[1, 65536]": ("batch_size",), "[2, 20]": ("folds",)}

OF_MODEL = {"split": "train", "features": None, "folds": 5}  # that nothing else reads


@dataclass(frozen=True)
class Options:
    """Look for what is wrong with the images and labels of records.

    Args:
        data: folder with the records that prepare wrote
        out: folder for the page, the table and the figures; nothing in it is overwritten
        model: checkpoint, folder or .keras file with an image tower: then also labels that look
            wrong, images that the model takes for the same, and classes that look alike; take one
            that was not trained on these labels
        split: the split whose labels are checked
        features: folder of cached features, to share them with other runs
        folds: parts of the cross-validation that gives each image a probability from images
            other than itself
        batch_size: images that are encoded at a time
        seed: draws the folds
    """

    data: str
    out: str
    model: str | None = None
    split: str = "train"
    features: str | None = None
    folds: int = 5
    batch_size: int = 64
    seed: int = 0
