"""Images by name, in a folder and in records; many of them read at once; thumbnails."""

import dataclasses
import io
import os

import numpy as np
import pytest
from PIL import Image

import tfrecords
from tfrecords import ImageFolder, ImageRecords, framing
from tfrecords.sources.shapes.source import ShapesSource


def jpeg(colour, size=(40, 30), kind="JPEG"):
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, kind)
    return buffer.getvalue()


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "images"
    (folder / "inside").mkdir(parents=True)
    (folder / "b.jpg").write_bytes(jpeg("red"))
    (folder / "inside" / "a.PNG").write_bytes(jpeg("blue", kind="PNG"))
    (folder / "inside" / "é.webp").write_bytes(jpeg("green", kind="WEBP"))
    for name in (".hidden.jpg", "notes.txt", "inside/.b.jpg"):
        (folder / name).write_bytes(b"no image")
    (folder / ".cache").mkdir()
    (folder / ".cache" / "c.jpg").write_bytes(jpeg("red"))
    return folder


def test_a_folder_lists_its_images_by_path(folder):
    images = ImageFolder(folder)
    listing = images.listing()
    assert list(listing) == ["b.jpg", "inside/a.PNG", "inside/é.webp"]
    status = (folder / "b.jpg").stat()
    assert listing["b.jpg"] == (status.st_size, status.st_mtime_ns, 0)
    assert images.load("b.jpg") == jpeg("red") and images.has("b.jpg")
    assert tfrecords.images_of(**images.describe()) == ImageFolder(folder.resolve())


@pytest.mark.parametrize("seconds", [-(10**9), 10**10])
def test_files_of_clocks_that_are_wrong_have_stamps_of_64_bits(folder, seconds):
    """Of 1938 and of 2286, as cameras and archives write them; an index keeps int64."""
    os.utime(folder / "b.jpg", (seconds, seconds))
    listing = ImageFolder(folder).listing()
    assert np.array(list(listing.values()), np.int64).shape == (3, 3)
    assert ImageFolder(folder).load("b.jpg", listing["b.jpg"]) == jpeg("red")


def test_nothing_outside_of_the_folder_is_read(folder):
    outside = folder.parent / "secret.jpg"
    outside.write_bytes(jpeg("red"))
    (folder / "link.jpg").symlink_to(outside)
    os.symlink(folder / "b.jpg", folder / "good link.jpg")
    images = ImageFolder(folder)
    assert {"link.jpg", "good link.jpg"} <= set(images.listing())
    assert images.load("good link.jpg") == jpeg("red")
    for name in ("link.jpg", "../secret.jpg", str(outside)):
        with pytest.raises(PermissionError, match="leads out of"):
            images.load(name)


