"""Sets in torchvision's folders and in their binary versions, from stand-ins in the real layout."""

import io
import pickle

import numpy as np
import pytest
import scipy.io
from PIL import Image

from tfrecords import sources
from tfrecords.sources.catalog import dataset


def put(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 6)).save(root / name, "JPEG")


def listing(source, split):
    return {raw.filename: raw.label for raw in source.read(split, 0, source.splits[split])}


def pixels(source, split, name):
    raws = {raw.filename: raw for raw in source.read(split, 0, source.splits[split])}
    return np.asarray(Image.open(io.BytesIO(raws[name].load())))


@pytest.mark.parametrize("folder", ["", "flowers-102", "oxford_flowers"])
def test_flowers(tmp_path, folder):
    root = tmp_path / folder
    put(root, *(f"jpg/image_{i:05d}.jpg" for i in range(1, 7)))
    scipy.io.savemat(root / "imagelabels.mat", {"labels": [[77, 1, 1, 102, 16, 2]]})
    ids = {"trnid": [[2, 1]], "valid": [[3]], "tstid": [[4, 5, 6]]}
    scipy.io.savemat(root / "setid.mat", ids)
    source = sources.named("oxford_flowers102", data_dir=tmp_path)
    assert listing(source, "train") == {"jpg/image_00001.jpg": 76, "jpg/image_00002.jpg": 0}
    assert listing(source, "test")["jpg/image_00005.jpg"] == 15
    assert source.class_names[15] == "globe flower" and len(source.class_names) == 102
    for strange in (0, 7):
        scipy.io.savemat(root / "setid.mat", {**ids, "valid": [[3, strange]]})
        with pytest.raises(ValueError, match=r"setid\.mat: valid has images that have no label"):
            sources.named("oxford_flowers102", data_dir=tmp_path)
    (root / "setid.mat").write_bytes(b"damaged")
    with pytest.raises(ValueError, match=r"setid\.mat is not the published file with trnid"):
        sources.named("oxford_flowers102", data_dir=tmp_path)
    scipy.io.savemat(root / "setid.mat", ids)
    for strange in (0, 103):
        scipy.io.savemat(root / "imagelabels.mat", {"labels": [[77, 1, 1, 102, 16, strange]]})
        with pytest.raises(ValueError, match=r"imagelabels\.mat: expected labels 1 to 102"):
            sources.named("oxford_flowers102", data_dir=tmp_path)


@pytest.mark.parametrize("folder", ["", "oxford-iiit-pet"])
def test_pets(tmp_path, folder):
    root = tmp_path / folder
    names = ("Abyssinian_1", "american_bulldog_2", "american_bulldog_10")
    put(root, *(f"images/{name}.jpg" for name in names))
    (root / "annotations").mkdir()
    (root / "annotations" / "trainval.txt").write_text(
        "Abyssinian_1 1 1 1\namerican_bulldog_2 2 2 1\n"
    )
    (root / "annotations" / "test.txt").write_text("#Image CLASS-ID\namerican_bulldog_10 2 2 1\n")
    source = sources.named("oxford_iiit_pet", data_dir=tmp_path)
    assert source.class_names == ("Abyssinian", "american bulldog")
    assert listing(source, "test") == {"images/american_bulldog_10.jpg": 1}


@pytest.mark.parametrize("folder", ["", "dtd", "dtd/dtd"])
def test_textures(tmp_path, folder):
    root = tmp_path / folder
    (root / "labels").mkdir(parents=True)
    for i, split in enumerate(("train", "val", "test")):
        names = [f"banded/banded_{i}.jpg", f"polka-dotted/polka_{i}.jpg"]
        put(root / "images", *names)
        (root / "labels" / f"{split}1.txt").write_text("\n".join(names))
    source = sources.named("dtd", data_dir=tmp_path)
    assert source.class_names == ("banded", "polka-dotted")
    expected = {"images/banded/banded_1.jpg": 0, "images/polka-dotted/polka_1.jpg": 1}
    assert listing(source, "validation") == expected


