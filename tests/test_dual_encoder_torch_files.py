"""Files of torch give their tensors by name, without torch and without running a pickle."""

import argparse
import struct
from collections import Counter, OrderedDict
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
import torch_archives as archives
import torch_attacks
import torchscript_archives as scripts
from torch_archives import Storage, Tensor, tensor

from dual_encoder.checkpoints.torch_files import map_torch_tensors
from dual_encoder.checkpoints.weights.shards import shards

WRITERS = {"archive": archives.archive, "legacy": archives.legacy}
NUMBERS = np.arange(24).reshape(2, 3, 4)
CLIP = "__torch__.multimodal.model.Multimodal"


@pytest.fixture(params=WRITERS)
def read(request, tmp_path):
    """Writes a file of either kind and reads it again."""

    def written_and_read(root, **options):
        path = tmp_path / "pytorch_model.bin"
        path.write_bytes(WRITERS[request.param](root, **options))
        return map_torch_tensors(path)

    return written_and_read


def read_bytes(tmp_path: Path, content: bytes):
    path = tmp_path / "model.pt"
    path.write_bytes(content)
    return map_torch_tensors(path)


@pytest.mark.parametrize("kind", archives.KINDS)
def test_numbers_of_every_kind_come_back(read, kind):
    values = (NUMBERS % 2 if kind == "bool" else NUMBERS).astype(kind)
    arrays, metadata = read({"a": tensor(values)})
    assert list(arrays) == ["a"] and metadata == {}
    assert arrays["a"].dtype == values.dtype
    np.testing.assert_array_equal(arrays["a"], values)


@pytest.mark.parametrize("kind", archives.NEW_KINDS)
def test_kinds_of_numbers_without_a_storage_of_their_own(tmp_path, kind):
    values = NUMBERS.astype(getattr(ml_dtypes, kind, kind))
    arrays, _ = read_bytes(tmp_path, archives.archive({"a": tensor(values)}))
    assert arrays["a"].dtype == values.dtype
    np.testing.assert_array_equal(arrays["a"], values)


def test_views_keep_their_offset_and_strides(read):
    storage = Storage(np.arange(24, dtype="float32"))
    arrays, _ = read(
        {
            "turned": Tensor(storage, (6, 4), (1, 6)),
            "part": Tensor(storage, (2, 3), (6, 1), 7),
            "every fifth": Tensor(storage, (5,), (5,), 1),
            "repeated": Tensor(storage, (2, 2), (0, 0), 3),
            "one": Tensor(storage, (1, 24), (1 << 61, 1)),  # the stride of one row is never used
            "number": Tensor(storage, (), (), 23),
            "empty": Tensor(storage, (0, 4), (4, 1), 24),
        }
    )
    whole = np.arange(24, dtype="float32")
    np.testing.assert_array_equal(arrays["turned"], whole.reshape(4, 6).T)
    np.testing.assert_array_equal(arrays["part"], [[7, 8, 9], [13, 14, 15]])
    np.testing.assert_array_equal(arrays["every fifth"], [1, 6, 11, 16, 21])
    np.testing.assert_array_equal(arrays["repeated"], [[3, 3], [3, 3]])
    np.testing.assert_array_equal(arrays["one"], whole[None])
    assert arrays["number"].shape == () and arrays["number"] == 23
    assert arrays["empty"].shape == (0, 4)


def test_tensors_that_share_numbers_share_them_here(read):
    storage = Storage(np.arange(6, dtype="float32"))
    arrays, _ = read({"a": Tensor(storage, (6,), (1,)), "b": Tensor(storage, (3,), (1,), 3)})
    assert np.shares_memory(arrays["a"], arrays["b"])


def test_numbers_stay_on_disk_and_cannot_be_written_to(read):
    array = read({"a": tensor(np.ones(9, "float32"))})[0]["a"]
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 2
    while not isinstance(array, np.memmap):
        array = array.base.obj if isinstance(array.base, memoryview) else array.base


def test_parameters_are_their_tensors(read):
    with_state = tensor(np.ones(2, "float32"), parameter=True, state={"note": "from Python"})
    with_type = archives.Call(
        "torch._tensor",
        "_rebuild_from_type_v2",
        (
            archives.stand_in("torch._utils", "_rebuild_tensor_v2"),
            archives.stand_in("torch", "Tensor"),
            (Storage(np.full(3, 7, "float32")), 0, (3,), (1,), False, OrderedDict()),
            {"note": "from Python"},
        ),
    )
    plain = tensor(np.zeros(2, "float32"), parameter=True)
    arrays, _ = read({"plain": plain, "with state": with_state, "with type": with_type})
    np.testing.assert_array_equal(arrays["plain"], [0, 0])
    np.testing.assert_array_equal(arrays["with state"], [1, 1])
    np.testing.assert_array_equal(arrays["with type"], [7, 7, 7])


def test_a_state_dict_keeps_its_order_and_loses_its_versions(read):
    root = OrderedDict((name, tensor(np.ones(1, "float32"))) for name in "zya")
    root._metadata = OrderedDict([("", {"version": 1})])  # as torch has it
    arrays, metadata = read(root)
    assert list(arrays) == ["z", "y", "a"] and metadata == {}


