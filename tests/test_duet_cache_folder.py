"""Where Duet keeps what it has measured or converted once."""

from pathlib import Path

import pytest

from duet import cache_folder
from pipelines.__main__ import main


@pytest.mark.parametrize(("said", "folder"), [("/a/b", Path("/a/b")), ("~/c", None), ("", None)])
def test_it_is_where_the_user_says_and_nowhere_without(monkeypatch, tmp_path, said, folder):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv(cache_folder.SETTING, said)
    assert cache_folder.path() == (tmp_path / "c" if said == "~/c" else folder)


def test_it_is_in_the_home_by_default(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv(cache_folder.SETTING, raising=False)
    assert cache_folder.path() == tmp_path / ".cache/duet"


def test_who_has_no_home_has_none(monkeypatch, capsys):
    """As a container's user that is only a number."""

    def no_home(path):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", no_home)
    for setting in (cache_folder.SETTING, "TFDS_DATA_DIR"):
        monkeypatch.delenv(setting, raising=False)
    assert cache_folder.path() is None
    assert main(["datasets"]) == 0 and "food101" in capsys.readouterr().out
