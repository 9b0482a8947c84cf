"""Interpret torch's pickles without executing anything: tensors and plain containers only.

A pickle is a program for a machine with a stack and a memo. Two kinds of its instructions make it
dangerous: those that import what they name, and those that call it. Here a name is looked up in a
table (`objects`) and a call makes a value that stands for a tensor; instructions that torch does
not write are errors. `pickletools`, of Python's library, splits a pickle into its instructions.
"""

import pickletools
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from dual_encoder.checkpoints.torch_files import safe_globals
from dual_encoder.checkpoints.torch_files.safe_globals import Inert, ScriptClass, ScriptObject

MOST_STEPS = 1_000_000  # instructions and things handed to what is called; a model has 30 a tensor
MOST_BITS = 128  # of a whole number


def unpickle(
    file: BinaryIO, *, script: bool = False
) -> tuple[Any, dict[str, safe_globals.Storage]]:
    """What the pickle at the file's place describes, and the storages it refers to, by their key.

    The file's place is then after it. Dictionaries keep what has a string as its key.

    Args:
        file: in memory.
        script: whether classes of TorchScript may be named.

    Raises:
        ValueError: the pickle is damaged, too long, or has an instruction or a name that tensors do
            not need.
    """
    machine = _Machine(script)
    for instruction, argument in _instructions(file):
        if instruction == "STOP":
            break
        if instruction not in INSTRUCTIONS:
            raise ValueError(
                f"its pickle has the instruction {instruction}, which no tensor needs; "
                "nothing was run"
            )
        machine.spend(1)
        INSTRUCTIONS[instruction](machine, argument)
    return machine.pop(), machine.storages


def _instructions(file: BinaryIO) -> Iterator[tuple[str, Any]]:
    try:
        for instruction, argument, _ in pickletools.genops(file):
            yield instruction.name, argument
    except ValueError as error:  # also of numbers and strings that are none
        raise ValueError(f"its pickle is damaged ({error})") from error


class _Machine:
    """Stack, marks on it, and memo."""

    def __init__(self, script: bool):
        self.script = script
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.storages: dict[str, safe_globals.Storage] = {}
        self.steps = 0

    def spend(self, steps: int) -> None:
        self.steps += steps
        if self.steps > MOST_STEPS:
            raise ValueError(f"its pickle is longer than {MOST_STEPS} steps")

    def push(self, value: Any) -> None:
        if type(value) is int and value.bit_length() > MOST_BITS:
            raise ValueError(f"its pickle has a number of {value.bit_length()} bits")
        self.stack.append(value)

    def pop(self) -> Any:
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            raise ValueError("its pickle takes something that is not there")
        return self.stack.pop()

    def top(self, kind: Any) -> Any:
        """What is uppermost, which must be of this kind."""
        value = self.pop()
        self.stack.append(value)
        if not isinstance(value, kind):
            raise ValueError(f"its pickle adds to a {type(value).__name__}; nothing was run")
        return value

    def mark(self, _: Any) -> None:
        self.marks.append(len(self.stack))

    def since_mark(self) -> list[Any]:
        if not self.marks:
            raise ValueError("its pickle takes something that is not there")
        start = self.marks.pop()
        values = self.stack[start:]
        del self.stack[start:]
        return values

    def last(self, count: int) -> list[Any]:
        return [self.pop() for _ in range(count)][::-1]

    def get(self, index: int) -> None:
        if index not in self.memo:
            raise ValueError("its pickle takes something that is not there")
        self.stack.append(self.memo[index])

    def put(self, index: int | None) -> None:
        index = len(self.memo) if index is None else index
        if not 0 <= index <= MOST_STEPS:
            raise ValueError(f"its pickle remembers more than {MOST_STEPS} things")
        self.memo[index] = self.top(object)

    def name(self, words: str) -> None:
        module, _, name = words.partition(" ")
        self.push(safe_globals.named(module, name, script=self.script))

    def name_of_stack(self, _: Any) -> None:
        module, name = self.last(2)
        if not isinstance(module, str) or not isinstance(name, str):
            raise ValueError("its pickle names something by what is no string; nothing was run")
        self.push(safe_globals.named(module, name, script=self.script))

    def reduce(self, _: Any) -> None:
        maker, arguments = self.last(2)
        if isinstance(arguments, tuple):  # the same long list could be handed over again and again
            self.spend(sum(len(value) for value in arguments if isinstance(value, list | tuple)))
        self.push(safe_globals.call(maker, arguments))

    def new(self, _: Any) -> None:
        kind, arguments = self.last(2)
        if isinstance(kind, ScriptClass) and isinstance(arguments, tuple) and not arguments:
            self.push(ScriptObject(kind.name, {}))
        else:
            self.push(safe_globals.call(kind, arguments))

    def build(self, _: Any) -> None:
        """State of an object: the attributes of a script's, nothing that is kept of others."""
        state = self.pop()
        target = self.top(dict | Inert | ScriptObject)
        if isinstance(target, ScriptObject) and isinstance(state, dict):
            target.attributes = state

    def append(self, values: list[Any]) -> None:
        target = self.top(list | Inert)
        if isinstance(target, list):
            target.extend(values)

    def set(self, values: list[Any]) -> None:
        if len(values) % 2:
            raise ValueError("its pickle has a name without a value")
        target = self.top(dict | Inert)
        if isinstance(target, dict):
            for key, value in zip(values[::2], values[1::2], strict=True):
                safe_globals.put(target, key, value)

    def dictionary(self, _: Any) -> None:
        values = self.since_mark()
        self.push({})
        self.set(values)


def _constant(value: Any) -> Callable[[_Machine, Any], None]:
    return lambda machine, _: machine.push(value)


def _tuple(count: int) -> Callable[[_Machine, Any], None]:
    return lambda machine, _: machine.push(tuple(machine.last(count)))


INSTRUCTIONS: dict[str, Callable[[_Machine, Any], Any]] = {
    "PROTO": lambda machine, protocol: None,
    "FRAME": lambda machine, length: None,
    "MARK": _Machine.mark,
    "POP": lambda machine, _: machine.pop(),
    "POP_MARK": lambda machine, _: machine.since_mark(),
    "NONE": _constant(None),
    "NEWTRUE": _constant(True),
    "NEWFALSE": _constant(False),
    "EMPTY_TUPLE": _tuple(0),
    "TUPLE1": _tuple(1),
    "TUPLE2": _tuple(2),
    "TUPLE3": _tuple(3),
    "TUPLE": lambda machine, _: machine.push(tuple(machine.since_mark())),
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "LIST": lambda machine, _: machine.push(machine.since_mark()),
    "APPEND": lambda machine, _: machine.append(machine.last(1)),
    "APPENDS": lambda machine, _: machine.append(machine.since_mark()),
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "DICT": _Machine.dictionary,
    "SETITEM": lambda machine, _: machine.set(machine.last(2)),
    "SETITEMS": lambda machine, _: machine.set(machine.since_mark()),
    "GLOBAL": _Machine.name,
    "STACK_GLOBAL": _Machine.name_of_stack,
    "REDUCE": _Machine.reduce,
    "NEWOBJ": _Machine.new,
    "BUILD": _Machine.build,
    "BINPERSID": lambda machine, _: machine.push(
        safe_globals.storage(machine.pop(), machine.storages)
    ),
    "MEMOIZE": _Machine.put,
}
INSTRUCTIONS |= dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), _Machine.get)
INSTRUCTIONS |= dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), _Machine.put)
INSTRUCTIONS |= dict.fromkeys(
    (
        "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT",
        "STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE",
        "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8",
    ),
    _Machine.push,
)  # fmt: skip
