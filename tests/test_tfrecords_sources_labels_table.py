"""Images and labels from a CSV: one label, several, or a column per class; every fault named."""

import json
import os
import pickle

import pytest
from PIL import Image

from tfrecords import sources
from tfrecords.sources.base import is_file


@pytest.fixture
def table(tmp_path):
    """A function that writes `images.csv` beside images called a.jpg, b.jpg ... l.jpg."""
    for i, letter in enumerate("abcdefghijkl"):
        Image.new("RGB", (8, 6), (20 * i, 90, 9)).save(tmp_path / f"{letter}.jpg")

    def write(text):
        path = tmp_path / "images.csv"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def listing(source, split):
    return {raw.filename: raw.label for raw in source.read(split, 0, source.splits[split])}


def test_one_label_per_image(table):
    path = table("file,label,split\na.jpg,house_cat,train\nb.jpg,dog,train\nc.jpg,dog,val\n")
    source = sources.labels(path, seed=0)
    assert (source.name, source.class_names) == ("images", ("dog", "house cat"))
    assert (source.metric, source.multi_label) == ("top1", False)
    assert listing(source, "train") == {"a.jpg": 1, "b.jpg": 0}
    assert listing(source, "validation") == {"c.jpg": 0}
    copy = pickle.loads(pickle.dumps(source))
    assert copy.describe() == source.describe()


def test_images_that_the_table_does_not_name_are_counted(table, tmp_path):
    path = table("file,label,split\na.jpg,cat,train\nb,dog,train\nc.jpg,dog,val\n")
    (said,) = sources.labels(path, seed=0).notes
    assert said == "images that the table does not name: 9 (d.jpg, e.jpg, f.jpg, ...)"
    rest = "".join(f"{letter}.jpg,dog,test\n" for letter in "defghijkl")
    (tmp_path / "._a.jpg").write_bytes(b"of another program")
    assert sources.labels(table(path.read_text() + rest), seed=0).notes == ()


def test_several_labels_are_class_numbers_in_ascending_order(table):
    path = table("file,label,split\na.jpg,sea | boat,train\nb.jpg,sea,train\nc.jpg,beach,test\n")
    source = sources.labels(path, seed=0)
    assert source.class_names == ("beach", "boat", "sea")
    assert (source.metric, source.multi_label) == ("map", True)
    assert listing(source, "train") == {"a.jpg": (1, 2), "b.jpg": (2,)}
    assert listing(source, "test") == {"c.jpg": (0,)}


def test_multi_label_can_be_said_where_no_image_has_two(table):
    path = table("file,label,split\na.jpg,sea,train\nb.jpg,boat,train\n")
    one, several = (sources.labels(path, seed=0, multi_label=flag) for flag in (False, True))
    assert listing(one, "train") == {"a.jpg": 1, "b.jpg": 0}
    assert listing(several, "train") == {"a.jpg": (1,), "b.jpg": (0,)}
    assert one.describe() != several.describe()


def test_class_columns_as_kaggles_movie_posters_have_them(table):
    """Names without .jpg, a column of text to leave out, images without any label."""
    path = table(
        "Id,Genre,Drama,Action,N/A\n"
        "a,\"['Drama', 'Action']\",1,1,0\nb,['Action'],0,1,0\nc.jpg,[],0,0,0\n"
        + "".join(f"{name},x,1,0,0\n" for name in "defghijkl")
    )
    source = sources.labels(path, seed=0, ignore=["Genre"])
    assert source.class_names == ("Drama", "Action", "N/A")  # the order of the columns
    assert source.multi_label
    found = {}
    for split in source.splits:
        found |= listing(source, split)
    assert len(found) == 12
    assert (found["a.jpg"], found["b.jpg"], found["c.jpg"]) == ((0, 1), (1,), ())


def test_class_columns_as_pandas_writes_them_and_columns_that_are_not_read(table):
    rows = "".join(f"{name}.jpg,{name in 'abcd'},{name > 'c'}\n" for name in "abcdefghijkl")
    source = sources.labels(table(f"file,cat,dog\n{rows}"), seed=0)
    found = {}
    for split in source.splits:
        found |= listing(source, split)
    assert (found["a.jpg"], found["d.jpg"], found["l.jpg"]) == ((0,), (0, 1), (1,))
    rows = rows.replace("True", "TRUE").replace("False", "FALSE")  # as Excel writes them
    assert sources.labels(table(f"file,cat,dog\n{rows}"), seed=0).files == source.files
    rows = "".join(f"{name}.jpg,{name > 'c'},9\n" for name in "abcdefghijkl")
    source = sources.labels(table(f"file,label,fold\n{rows}"), seed=0)
    assert source.notes == ("columns not read: fold",)