def test_what_browsers_and_phones_save_is_listed_and_what_programs_leave_is_counted(tmp_path):
    for name in ("saved.jfif", "IMG_1.HEIC", "scan.JP2", "no ending", "@eaDir/b.jpg", "x.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"text" if name == "x.txt" else jpeg("red"))
    os.symlink(tmp_path, tmp_path / "again")
    images = ImageFolder(tmp_path)
    assert list(images.listing()) == ["IMG_1.HEIC", "no ending", "saved.jfif", "scan.JP2"]
    assert images.notes == (
        f"{tmp_path}: 4 images: 1 .heic (IMG_1.HEIC), 1 without ending (no ending), "
        f"1 .jfif (saved.jfif), 1 .jp2 (scan.JP2)",
        "passed over: files and folders that other programs left (thumbnails, recycle bins): 1",
        "passed over: files that are no images (.txt): 1",
        "passed over: linked folders, which are not followed here: 1",
    )


def test_a_name_that_is_not_utf_8_is_escaped_and_found_again(tmp_path):
    with open(os.path.join(os.fsencode(tmp_path), b"caf\xe9.jpg"), "wb") as file:
        file.write(jpeg("red"))
    images = ImageFolder(tmp_path)
    assert list(images.listing()) == [r"caf\xe9.jpg"]
    assert images.has(r"caf\xe9.jpg") and images.load(r"caf\xe9.jpg") == jpeg("red")


def test_a_folder_whose_name_is_not_utf_8_is_found_again(tmp_path):
    folder = os.path.join(os.fsencode(tmp_path), b"caf\xe9")
    os.mkdir(folder)
    with open(os.path.join(folder, b"a.jpg"), "wb") as file:
        file.write(jpeg("red"))
    described = ImageFolder(tmp_path / os.fsdecode(b"caf\xe9")).describe()
    assert described["path"].endswith(r"caf\xe9")
    assert tfrecords.images_of(**described).load("a.jpg") == jpeg("red")


def test_what_is_not_there(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match="is not a folder of images"):
        ImageFolder(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"holds no images; expected files of kinds JPEG"):
        ImageFolder(tmp_path / "empty").listing()
    stamp = ImageFolder(folder).listing()["b.jpg"]
    os.utime(folder / "b.jpg", (1, 1))
    assert ImageFolder(folder).has("b.jpg", stamp)
    (folder / "b.jpg").write_bytes(jpeg("blue") + b"more")
    assert not ImageFolder(folder).has("b.jpg", stamp)
    (folder / "b.jpg").unlink()
    assert not ImageFolder(folder).has("b.jpg")
    with pytest.raises(FileNotFoundError, match=r"b.jpg is no longer in"):
        ImageFolder(folder).load("b.jpg")


def test_records_list_and_give_their_images(tmp_path):
    source = ShapesSource(counts={"train": 5, "test": 13})
    tfrecords.write(source, tmp_path / "records", shard_size=6, workers=1, progress=False)
    everything = ImageRecords(tmp_path / "records")
    places = [everything.place(stamp) for stamp in everything.listing().values()]
    assert places == [("train", i) for i in range(5)] + [("test", i) for i in range(13)]
    images = ImageRecords(tmp_path / "records", ("test",))
    listing = images.listing()
    examples = list(tfrecords.examples(tmp_path / "records", "test"))
    assert list(listing) == [example.filename for example in examples]
    assert len({stamp[0] for stamp in listing.values()}) == 13
    for example in examples:
        name = example.filename
        assert listing[name][1] == len(example.image)
        assert images.load(name, listing[name]) == example.image
    assert images.has(name, listing[name])
    assert tfrecords.images_of(**images.describe()).listing() == listing
    with pytest.raises(FileNotFoundError, match="no longer where it was"):
        images.load("other.jpg", listing[name])
    with pytest.raises(FileNotFoundError, match="no longer where it was"):  # written anew
        images.load(name, (listing[name][0] + 1, *listing[name][1:]))
    with pytest.raises(ValueError, match="no split 'tset'"):
        ImageRecords(tmp_path / "records", ("tset",))
    for shard in (tmp_path / "records").glob("test-*"):
        shard.unlink()
    assert not images.has(name, listing[name])
    with pytest.raises(FileNotFoundError, match="is no longer in"):
        images.load(name, listing[name])


def test_many_images_have_the_pixels_of_each(folder):
    store = ImageFolder(folder)
    (folder / "c.jpg").write_bytes(jpeg("red")[:300])
    (folder / "d.jpg").write_text("no image")
    (folder / "e.jpg").symlink_to(folder / "nowhere")
    (folder / "f.jpg").symlink_to("/etc/passwd")
    asked = [(name, lambda name=name: store.load(name)) for name in store.listing()]
    batches = list(tfrecords.read_images(asked, batch_size=3, image_size=16, resize="squash"))
    assert [len(batch.names) + len(batch.unreadable) for batch in batches] == [3, 3, 1]
    names = [name for batch in batches for name in batch.names]
    assert names == ["b.jpg", "inside/a.PNG", "inside/é.webp"]
    images = np.concatenate([batch.images for batch in batches])
    alone = [tfrecords.read_image(folder / name, image_size=16, resize="squash") for name in names]
    np.testing.assert_array_equal(images, alone)
    told = {name: why for batch in batches for name, why in batch.unreadable}
    assert list(told) == ["c.jpg", "d.jpg", "e.jpg", "f.jpg"]
    assert told["c.jpg"].startswith(("truncated", "damaged"))
    assert told["d.jpg"].startswith("not an image")
    assert told["e.jpg"].startswith("cannot be read: e.jpg is no longer in")
    assert told["f.jpg"].startswith("cannot be read: f.jpg leads out of")


def test_giving_up_early_leaves_no_thread_behind(folder):
    asked = [("b.jpg", (folder / "b.jpg").read_bytes)] * 100
    batches = tfrecords.read_images(asked, batch_size=2, image_size=8)
    assert next(batches).names == ["b.jpg"] * 2
    batches.close()


def test_thumbnails(folder):
    data = tfrecords.thumbnail(jpeg("red", size=(400, 100), kind="PNG"), side=80)
    with Image.open(io.BytesIO(data)) as image:
        assert image.format == "JPEG" and image.size == (80, 20)
    small = tfrecords.thumbnail(jpeg("red", size=(10, 20)), side=80)
    assert Image.open(io.BytesIO(small)).size == (10, 20)
    with pytest.raises(tfrecords.UnreadableError, match="not an image"):
        tfrecords.thumbnail(b"<svg/>", side=80)


def test_examples_at_places_of_a_split_are_those_of_reading_all_of_it(tmp_path):
    source = ShapesSource(counts={"train": 12})
    tfrecords.write(source, tmp_path, shard_size=5, workers=1, progress=False)
    every = list(tfrecords.examples(tmp_path, "train"))
    found = dict(tfrecords.examples_at(tmp_path, "train", [11, 4, 5, 4]))
    assert list(found) == [4, 5, 11]
    assert all(found[place] == every[place] for place in found)
    with pytest.raises(ValueError, match="places: expected 0 to 11; got 3, 12"):
        list(tfrecords.examples_at(tmp_path, "train", [3, 12]))


def test_few_examples_of_a_shard_are_found_in_one_pass(tmp_path, monkeypatch):
    source = ShapesSource(counts={"train": 40})
    tfrecords.write(source, tmp_path, shard_size=20, workers=1, progress=False)
    opened, usual = [], open

    def counted(path, mode):
        opened.append(path.name)
        return usual(path, mode)

    monkeypatch.setattr(framing, "open", counted, raising=False)
    places = [place for place, _ in tfrecords.examples_at(tmp_path, "train", [2, 5, 9, 12])]
    assert places == [2, 5, 9, 12] and opened == ["train-00000-of-00002.tfrecord"]


def test_examples_behind_a_shard_of_which_every_image_was_rejected(tmp_path):
    folder = tmp_path / "images"
    for name in ("cat", "dog"):
        (folder / name).mkdir(parents=True)
        for i in range(6):
            (folder / name / f"{i}.jpg").write_bytes(jpeg("red") if i else b"")
    source = tfrecords.sources.class_folder(folder, seed=0)
    tfrecords.write(source, tmp_path / "out", shard_size=1, workers=1, progress=False)
    info = tfrecords.Manifest.read(tmp_path / "out").split("train")
    assert 0 in [shard.records for shard in info.shards]
    every = list(tfrecords.examples(tmp_path / "out", "train"))
    found = tfrecords.examples_at(tmp_path / "out", "train", range(info.count))
    assert [example for _, example in found] == every


def test_images_with_one_name_in_three_splits_are_three(tmp_path):
    class Same(ShapesSource):
        def read(self, split, start, stop):
            for i, raw in enumerate(super().read(split, start, stop), start):
                yield dataclasses.replace(raw, filename=f"{i}.jpg")

    source = Same(counts={"train": 2, "validation": 2, "test": 2})
    tfrecords.write(source, tmp_path, workers=1, progress=False)
    images = ImageRecords(tmp_path)
    listing = images.listing()
    assert len(listing) == 6
    assert len({images.load(name, stamp) for name, stamp in listing.items()}) == 6
