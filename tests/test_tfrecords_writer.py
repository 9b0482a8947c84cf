"""Writing: whole or not at all, resumable, and the same bytes however it is done."""

import csv
import errno
import hashlib
import io
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import warnings
from multiprocessing import synchronize
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from duet import folder_locks
from tfrecords import schema, shard_writing, sources
from tfrecords.images.reencoding import normalise as real_normalise
from tfrecords.manifest import Manifest, ShardInfo
from tfrecords.runners import run_beam
from tfrecords.writer import split_info, write


def image(grey, kind="JPEG", size=(12, 10)):
    buffer = io.BytesIO()
    Image.new("L", size, grey % 256).save(buffer, kind)
    return buffer.getvalue()


@pytest.fixture
def folder(tmp_path):
    """40 images in 2 classes for training, 6 for testing; two of them cannot be read."""
    root = tmp_path / "images"
    for split, count in [("train", 20), ("test", 3)]:
        for name, start in [("cat", 0), ("dog", 100)]:
            (root / split / name).mkdir(parents=True)
            for i in range(count):
                (root / split / name / f"{i}.jpg").write_bytes(image(start + i))
    (root / "train" / "cat" / "7.jpg").write_bytes(b"")
    (root / "train" / "dog" / "notes, and more.png").write_bytes(b"not an image")
    return root


def source_of(folder):
    return sources.class_folder(folder, seed=0)


def content(directory):
    return {path.name: path.read_bytes() for path in sorted(directory.iterdir())}


def records(directory, split):
    info = Manifest.read(directory).split(split)
    paths = [str(directory / s.name) for s in info.shards]
    return [schema.parse(r) for r in tf.data.TFRecordDataset(paths)]


@pytest.fixture
def finished(folder, tmp_path):
    out = tmp_path / "out"
    write(source_of(folder), out, shard_size=9, workers=1, progress=False)
    return out


def test_what_is_written(folder, finished):
    assert [path.name for path in sorted(finished.iterdir())] == [
        "manifest.json",
        "rejected.csv",
        "test-00000-of-00001.tfrecord",
        *(f"train-{i:05d}-of-00005.tfrecord" for i in range(5)),
    ]
    manifest = Manifest.read(finished)
    train, test = manifest.splits["train"], manifest.splits["test"]
    assert (manifest.dataset, manifest.class_names) == ("images", ("cat", "dog"))
    assert (train.count, train.class_counts, train.rejected) == (39, (19, 20), 2)
    assert (test.count, test.class_counts, test.rejected) == (6, (3, 3), 0)
    assert train.labels and not train.captions
    assert manifest.options == {"short_side": None, "shard_size": 9}
    assert {"duet", "pillow", "libjpeg"} <= manifest.versions.keys()


def test_the_manifest_has_size_records_and_checksum_of_each_shard(finished):
    for split in Manifest.read(finished).splits.values():
        for info in split.shards:
            data = (finished / info.name).read_bytes()
            assert (len(data), hashlib.sha256(data).hexdigest()) == (info.bytes, info.sha256)
            assert len(list(tf.data.TFRecordDataset(str(finished / info.name)))) == info.records