def test_images_elsewhere_and_names_with_commas(table, tmp_path):
    path = table('file,label,split\na.jpg,"cat, large",train\nb.jpg,dog,train\n')
    (tmp_path / "tables").mkdir()
    moved = path.rename(tmp_path / "tables" / "t.csv")
    source = sources.labels(moved, images=tmp_path, seed=0)
    assert source.class_names == ("cat, large", "dog")
    with pytest.raises(FileNotFoundError, match=r"2 of 2 images named in .*t\.csv are missing"):
        sources.labels(moved, seed=0)


def test_unsplit_images_are_split_by_their_rarest_class(tmp_path):
    """40 images of the sea, 20 of them with a boat: each split gets its share of boats."""
    names = [f"{i}.png" for i in range(40)]
    for name in names:
        (tmp_path / name).write_bytes(b"")
    rows = [f"{name},{'sea|boat' if i % 2 else 'sea'}" for i, name in enumerate(names)]
    (tmp_path / "train.csv").write_text("\n".join(["file,label", *rows]))
    source = sources.labels(tmp_path / "train.csv", seed=3)
    assert source.splits == {"train": 32, "validation": 4, "test": 4}
    boats = {split: sum(0 in label for label in listing(source, split).values())
             for split in source.splits}  # fmt: skip
    assert boats == {"train": 16, "validation": 2, "test": 2}


@pytest.mark.parametrize("seed", range(20))
def test_no_class_of_several_is_without_an_image_to_train_on(table, seed):
    labels = [f"{x}{rare}" for rare in "pqrs" for x in ("x|", "", "")]
    rows = [f"{name}.jpg,{label}" for name, label in zip("abcdefghijkl", labels, strict=True)]
    source = sources.labels(table("\n".join(["file,label", *rows])), seed=seed, test_share=0.3)
    left = {label for several in listing(source, "train").values() for label in several}
    assert left == {0, 1, 2, 3, 4}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty; expected a table whose first line names its columns"),
        ("who,label\na.jpg,x\n", "expected columns file and label"),
        ("a.jpg,x\nb.jpg,y\n", "expected the names of the columns in the first line"),
        ("file,label\n\n\na.jpg,x,y\n", "line 4: expected 2 columns, got 3; a comma inside"),
        ('file,label\na.jpg,"x\n\ny"\nb.jpg,x,y\n', "line 5: expected 2 columns, got 3"),
        ("file\na.jpg\n", "got file; --image-column and --label-column name others"),
        ("file,label,label\na.jpg,x,y\n", "columns with the same name: label"),
        ("file,label\n", "names no images"),
        ("file,label\na.jpg\n", "line 2: expected 2 columns, got 1"),
        ("file,label\na.jpg,x\n,x\n", "line 3: expected a file, got an empty cell"),
        ("file,label\na.jpg,x\nb.jpg, \n", "line 3: expected a label, or several as a|b; got ''"),
        ("file,label\na.jpg,x\nb.jpg,\n", "images of no class: a 0/1 column for every class"),
        ("file,label\na.jpg,x|\n", "line 2: expected a label, or several"),
        ("file,label\na.jpg,{x: 1}\n", "line 2: expected a label, or several as a|b; got the"),
        ("file,label\na.jpg,x|y|x\n", "line 2: a label stands twice in 'x|y|x'"),
        ("file,label\na.jpg,x\nb.jpg,y\na.jpg,y\n", "line 4: a.jpg was in line 2 already"),
        ("file,label\na.jpg,x\na.jpg,y\n", "expected one row for each image, several labels as"),
        ("file,label\na.jpg,\"['0', '1', '0']\"\n", "expected names, no 0 or 1 for each class"),
        ("file,label\na.jpg,x\na,y\n", "has images in two rows: a.jpg"),
        ("file,label\na.jpg,x\nb.jpg,x\n", "expected two or more classes, got x"),
        ("file,label\na.jpg,red cat\nb.jpg,red_cat\n", "mean the same name: red cat"),
        ("file,label\na.jpg,1\nb.jpg,1.0\nc.jpg,2\n", "mean the same name: 1 and 1.0"),
        ("file,label\na.jpg,hot-dog\nb.jpg,hot dog\n", "mean the same name: hot dog and hot-dog"),
        ("file,label\na.jpg,cat\nb.jpg,\uff43\uff41\uff54\n", "mean the same name: cat and"),
        ("file,label\na.jpg,cat's\nb.jpg,cat\u2019s\n", "mean the same name: cat's and"),
        ("file,label,class\na.jpg,0,x\nb.jpg,1,y\n", "columns label and class may each be the"),
        (
            "file,label,set,is_test\na.jpg,x,train,0\n",
            "set and is_test may each be the split; rename",
        ),
        (
            "file,label,split\na.jpg,x,train\nb.jpg,y,\n",
            "a split is named for 1 image and for 1 not",
        ),
        ("file,label,split\na.jpg,x,../train\n", "line 2: expected a split like"),
        ("file,label,split\na.jpg,x,val\nb.jpg,y,dev\n", "dev and val are both split validation"),
        ("file,label\na.jpg,x\nb.jpg,y\n", "2 images are too few to split"),
        ('file,label\na.jpg,"x\n', "line 2: unexpected end of data"),
        ("file,x,y\na.jpg,1,2\n", "line 2: class column 'y': expected 0 or 1, got '2'"),
        ("file,x,y\na.jpg,1,\n", "class column 'y': expected 0 or 1, got '' .*--ignore-columns"),
        ("file,x,y\na.jpg,0,0\n", "no image has a label"),
        ("file,x\na.jpg,1\n", "two or more classes, got x; --label-column x reads 0 and 1 as two"),
    ],
)
def test_a_bad_table_is_named_with_its_line(table, text, message):
    path = table(text)
    with pytest.raises(ValueError, match=message.replace("|", r"\|")) as error:
        sources.labels(path, seed=0)
    assert "\n" not in str(error.value)


