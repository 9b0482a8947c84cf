"""Find test images that also stand in the training split."""

from pathlib import Path
from shlex import quote

from pipelines.inspection import duplicates
from pipelines.inspection.scan import scan
from pipelines.runs.rerun_command import program

MOST = 20_000  # images up to which near duplicates are looked for as well, a minute or less

TRAIN = "train"


def leaks(data: str | Path, split: str, *, train: str = TRAIN) -> list[str]:
    """One line if images of a split also stand in train; none if they do not.

    By their bytes, and where there are at most `MOST` images by their perceptual hashes as well.
    """
    from tfrecords import Manifest

    manifest = Manifest.read(data)
    if split == train or train not in manifest.splits or split not in manifest.splits:
        return []
    if not all((Path(data) / shard.name).is_file() for shard in manifest.split(train).shards):
        return []  # a measurement needs no training images
    count = sum(manifest.split(name).count for name in (train, split))
    found = scan(str(data), (train, split), sharp=False, pixels=count <= MOST)
    same = duplicates.exact(found)
    pairs = duplicates.near(found) if count <= MOST else []
    size = len(found.files)
    key = f"{split} in {train}"
    exactly = duplicates.across(found, duplicates.joined(size, same)).get(key, 0)
    either = duplicates.across(found, duplicates.joined(size, same, pairs)).get(key, 0)
    if not either:
        return []
    total = manifest.split(split).count
    return [
        f"{either:,} of {total:,} {split} images also stand in {train} ({exactly:,} byte for "
        f"byte): accuracy on them says little; {program()} inspect --data {quote(str(data))} --out "
        "FOLDER lists them"
    ]