def test_rejected_images_are_listed_by_name_and_reason(finished):
    with open(finished / "rejected.csv", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["file", "reason"]
    assert sorted(rows[1:]) == [
        ["train/cat/7.jpg", "empty file"],
        [
            "train/dog/notes, and more.png",
            "not an image of a kind read here (JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF, HEIC)",
        ],
    ]


def test_records_hold_the_files_as_they_are_in_the_order_of_the_source(folder, finished):
    raws = list(source_of(folder).read("train", 0, 41))
    read = records(finished, "train")
    assert len(read) == 39
    for record in read:
        raw = raws[int(record["image/id"])]  # ids keep gaps where images were rejected
        assert record["image/filename"].numpy().decode() == raw.filename
        assert record["image/encoded"].numpy() == raw.load()
        assert int(record["image/class/label"]) == raw.label
        assert record["image/class/text"].numpy() == [b"cat", b"dog"][raw.label]
        assert (int(record["image/height"]), int(record["image/width"])) == (10, 12)
    ids = [int(record["image/id"]) for record in read]
    assert ids == sorted(ids)


def test_several_labels_per_image(folder, tmp_path):
    """The same images, `dog` and `any` on each dog, `any` on cats, `bird` on none."""
    rows = [f"test/cat/{i}.jpg,any,test\ntest/dog/{i}.jpg,any|dog,test" for i in range(3)]
    rows += ["train/cat/1.jpg,bird|any,train", "train/cat/2.jpg,bird,train"]
    (folder / "labels.csv").write_text("\n".join(["file,label,split", *rows]))
    source = sources.Limited(sources.labels(folder / "labels.csv", seed=0), 100)
    manifest = write(source, tmp_path / "several", workers=1, progress=False)
    assert manifest == Manifest.read(tmp_path / "several")
    assert (manifest.schema, manifest.multi_label) == (2, True)
    assert manifest.class_names == ("any", "bird", "dog")
    assert manifest.splits["test"].class_counts == (6, 0, 3)  # 6 images, 9 labels
    assert manifest.splits["test"].count == 6 and manifest.splits["test"].labels
    for record in records(tmp_path / "several", "test"):
        is_dog = b"dog" in record["image/filename"].numpy()
        assert record["image/class/labels"].numpy().tolist() == ([0, 2] if is_dog else [0])
        assert record["image/class/text"].numpy() == (b"any|dog" if is_dog else b"any")


def test_short_side(folder, tmp_path):
    write(source_of(folder), tmp_path / "small", short_side=5, workers=1, progress=False)
    for record in records(tmp_path / "small", "test"):
        assert tf.io.decode_jpeg(record["image/encoded"]).shape == (5, 6, 1)
        assert (int(record["image/height"]), int(record["image/width"])) == (5, 6)


def test_captions(tmp_path):
    (tmp_path / "1.jpg").write_bytes(image(9))
    path = tmp_path / "captions_train.csv"
    path.write_text("file,caption\n1.jpg,one\n1.jpg,uno\n")
    source = sources.captions(path, seed=0)
    manifest = write(source, tmp_path / "out", workers=1, progress=False)
    info = manifest.splits["train"]
    assert (info.count, info.labels, info.captions, info.class_counts) == (1, False, True, ())
    assert records(tmp_path / "out", "train")[0]["image/caption"].numpy().tolist() == [
        b"one",
        b"uno",
    ]


def test_the_bytes_do_not_depend_on_the_workers(folder, finished, tmp_path):
    write(source_of(folder), tmp_path / "two", shard_size=9, workers=2, progress=False)
    assert content(tmp_path / "two") == content(finished)


def no_shared_memory(*_, **__):
    raise FileNotFoundError(errno.ENOENT, "No such file or directory")


def no_semaphores(*_, **__):
    raise ImportError("This platform lacks a functioning sem_open implementation")


@pytest.mark.parametrize("refused", [no_shared_memory, no_semaphores])
def test_processes_that_cannot_share_memory_are_done_without(
    folder, finished, tmp_path, monkeypatch, refused
):
    """As in a container without /dev/shm."""
    monkeypatch.setattr(synchronize.SemLock, "__init__", refused)
    write(source_of(folder), tmp_path / "two", shard_size=9, workers=2, progress=False)
    assert content(tmp_path / "two") == content(finished)


def test_the_images_of_one_shard_are_read_by_one_thread_and_converted_by_others(
    folder, tmp_path, monkeypatch
):
    threads = {"_loaded": set(), "normalise": set()}

    def noting(name):
        real = getattr(shard_writing, name)

        def call(*args, **options):
            threads[name].add(threading.current_thread())
            return real(*args, **options)

        monkeypatch.setattr(shard_writing, name, call)

    for name in threads:
        noting(name)
    filters, found = list(warnings.filters), []
    (piece,) = shard_writing.slices("train", 41, shard_size=500)
    for threads_of_it in (1, 3):
        job = shard_writing.Job(source_of(folder), tmp_path / str(threads_of_it))
        job.work.mkdir(parents=True)
        shard_writing.write_shard(piece, job, threads=threads_of_it)
        found.append(
            ((job.directory / piece.name).read_bytes(), shard_writing.finished(piece, job))
        )
    assert found[0] == found[1] and found[0][1].info.records == 39
    assert warnings.filters == filters
    assert threads["_loaded"] == {threading.current_thread()}
    assert threads["normalise"].isdisjoint(threads["_loaded"])


# Apache Beam 2.77 and what it imports use deprecated names.
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_beam_writes_the_same_bytes(folder, finished, tmp_path):
    pytest.importorskip("apache_beam")
    write(
        source_of(folder),
        tmp_path / "beam",
        shard_size=9,
        runner="beam",
        beam_options="--runner=DirectRunner --direct_num_workers=1",
        progress=False,
    )
    assert content(tmp_path / "beam") == content(finished)


def test_beam_missing_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    with pytest.raises(ValueError, match=r"duet-vision-language\[beam\]"):
        run_beam([], None)


class Stop(Exception):
    pass


def stop_after(folder, out, images):
    """Write until so many images are read, then raise, as an interrupt would."""
    left = iter(range(images))

    def normalise(data, **options):
        if next(left, None) is None:
            raise Stop
        return real_normalise(data, **options)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Stop):
        patch.setattr(shard_writing, "normalise", normalise)
        write(source_of(folder), out, shard_size=9, workers=1, progress=False)


