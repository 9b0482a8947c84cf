"""Files that are none of torch's, damaged, or made to harm: one line each, and nothing runs."""

import struct
import tracemalloc
import zlib

import numpy as np
import pytest
import torch_archives as archives
import torch_attacks
import torchscript_archives as scripts
from fuzz import torch_files as fuzzing
from torch_archives import Storage, Tensor, tensor

from dual_encoder.checkpoints.torch_files import map_torch_tensors
from dual_encoder.checkpoints.torch_files.unpickle import INSTRUCTIONS

ROOT = {"a": tensor(np.arange(6, dtype="float32"))}
CONTAINERS = {
    "archive": lambda pickle: archives.archive_of(pickle, {}),
    "legacy": lambda pickle: archives.legacy_of(pickle, {}),
    "script": lambda pickle: scripts.script_of(pickle, {}, {}),
}


@pytest.fixture
def refused(tmp_path):
    """That a file is refused in one line with this in it, and that nothing was run."""

    def check(content, match):
        path = tmp_path / "pytorch_model.bin"
        path.write_bytes(content)
        with fuzzing.watched() as ran, pytest.raises(ValueError, match=match) as error:
            map_torch_tensors(path)
        assert str(error.value).startswith(f"{path}: ")
        assert str(error.value).isprintable() and len(str(error.value)) < 500
        assert ran == [] and sorted(tmp_path.iterdir()) == [path]

    return check


@pytest.mark.parametrize("container", CONTAINERS)
def test_attacks_are_refused_and_do_not_run(refused, tmp_path, container):
    attacks = torch_attacks.attacks(tmp_path / "ran")
    assert len(attacks) > 100
    for pickle, error in attacks.values():
        refused(CONTAINERS[container](pickle), error)


def test_long_attacks_are_given_up(refused):
    for pickle, error in torch_attacks.long_attacks().values():
        refused(CONTAINERS["archive"](pickle), error)


def test_the_line_says_what_was_named_and_what_to_do(refused):
    pickle = b"\x80\2cos\nsystem\n" + torch_attacks.text("true") + b"\x85R."
    refused(
        CONTAINERS["archive"](pickle),
        r"pytorch_model\.bin: names os\.system, which is no part of a tensor; nothing was run; "
        r"expected a state_dict\(\), as torch\.save writes it",
    )


def test_every_instruction_is_known_or_refused():
    import pickletools

    known = set(INSTRUCTIONS) | set(torch_attacks.UNKNOWN_INSTRUCTIONS) | {"INST", "ADDITEMS"}
    assert known | {"STOP"} == {opcode.name for opcode in pickletools.opcodes}


def test_torchscript_alone_may_name_its_classes(refused):
    pickle, storages = scripts.pickled(scripts.Module("__torch__.M", {"a": ROOT["a"]}))
    refused(archives.archive_of(pickle, storages), r"names __torch__\.M")
    listed = b"\x80\2}" + torch_attacks.text("a") + b"ctorch.jit._pickle\nbuild_intlist\n]\x85Rs."
    refused(archives.archive_of(listed, {}), r"names torch\.jit\._pickle\.build_intlist")


@pytest.mark.parametrize("change", [{"count": 5}, {"count": 7}, {"count": 1 << 40}])
def test_storages_that_are_not_as_long_as_said(refused, change):
    storage = Storage(np.arange(6, dtype="float32"), **change)
    root = {"a": Tensor(storage, (6,), (1,))}
    refused(archives.archive(root), "reaches past the 20 bytes|expected [0-9]+ bytes; got 24")
    refused(archives.legacy(root), "cut off or damaged")


@pytest.mark.parametrize(
    ("shape", "strides", "offset"),
    [((7,), (1,), 0), ((6,), (1,), 1), ((2, 3), (4, 1), 0), ((2,), (6,), 0), ((), (), 6)]
    + [((1, 2), (1 << 61, 1 << 61), 0), ((1,), (1,), 1 << 61)],
)
def test_tensors_that_reach_past_their_storage(refused, shape, strides, offset):
    root = {"a": Tensor(ROOT["a"].storage, shape, strides, offset)}
    for write in (archives.archive, archives.legacy):
        refused(write(root), r"tensor 'a': reaches past the 24 bytes of storage")


@pytest.mark.parametrize("shape", [(1 << 40,), (1 << 61, 1 << 61), (0, 1 << 61), (1 << 20, 1)])
def test_one_number_that_is_repeated_cannot_fill_memory(refused, shape):
    root = {"a": Tensor(ROOT["a"].storage, shape, (0,) * len(shape))}
    refused(archives.archive(root), r"tensor 'a': more numbers than a file of \d+ bytes can have")


def test_modules_in_themselves(refused):
    pickle, storages = scripts.pickled(scripts.Module("__torch__.M", {"a": ROOT["a"]}))
    inside = torch_attacks.text("inside") + b"h\0)\x81q\7}" + torch_attacks.text("me") + b"h\7sb"
    content = scripts.script_of(pickle.replace(b"ub", inside + b"ub"), storages, {})
    refused(content, "names of more than 1000 characters")
    inside = torch_attacks.text("deep") + _doubled(40)
    content = scripts.script_of(pickle.replace(b"ub", inside + b"ub"), storages, {})
    refused(content, "modules of more than 200000 attributes")