def test_what_is_not_there(table, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"1 of 2 images named in .* missing .*: z\.jpg"):
        sources.labels(table("file,label\na.jpg,x\nz.jpg,y\n"), seed=0)
    with pytest.raises(FileNotFoundError, match="there is no file"):
        sources.labels(tmp_path / "none.csv", seed=0)
    with pytest.raises(FileNotFoundError, match="is not a folder"):
        sources.labels(table("file,label\n"), images=tmp_path / "none", seed=0)
    with pytest.raises(ValueError, match="has no column Genre to ignore; it has: file, label"):
        sources.labels(table("file,label\n"), ignore=["Genre"], seed=0)
    (tmp_path / "images.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="is not a text in UTF-8: line 1"):
        sources.labels(tmp_path / "images.csv", seed=0)


@pytest.mark.parametrize(
    ("column", "yes", "no", "split"),
    [
        ("set", "Test", "train", "test"),
        ("is_valid", "True", "False", "validation"),
        ("is_training_image", "0", "1", "test"),
        ("is_test", "yes", "no", "test"),
    ],
)
@pytest.mark.parametrize("header", ["label", "x,y"])
def test_splits_in_a_column_of_another_name(table, column, yes, no, split, header):
    rows = ["x" if i % 2 else "y" for i in range(12)]
    if "," in header:
        rows = [f"{i % 2},{1 - i % 2}" for i in range(12)]
    lines = [f"{'abcdefghijkl'[i]},{row},{yes if i > 8 else no}" for i, row in enumerate(rows)]
    path = table("\n".join([f"fname,{header},{column}", *lines]))
    assert sources.labels(path, seed=0).splits == {"train": 9, split: 3}


def test_a_column_of_splits_with_other_words_is_said(table):
    lines = [
        f"{c},{'xy'[i % 2]},{'maybe' if i > 8 else 'no'}" for i, c in enumerate("abcdefghijkl")
    ]
    note = sources.labels(table("\n".join(["file,label,is_test", *lines])), seed=0).notes[1]
    assert note == "no splits are read from column is_test: it says maybe, no"


@pytest.mark.parametrize(
    ("column", "words", "note"),
    [
        ("Usage", ("Training", "PublicTest", "PrivateTest"), "it says privatetest, publictest"),
        ("set", ("train", "val", "unused"), "it says unused"),
        ("vehicle", ("car", "train", "bus"), None),
    ],
)
def test_a_column_that_says_splits_beside_other_words_is_said(table, column, words, note):
    lines = [f"{c},{'xy'[i % 2]},{words[i % 3]}" for i, c in enumerate("abcdefghijkl")]
    notes = sources.labels(table("\n".join([f"file,label,{column}", *lines])), seed=0).notes
    said = (f"no splits are read from column {column}: {note}",) if note else ()
    assert notes == (f"columns not read: {column}", *said)


def test_train_comes_first_wherever_the_table_has_it(table):
    lines = [f"{c},{'xy'[i % 2]},{'test' if i < 4 else 'train'}" for i, c in enumerate("abcdefgh")]
    source = sources.labels(table("\n".join(["file,label,split", *lines])), seed=0)
    assert list(source.splits) == ["train", "test"]


def test_names_that_another_computer_wrote_are_found_and_said(table, tmp_path):
    """Their folders say the splits, as in the table that names them from here."""
    for split, letters in (("train", "abcdefgh"), ("test", "ijkl")):
        (tmp_path / split).mkdir()
        for letter in letters:
            (tmp_path / f"{letter}.jpg").rename(tmp_path / split / f"{letter}.jpg")
    rows = [f"train/{c}.jpg,{c in 'acegik'}" for c in "abcdefgh"]
    rows += [f"test/{c}.jpg,{c in 'acegik'}" for c in "ijkl"]
    here = sources.labels(table("\n".join(["file,label", *rows])), seed=0)
    rows = [f"/home/al/{row}" for row in rows]
    source = sources.labels(table("\n".join(["file,label", *rows])), seed=0)
    assert source.files == here.files and list(source.files) == ["train", "test"]
    said = "images' names are read without /home/al/, which is not here"
    assert source.notes == (said, *here.notes)


def test_tables_in_split_folders_as_roboflow_writes_them(tmp_path):
    """A column for every class; a split without a table is passed over and said."""
    for split in ("train", "valid", "test"):
        (tmp_path / split).mkdir()
        for i in range(4):
            Image.new("RGB", (8, 6)).save(tmp_path / split / f"{split}{i}.jpg")
        if split != "test":
            rows = "".join(f"{split}{i}.jpg, {i % 2}, {1 - i % 2}\n" for i in range(4))
            (tmp_path / split / "_classes.csv").write_text(f"filename, cat, dog\n{rows}")
    source = sources.labels(tmp_path, seed=0)
    assert (source.class_names, source.splits) == (("cat", "dog"), {"train": 4, "validation": 4})
    (note,) = source.notes
    assert note.startswith("passed over: split folders without metadata.csv, ")
    assert note.endswith(" or _annotations.coco.json: test")


def test_labels_that_every_image_has_are_said(table, tmp_path):
    """A column of weights, as ISIC's tables have, and a list of 0 and 1 for two classes."""
    lines = [f"{c},{i % 2},{1 - i % 2},1.0" for i, c in enumerate("abcdefghijkl")]
    (note, *_) = sources.labels(table("\n".join(["image,MEL,NV,weight", *lines])), seed=0).notes
    assert note == "labels that every image has: weight; are they classes?"
    rows = [{"file": c, "label": [i % 2, 1 - i % 2]} for i, c in enumerate("abcdefghijkl")]
    (tmp_path / "t.json").write_text(json.dumps(rows))
    (note, *_) = sources.labels(tmp_path / "t.json", seed=0).notes
    assert note == "labels that every image has: 0, 1; are they classes?"


def test_a_tuple_as_python_writes_it_is_a_list(table):
    lines = [f'{c},"{("x", "y") if i % 2 else "x"}"' for i, c in enumerate("abcdefghijkl")]
    source = sources.labels(table("\n".join(["file,label", *lines])), seed=0)
    assert (source.class_names, source.multi_label) == (("x", "y"), True)


def test_classes_may_be_called_train_and_test(table):
    lines = [f"{letter},{'train' if letter < 'e' else 'test'}" for letter in "abcdefghijkl"]
    source = sources.labels(table("\n".join(["file,kind", *lines])), seed=0, label_column="kind")
    assert (source.class_names, source.splits) == (("test", "train"), {"train": 9, "test": 3})


@pytest.mark.parametrize("is_json", [False, True])
def test_choices_of_label_studio(table, is_json):
    rows = [{"image": f"{c}.jpg", "label": "cat"} for c in "abcdefghijkl"]
    rows[1]["label"] = {"choices": ["dog", "cat"]}
    cells = [r["label"] if i != 1 else '{"choices":["dog","cat"]}' for i, r in enumerate(rows)]
    quoted = [f"{r['image']}\t{cell}" for r, cell in zip(rows, cells, strict=True)]
    path = table("\n".join(["image\tlabel", *quoted]))
    if is_json:
        path = path.with_suffix(".json")
        path.write_text(json.dumps(rows))
    source = sources.labels(path, seed=0)
    assert (source.class_names, source.multi_label) == (("cat", "dog"), True)


@pytest.mark.parametrize("sign", [";", " ", ", ", "/", " + ", " & "])
def test_labels_that_may_be_several_are_said(table, sign):
    said = ("rust", "scab", f"rust{sign}scab", "apple pie")
    lines = [f'{letter},"{said[i % 4]}"' for i, letter in enumerate("abcdefghijkl")]
    source = sources.labels(table("\n".join(["file,label", *lines])), seed=0)
    hint = "several are divided by '|', or --label-separator"
    assert source.notes == (f"labels made of others: rust{sign}scab; {hint}",)
    source = sources.labels(table("\n".join(["file,label", *lines])), seed=0, label_separator=sign)
    names = ("apple", "pie", "rust", "scab") if sign == " " else ("apple pie", "rust", "scab")
    assert (source.class_names, source.multi_label, source.notes) == (names, True, ())


@pytest.mark.parametrize("separator", [";", " ", " ; "])
def test_a_separator_of_labels_behind_the_last_and_the_number_of_spaces_mean_nothing(
    table, separator
):
    cells = [separator.join(("sea", "boat", "")), f"sea{separator * 2 if separator == ' ' else ''}"]
    lines = [f"{letter},{cells[i % 2]}" for i, letter in enumerate("abcdefghijkl")]
    path = table("\n".join(["file,label", *lines]))
    source = sources.labels(path, seed=0, label_separator=separator)
    assert source.class_names == ("boat", "sea")
    assert {listing(source, "train").get(f"{letter}.jpg") for letter in "abcdefghijkl"} >= {(1,)}


def test_a_separator_is_a_text(table):
    with pytest.raises(ValueError, match=r"--label-separator: expected a text, such as ',' or ' '"):
        sources.labels(table("file,label\na,x\nb,y\n"), seed=0, label_separator="")


def test_each_label_of_an_image_may_have_a_row(table):
    rows = ["a,sea,train", "b,sea,train", "a,boat,train", "a,sea,train", "c,boat,test"]
    path = table("\n".join(["file,label,split", *rows]))
    with pytest.raises(ValueError, match=r"line 4: a was in line 2 .*or --multi-label for a"):
        sources.labels(path, seed=0)
    source = sources.labels(path, seed=0, multi_label=True)
    assert listing(source, "train") == {"a.jpg": (0, 1), "b.jpg": (1,)}
    path = table("\n".join(["file,label,split", *rows, "a,boat,test"]))
    with pytest.raises(ValueError, match="line 7: a: expected split train, as before; got test"):
        sources.labels(path, seed=0, multi_label=True)


def test_class_columns_of_minus_one_and_one(table):
    """As CelebA has them; with a 0 among them -1 is something else, as in CheXpert."""
    path = table("file,split,hat,bald\na,train,1,-1\nb,train,-1,1\nc,train,-1,-1\nd,test,1,1.0\n")
    source = sources.labels(path, seed=0)
    assert listing(source, "train") == {"a.jpg": (0,), "b.jpg": (1,), "c.jpg": ()}
    path = table("file,split,hat,bald\na,train,1,-1\nb,train,0,1\n")
    with pytest.raises(ValueError, match="line 2: class column 'bald': expected 0 or 1, got '-1'"):
        sources.labels(path, seed=0)


@pytest.mark.parametrize("names", [("0", "1"), ("cat", "dog")])
def test_a_list_of_images_and_labels_has_no_header(table, tmp_path, names):
    """As Caffe has it, `1.jpg 0` on each line."""
    (tmp_path / "a.jpg").rename(tmp_path / "my cat.jpg")
    files = ["my cat.jpg", *(f"{letter}.jpg" for letter in "bcdefghijkl")]
    path = table("\n".join(f"{file}  {names[i % 2]}" for i, file in enumerate(files)) + "\n\n")
    source = sources.labels(path, seed=0)
    assert source.class_names == names
    found = listing(source, "train") | listing(source, "test")
    assert found == {file: i % 2 for i, file in enumerate(files)}


def test_labels_that_may_be_several_are_said_where_none_is_alone(table):
    said = ("rust;scab", "scab;rot", "rust;rot")
    lines = [f"{letter},{said[i % 3]}" for i, letter in enumerate("abcdefghijkl")]
    (note,) = sources.labels(table("\n".join(["file,label", *lines])), seed=0).notes
    assert note.startswith("labels made of others: rust;rot, rust;scab, scab;rot; several")
    breeds = ("golden retriever", "black retriever", "black dog")  # words are no labels
    lines = [f"{letter},{breeds[i % 3]}" for i, letter in enumerate("abcdefghijkl")]
    assert not sources.labels(table("\n".join(["file,label", *lines])), seed=0).notes


def test_an_image_in_two_rows_is_refused_and_links_to_it_are_said(table, tmp_path):
    lines = [f"{letter}.jpg,{'xy'[i % 2]}" for i, letter in enumerate("abcdefghijkl")]
    twice = table("\n".join(["file,label", *lines, f"{tmp_path}/a.jpg,y"]))
    with pytest.raises(ValueError, match=r"has images in two rows: a\.jpg"):
        sources.labels(twice, seed=0)
    (tmp_path / "link.jpg").symlink_to("a.jpg")
    (tmp_path / "copy.jpg").hardlink_to(tmp_path / "c.jpg")
    source = sources.labels(
        table("\n".join(["file,label", *lines, "link.jpg,y", "copy.jpg,x"])), seed=0
    )
    (note,) = source.notes
    assert note.startswith("one file by links: 2 pairs of images (")
    assert note.endswith("1 with different labels")


def test_an_id_beside_names_of_files_is_asked_about(table):
    """The rows' numbers had been taken for the images of these names."""
    rows = "".join(
        f"{c},{'lkjihgfedcba'[i]}.JPG,{'xy'[i % 2]}\n" for i, c in enumerate("abcdefghijkl")
    )
    path = table(f"id,photo,label\n{rows}")
    with pytest.raises(ValueError, match="columns id and photo may each be the image; say which"):
        sources.labels(path, seed=0)
    assert len(sources.labels(path, seed=0, image_column="photo").splits) == 2


@pytest.mark.parametrize(
    ("header", "note"),
    [
        ("label,train,test", "no splits are read from column train: it says 0, 1"),
        (
            "cat,train,test",
            "class columns called like splits: train, test; --ignore-columns leaves",
        ),
        ("cat,train,boat", None),
    ],
)
def test_a_column_for_each_split_is_said(table, header, note):
    rows = "".join(f"{c},{i % 2},{int(i < 9)},{int(i > 8)}\n" for i, c in enumerate("abcdefghijkl"))
    notes = sources.labels(table(f"file,{header}\n{rows}"), seed=0).notes
    assert any(each.startswith(note or "") for each in notes) == bool(note)


def test_the_path_of_each_image_is_made_once_to_find_it_in_two_rows(table, monkeypatch):
    made, usual = [], os.path.abspath
    monkeypatch.setattr(os.path, "abspath", lambda path: made.append(str(path)) or usual(path))
    rows = "".join(f"{letter}.jpg,{'cat' if letter < 'f' else 'dog'}\n" for letter in "abcdefghij")
    sources.labels(table(f"file,label\n{rows}"), seed=0)
    assert len([path for path in made if path.endswith(".jpg")]) == 10


def test_a_slash_behind_an_image_and_a_name_that_no_file_can_have(table, tmp_path):
    table("")
    assert is_file(tmp_path, "a.jpg/") and not is_file(tmp_path, "a\0.jpg")
    assert not is_file(tmp_path, "") and not is_file(tmp_path, "x" * 5000)
