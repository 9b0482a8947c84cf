"""Atomic writes: whole or not there, whatever happens in between."""

import errno
import os
import pickle
import re
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import duet
from duet import atomic_files, disk_errors

ROOT = Path(__file__).parents[1]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_at_the_end_of_the_block(tmp_path):
    path = tmp_path / "made" / "a.json"
    atomic_files.write(path, "old")
    with atomic_files.atomic(path) as unfinished:
        unfinished.write_text("new")
        assert path.read_text() == "old" and unfinished.suffix == ".json"
    assert path.read_text() == "new" and names(path.parent) == ["a.json"]


def test_a_folder_appears_with_all_of_its_files(tmp_path):
    with atomic_files.atomic(tmp_path / "model") as unfinished:
        unfinished.mkdir()
        (unfinished / "weights").write_bytes(b"1")
        assert not (tmp_path / "model").exists()
    assert names(tmp_path / "model") == ["weights"] and names(tmp_path) == ["model"]


def test_a_block_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    atomic_files.write(tmp_path / "a", b"old")
    with pytest.raises(KeyError), atomic_files.atomic(tmp_path / "a") as unfinished:
        unfinished.write_text("half")
        raise KeyError("x")
    assert (tmp_path / "a").read_bytes() == b"old" and names(tmp_path) == ["a"]


def test_permissions_are_those_of_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        with atomic_files.atomic(tmp_path / "a") as unfinished:
            unfinished.touch(mode=0o600)  # as safetensors does
        assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640
    finally:
        os.umask(before)


def test_what_a_link_leads_to_keeps_its_permissions(tmp_path):
    (tmp_path / "mine").touch(mode=0o600)
    with atomic_files.atomic(tmp_path / "link") as unfinished:
        unfinished.symlink_to(tmp_path / "mine")
    assert (tmp_path / "link").is_symlink()
    assert stat.S_IMODE((tmp_path / "mine").stat().st_mode) == 0o600


def test_a_pipe_or_a_device_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "null").symlink_to("/dev/null")
    for name in ("pipe", "null"):
        with pytest.raises(disk_errors.CannotWriteError, match=f"{name}: a pipe or a device"):
            atomic_files.write(tmp_path / name, b"1")
    assert (tmp_path / "pipe").is_fifo() and (tmp_path / "null").is_char_device()


def test_a_file_system_without_permissions_is_written_to(tmp_path, monkeypatch):
    def chmod(path, mode):
        raise PermissionError(errno.EPERM, "Operation not permitted", str(path))

    monkeypatch.setattr(os, "chmod", chmod)
    atomic_files.write(tmp_path / "a", b"1")
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize(
    "name", ["n" * 251 + ".jpg", "\u00e9" * 125 + ".json", "a" + "\udce9" * 250]
)
def test_a_name_may_be_as_long_as_the_system_takes_it(tmp_path, name):
    with atomic_files.atomic(tmp_path / name) as unfinished:
        assert unfinished.name.endswith(name[-20:])
        unfinished.touch()
    assert names(tmp_path) == [name]


def test_threads_that_write_one_name_do_not_mix(tmp_path):
    path, found = tmp_path / "a", set()

    def write(letter):
        for _ in range(20):
            atomic_files.write(path, letter * 50_000)
            found.add(frozenset(path.read_text()))

    threads = [threading.Thread(target=write, args=(letter,)) for letter in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found <= {frozenset("a"), frozenset("b"), frozenset("c")} and names(tmp_path) == ["a"]


def test_a_file_that_is_read_inside_is_not_what_cannot_be_written(tmp_path):
    with (
        pytest.raises(PermissionError, match=r"denied: '/data/a'"),
        atomic_files.atomic(tmp_path / "b"),
    ):
        raise PermissionError(errno.EACCES, "Permission denied", "/data/a")


def test_a_folder_that_cannot_be_made_is_what_cannot_be_written(tmp_path, monkeypatch):
    def mkdir(path, *arguments, **options):
        raise PermissionError(errno.EACCES, "Permission denied", str(tmp_path / "made"))

    monkeypatch.setattr(Path, "mkdir", mkdir)
    with pytest.raises(disk_errors.CannotWriteError, match="permission denied"):
        atomic_files.write(tmp_path / "made" / "below" / "a", b"1")


def test_what_is_added_to_a_file_is_there_or_the_reason_is_said(tmp_path):
    atomic_files.append(tmp_path / "rows", b"a\n")
    atomic_files.append(tmp_path / "rows", b"b\n")
    assert (tmp_path / "rows").read_bytes() == b"a\nb\n"
    with pytest.raises(
        disk_errors.CannotWriteError, match=r"/dev/full: cannot be written: no space left"
    ):
        atomic_files.append("/dev/full", b"a\n")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "no space left"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "quota exceeded"),
        (OSError(errno.EROFS, "Read-only file system"), "read-only file system"),
        (Exception("I/O error: No space left on device (os error 28)"), "no space left"),
    ],
)
def test_a_disk_that_refuses_is_one_line_with_file_reason_and_room(tmp_path, error, reason):
    said = rf"a: cannot be written: {reason}( \(it takes more than 0.0 MB; [\d,.]+ MB are free\))?$"
    with (
        pytest.raises(disk_errors.CannotWriteError, match=said),
        atomic_files.atomic(tmp_path / "a"),
    ):
        raise error
    assert names(tmp_path) == []