def test_long_names_of_modules_and_their_tensors(refused):
    module, name = scripts.Module("__torch__.M", {"a": ROOT["a"]}), "a" * 1001
    for attributes in ({name: module}, {"b": scripts.Module("__torch__.O", {name: ROOT["a"]})}):
        root = scripts.Module("__torch__.N", attributes)
        refused(scripts.script(root), "names of more than 1000 characters")


def test_modules_whose_state_is_something_of_their_own(refused):
    """As of quantized layers: nothing is known of it."""
    refused(
        scripts.script_of(b"\x80\2c__torch__\nM\n)\x81K\1\x85b.", {}, {}),
        "expected a module with parameters; it has none",
    )


def _doubled(levels: int) -> bytes:
    """A module with two of one module, which has two of one, ..."""
    made = b"h\0)\x81q\x64"
    for level in range(levels):
        at = b"h" + bytes([100 + level])
        names = torch_attacks.text("a") + at + torch_attacks.text("b") + at
        made += b"0h\0)\x81}(" + names + b"ubq" + bytes([101 + level])
    return made


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "it is empty"),
        (b"version https://git-lfs", r"expected a file of torch\.save; it begins with b'version"),
        (b"\x80\2K\1.", r"a pickle, but not of torch\.save"),
        (b"\x80\2}.", r"a pickle, but not of torch\.save"),
        (b"Lines of text", "invalid literal|newline"),
        (b"storages" + b"\0" * 249 + b"ustar", "is a tar archive"),
        (b"\x80\2\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\2M\xe8\3.", "expected protocol 1001"),
    ],
)
def test_files_that_are_not_of_torch(refused, content, match):
    refused(content, match)


def test_a_file_that_is_not_there_or_is_a_folder(tmp_path):
    for path in (tmp_path, tmp_path / "none.bin"):
        with pytest.raises(FileNotFoundError, match="no file"):
            map_torch_tensors(path)


@pytest.mark.parametrize("write", [archives.archive, archives.legacy], ids=["archive", "legacy"])
def test_files_cut_off_anywhere(refused, write):
    content = write(ROOT)
    for length in range(1, len(content), 5):
        refused(content[:length], "is the file whole|it begins with|is damaged")
    refused(content + b"\0", "directory at its end|1 bytes after its last storage")


def test_legacy_lists_of_storages_that_are_wrong(refused):
    content, keys = archives.legacy(ROOT), b"\x80\2]q\0X\1\0\0\x000q\1a."
    assert keys in content
    for other, match in (
        (b"\x80\2].", "lists 0 storages; its tensors need 1"),
        (b"\x80\2](X\1\0\0\x000X\1\0\0\x000e.", "lists 2 storages"),
        (b"\x80\2](X\1\0\0\x001e.", "lists 1 storages"),
        (b"\x80\2](K\1e.", "expected a list of its storages"),
        (b"\x80\2N.", "expected a list of its storages"),
    ):
        refused(content.replace(keys, other), match)


MEMBERS = {"m/data.pkl": archives.pickled(ROOT)[0], "m/data/0": bytes(24)}


def changed(entry: int, **fields: int) -> bytes:
    """An archive with other numbers in an entry of its directory."""
    content = bytearray(archives.zipped(MEMBERS.items()))
    at = content.index(b"PK\1\2")
    for _ in range(entry):
        at = content.index(b"PK\1\2", at + 1)
    places = {"flags": (8, "<H"), "method": (10, "<H"), "packed": (20, "<L"), "size": (24, "<L")}
    places |= {"name": (28, "<H"), "extra": (30, "<H"), "header": (42, "<L")}
    for name, value in fields.items():
        offset, kind = places[name]
        struct.pack_into(kind, content, at + offset, value)
    return bytes(content)


def counted(count: int) -> bytes:
    """An archive that says it has so many members."""
    content = bytearray(archives.zipped(MEMBERS.items()))
    struct.pack_into("<Q", content, content.index(b"PK\6\6") + 32, count)
    return bytes(content)


def extended(extra: bytes) -> bytes:
    """An archive that has the place of its last member in an extra field, as of zip64."""
    content = changed(1, header=0xFFFF_FFFF, extra=len(extra))
    start, end = content.index(b"PK\1\2"), content.index(b"PK\6\6")
    directory = content[start:end] + extra
    return content[:start] + directory + archives.directory_end(2, len(directory), start)


