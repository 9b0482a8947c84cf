"""A file is read at once or not at all."""

import os

import pytest

from duet.regular_files import read_regular


def test_what_is_no_file_is_not_waited_for(tmp_path):
    (tmp_path / "file").write_bytes(b"abc")
    assert read_regular(tmp_path / "file") == b"abc"
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(OSError, match=r"pipe\.jpg is no file, but a pipe or a device"):
        read_regular(tmp_path / "pipe.jpg")
    with pytest.raises(IsADirectoryError, match=str(tmp_path)):
        read_regular(tmp_path)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_regular(tmp_path / "nowhere")