def test_a_refusal_comes_whole_from_another_process():
    error = pickle.loads(pickle.dumps(disk_errors.CannotWriteError("full", errno.ENOSPC)))
    assert (type(error), str(error), error.errno) == (
        disk_errors.CannotWriteError,
        "full",
        errno.ENOSPC,
    )


def test_room_is_said_before_a_long_run_or_the_lack_of_it(tmp_path):
    said = disk_errors.room(tmp_path / "a" / "run", 2.5e6, what="two checkpoints")
    assert re.fullmatch(r"two checkpoints: at most 2\.5 MB in .*/a/run, where [\d,]+ MB .*", said)
    with pytest.raises(
        disk_errors.CannotWriteError, match=r"no space left for .*1,000,000,000 MB in"
    ):
        disk_errors.room(tmp_path, 1e15, what="all of it")
    assert names(tmp_path) == []


def killed(program, *arguments):
    """Run a program that kills itself in the middle of a write."""
    text = f"import os, sys\nfrom pathlib import Path\nfrom duet import atomic_files\n{program}"
    done = subprocess.run([sys.executable, "-c", text, *map(str, arguments)], cwd=ROOT)
    assert done.returncode == -9


def test_what_a_killed_process_left_goes_at_the_next_write_of_that_file(tmp_path):
    program = """
with atomic_files.atomic(sys.argv[1]) as unfinished:
    unfinished.write_text("half")
    os.kill(os.getpid(), 9)
"""
    killed(program, tmp_path / "a[1]")
    assert len(names(tmp_path)) == 1 and names(tmp_path)[0].startswith(".unfinished.")
    atomic_files.write(tmp_path / "a[1]", "whole")
    assert names(tmp_path) == ["a[1]"]


def test_an_unfinished_file_of_a_running_process_stays(tmp_path):
    with atomic_files.atomic(tmp_path / "a") as unfinished:
        unfinished.touch()
        atomic_files.sweep(tmp_path)
        assert unfinished.exists() and not atomic_files.is_leftover(unfinished)


def test_an_unfinished_file_of_an_earlier_process_with_the_same_number_goes(tmp_path):
    """As in a container, where the number of the process is the same every time."""
    for name in (f"{os.getpid()}-1.a", f"{os.getpid()}-1.staging"):
        (tmp_path / f".unfinished.{name}").mkdir()
    with atomic_files.together(tmp_path) as staging:
        (staging / "b").touch()
    assert names(tmp_path) == ["b"]


@pytest.mark.parametrize(("name", "seconds"), [("big", 86_400), ("moving", 60)])
def test_a_file_that_another_machine_is_writing_stays(tmp_path, name, seconds):
    """As in the cache of weights, where several computers share a home."""
    path = tmp_path / f".unfinished.1999999999-1-0000000x-0.{name}"
    for age, stays in ((seconds / 2, True), (seconds * 2, False)):
        path.mkdir(exist_ok=True)
        os.utime(path, (time.time() - age,) * 2)
        atomic_files.sweep(tmp_path)
        assert path.exists() is stays


def test_a_process_whose_name_is_cut_inside_a_letter_writes(tmp_path):
    program = (
        "Path('/proc/self/comm').write_bytes(b'\\xd0\\xbe\\xd0')\n"
        "atomic_files.write(sys.argv[1], b'1')\n"
        "os.kill(os.getpid(), 9)"
    )
    killed(program, tmp_path / "a")
    assert names(tmp_path) == ["a"]


def test_a_folder_is_searched_for_leftovers_once(tmp_path, monkeypatch):
    """It takes longer, the more files there are: as many as `predict --sort-into` puts there."""
    atomic_files.write(tmp_path / "a", b"")
    monkeypatch.setattr(atomic_files, "is_leftover", lambda path: pytest.fail(str(path)))
    (tmp_path / ".unfinished.1999999999-1.b").touch()
    atomic_files.write(tmp_path / "b", b"")


def test_one_name_gives_all_packages(monkeypatch):
    assert duet.tfrecords.__name__ == "tfrecords" and duet.pipelines.__name__ == "pipelines"
    monkeypatch.delattr(duet, "atomic_files")  # as before it is imported
    assert all(getattr(duet, name) for name in dir(duet))
    assert duet.__version__ and set(duet.PACKAGES) < set(dir(duet))
    with pytest.raises(
        AttributeError, match="module 'duet' has no attribute 'x'; it has tfrecords"
    ):
        _ = duet.x


def test_files_appear_together(tmp_path):
    with atomic_files.together(tmp_path / "out") as staging:
        (staging / "a").touch()
        (staging / "b").mkdir()
        assert not (tmp_path / "out" / "a").exists()
    assert names(tmp_path / "out") == ["a", "b"]


def test_what_a_killed_process_had_moved_is_taken_back(tmp_path):
    (tmp_path / "mine").touch()
    program = (
        "move = os.replace\n"
        "def replace(a, b):\n"
        "    if Path(b).name == 'b': os.kill(os.getpid(), 9)\n"
        "    move(a, b)\n"
        "os.replace = replace\n"
        "with atomic_files.together(sys.argv[1]) as p:\n"
        "    (p / 'a').touch(), (p / 'b').touch()"
    )
    killed(program, tmp_path)
    assert {"a", "mine"} < set(names(tmp_path))  # and what is not moved yet
    atomic_files.sweep(tmp_path)
    assert names(tmp_path) == ["mine"]