def test_stopped_and_started_again_it_ends_the_same_and_redoes_nothing(folder, finished, tmp_path):
    out = tmp_path / "resumed"
    stop_after(folder, out, 25)
    done = sorted(path.name for path in out.iterdir() if path.is_file())
    assert done == ["train-00000-of-00005.tfrecord", "train-00001-of-00005.tfrecord"]
    assert not list(out.rglob(".unfinished.*"))
    times = {name: (out / name).stat().st_mtime_ns for name in done}
    write(source_of(folder), out, shard_size=9, workers=1, progress=False)
    assert {name: (out / name).stat().st_mtime_ns for name in done} == times
    assert content(out) == content(finished)


def test_finished_records_whose_shards_are_gone_or_cut_are_not_called_finished(
    folder, finished, tmp_path
):
    out = shutil.copytree(finished, tmp_path / "damaged")
    assert write(source_of(folder), out, shard_size=9, workers=1, progress=False)
    shard = out / "train-00001-of-00005.tfrecord"
    shard.write_bytes(shard.read_bytes()[:-9])
    with pytest.raises(ValueError, match=r"train-00001-of-00005.tfrecord.* is damaged"):
        write(source_of(folder), out, shard_size=9, workers=1, progress=False)
    shard.unlink()
    with pytest.raises(FileNotFoundError, match=r"train-00001-of-00005.tfrecord is missing"):
        write(source_of(folder), out, shard_size=9, workers=1, progress=False)


KILLED = """
import sys, time
from tfrecords import sources, writer
class Slow(sources.Limited):
    def read(self, split, start, stop):
        for raw in super().read(split, start, stop):
            time.sleep(0.02)
            yield raw
if __name__ == "__main__":
    source = Slow(sources.class_folder(sys.argv[1], seed=0), 100)
    writer.write(source, sys.argv[2], shard_size=9, workers=2, progress=False)
"""


def test_killed_outright_it_leaves_whole_shards_and_no_worker(folder, finished, tmp_path):
    script, out = tmp_path / "slow.py", tmp_path / "killed"
    script.write_text(KILLED)
    process = subprocess.Popen([sys.executable, str(script), str(folder), str(out)])
    deadline = time.monotonic() + 120
    while not list(out.glob("[!.]*.tfrecord")) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    time.sleep(0.3)
    whole = content(finished)
    done = {p.name: p.read_bytes() for p in out.glob("[!.]*.tfrecord")}
    assert 0 < len(done) < 6 and done.items() <= whole.items()
    time.sleep(0.5)
    assert len(list(out.glob("[!.]*.tfrecord"))) == len(done)  # no worker went on by itself
    source = sources.Limited(source_of(folder), 100)
    write(source, out, shard_size=9, workers=1, progress=False)
    assert {p.name: p.read_bytes() for p in out.glob("[!.]*.tfrecord")} == {
        name: data for name, data in whole.items() if name.endswith(".tfrecord")
    }
    assert not (out / shard_writing.WORK_FOLDER).exists()


