"""Which of a checkpoint's files are its weights, in every form in which weights are published."""

import json

import numpy as np
import pytest
import torch_archives
from safetensors.numpy import save_file

from dual_encoder.checkpoints.weights.weight_files import Weights, find, nothing_found, open_tensors

TENSORS = {
    "a.weight": np.arange(6, dtype="float32").reshape(2, 3),
    "a.bias": np.ones(2, "float16"),
    "scale": np.float32(3),
}
CLIP, OPEN_CLIP = "config.json", "open_clip_config.json"
PIXELS = "preprocessor_config.json"
OWN, CONVERTED = "open_clip_model.safetensors", "open_clip_pytorch_model.safetensors"
PICKLE = "open_clip_pytorch_model.bin"


@pytest.mark.parametrize(
    ("names", "layout", "file"),
    [
        ([CLIP, "pytorch_model.bin", "model.safetensors"], "transformers", "model.safetensors"),
        ([CLIP, "pytorch_model.bin", "tf_model.h5"], "transformers", "pytorch_model.bin"),
        ([OPEN_CLIP, PICKLE, OWN], "open_clip", OWN),
        ([OPEN_CLIP, PICKLE, CONVERTED], "open_clip", CONVERTED),
        ([OPEN_CLIP, PICKLE], "open_clip", PICKLE),
        ([OPEN_CLIP, "ViT-B-32.pt"], "open_clip", "ViT-B-32.pt"),
        # Both layouts: any safetensors before any file of torch.
        ([OPEN_CLIP, CLIP, PIXELS, OWN, "model.safetensors"], "open_clip", OWN),
        (
            [OPEN_CLIP, CLIP, PIXELS, PICKLE, "model.safetensors"],
            "transformers",
            "model.safetensors",
        ),
        ([OPEN_CLIP, CLIP, PIXELS, PICKLE, "pytorch_model.bin"], "open_clip", PICKLE),
        # timm's config.json beside, and timm's image tower in the file with the plain name.
        ([OPEN_CLIP, CLIP, "model.safetensors", PICKLE], "open_clip", PICKLE),
        # The plain name is open_clip's where there is no other configuration.
        ([OPEN_CLIP, "model.safetensors", PICKLE], "open_clip", "model.safetensors"),
    ],
)
def test_safetensors_come_first_under_whatever_name(names, layout, file):
    assert find([*names, "README.md", "onnx/model.pt"]) == Weights(layout, file)


@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin"])
def test_weights_in_parts_are_known_by_their_index(file):
    stem, _, suffix = file.partition(".")
    parts = [f"{stem}-0000{part}-of-00002.{suffix}" for part in (1, 2)]
    found = find([CLIP, *parts, f"{file}.index.json"])
    assert found == Weights("transformers", f"{file}.index.json")
    assert found.pattern == f"{stem}*.{suffix}"
    assert found.is_torch == (suffix == "bin")


def test_a_layout_of_the_table_is_the_only_one_to_look_for():
    names = [OPEN_CLIP, CLIP, PIXELS, "model.safetensors", PICKLE]
    assert find(names, "open_clip") == Weights("open_clip", PICKLE)
    assert find(names, "transformers") == Weights("transformers", "model.safetensors")
    assert find([CLIP, "tf_model.h5"], "transformers") is None
    assert find(["model.safetensors"]) is None  # of nothing


def test_nothing_found_says_what_is_there_and_what_would_have_done():
    line = nothing_found("a/b", [CLIP, "tf_model.h5"], "transformers")
    assert line == (
        "a/b: no weights here; expected model.safetensors, pytorch_model.bin, or one of them in "
        "parts with its .index.json; there is config.json, tf_model.h5"
    )
    assert nothing_found("a/b", [OPEN_CLIP], "open_clip").startswith(
        "a/b: no weights here; expected open_clip_model.safetensors, open_clip_pytorch_model.saf"
    )


def test_weights_without_a_configuration_are_of_nothing():
    assert find(["ViT-B-32.pt"]) is None
    line = nothing_found("a/b", ["ViT-B-32.pt"])
    assert line == (
        "a/b: expected open_clip_config.json or config.json with the weights; there is ViT-B-32.pt"
    )
    assert nothing_found("a/b", [], "open_clip").endswith("; there is nothing")


def assert_read(folder, layout):
    found = open_tensors(folder, layout, rename=str.upper)
    assert found.keys() == {name.upper() for name in TENSORS}
    for name, array in TENSORS.items():
        np.testing.assert_array_equal(found[name.upper()], array)


@pytest.mark.parametrize("write", [torch_archives.archive, torch_archives.legacy])
@pytest.mark.parametrize(
    ("layout", "file"),
    [("transformers", "pytorch_model.bin"), ("open_clip", PICKLE), ("open_clip", "RN50.pt")],
)
def test_files_of_torch_of_both_ages(tmp_path, write, layout, file):
    state = {name: torch_archives.tensor(array) for name, array in TENSORS.items()}
    (tmp_path / file).write_bytes(write(state))
    assert_read(tmp_path, layout)


def test_the_weights_of_several_epochs_are_asked_about(tmp_path):
    data = torch_archives.archive({"a": torch_archives.tensor(np.ones(1))})
    for epoch in (1, 2, 10):
        (tmp_path / f"epoch_{epoch}.pt").write_bytes(data)
    with pytest.raises(ValueError, match=r"file; got epoch_1\.pt, epoch_10\.pt, epoch_2\.pt"):
        open_tensors(tmp_path, "open_clip")
    (tmp_path / PICKLE).write_bytes(data)
    assert list(open_tensors(tmp_path, "open_clip")) == ["a"]


@pytest.mark.parametrize("around", ["module.", "_orig_mod.", "model.", "module._orig_mod."])
def test_what_was_around_the_model_is_left_out_of_names(tmp_path, around):
    file = tmp_path / "model.safetensors"
    save_file({f"{around}{name}": np.asarray(array) for name, array in TENSORS.items()}, file)
    assert_read(tmp_path, "transformers")
    save_file({"b": np.ones(1), f"{around}a": np.ones(1)}, file)
    assert set(open_tensors(tmp_path, "transformers")) == {f"{around}a", "b"}


@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin"])
def test_parts_of_both_kinds(tmp_path, file):
    parts = {}
    stem, _, suffix = file.partition(".")
    for number, (name, array) in enumerate(TENSORS.items(), start=1):
        part = f"{stem}-0000{number}-of-00003.{suffix}"
        parts[name] = part
        if suffix == "bin":
            data = torch_archives.archive({name: torch_archives.tensor(array)})
            (tmp_path / part).write_bytes(data)
        else:
            save_file({name: np.asarray(array)}, tmp_path / part)
    (tmp_path / f"{file}.index.json").write_text(json.dumps({"weight_map": parts}))
    assert_read(tmp_path, "transformers")
    (tmp_path / parts["scale"]).unlink()
    with pytest.raises(FileNotFoundError, match=f"lists {parts['scale']}, which is not here"):
        open_tensors(tmp_path, "transformers")


def test_a_folder_without_weights(tmp_path):
    (tmp_path / CLIP).write_text("{}")
    with pytest.raises(FileNotFoundError, match=r"no weights here; .* there is config\.json"):
        open_tensors(tmp_path, "transformers")


def test_a_pointer_of_git_lfs_is_no_file(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    path = tmp_path / "model.safetensors"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    with pytest.raises(ValueError, match=r"a pointer in place of the file, .* git lfs pull"):
        open_tensors(tmp_path, "transformers")
