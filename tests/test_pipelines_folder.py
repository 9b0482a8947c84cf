"""The folder of a run: claimed, found again, never overwritten."""

import errno
import time
from dataclasses import dataclass

import pytest

from duet import atomic_files, disk_errors, folder_locks
from pipelines.runs import folder


@dataclass
class Options:
    out: str
    epochs: int = 10
    seed: int = 0


def check(out, **options):
    return folder.check_resumable(out, Options(str(out), **options), finished="model.keras")


def begin(out, **options):
    folder.claim(out, Options(str(out), **options))


def test_looking_makes_nothing(tmp_path):
    assert check(tmp_path / "a" / "run") == tmp_path / "a" / "run"
    assert not list(tmp_path.iterdir())


def test_an_empty_folder_can_be_taken(tmp_path):
    assert check(tmp_path) == tmp_path
    begin(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["config.yaml"]


def test_a_run_can_be_gone_on_with_also_where_it_was_moved_to(tmp_path):
    begin(tmp_path / "a", epochs=3)
    (tmp_path / "a" / "checkpoints").mkdir()
    check(tmp_path / "a", epochs=3)
    (tmp_path / "a").rename(tmp_path / "b")
    check(tmp_path / "b", epochs=3)


def test_what_was_half_written_when_it_was_killed_is_not_in_the_way(tmp_path):
    (tmp_path / ".unfinished.1999999999.config.yaml").write_text("epo")
    check(tmp_path)


def test_other_options_are_named(tmp_path):
    begin(tmp_path, epochs=3)
    message = r"other options \(epochs was 3, not 4; seed was 0, not 1\); give those again to go on"
    with pytest.raises(ValueError, match=message):
        check(tmp_path, epochs=4, seed=1)


def test_a_finished_run_is_refused(tmp_path):
    begin(tmp_path)
    (tmp_path / "model.keras").touch()
    with pytest.raises(FileExistsError, match=r"holds a finished run \(model.keras\)"):
        check(tmp_path)


def test_somebody_elses_folder_is_refused(tmp_path):
    (tmp_path / "holiday.jpg").touch()
    with pytest.raises(FileExistsError, match="exists and is not empty; give another --out"):
        check(tmp_path)


def test_a_file_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError, match="is a file; --out takes a folder"):
        check(tmp_path / "file")


def test_a_damaged_config_is_refused(tmp_path):
    (tmp_path / "config.yaml").write_text("[")
    with pytest.raises(ValueError, match=r"config.yaml: not YAML"):
        check(tmp_path)


def test_a_place_that_cannot_be_written():
    refused = pytest.raises(PermissionError, match="/proc/run cannot be written: ")
    with refused, folder.held(folder.Path("/proc/run")):
        pass


def test_files_of_a_block_that_fails_are_not_seen(tmp_path):
    with pytest.raises(RuntimeError), folder.filled_at_once(tmp_path) as staging:
        (staging / "results.json").touch()
        raise RuntimeError
    assert not list(tmp_path.iterdir())
    with folder.filled_at_once(tmp_path) as staging:
        (staging / "results.json").touch()
        assert not (tmp_path / "results.json").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]


def test_a_finished_run_is_known_by_its_options(tmp_path):
    def is_finished(**options):
        found = Options(str(tmp_path), **options)
        return folder.is_finished(tmp_path, found, finished="model.keras")

    begin(tmp_path, epochs=3)
    assert not is_finished(epochs=3)
    for name in ("model.keras", ".lock", ".unfinished.1999999999.report.html"):
        (tmp_path / name).touch()
    assert is_finished(epochs=3) and not is_finished(epochs=4)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.yaml", "model.keras"]


def test_a_second_process_is_refused_and_makes_nothing(tmp_path):
    out = tmp_path / "a" / "run"
    with folder.held(out):
        for enter in (folder.held(out), folder.filled_at_once(out)):
            with (
                pytest.raises(folder_locks.InUseError, match="is in use by another process"),
                enter,
            ):
                pass
        with folder.held(out, writes=False):
            pass
    assert not (tmp_path / "a").exists()  # nothing was written: it goes with the lock


def test_a_full_disk_is_no_wrong_input(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(atomic_files.os, "replace", fail)
    with pytest.raises(
        disk_errors.CannotWriteError, match=r"config.yaml: cannot be written: no space"
    ):
        begin(tmp_path)


def test_older_files_that_took_the_place_of_others_are_a_change(tmp_path):
    @dataclass
    class Reading(Options):
        data: str = ""

    for name in ("data", "others"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a").touch()
    found = Reading(str(tmp_path / "out"), data=str(tmp_path / "data"))
    folder.claim(tmp_path / "out", found)
    time.sleep(0.02)  # clocks of file systems are coarse
    (tmp_path / "out" / "results.json").touch()

    def is_unchanged():
        return folder.is_unchanged(tmp_path / "out", found, finished="results.json")

    assert is_unchanged()
    for name in ("page.html", "features"):  # of the run itself
        (tmp_path / "out" / name).touch()
    assert is_unchanged()
    time.sleep(0.02)
    (tmp_path / "data").rename(tmp_path / "before")
    (tmp_path / "others").rename(tmp_path / "data")
    assert not is_unchanged()


def test_what_decides_nothing_is_no_change_nor_is_a_long_text_a_file(tmp_path):
    @dataclass
    class Reading(Options):
        data: str = ""
        features: str | None = None
        templates: list[str] | None = None

    out, cache = tmp_path / "data" / "out", tmp_path / "features"
    for each in (out, cache):
        each.mkdir(parents=True)
    texts = ["a photo of a {}, " + "very " * 100 + "large."]
    found = Reading(str(out), data=str(tmp_path / "data"), features=str(cache), templates=texts)
    folder.claim(out, found)
    time.sleep(0.02)
    (out / "results.json").touch()
    time.sleep(0.02)
    for path in (out / "report.html", cache / "of another model"):
        path.touch()
    assert folder.is_unchanged(out, found, finished="results.json")
    (tmp_path / "data" / "a").touch()
    assert not folder.is_unchanged(out, found, finished="results.json")