def test_extra_fields_of_zip64(refused, tmp_path):
    place = archives.zipped(MEMBERS.items()).index(b"PK\3\4", 4)
    path = tmp_path / "pytorch_model.bin"
    path.write_bytes(extended(struct.pack("<3H2HQ", 7, 2, 0, 1, 8, place)))  # after another one
    np.testing.assert_array_equal(map_torch_tensors(path)[0]["a"], np.zeros(6))
    for extra in (b"", b"\1", struct.pack("<2H", 1, 0), struct.pack("<2HL", 1, 8, place)):
        refused(extended(extra), "directory is damaged")
    refused(extended(struct.pack("<2HQ", 1, 8, 1 << 63)), "directory is damaged")


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (changed(1, flags=1), "member 'm/data/0' is encrypted"),
        (changed(1, method=12), "packed by method 12; expected 0 or 8"),
        (changed(1, size=25), "not of the 25 bytes that it says"),
        (changed(1, size=1000, packed=1000), "reaches into the next one"),
        (changed(0, size=1000, packed=1000), "'m/data.pkl' reaches into the next one"),
        (changed(1, header=0), "has another name at its place"),
        (changed(1, header=1), "directory is damaged"),
        (changed(1, header=0xFFFF_FFFF), "directory is damaged"),
        (changed(1, header=0xFFFF_FFF0), "directory is damaged"),
        (changed(1, name=0xFFFF), "directory is damaged"),
        (changed(0, extra=1), "directory is damaged"),
        (counted(1), "directory is damaged"),
        (counted(3), "directory is damaged"),
        (counted(1 << 40), "has 1099511627776 members; expected at most 100000"),
        (archives.zipped([*MEMBERS.items(), ("m/data/0", b"1")]), "two members 'm/data/0'"),
        *(
            (archives.zipped([*MEMBERS.items(), (name, b"1")]), "no name in a folder")
            for name in ("/etc/passwd", "../a", "m/../../a", "m\\a", "m/a\0")
        ),
        (archives.zipped({"m/a": b"1"}.items()), "no NAME/data.pkl"),
        (archives.zipped([*MEMBERS.items(), ("n/data.pkl", b"1")]), "no NAME/data.pkl"),
        (archives.zipped({"m/data.pkl": MEMBERS["m/data.pkl"]}.items()), "no member data/0"),
        (archives.zipped(MEMBERS.items(), deflated=["m/data/0"]), "data/0 is packed"),
        (archives.zipped([*MEMBERS.items(), ("m/byteorder", b"big")]), "got big-endian"),
    ],
)
def test_archives_that_are_damaged_or_lie(refused, content, match):
    refused(content, match)


def test_a_member_inside_another(refused):
    """Ten names for the same bytes are how small archives unpack to petabytes."""
    inner = archives.zipped([("m/data/0", bytes(24))])
    inner = inner[: inner.index(b"PK\1\2")]
    content = archives.zipped({**MEMBERS, "m/data/0": inner}.items())
    at = content.index(b"PK\1\2", content.index(b"PK\1\2") + 1)
    place = content.index(inner)
    entry = bytearray(content[at : at + 46 + len("m/data/0")])
    struct.pack_into("<3L", entry, 16, zlib.crc32(bytes(24)), 24, 24)
    struct.pack_into("<L", entry, 42, place)
    entry[46:] = b"m/data/0"
    outer = bytearray(content)
    outer[outer.index(b"m/data/0", at)] = ord("M")  # so that the names differ
    outer[outer.index(b"m/data/0")] = ord("M")
    start = outer.index(b"PK\1\2")
    directory = bytes(outer[start : outer.index(b"PK\6\6")]) + bytes(entry)
    end = archives.directory_end(3, len(directory), start)
    refused(bytes(outer[:start]) + directory + end, "reaches into the next one")


def test_archives_that_unpack_to_more_than_they_may(refused):
    """A pickle of 33 MiB of nothing takes 33 KiB."""
    bomb = archives.zipped({"m/data.pkl": bytes(33 << 20)}.items(), deflated=["m/data.pkl"])
    assert len(bomb) < 50_000
    refused(bomb, "has 34603008 bytes; expected at most 33554432")
    lying = bytearray(bomb)
    struct.pack_into("<L", lying, lying.index(b"PK\1\2") + 24, 1000)
    tracemalloc.start()
    refused(bytes(lying), "is not of the 1000 bytes that it says")
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()
    lying[64] = 0xFF  # the first byte that is packed
    refused(bytes(lying), "member 'm/data.pkl' is damaged")


def test_packed_code_of_torchscript_is_limited_as_a_whole(refused):
    modules = {str(number): scripts.Module(f"__torch__.m{number}.M", {}) for number in range(3)}
    root = scripts.Module("__torch__.M", {"a": ROOT["a"], **modules})
    code = {f"__torch__/m{number}.py": " " * (6 << 20) for number in range(3)}
    refused(scripts.script_of(*scripts.pickled(root), code), "expected at most 4194304")


def test_files_damaged_at_random(tmp_path):
    """`python tests/fuzz/torch_files.py` tries more."""
    outcome = fuzzing.fuzz(range(600), tmp_path, seed=1)
    assert outcome.wrong == []
    assert outcome.read.total() > 30 and outcome.refused.total() > 300
