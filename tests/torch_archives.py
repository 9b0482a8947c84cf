"""Files as torch writes them, without torch: archives of `torch.save` and legacy files.

`tests/parity/torch_files.py` compares them with torch's own, byte for byte.
"""

import io
import pickle
import struct
import sys
import zlib
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any
from unittest.mock import patch

import ml_dtypes  # noqa: F401  NumPy learns bfloat16
import numpy as np

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
KINDS = {
    "float64": "DoubleStorage", "float32": "FloatStorage", "float16": "HalfStorage",
    "bfloat16": "BFloat16Storage", "int64": "LongStorage", "int32": "IntStorage",
    "int16": "ShortStorage", "int8": "CharStorage", "uint8": "ByteStorage", "bool": "BoolStorage",
}  # fmt: skip
NEW_KINDS = ("uint16", "uint32", "uint64", "float8_e4m3fn", "float8_e5m2")


@dataclass(eq=False)
class Storage:
    """Numbers of a file; `key` and `count` are what the file says of them."""

    values: np.ndarray
    key: str | None = None
    count: int | None = None


@dataclass(eq=False)
class Tensor:
    """A view of a storage, in numbers; of all of it where nothing else is said."""

    storage: Storage
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int = 0
    parameter: bool = False
    state: dict | None = None  # of a parameter with attributes of Python


@dataclass(eq=False)
class Call:
    """What is pickled as a call of a name of torch."""

    module: str
    name: str
    arguments: tuple
    state: Any = None


def tensor(values: Any, *, parameter: bool = False, state: dict | None = None) -> Tensor:
    """A tensor of its own storage."""
    values = np.ascontiguousarray(values) if np.ndim(values) else np.asarray(values)
    strides = tuple(step // values.itemsize for step in values.strides)
    return Tensor(Storage(values), values.shape, strides, parameter=parameter, state=state)


def pickled(root: Any, *, protocol: int = 2, legacy: bool = False) -> tuple[bytes, dict]:
    """A pickle as torch writes it, and the storages it refers to with their keys."""
    file = io.BytesIO()
    pickler = _Pickler(file, protocol)
    pickler.storages, pickler.legacy = {}, legacy
    with patch.dict(sys.modules, STAND_INS):  # the names are imported, to be compared
        pickler.dump(root)
    return file.getvalue(), pickler.storages


class _Pickler(pickle.Pickler):
    storages: dict[Storage, str]
    legacy: bool

    def persistent_id(self, value: Any) -> tuple | None:
        if not isinstance(value, Storage):
            return None
        kind = KINDS.get(value.values.dtype.name)
        where = ("torch", kind) if kind else ("torch.storage", "UntypedStorage")
        size = value.values.size * (1 if kind else value.values.itemsize)
        key = self.storages.setdefault(value, value.key or str(len(self.storages)))
        count = size if value.count is None else value.count
        if self.legacy:  # a string of its own every time, which is then written every time
            return "storage", _imported(*where), (key + " ")[:-1], "cpu", count, None
        return "storage", _imported(*where), key, "cpu", count

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, Call):
            made = _imported(value.module, value.name), value.arguments
            return made if value.state is None else (*made, value.state)
        if not isinstance(value, Tensor):
            return NotImplemented
        if value.parameter:
            data = Tensor(value.storage, value.shape, value.strides, value.offset)
            if value.state is None:
                return _imported("torch._utils", "_rebuild_parameter"), (data, True, OrderedDict())
            made = _imported("torch._utils", "_rebuild_parameter_with_state")
            return made, (data, True, OrderedDict(), value.state)
        kind = value.storage.values.dtype.name
        places = (value.storage, value.offset, value.shape, value.strides, False, OrderedDict())
        if kind in KINDS:
            return _imported("torch._utils", "_rebuild_tensor_v2"), places
        return _imported("torch._utils", "_rebuild_tensor_v3"), (*places, _imported("torch", kind))


