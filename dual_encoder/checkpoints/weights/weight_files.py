"""Find the weight files of a checkpoint, and open their tensors."""

import fnmatch
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from dual_encoder.checkpoints.torch_files import map_torch_tensors
from dual_encoder.checkpoints.weights.safetensors_mmap import Tensors, map_tensors
from dual_encoder.checkpoints.weights.shards import shards

POINTER = b"version https://git-lfs.github.com"

INDEX = ".index.json"  # of weights in several files

KERAS_HUB = "*.weights.h5"  # read by KerasHub itself

# What publishers call the weights of each layout, by the kind of file. The first that is there
# counts, safetensors in any layout before files of torch; either may be in several files.
SAFETENSORS = {
    "open_clip": ("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors"),
    "transformers": ("model.safetensors",),
}

ANY_TORCH = "*.pt"  # OpenCLIP's training writes one for each epoch

TORCH = {
    "open_clip": ("open_clip_pytorch_model.bin", "open_clip_model.bin", ANY_TORCH),
    "transformers": ("pytorch_model.bin",),
}

# The configuration that a layout has, and what it has for images; in this order where both could
# be meant.
CONFIGS = {"open_clip": "open_clip_config.json", "transformers": "config.json"}

ALONE = (".safetensors", ".bin", ".pt", ".pth", ".npz", ".ckpt", ".msgpack")

PROCESSORS = ("preprocessor_config.json", "processor_config.json")


# In front of every name: of DataParallel, torch.compile and Lightning around the model.
AROUND = re.compile(r"module\.|_orig_mod\.|model\.")


@dataclass(frozen=True)
class Weights:
    """The weights of a checkpoint: the layout of their names, and their file, or its index."""

    layout: str
    file: str

    @property
    def is_torch(self) -> bool:
        """Whether they are in the format of `torch.save`."""
        return not self.file.removesuffix(INDEX).endswith(".safetensors")

    @property
    def pattern(self) -> str:
        """Matches the files: of an index all parts that may be its own."""
        if not self.file.endswith(INDEX):
            return self.file
        whole = Path(self.file.removesuffix(INDEX))
        return f"{whole.stem}*{whole.suffix}"


def is_weights(name: str) -> bool:
    """Whether a file of this name holds weights, and nothing of what they are of."""
    return name.endswith(ALONE)


def find(names: Iterable[str], layout: str | None = None) -> Weights | None:
    """The weights among the files of a checkpoint, None where there are none.

    Args:
        names: of all its files; those of folders inside do not count.
        layout: the only one to look for; else the one that has its configuration among them.
    """
    names = sorted(name for name in names if "/" not in name)
    layouts = (layout,) if layout else tuple(name for name in CONFIGS if CONFIGS[name] in names)
    if layouts == tuple(CONFIGS) and not set(PROCESSORS) & set(names):
        layouts = ("open_clip",)  # timm puts a config.json of its own beside
    tables = (SAFETENSORS, TORCH)
    own = [(table, each, table[each]) for table in tables for each in layouts]
    # Weights of open_clip may have the plain names, where these are not another model's.
    plain = [(table, "open_clip", table["transformers"]) for table in tables]
    places = own + (plain if "open_clip" in layouts else [])
    if CONFIGS["transformers"] not in names:
        places.sort(key=lambda place: place[0] is TORCH)
    found = (Weights(each, file) for _, each, wanted in places if (file := _first(names, wanted)))
    return next(found, None)


def nothing_found(where: object, names: Iterable[str], layout: str | None = None) -> str:
    """What an error says of a checkpoint without weights: what is there, what was looked for."""
    names = sorted(names)
    layouts = (layout,) if layout else tuple(CONFIGS)
    wanted = [name for table in (SAFETENSORS, TORCH) for each in layouts for name in table[each]]
    configs = tuple(CONFIGS[each] for each in layouts)
    there = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "") if names else "nothing"
    if not set(configs) & set(names):
        return f"{where}: expected {' or '.join(configs)} with the weights; there is {there}"
    return (
        f"{where}: no weights here; expected {', '.join(dict.fromkeys(wanted))}, or one of them in "
        f"parts with its {INDEX}; there is {there}"
    )


def open_tensors(folder: Path, layout: str, *, rename: Callable[[str], str] = str) -> Tensors:
    """The tensors of a folder by name, whatever their files are called.

    They stay on disk until they are used, and are read-only. A file of torch is read without
    running what it pickles. `rename` goes from a name in a file to the name here.

    Raises:
        FileNotFoundError: no weights of this layout, or a part is missing.
        ValueError: a file is damaged, a pointer, or holds something else than tensors; several
            files may be meant.
    """
    names = [path.name for path in folder.iterdir() if path.is_file()]
    weights = find(names, layout)
    if weights is None:
        raise FileNotFoundError(nothing_found(folder, names, layout))
    if len(alike := fnmatch.filter(names, ANY_TORCH)) > 1 and weights.file in alike:
        raise ValueError(f"{folder}: expected weights in one file; got {', '.join(sorted(alike))}")
    file = folder / weights.file
    read = map_torch_tensors if weights.is_torch else map_tensors
    tensors: Tensors = {}
    for path, listed in (shards(file) if weights.file.endswith(INDEX) else {file: set()}).items():
        _refuse_pointer(path)
        found = read(path)[0]
        if missing := sorted(listed - found.keys()):
            raise ValueError(f"{file}: lists {missing[0]} in {path.name}, which has it not")
        # Another file may have a tensor, too: an older copy, which the index does not mean.
        tensors = found | tensors | {name: found[name] for name in listed}
    bare = _bare(tensors)
    return {rename(name): array for name, array in bare.items()}


def _bare(tensors: Tensors) -> Tensors:
    """The tensors by their names inside what was around the model as it was saved."""
    while around := AROUND.match(next(iter(tensors), "")):
        if not all(name.startswith(around[0]) for name in tensors):
            break
        tensors = {name.removeprefix(around[0]): array for name, array in tensors.items()}
    return tensors


def _refuse_pointer(path: Path) -> None:
    with open(path, "rb") as file:
        if file.read(len(POINTER)) == POINTER:
            raise ValueError(
                f"{path}: a pointer in place of the file, as git clone leaves it; "
                "git lfs pull fetches the file"
            )


def _first(names: list[str], wanted: Iterable[str]) -> str | None:
    """The first of the names that are wanted, itself or by an index of its parts."""
    for name in wanted:
        for pattern in (name, f"{name}{INDEX}"):
            if found := fnmatch.filter(names, pattern):
                return found[0]
    return None