@pytest.mark.parametrize("key", ["state_dict", "model_state_dict", "model", "module"])
def test_the_state_dict_of_a_checkpoint(read, key):
    inside = OrderedDict({"visual.proj": tensor(np.ones((2, 3), "float32"))})
    inside["logit_scale"] = tensor(np.float32(4.6))
    beside = {"exp_avg": tensor(np.zeros(2, "float32")), "step": 7}
    arrays, metadata = read(
        {
            "epoch": 3,
            "name": "RN50",
            "loss": 0.5,
            "best": tensor(np.float32(0.7)),
            key: inside,
            "optimizer": {"state": {0: beside}, "param_groups": [{"params": [0], "lr": 1e-3}]},
            "scaler": None,
        }
    )
    assert list(arrays) == ["visual.proj", "logit_scale"]
    assert metadata == {"epoch": 3, "name": "RN50", "loss": 0.5, "scaler": None}


def test_what_training_scripts_keep_beside_the_weights_is_passed_over(read):
    random = np.random.RandomState(0).get_state()
    arrays, metadata = read(
        {
            "model": {"a": tensor(np.ones(1, "float32"))},
            "args": argparse.Namespace(lr=0.1, words=["a"]),
            "lr": np.float64(0.1),
            "milestones": Counter([3, 3, 5]),
            "random": random,
            "device": archives.Call("torch", "device", ("cuda", 0)),
            "size": archives.Call("torch", "Size", ((2, 3),)),
            "kind": archives.stand_in("torch", "bfloat16"),
            "epoch": 9,
        }
    )
    assert list(arrays) == ["a"] and metadata == {"epoch": 9}


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_pickles_of_every_protocol(tmp_path, protocol):
    root = {"epoch": 1, "state_dict": {"ä.weight": tensor(NUMBERS.astype("float32"))}}
    arrays, metadata = read_bytes(tmp_path, archives.archive(root, protocol=protocol))
    np.testing.assert_array_equal(arrays["ä.weight"], NUMBERS)
    assert metadata == {"epoch": 1}


def test_a_legacy_file_of_python_2(tmp_path):
    """Strings of bytes, dictionaries of pairs, and tensors as torch 0.3 made them."""
    reference = b"(U\7storagectorch\nFloatStorage\nU\00242U\3cpuK\2NtQ"
    made = b"ctorch._utils\n_rebuild_tensor\n(" + reference + b"K\0K\2\x85K\1\x85tR"
    pickle = b"\x80\2ccollections\nOrderedDict\n](](U\1a" + made + b"ee\x85R."
    arrays, _ = read_bytes(tmp_path, archives.legacy_of(pickle, {tensor_storage(): "42"}))
    np.testing.assert_array_equal(arrays["a"], [5, 6])


def test_a_storage_that_is_a_view_of_another(tmp_path):
    """As legacy files have them, of before torch 0.4."""
    view = b"(U\00243K\1K\1t"
    reference = b"(U\7storagectorch\nFloatStorage\nU\00242U\3cpuK\2" + view + b"tQ"
    made = torch_attacks.TENSOR + b"(" + reference + b"K\0K\1\x85K\1\x85\x89}tR"
    arrays, _ = read_bytes(
        tmp_path, archives.legacy_of(b"\x80\2}U\1a" + made + b"s.", {tensor_storage(): "42"})
    )
    np.testing.assert_array_equal(arrays["a"], [6])


def tensor_storage() -> Storage:
    return Storage(np.array([5, 6], "float32"))


def clip() -> scripts.Module:
    """Nested and named as OpenAI's files are."""
    linear = "__torch__.torch.nn.modules.linear.___torch_mangle_7.Linear"
    fused = tensor(np.ones((6, 2), "float16"), parameter=True)
    mask = tensor(np.zeros((2, 2), "float32"))
    attention = scripts.Module(
        f"{CLIP}_attention",
        {
            "in_proj_weight": fused,
            "training": True,
            "out_proj": scripts.Module(linear, {"weight": fused, "bias": fused, "training": True}),
        },
    )
    block = {"attn": attention, "attn_mask": mask, "heads": [1, 2]}
    block = scripts.Module("__torch__.model.Block", block, plain=("attn_mask",))
    blocks = scripts.Module("__torch__.torch.nn.modules.container.Sequential", {"0": block})
    return scripts.Module(
        CLIP,
        {
            "logit_scale": tensor(np.float32(4.6), parameter=True),
            "input_resolution": tensor(np.int64(224)),
            "context_length": 77,
            "vocab_size": 49408,
            "training": True,
            "visual": scripts.Module("__torch__.model.Tower", {"resblocks": blocks}),
            "token_embedding": scripts.Module("__torch__.model.Embedding", {"weight": fused}),
        },
        buffers=("input_resolution",),
    )


NAMES = ["logit_scale", "input_resolution", "visual.resblocks.0.attn.in_proj_weight"]
NAMES += [f"visual.resblocks.0.attn.out_proj.{name}" for name in ("weight", "bias")]
NAMES += ["token_embedding.weight"]