def _imported(module: str, name: str) -> type:
    """The stand-in, where `pickle` looks for it."""
    value = stand_in(module, name)
    sys.modules.update(STAND_INS)
    return value


def stand_in(module: str, name: str) -> type:
    """A class that is pickled by this name of torch; only `pickled` lets it be imported."""
    home = STAND_INS.setdefault(module, ModuleType(module))
    STAND_INS.setdefault(module.partition(".")[0], home)  # what a module is in comes first
    if not hasattr(home, name):
        setattr(home, name, type(name, (), {"__module__": module}))
    return getattr(home, name)


STAND_INS: dict[str, ModuleType] = {}


NUMBER = "0" * 40  # torch gives every file one


def archive(root: Any, *, name: str = "archive", protocol: int = 2, number: str = NUMBER) -> bytes:
    """A file of `torch.save` since 1.6."""
    return archive_of(*pickled(root, protocol=protocol), name=name, number=number)


def archive_of(
    pickle: bytes, storages: Mapping[Storage, str], *, name: str = "archive", number: str = NUMBER
) -> bytes:
    """The same of a pickle."""
    members = {"data.pkl": pickle, ".format_version": b"1", ".storage_alignment": b"64"}
    members["byteorder"] = b"little"
    members |= {f"data/{key}": storage.values.tobytes() for storage, key in storages.items()}
    members |= {"version": b"3\n", ".data/serialization_id": number.encode()}
    return zipped((f"{name}/{member}", content) for member, content in members.items())


def legacy(root: Any) -> bytes:
    """A file of `torch.save` before 1.6."""
    return legacy_of(*pickled(root, legacy=True))


def legacy_of(pickle_: bytes, storages: Mapping[Storage, str]) -> bytes:
    """The same of a pickle."""
    sizes = dict(short=2, int=4, long=4)
    system = dict(protocol_version=PROTOCOL, little_endian=True, type_sizes=sizes)
    heads = [pickle.dumps(head, protocol=2) for head in (MAGIC, PROTOCOL, system)]
    by_key = {key: storage.values for storage, key in storages.items()}
    pieces = [*heads, pickle_, pickle.dumps(sorted(by_key), protocol=2)]
    for key in sorted(by_key):
        pieces += [by_key[key].size.to_bytes(8, "little"), by_key[key].tobytes()]
    return b"".join(pieces)


def zipped(
    members: Iterable[tuple[str, bytes]], *, deflated: Iterable[str] = (), alignment: int = 64
) -> bytes:
    """An archive as torch's own zip writer lays it out: contents aligned, sizes after them."""
    out, directory, count = bytearray(), bytearray(), 0
    deflated = set(deflated)
    for name, content in members:
        header, at, count = len(out), name.encode(), count + 1
        method = 8 if name in deflated else 0
        packer = zlib.compressobj(wbits=-15)
        packed = packer.compress(content) + packer.flush() if method else content
        flags = 0x0808 if packed else 0x0800
        padding = -(header + 30 + len(at) + 4) % alignment
        extra = b"FB" + struct.pack("<H", padding) + b"Z" * padding
        out += struct.pack("<4s5H3L2H", b"PK\3\4", 0, flags, method, *[0] * 5, len(at), len(extra))
        out += at + extra + packed
        sizes = (zlib.crc32(content), len(packed), len(content))
        out += struct.pack("<4s3L", b"PK\7\x08", *sizes) if packed else b""
        fields = (0, 0, flags, method, 0, 0, *sizes, len(at), *[0] * 5, header)
        directory += struct.pack("<4s6H3L5H2L", b"PK\1\2", *fields) + at
    return bytes(out + directory + directory_end(count, len(directory), len(out)))


def directory_end(count: int, size: int, offset: int) -> bytes:
    """What is behind the directory of an archive."""
    end = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 798, 45, 0, 0, count, count, size, offset)
    end += struct.pack("<4sLQL", b"PK\6\7", 0, offset + size, 1)
    offset = min(offset, 0xFFFF_FFFF)
    return end + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, size, offset, 0)