def test_a_finished_shard_of_the_wrong_size_is_written_again(folder, finished, tmp_path):
    out = tmp_path / "resumed"
    stop_after(folder, out, 25)
    with open(out / "train-00000-of-00005.tfrecord", "ab") as file:
        file.write(b"more")
    write(source_of(folder), out, shard_size=9, workers=1, progress=False)
    assert content(out) == content(finished)


@pytest.mark.parametrize(
    ("change", "what"),
    [({"short_side": 5}, "options"), ({"shard_size": 8}, "options"), ({"seed": 1}, "source")],
)
def test_other_options_do_not_finish_what_was_begun(folder, tmp_path, change, what):
    out = tmp_path / "out"
    stop_after(folder, out, 25)
    before = content_of_tree(out)
    source = sources.class_folder(folder, seed=change.pop("seed", 0))
    with pytest.raises(ValueError, match=f"unfinished records of another {what}"):
        write(source, out, **{"shard_size": 9, **change}, progress=False)
    assert content_of_tree(out) == before


def content_of_tree(root):
    return {str(path): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_nothing_is_overwritten(folder, finished, tmp_path):
    before = content(finished)
    with pytest.raises(FileExistsError, match="finished records"):
        write(source_of(folder), finished, shard_size=8, progress=False)
    assert content(finished) == before
    with pytest.raises(FileExistsError, match="other files"):
        write(source_of(folder), folder, progress=False)
    (tmp_path / "file").write_text("")
    with pytest.raises(FileExistsError, match="is a file"):
        write(source_of(folder), tmp_path / "file", progress=False)


def test_an_empty_folder_may_be_there_already(folder, tmp_path):
    (tmp_path / "empty").mkdir()
    assert write(source_of(folder), tmp_path / "empty", workers=1, progress=False).splits


def test_a_full_disk_leaves_no_half_written_shard(folder, finished, tmp_path, monkeypatch):
    out, syncs = tmp_path / "full", iter(range(7))  # enough for three shards and their notes

    def fsync(_):
        if next(syncs, None) is None:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match=r"full/.*: no space left .*; make room and give the same"):
        write(source_of(folder), out, shard_size=9, workers=1, progress=False)
    assert sorted(path.name for path in out.iterdir()) == [
        shard_writing.WORK_FOLDER,
        *(f"train-{i:05d}-of-00005.tfrecord" for i in range(3)),
    ]
    assert not list(out.rglob(".unfinished.*"))
    monkeypatch.undo()
    write(source_of(folder), out, shard_size=9, workers=1, progress=False)
    assert content(out) == content(finished)


def test_many_shards_are_not_begun_where_there_is_no_room_for_them(folder, tmp_path, monkeypatch):
    out = tmp_path / "full"
    little = SimpleNamespace(free=2000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: little)
    with pytest.raises(OSError, match=r"no space left for all records, by the first shard: at mo"):
        write(source_of(folder), out, shard_size=2, workers=1, progress=False)
    monkeypatch.undo()
    write(source_of(folder), out, shard_size=2, workers=1, progress=False)


def test_a_place_that_cannot_be_written_to_is_named(folder, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"file/out: cannot be written: not a directory"):
        write(source_of(folder), tmp_path / "file" / "out", progress=False)


