"""Files as `torch.jit.save` writes them, without torch.

`tests/parity/torch_files.py` compares their pickles with torch's own, byte for byte.
"""

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from torch_archives import KINDS, Storage, Tensor, zipped


@dataclass(eq=False)
class Module:
    """A module of TorchScript; `plain` are attributes that are neither parameters nor buffers."""

    kind: str
    attributes: dict[str, Any]
    buffers: tuple[str, ...] = ()
    plain: tuple[str, ...] = ()


def script(root: Module, *, name: str = "archive", buffers: bool = True) -> bytes:
    """A file of `torch.jit.save`; without `buffers`, torch before 1.7 declared none."""
    return script_of(*pickled(root), code_of(root, buffers=buffers), name=name)


def pickled(root: Module) -> tuple[bytes, dict[Storage, str]]:
    """A pickle as torch writes it, and the storages it refers to with their keys."""
    pickler = _ScriptPickler()
    pickler.value(root)
    return bytes(pickler.out + b"."), pickler.storages


def script_of(
    pickle: bytes,
    storages: Mapping[Storage, str],
    code: Mapping[str, str],
    *,
    name: str = "archive",
) -> bytes:
    """The file of a pickle and of code."""
    members = {f"data/{key}": storage.values.tobytes() for storage, key in storages.items()}
    members |= {"data.pkl": pickle}
    members |= {f"code/{file}": text.encode() for file, text in code.items()}
    members |= {"constants.pkl": b"\x80\x02).", "version": b"3\n", "byteorder": b"little"}
    members |= {".data/serialization_id": b"0" * 40}
    named = {f"{name}/{member}": content for member, content in members.items()}
    return zipped(
        named.items(), deflated=[m for m in named if "/code/" in m and len(named[m]) > 200]
    )


def code_of(root: Module, *, buffers: bool = True) -> dict[str, str]:
    """The declarations of a module and of those inside, by file."""
    files: dict[str, str] = {}
    waiting = [root]
    while waiting:
        module = waiting.pop()
        home, _, kind = module.kind.rpartition(".")
        waiting += [value for value in module.attributes.values() if isinstance(value, Module)]
        tensors = [name for name, value in module.attributes.items() if isinstance(value, Tensor)]
        tensors = [name for name in tensors if name not in module.plain]
        parameters = [name for name in tensors if name not in module.buffers]
        text = f"class {kind}(Module):\n  __parameters__ = [{_quoted(parameters)}]\n"
        if buffers:
            text += f"  __buffers__ = [{_quoted(module.buffers)}]\n"
        text += "".join(f"  {name} : Tensor\n" for name in tensors)
        file = f"{home.replace('.', '/')}.py"
        if text not in files.get(file, ""):
            files[file] = files.get(file, "") + text
    return files


def _quoted(names: Iterable[str]) -> str:
    return "".join(f'"{name}", ' for name in names)


class _ScriptPickler:
    """The pickles of torch's own writer in C++, which remembers strings, names and objects."""

    def __init__(self) -> None:
        self.out = bytearray(b"\x80\x02")
        self.memo: dict[Any, int] = {}
        self.storages: dict[Storage, str] = {}

    def put(self, what: Any) -> None:
        index = self.memo[what] = len(self.memo)
        self.out += (
            struct.pack("<cB", b"q", index) if index < 256 else struct.pack("<cL", b"r", index)
        )

    def get(self, what: Any) -> bool:
        index = self.memo.get(what)
        if index is None:
            return False
        self.out += (
            struct.pack("<cB", b"h", index) if index < 256 else struct.pack("<cL", b"j", index)
        )
        return True

    def string(self, text: str) -> None:
        if not self.get(text):
            self.out += struct.pack("<cL", b"X", len(text.encode())) + text.encode()
            self.put(text)

    def name(self, module: str, name: str) -> None:
        if not self.get((module, name)):
            self.out += f"c{module}\n{name}\n".encode()
            self.put((module, name))

    def value(self, value: Any) -> None:
        if isinstance(value, Module):
            self.module(value)
        elif isinstance(value, Tensor):
            self.tensor(value)
        elif isinstance(value, Storage):
            self.storage(value)
        elif isinstance(value, tuple):
            self.out += b"("
            for item in value:
                self.value(item)
            self.out += b"t"
        elif isinstance(value, str):
            self.string(value)
        elif isinstance(value, list):
            self.name("torch.jit._pickle", "build_intlist")
            self.out += b"(](" + b"".join(map(_number, value)) + b"etR"
        else:
            constants = {True: b"\x88", False: b"\x89", None: b"N"}
            self.out += _number(value) if type(value) is int else constants[value]

    def module(self, module: Module) -> None:
        if self.get(module):
            return
        self.name(*module.kind.rsplit(".", 1))
        self.out += b")\x81}("
        for name, value in module.attributes.items():
            self.string(name)
            self.value(value)
        self.out += b"ub"
        self.put(module)

    def tensor(self, tensor: Tensor) -> None:
        if self.get(tensor):
            return
        self.name("torch._utils", "_rebuild_tensor_v2")
        self.out += b"("
        for part in (tensor.storage, tensor.offset, tensor.shape, tensor.strides, tensor.parameter):
            self.value(part)
        self.name("collections", "OrderedDict")
        self.out += b")RtR"
        self.put(tensor)

    def storage(self, storage: Storage) -> None:
        if self.get(storage):
            return
        key = self.storages.setdefault(storage, str(len(self.storages)))
        self.out += b"("
        self.string("storage")
        self.name("torch", KINDS[storage.values.dtype.name])
        for part in (key, "cpu", storage.values.size):
            self.value(part)
        self.out += b"tQ"
        self.put(storage)


def _number(value: int) -> bytes:
    if 0 <= value < 1 << 8:
        return struct.pack("<cB", b"K", value)
    if 0 <= value < 1 << 16:
        return struct.pack("<cH", b"M", value)
    if -(1 << 31) <= value < 1 << 31:
        return struct.pack("<ci", b"J", value)
    return struct.pack("<cBq", b"\x8a", 8, value)