def test_eurosat_is_split_by_seed(tmp_path):
    put(tmp_path / "eurosat" / "2750", *(f"{n}/{n}_{i}.jpg" for n in ("AnnualCrop", "SeaLake")
                                         for i in range(10)))  # fmt: skip
    source = sources.named("eurosat", data_dir=tmp_path)
    assert source.class_names == ("annual crop land", "lake or sea")
    assert source.splits == {"train": 16, "test": 4}
    assert source.notes[0] == "published without splits: split here by seed"


def test_caltech_without_its_background(tmp_path):
    names = ("BACKGROUND_Google", "Faces_easy", "Motorbikes", "accordion")
    root = tmp_path / "caltech101" / "101_ObjectCategories"
    put(root, *(f"{name}/image_{i:04d}.jpg" for name in names for i in range(10)))
    source = sources.named("caltech101", data_dir=tmp_path)
    assert source.class_names == ("centered face", "motorbike", "accordion")
    assert sum(source.splits.values()) == 30 and source.metric == "mean_per_class"
    assert "left out: BACKGROUND_Google, which is no class" in source.notes


@pytest.mark.parametrize(
    ("name", "folder", "train", "head"),
    [
        ("cifar10", "cifar-10-batches-bin", [f"data_batch_{i}.bin" for i in range(1, 6)], 1),
        ("cifar100", "cifar-100-binary", ["train.bin"], 2),
    ],
)
def test_cifars_binary_version(tmp_path, name, folder, train, head):
    rng = np.random.default_rng(0)
    root = tmp_path / folder
    root.mkdir()
    records = rng.integers(0, 256, (3, head + 3072), np.uint8)
    records[:, head - 1] = (0, 9, 4)
    test = "test_batch.bin" if name == "cifar10" else "test.bin"
    for file in (*train, test):
        records.tofile(root / file)
    for data in (tmp_path, root):
        source = sources.named(name, data_dir=data)
        assert source.splits == {"train": 3 * len(train), "test": 3}
        assert listing(source, "test")[f"{test}/00001.png"] == 9
        found = pixels(pickle.loads(pickle.dumps(source)), "test", f"{test}/00002.png")
        assert found[5, 7].tolist() == [records[2, head + 1024 * c + 32 * 5 + 7] for c in range(3)]
    (root / test).write_bytes(b"short")
    with pytest.raises(ValueError, match=f"{test} is damaged: expected records of {head + 3072}"):
        sources.named(name, data_dir=tmp_path)


def test_cifars_pickles_are_refused_by_name(tmp_path):
    (tmp_path / "cifar-10-batches-py").mkdir()
    for data in (tmp_path, tmp_path / "cifar-10-batches-py"):
        with pytest.raises(ValueError, match=r"as Python pickles .* are never read; unpack"):
            sources.named("cifar10", data_dir=data)


def test_stls_planes_go_down_before_they_go_across(tmp_path):
    root = tmp_path / "stl10_binary"
    root.mkdir()
    planes = np.random.default_rng(0).integers(0, 256, (2, 3, 96, 96), np.uint8)
    for split in ("train", "test"):
        planes.tofile(root / f"{split}_X.bin")
        np.array([10, 1], np.uint8).tofile(root / f"{split}_y.bin")
    source = sources.named("stl10", data_dir=tmp_path)
    assert listing(source, "test") == {"test_X.bin/00000.png": 9, "test_X.bin/00001.png": 0}
    found = pixels(source, "train", "train_X.bin/00001.png")
    np.testing.assert_array_equal(found[20, 60], planes[1, :, 60, 20])
    assert source.class_names == dataset("stl10").class_names and source.lossless
    np.array([10, 0], np.uint8).tofile(root / "test_y.bin")
    with pytest.raises(ValueError, match=r"test_y\.bin is damaged"):
        sources.named("stl10", data_dir=tmp_path)