def test_a_split_without_a_readable_image_is_an_error_with_the_listing(folder, tmp_path):
    for path in (folder / "test").rglob("*.jpg"):
        path.write_bytes(b"")
    with pytest.raises(ValueError, match=r"no image of split test could be read, see .*rejected"):
        write(source_of(folder), tmp_path / "out", workers=1, progress=False)
    assert (tmp_path / "out" / "rejected.csv").read_text().count("empty file") == 7
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_a_image_that_vanished_is_rejected(folder, tmp_path):
    source = source_of(folder)
    (folder / "test" / "cat" / "0.jpg").unlink()
    manifest = write(source, tmp_path / "out", workers=1, progress=False)
    assert manifest.splits["test"].rejected == 1
    listed = (tmp_path / "out" / "rejected.csv").read_text()
    assert "test/cat/0.jpg,cannot be read: No such file or directory" in listed


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"workers": 0}, "workers: expected a whole number of at least 1, got 0"),
        ({"short_side": 0}, "short_side: expected a whole number of at least 1"),
        ({"shard_size": -1}, "shard_size: expected a whole number of at least 1"),
        ({"shard_size": 2.5}, "shard_size: expected a whole number of at least 1, got 2.5"),
        ({"runner": "spark"}, "runner: expected one of local, beam, got 'spark'"),
    ],
)
def test_options_out_of_range(folder, tmp_path, option, message):
    with pytest.raises(ValueError, match=message):
        write(source_of(folder), tmp_path / "out", **option)
    assert not (tmp_path / "out").exists()


def test_errors_of_workers_reach_the_caller(tmp_path, folder):
    """A damaged file of the source itself, as a TFDS shard, is not an image to reject."""
    broken = sources.TfdsSource(
        name="broken",
        version="1",
        shards={"train": [(str(folder / "train" / "cat" / "0.jpg"), 20)]},
        class_names=(),
        templates=(),
        metric="top1",
        lossless=False,
    )
    with pytest.raises(ValueError, match=r"0.jpg is damaged: no whole record 0"):
        write(broken, tmp_path / "out", shard_size=5, workers=2, progress=False)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_file_of_the_source_that_cannot_be_read_is_named(tmp_path, workers):
    shards = {"train": [("/nowhere/train-0", 20)]}
    source = sources.TfdsSource("gone", "1", shards, (), (), "top1", False)
    said = "failed: No such file or directory: /nowhere/train-0"
    with pytest.raises(OSError, match=said):
        write(source, tmp_path / "out", shard_size=5, workers=workers, progress=False)


def test_shard_names_say_how_many_there_are():
    pieces = shard_writing.slices("train", 21, shard_size=10)
    assert [(p.name, p.start, p.stop) for p in pieces] == [
        ("train-00000-of-00003.tfrecord", 0, 10),
        ("train-00001-of-00003.tfrecord", 10, 20),
        ("train-00002-of-00003.tfrecord", 20, 21),
    ]
    assert [p.name for p in shard_writing.slices("x", 10, shard_size=10)] == [
        "x-00000-of-00001.tfrecord"
    ]


def test_a_second_writer_of_a_folder_is_refused_and_a_finished_one_has_nothing_to_do(
    folder, tmp_path
):
    out = tmp_path / "out"
    with (
        folder_locks.locked(out),
        pytest.raises(folder_locks.InUseError, match="is in use by another process"),
    ):
        write(source_of(folder), out, workers=1, progress=False)
    made = write(source_of(folder), out, workers=1, progress=False)
    with folder_locks.locked(out):  # as somebody else's, who may not make one there
        assert write(source_of(folder), out, workers=1, progress=False) == made
    before = content(out)
    (out / shard_writing.WORK_FOLDER).mkdir()  # as if killed while it was removed
    assert write(source_of(folder), out, workers=1, progress=False) == made
    assert content(out) == before and not (out / shard_writing.WORK_FOLDER).exists()


def test_records_among_the_images_are_no_class(folder, tmp_path):
    """`prepare --folder photos --out photos/records`, stopped, and given again when it is done."""
    root = folder / "train"
    stop_after(root, root / "records", images=20)
    assert "passed over: folders of records: 1" in source_of(root).notes
    made = write(source_of(root), root / "records", shard_size=9, workers=1, progress=False)
    assert made.class_names == ("cat", "dog")
    assert sum(split.count + split.rejected for split in made.splits.values()) == 41
    assert made == write(source_of(root), root / "records", shard_size=9, progress=False)


# --- Sources of one's own ---------------------------------------------------------------------


