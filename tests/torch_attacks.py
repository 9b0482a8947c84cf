"""Pickles that would run something, or fill memory, if they were run; and what refuses each."""

import os
import pickle
import struct
from pathlib import Path

# What has run code when files of torch were loaded, or could; in modules of all sorts.
NAMES = (
    "os.system", "posix.system", "nt.system", "subprocess.Popen", "builtins.eval", "builtins.exec",
    "builtins.getattr", "builtins.__import__", "__builtin__.eval", "importlib.import_module",
    "runpy.run_path", "pickle.loads", "torch.load", "torch.hub.load", "torch._utils.os.system",
    "torch.utils._config_module.ConfigModule.load_config", "numpy.testing.measure.runstring",
    "numpy.load", "collections.OrderedDict.__init__", "functools.partial", "operator.attrgetter",
    "_io.open", "socket.create_connection", "ctypes.CDLL", "__main__.Model", "torch.nn.Linear",
)  # fmt: skip
TENSOR = b"ctorch._utils\n_rebuild_tensor_v2\n"
FROM_TYPE = b"ctorch._tensor\n_rebuild_from_type_v2\n"
KIND = b"ctorch\nFloatStorage\n"
DICTIONARY = b"ccollections\nOrderedDict\n"


class Command:
    """Runs a command where it is unpickled."""

    def __init__(self, command: str):
        self.command = command

    def __reduce__(self) -> tuple:
        return os.system, (self.command,)


def text(words: str) -> bytes:
    """A string, as an instruction."""
    return struct.pack("<cL", b"X", len(words.encode())) + words.encode()


def reference(count: int, *, word: str = "storage", kind: bytes = KIND) -> bytes:
    """A storage that a tensor may be of."""
    number = count.to_bytes(20, "little", signed=True)
    return b"(" + text(word) + kind + text("0") + text("cpu") + b"\x8a\x14" + number + b"tQ"


def tensor(
    *, count: int = 1, offset: int = 0, shape: bytes = b"K\1\x85", strides: bytes = b"K\1\x85"
):
    """A tensor of that storage."""
    number = b"\x8a\x14" + offset.to_bytes(20, "little", signed=True)
    places = reference(count) + number + shape + strides + b"\x89" + DICTIONARY + b")R"
    return TENSOR + b"(" + places + b"tR"


def attacks(sentinel: Path) -> dict[str, tuple[bytes, str]]:
    """Pickles by what they do, each with a part of the error; those that run make `sentinel`."""
    command = f"touch {sentinel}"
    call = text(command) + b"\x85R."
    found = {
        f"system, protocol {number}": (
            pickle.dumps(Command(command), protocol=number),
            "posix.system",
        )
        for number in range(pickle.HIGHEST_PROTOCOL + 1)
    }
    for whole in NAMES:
        module, _, name = whole.rpartition(".")
        on_stack = text(module) + b"q\0" + text(name) + b"q\x010h\0h\1\x93"
        found[f"{whole}, called"] = (f"\x80\2c{module}\n{name}\n".encode("latin-1") + call, whole)
        found[f"{whole}, from the memo"] = (b"\x80\4N" + on_stack + call, whole)
        made = f"(S'{command}'\ni{module}\n{name}\n.".encode()
        found[f"{whole}, instance"] = (made, "the instruction INST")
    for what, (body, error) in {**_calls(command), **_values(), **_stacks()}.items():
        found[what] = (b"\x80\2" + body, error)
    for name, body in UNKNOWN_INSTRUCTIONS.items():
        found[name] = (b"\x80\5" + body, f"the instruction {name}")
    return found


def _calls(command: str) -> dict[str, tuple[bytes, str]]:
    """Allowed names with what they do not take, and names that are not called but used."""
    system, six = b"cos\nsystem\n", b"(" + b"N" * 6 + b"t"
    return {
        "system as an argument": (TENSOR + b"(" + system + text(command) + b"\x85R", "os.system"),
        "system under a tensor": (FROM_TYPE + b"(" + system + KIND + b")NtR.", "os.system"),
        "tensors under tensors": (FROM_TYPE + b"(" + FROM_TYPE + KIND + b")NtR.", "makes none"),
        "dictionary under a tensor": (
            FROM_TYPE + b"(" + DICTIONARY + KIND + b")NtR.",
            "makes none",
        ),
        "call of a string": (text("os.system") + text(command) + b"\x85R.", "cannot be called"),
        "call of a dictionary": (b"}" + text(command) + b"\x85R.", "cannot be called"),
        "call of a kind of numbers": (KIND + b"K\1\x85R.", "cannot be called"),
        "call with a list": (DICTIONARY + b"]R.", "cannot be called"),
        "tensor of nothing": (TENSOR + b")R.", "with 0 arguments; expected 6 to 7"),
        "tensor of None": (TENSOR + six + b"R.", "no storage"),
        "tensor of kind None": (
            TENSOR.replace(b"v2", b"v3") + b"(" + b"N" * 7 + b"tR.",
            "no storage",
        ),
        "parameter of None": (b"ctorch._utils\n_rebuild_parameter\nNNN\x87R.", "no tensor"),
        "dictionary of a string": (DICTIONARY + text("ab") + b"\x85R.", "no list of pairs"),
        "dictionary of numbers": (DICTIONARY + b"](K\1K\2e\x85R.", "no list of pairs"),
        "size of a string": (
            b"ctorch\nSize\n" + text("ab") + b"\x85R.",
            "something else than counts",
        ),
        "new system": (system + b")\x81.", "os.system"),
        "new storage": (KIND + b")\x81.", "cannot be called"),
        "state of a list": (b"]}b.", "adds to a list"),
        "state of a name": (DICTIONARY + b"}b.", "adds to a Maker"),
        "state of a tensor": (tensor() + b"}" + text("__class__") + b"Nsb.", "adds to a Tensor"),
        "class of TorchScript": (b"c__torch__.os\nsystem\n)R.", "__torch__.os.system|be called"),
    }


