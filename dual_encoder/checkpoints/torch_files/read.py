"""Read torch's file formats: zip archives, TorchScript, and files from before torch 1.6."""

import io
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

from dual_encoder.checkpoints.torch_files import state_dict, zip_members
from dual_encoder.checkpoints.torch_files.safe_globals import ScriptObject, Storage, Tensor
from dual_encoder.checkpoints.torch_files.unpickle import unpickle
from dual_encoder.checkpoints.torch_files.zip_members import Member

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # of a legacy file
MOST_PICKLE = 32 << 20  # bytes
MOST_CODE = 16 << 20  # bytes, of all of TorchScript's code that is read
MOST_LARGER = 4  # times the file that its tensors may be; some share their numbers
SPARE = 1 << 20  # bytes on top
MOST_LINE = 300  # characters of an error
Place = Callable[[Storage], range]  # where the numbers of a storage are in the file
Contents = tuple[state_dict.Tensors, state_dict.Metadata, Place]


def map_torch_tensors(path: str | Path) -> tuple[dict[str, np.ndarray], state_dict.Metadata]:
    """Read-only arrays of a file of `torch.save` or `torch.jit.save` by name, and its metadata.

    The numbers stay on disk until they are used, and no pickle is run (see `unpickle`). Files are
    archives, TorchScript, and those of before torch 1.6. Names are those of the state dict, also
    where it lies beside an optimizer's state (as `state_dict`, `model_state_dict`, `model` or
    `module`), where `module.` is in front of every name, or where the file holds a module of
    TorchScript, as OpenAI published CLIP. Metadata are the numbers and words beside the tensors,
    such as `epoch` or `input_resolution`.

    Raises:
        FileNotFoundError: no such file.
        ValueError: it is none of these, is damaged, or names something that tensors do not need.

    Example:
        >>> arrays, metadata = map_torch_tensors("pytorch_model.bin")
        >>> arrays["logit_scale"].shape
        ()
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no file {str(path)!r}")
    try:
        return _read(path)
    except ValueError as error:
        raise ValueError(f"{path}: {_line(error)}") from None


def _read(path: Path) -> tuple[dict[str, np.ndarray], state_dict.Metadata]:
    if path.stat().st_size == 0:
        raise ValueError("expected a file of torch.save; it is empty")
    data = np.memmap(path, np.uint8, mode="r")
    start = bytes(data[:512])
    if start.startswith(b"PK\3\4"):
        tensors, metadata, place = _archive(data.data)
    elif start[257:262] == b"ustar":
        raise ValueError("is a tar archive, as torch before 0.1.10 wrote; expected one of 1.6")
    elif start[:1] in (b"\x80", b"L"):  # a number of protocol 2, or of 1
        tensors, metadata, place = _legacy(data.data)
    else:
        raise ValueError(f"expected a file of torch.save; it begins with {start[:16]!r}")
    _check_sizes(tensors, len(data))
    return {name: _array(data, name, tensor, place) for name, tensor in tensors.items()}, metadata


def _check_sizes(tensors: state_dict.Tensors, size: int) -> None:
    """Before there is an array: one number that is repeated could be made to fill all memory."""
    left = MOST_LARGER * size + SPARE
    for name, tensor in tensors.items():
        left -= math.prod(max(length, 1) for length in tensor.shape) * tensor.dtype.itemsize
        if left < 0:
            raise ValueError(f"tensor {name!r}: more numbers than a file of {size} bytes can have")


def _array(data: np.ndarray, name: str, tensor: Tensor, place: Place) -> np.ndarray:
    """A view of the file."""
    shape, item, where = tensor.shape, tensor.dtype.itemsize, place(tensor.storage)
    if 0 in shape:
        return np.empty(shape, tensor.dtype)
    strides = [0 if size == 1 else step for size, step in zip(shape, tensor.strides, strict=True)]
    last = tensor.offset + sum((size - 1) * step for size, step in zip(shape, strides, strict=True))
    if (last + 1) * item > len(where):
        raise ValueError(
            f"tensor {name!r}: reaches past the {len(where)} bytes of storage "
            f"{tensor.storage.key!r}"
        )
    return np.ndarray(
        shape,
        tensor.dtype,
        buffer=data[where.start : where.stop],
        offset=tensor.offset * item,
        strides=[step * item for step in strides],
    )


def _archive(data: memoryview) -> Contents:
    """Since torch 1.6: a zip of `NAME/data.pkl`, and each storage as `NAME/data/KEY`."""
    members = zip_members.members(data)
    roots = [name for name in members if name.endswith("/data.pkl") and name.count("/") == 1]
    if len(roots) != 1:
        raise ValueError("is a zip archive, but not of torch.save: it has no NAME/data.pkl")
    folder = roots[0].removesuffix("data.pkl")
    order = members.get(f"{folder}byteorder")
    if order and zip_members.content(data, order, most=16) != b"little":
        raise ValueError("expected numbers in little-endian order; got big-endian")
    pickle = zip_members.content(data, members[roots[0]], most=MOST_PICKLE)
    script = f"{folder}constants.pkl" in members
    root, _ = unpickle(io.BytesIO(pickle), script=script)
    if isinstance(root, ScriptObject):
        tensors, metadata = state_dict.of_script(root, _Code(data, members, folder).declared)
    else:
        tensors, metadata = state_dict.of_dictionary(root)
    return tensors, metadata, lambda storage: _member(members, folder, storage)


def _member(members: dict[str, Member], folder: str, storage: Storage) -> range:
    """Where the numbers of a storage are in an archive."""
    member, item = members.get(f"{folder}data/{storage.key}"), storage.dtype.itemsize
    if member is None:
        raise ValueError(f"no member data/{storage.key} in the archive")
    if member.deflated:
        raise ValueError(f"member data/{storage.key} is packed; torch writes numbers as they are")
    if storage.count * item > member.size:
        raise ValueError(
            f"member data/{storage.key}: expected {storage.count * item} bytes; got {member.size}"
        )
    return range(member.start + storage.start * item, member.start + storage.stop * item)


class _Code:
    """The code of a TorchScript archive, of which only the declarations are looked at."""

    def __init__(self, data: memoryview, members: dict[str, Member], folder: str):
        self.data, self.members, self.folder = data, members, folder
        self.known: dict[str, dict[str, tuple[str, ...] | None]] = {}
        self.left = MOST_CODE

    def declared(self, kind: str) -> tuple[str, ...] | None:
        """Parameters and buffers of a class, by its full name; None where the code has no list."""
        module, _, name = kind.rpartition(".")
        if module not in self.known:
            self.known[module] = {}
            member = self.members.get(f"{self.folder}code/{module.replace('.', '/')}.py")
            if member is not None:
                code = zip_members.content(self.data, member, most=self.left)
                self.left -= len(code)
                self.known[module] = state_dict.declared_in(code.decode("utf-8"))
        return self.known[module].get(name)


def _legacy(data: memoryview) -> Contents:
    """Before torch 1.6: five pickles, then each storage with its count of numbers in front."""
    file = io.BytesIO(data[:MOST_PICKLE])
    magic, _ = unpickle(file)
    if not isinstance(magic, int) or magic != MAGIC:
        raise ValueError("is a pickle, but not of torch.save; nothing was run")
    version, _ = unpickle(file)
    if not isinstance(version, int) or version != PROTOCOL:
        raise ValueError(f"expected protocol {PROTOCOL} of torch.save")
    unpickle(file)  # of the machine that wrote it; numbers are little-endian whatever it says
    root, storages = unpickle(file)
    keys, _ = unpickle(file)
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise ValueError("expected a list of its storages")
    if len(set(keys)) != len(keys) or set(keys) != set(storages):
        raise ValueError(f"lists {len(keys)} storages; its tensors need {len(storages)}")
    places = _legacy_places(data, file.tell(), [storages[key] for key in keys])
    tensors, metadata = state_dict.of_dictionary(root)

    def place(storage: Storage) -> range:
        item = storage.dtype.itemsize
        return places[storage.key][storage.start * item : storage.stop * item]

    return tensors, metadata, place


def _legacy_places(data: memoryview, at: int, storages: list[Storage]) -> dict[str, range]:
    """Where each storage of a legacy file is, the first of them at this place."""
    places = {}
    for storage in storages:
        count, at = int.from_bytes(data[at : at + 8], "little"), at + 8
        end = at + storage.count * storage.dtype.itemsize
        if count != storage.count or end > len(data):
            raise ValueError(f"storage {storage.key!r} is cut off or damaged; is the file whole?")
        places[storage.key], at = range(at, end), end
    if at != len(data):
        raise ValueError(f"has {len(data) - at} bytes after its last storage")
    return places


def _line(error: Exception) -> str:
    """One line of an error, whatever strings of the file are in it."""
    text = " ".join(str(error)[: 4 * MOST_LINE].split())[:MOST_LINE]
    return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in text)