def test_torchscript_gives_parameters_and_buffers_by_attribute_path(tmp_path):
    arrays, metadata = read_bytes(tmp_path, scripts.script(clip()))
    assert list(arrays) == NAMES
    assert arrays["input_resolution"] == 224 and arrays["input_resolution"].dtype == np.int64
    assert arrays[NAMES[2]].dtype == np.float16 and arrays[NAMES[2]].shape == (6, 2)
    assert metadata == {"context_length": 77, "vocab_size": 49408, "training": True}


def test_all_tensors_count_where_torchscript_does_not_declare_buffers(tmp_path):
    arrays, _ = read_bytes(tmp_path, scripts.script(clip(), buffers=False))
    assert sorted(arrays) == sorted([*NAMES, "visual.resblocks.0.attn_mask"])


def test_numbers_past_4_gigabytes(tmp_path):
    """In the extra field of zip64; the file is mostly a hole."""
    hole, values = 5 << 30, np.arange(3, dtype="float32")
    pickle, _ = archives.pickled({"a": tensor(values)})
    members = {"m/data.pkl": pickle, "m/data/0": values.tobytes()}
    content = archives.zipped(members.items())
    start = content.index(b"PK\3\4", 4)  # of data/0
    end = content.index(b"PK\1\2")
    first_entry_end = content.index(b"PK\1\2", end + 4)
    entry = bytearray(content[first_entry_end : content.index(b"PK\6\6")])
    entry[42:46] = b"\xff" * 4  # its place
    entry[30:32] = struct.pack("<H", 12)  # length of the extra field
    entry += struct.pack("<2HQ", 1, 8, start + hole)
    directory = content[end:first_entry_end] + bytes(entry)
    path = tmp_path / "model.pt"
    with open(path, "wb") as file:
        file.write(content[:start])
        file.seek(start + hole)
        file.write(content[start:end])
        offset = file.tell()
        file.write(directory + archives.directory_end(2, len(directory), offset))
    np.testing.assert_array_equal(map_torch_tensors(path)[0]["a"], values)


def test_deep_and_shared_values_take_no_time(tmp_path):
    """A list of 10 lists of 10 lists ..., 60 deep, and tuples 100,000 deep."""
    shared = b"]" + b"".join(b"q%c](" % at + b"h%c" % at * 10 + b"e" for at in range(60))
    deep = b")" + b"\x85" * 100_000
    beside = torch_attacks.text("shared") + shared + torch_attacks.text("deep") + deep
    root = b"\x80\2}(" + beside + torch_attacks.text("a") + torch_attacks.tensor() + b"u."
    content = archives.archive_of(root, {Storage(np.ones(1, "float32")): "0"})
    arrays, metadata = read_bytes(tmp_path, content)
    np.testing.assert_array_equal(arrays["a"], [1])
    assert metadata == {}


def test_attributes_of_a_dictionary_change_nothing(tmp_path):
    state = b"}(" + b"".join(
        torch_attacks.text(name) + torch_attacks.text("os.system")
        for name in ("__setstate__", "__class__", "__dict__", "items")
    )
    root = torch_attacks.DICTIONARY + b")R" + torch_attacks.text("a") + torch_attacks.tensor()
    content = archives.archive_of(
        b"\x80\2" + root + b"s" + state + b"ub.", {Storage(np.ones(1, "float32")): "0"}
    )
    assert list(read_bytes(tmp_path, content)[0]) == ["a"]


def test_the_files_of_an_index(tmp_path):
    index = tmp_path / "pytorch_model.bin.index.json"
    index.write_text('{"weight_map": {"a": "model-1.bin", "b": "model-2.bin", "c": "model-1.bin"}}')
    for name in ("model-1.bin", "model-2.bin"):
        (tmp_path / name).touch()
    first, second = tmp_path / "model-1.bin", tmp_path / "model-2.bin"
    assert shards(index) == {first: {"a", "c"}, second: {"b"}}
    (tmp_path / "model-2.bin").unlink()
    with pytest.raises(
        FileNotFoundError, match=r"index\.json lists model-2\.bin, which is not here"
    ):
        shards(index)


@pytest.mark.parametrize("names", ["{", "[]", "{}", '["a"]', '{"a": 1}', '{"a": null}', "[" * 9999])
def test_an_index_that_is_none(tmp_path, names):
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(f'{{"weight_map": {names}}}')
    why = "weight_map|expected a weight_map|not readable as JSON|nested too deep"
    with pytest.raises(ValueError, match=rf"index\.json: ({why})"):
        shards(index)


@pytest.mark.parametrize("name", ["../a.bin", "/etc/passwd", "b/a.bin", "", ".", ".."])
def test_an_index_of_files_elsewhere(tmp_path, name):
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(f'{{"weight_map": {{"a": "{name}"}}}}')
    with pytest.raises(
        ValueError, match=r"index\.json: weight_map\.a: expected the name of a file beside it"
    ):
        shards(index)