def _values() -> dict[str, tuple[bytes, str]]:
    """Storages and tensors that are none."""
    state, view = b"}" + text("a"), reference(1).removesuffix(b"tQ") + text("1")
    return {
        "id of a string": (text("storage") + b"Q.", "no storage"),
        "id of a tuple": (b")Q.", "no storage"),
        "id of a module": (reference(1, word="module") + b".", "refers to a 'module'"),
        "kind of a string": (reference(1, kind=text("FloatStorage")) + b".", "no storage"),
        "complex numbers": (b"ctorch\nComplexFloatStorage\n.", "numbers of torch.ComplexFloat"),
        "count below 0": (reference(-1) + b".", "expected a count"),
        "count of 100 bits": (reference(1 << 100) + b".", "expected a count"),
        "counts that differ": (reference(1) + reference(2) + b".", "in one place"),
        "view past its storage": (view + b"K\1K\1\x87tQ.", "a view reaches past its 1 numbers"),
        "view of no counts": (view + b"NK\1\x87tQ.", "expected key, offset and size of a view"),
        "offset below 0": (state + tensor(offset=-1) + b"s.", "no counts"),
        "stride below 0": (state + tensor(strides=b"J\xff\xff\xff\xff\x85") + b"s.", "no counts"),
        "shape of a list": (state + tensor(shape=b"]") + b"s.", "no counts"),
        "shape of booleans": (state + tensor(shape=b"\x88\x85") + b"s.", "no counts"),
        "two sizes, one stride": (state + tensor(shape=b"K\1K\1\x86") + b"s.", "2 sizes and 1 str"),
        "33 bits of numbers": (state + tensor(count=1 << 33) + b"s.", "data/0|lists 0"),
        "33 axes": (state + tensor(shape=b"(" + b"K\1" * 33 + b"t") + b"s.", "no counts"),
        "8 million bits": (b"\x8b" + struct.pack("<i", 1 << 20) + b"\x7f" * (1 << 20), "bits"),
    }


def _stacks() -> dict[str, tuple[bytes, str]]:
    """Pickles that are damaged."""
    return {
        "nothing": (b".", "not there"),
        "nothing to call": (b"R.", "not there"),
        "nothing below the mark": (b"N(0t.", "not there"),
        "no mark": (b"]t.", "not there"),
        "nothing in the memo": (b"h\7.", "not there"),
        "far memo": (b"Nr\xff\xff\xff\x7f.", "remembers more"),
        "name without a value": (b"}(" + text("a") + b"u.", "without a value"),
        "adding to a tuple": (b")Na.", "adds to a tuple"),
        "names of numbers": (b"K\1K\2\x93.", "no string"),
        "no end": (b"}", "exhausted"),
        "no such instruction": (b"\xff.", "unknown"),
        "string cut off": (b"X\xff\xff\xff\x7fab.", "remain"),
        "longer string cut off": (b"\x8d" + b"\xff" * 8 + b"ab.", "byte count"),
        "no UTF-8": (b"X\2\0\0\0\xff\xfe.", "decode"),
        "no number": (b"I12x\n.", "invalid literal"),
        "no fraction": (b"Fone\n.", "could not convert"),
        "no quotes": (b"Sone\n.", "quotes"),
        "no line": (b"cos\nsystem", "newline"),
        "number of negative length": (b"\x8b\xff\xff\xff\xff.", "byte count < 0"),
        "a dictionary in itself": (b"}q\0" + text("model") + b"h\0s.", "its keys are model"),
        "a list, no tensors": (b"].", "tensors by name; got a list"),
        "no tensors": (b"}" + text("\x1b[31m\nepoch") + b"K\1s.", r"keys are \\u001b\[31m epoch"),
    }


def long_attacks() -> dict[str, tuple[bytes, str]]:
    """Pickles that would take all memory or time."""
    pair = text("a") + b"N\x86"
    long = b"](" + pair * 50_000 + b"eq\0"
    again = (DICTIONARY + b"h\0\x85R0") * 100
    return {
        "too many instructions": (b"\x80\2" + b"(" * 1_100_000 + b".", "longer than"),
        "a long list again and again": (b"\x80\2" + long + again + b".", "longer than"),
        "33 bits of numbers": (
            b"}" + text("a") + tensor(count=1 << 33) + b"s.",
            "data/0|lists|cut",
        ),
    }


UNKNOWN_INSTRUCTIONS = {
    "OBJ": b"(" + DICTIONARY + b"o.",
    "NEWOBJ_EX": DICTIONARY + b")}\x92.",
    "EXT1": b"\x82\1.",
    "EXT2": b"\x83\1\0.",
    "EXT4": b"\x84\1\0\0\0.",
    "PERSID": b"Pstorage\n.",
    "DUP": b"N2.",
    "EMPTY_SET": b"\x8f.",
    "FROZENSET": b"(\x91.",
    "NEXT_BUFFER": b"\x97.",
    "READONLY_BUFFER": b"N\x98.",
}