class Own:
    """Four images of two classes; a test changes what each of them is."""

    name, class_names, templates, metric, lossless = "own", ("cat", "dog"), ("a {}",), "top1", False

    def __init__(self, count=4, splits=("train",), source=(), **raw):
        self.splits, self.count, self.raw = dict.fromkeys(splits, 4), count, raw
        self.__dict__ |= dict(source)

    def describe(self):
        return {"own": 1}

    def read(self, split, start, stop):
        for i in range(start, min(stop, self.count)):
            yield schema.RawExample(
                **{"filename": f"{i}.jpg", "load": lambda: image(9), "label": i % 2, **self.raw}
            )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"label": 2}, r"0.jpg: label: expected 0 to 1; got 2"),
        ({"label": -1}, r"0.jpg: label: expected 0 to 1; got -1"),
        ({"label": "cat"}, r"0.jpg: label: expected a class index .*; got 'cat'"),
        ({"label": 1.0}, r"0.jpg: label: expected a class index .*; got 1.0"),
        ({"captions": "a cat"}, r"0.jpg: captions: expected a tuple of texts; got 'a cat'"),
        ({"load": lambda: None}, r"0.jpg: load: expected the bytes of a file; got NoneType"),
        ({"count": 3}, r"source: expected images 0 to 4 of split train, .*; got 3"),
        ({"label": (1,)}, r"0.jpg: label: expected 0 to 1; got \(1,\)"),
        (
            {"source": {"multi_label": True}},
            r"0.jpg: label: expected a tuple of numbers from 0 to 1; got 0",
        ),
        (
            {"source": {"class_names": ()}},
            r"0.jpg: label: expected none, as there are no .*; got 0",
        ),
        ({"splits": ()}, r"source: expected a split at least; got none"),
        ({"splits": ("",)}, r"source: split '': expected a name that a file may have"),
        ({"splits": ("a/b",)}, r"source: split 'a/b': expected a name that a file may have"),
        ({"splits": ("a\nb",)}, r"source: split 'a\\nb': expected a name that a file may have"),
        ({"splits": ("Fold", "fold")}, r"source: splits Fold and fold: .* more than case"),
    ],
)
def test_a_source_that_gives_something_else_is_told_what(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        write(Own(**options), tmp_path / "records", workers=1, progress=False)
    assert not (tmp_path / "records" / "manifest.json").exists()


def test_labels_and_captions_of_a_source_may_be_numpys_and_lists(tmp_path):
    source = Own(label=np.int64(1), captions=["a dog", "two"])
    manifest = write(source, tmp_path / "records", workers=1, progress=False)
    assert manifest.split("train").class_counts == (0, 4)
    assert records(tmp_path / "records", "train")[0]["image/caption"].numpy().tolist() == [
        b"a dog",
        b"two",
    ]


def test_a_class_counts_once_however_often_an_image_has_it(tmp_path):
    source = Own(label=(1, 0, 1), source={"multi_label": True})
    manifest = write(source, tmp_path / "records", workers=1, progress=False)
    assert manifest.split("train").class_counts == (4, 4)


def test_what_is_no_source_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"source: expected one of tfrecords.sources, .* 'photos'"):
        write("photos", tmp_path / "records")


def test_a_script_that_workers_would_run_again_is_told_so(folder, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from tfrecords import sources, write\n"
        f"write(sources.class_folder({str(folder)!r}, seed=0), {str(tmp_path / 'r')!r}, "
        "shard_size=8, progress=False)\n"
    )
    root = os.path.dirname(os.path.dirname(__file__))
    done = subprocess.run(
        [sys.executable, script],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": root},
    )
    assert done.stderr.count("Traceback") == 1
    assert 'outside of `if __name__ == "__main__":`' in done.stderr.splitlines()[-1]


def test_classes_that_a_shard_has_not_are_not_looked_for_in_it():
    class Few(dict):
        def get(self, *_):
            raise AssertionError("looked for")

    shards = [
        shard_writing.Shard(info, Few(counts), 3, 0, [])
        for info, counts in (
            (ShardInfo("a", 3, 1, ""), {0: 2, 9: 1}),
            (ShardInfo("b", 3, 1, ""), {9: 3}),
        )
    ]
    assert split_info(shards, classes=10).class_counts == (2, *[0] * 8, 4)
