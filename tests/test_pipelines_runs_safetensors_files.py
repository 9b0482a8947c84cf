"""Arrays that a run keeps are read as they were written, or named as damaged."""

import numpy as np
import pytest
import safetensors.numpy

from pipelines.runs import safetensors_files

ARRAYS = {"ids": np.arange(5), "values": np.ones((5, 3), "float32"), "none": np.zeros((0, 2))}


@pytest.fixture
def path(tmp_path):
    safetensors_files.write(tmp_path / "a.safetensors", ARRAYS)
    return tmp_path / "a.safetensors"


def test_they_are_read_as_they_were_written(path):
    found = safetensors_files.read(path)
    assert found.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize("at", [-1, -60, 3])
def test_a_flipped_bit_is_named(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"a\.safetensors is damaged"):
        safetensors_files.read(path)


def test_arrays_whose_names_were_swapped_are_named(path):
    path.write_bytes(path.read_bytes().replace(b'"ids"', b'"idz"'))
    with pytest.raises(ValueError, match="its checksum is another"):
        safetensors_files.read(path)


def test_a_file_of_before_has_no_checksum(path):
    safetensors.numpy.save_file(ARRAYS, path)
    assert set(safetensors_files.read(path)) == set(ARRAYS)


def test_a_folder_of_that_name_is_named(tmp_path):
    with pytest.raises(OSError, match="is no file, but a pipe, a device or a folder"):
        safetensors_files.read(tmp_path)
