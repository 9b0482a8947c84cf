"""One reader for tables of captions and labels, as people have them and as sets are published."""

import json

import numpy as np
import pytest
from PIL import Image

from tfrecords import sources
from tfrecords.sources.table_parsing import read_table


@pytest.fixture
def folder(tmp_path):
    for i in range(12):
        Image.new("RGB", (8, 6), (20 * i, 90, 9)).save(tmp_path / f"{i}.jpg")
    return tmp_path


def captions_of(source):
    return {
        raw.filename: raw.captions
        for split in source.splits
        for raw in source.read(split, 0, source.splits[split])
    }


def labels_of(source):
    return {
        raw.filename: source.class_names[raw.label]
        for split in source.splits
        for raw in source.read(split, 0, source.splits[split])
    }


EXPECTED = {f"{i}.jpg": (f"a man, a dog; number {i}",) for i in range(12)}


def written(header, between, *, end="\n"):
    rows = [f'{i}.jpg{between}"a man, a dog; number {i}"' for i in range(12)]
    return end.join([header.replace(",", between), *rows]) + end


@pytest.mark.parametrize("between", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_delimiters_and_encodings_that_are_certain_are_read(folder, between, encoding):
    (folder / "c.csv").write_text(written("file,caption", between), encoding=encoding)
    assert captions_of(sources.captions(folder / "c.csv", seed=0)) == EXPECTED


@pytest.mark.parametrize(
    "header",
    [
        "Image,Caption",
        "image_path,text",
        "File Name,Title",
        "FILENAME,comment",
        "filepath,description",
        "id,captions",
    ],
)
def test_columns_by_their_usual_names_in_any_case(folder, header):
    (folder / "c.csv").write_text(written(header, ","))
    assert captions_of(sources.captions(folder / "c.csv", seed=0)) == EXPECTED


def test_columns_by_the_names_the_user_gives(folder):
    (folder / "c.csv").write_text(written("Who,What", ",", end="\r\n"))
    source = sources.captions(folder / "c.csv", seed=0, image_column="who", caption_column="What")
    assert captions_of(source) == EXPECTED
    with pytest.raises(ValueError, match=r"no column 'where' \(--caption-column\); it has: Who"):
        sources.captions(folder / "c.csv", seed=0, image_column="Who", caption_column="where")


def test_two_columns_that_may_be_meant_are_asked_about(folder):
    (folder / "c.csv").write_text("image,title,text\n0.jpg,a,b\n")
    with pytest.raises(ValueError, match="columns text and title may each be the caption; say"):
        sources.captions(folder / "c.csv", seed=0)
    (folder / "c.csv").write_text("file,title,caption\n0.jpg,a,b\n")  # Duet's own word wins
    with pytest.raises(ValueError, match="too few to split"):
        sources.captions(folder / "c.csv", seed=0)


def test_an_unquoted_comma_is_refused_with_its_line(folder):
    (folder / "c.csv").write_text('file,caption\n0.jpg,"a\nb"\n\n1.jpg,a man, a dog\n')
    with pytest.raises(ValueError, match=r"c\.csv, line 5: expected 2 columns, got 3; a comma"):
        sources.captions(folder / "c.csv", seed=0)


@pytest.mark.parametrize("encoding", ["cp1252", "mac-roman"])
def test_other_encodings_are_named_with_the_line(folder, encoding):
    (folder / "c.csv").write_bytes("file,caption\n0.jpg,a\n1.jpg,crème\n".encode(encoding))
    with pytest.raises(ValueError, match=r"line 3 has the byte 0x.*Windows-1252; save the file as"):
        sources.captions(folder / "c.csv", seed=0)


@pytest.mark.parametrize("name", ["results.csv", "captions.txt"])
def test_flickr30k_as_kaggle_has_it(folder, name):
    """Cells between `| `, quotes that are just quotes, and one row that lacks its second `|`."""
    (folder / name).write_text(
        'image_name| comment_number| comment\n0.jpg| 0| A "dog" , running .\n0.jpg| 4   A dog .\n'
        + "".join(f"{i}.jpg| 0| number {i}\n" for i in range(1, 12))
    )
    found = captions_of(sources.captions(folder / name, seed=0))
    assert found["0.jpg"] == ('A "dog" , running .', "A dog .")
    assert len(found) == 12


def test_flickr8k_as_its_archive_has_it(folder):
    (folder / "Flicker8k_Dataset").mkdir()
    for i in range(12):
        (folder / f"{i}.jpg").rename(folder / "Flicker8k_Dataset" / f"{i}.jpg")
    rows = [f'{i}.jpg#{k}\tnumber {i}, said "{k}" .' for i in range(12) for k in range(2)]
    path = folder / "Flickr8k.token.txt"
    path.write_text("\n".join([*rows, "9.jpg.1#0\tno such image"]))
    source = sources.captions(path, seed=0)
    found = captions_of(source)
    assert found["Flicker8k_Dataset/3.jpg"] == ('number 3, said "0" .', 'number 3, said "1" .')
    assert source.splits == {"train": 10, "validation": 1, "test": 1}
    assert source.notes == ("passed over: captions of 9.jpg.1, which is no image's name",)
    for word, names in (("train", (0, 1, 2)), ("dev", (3,)), ("test", (4, 5))):
        listing = folder / f"Flickr_8k.{word}Images.txt"
        listing.write_text("".join(f"{i}.jpg\n" for i in names))
    source = sources.captions(path, seed=0)
    assert source.splits == {"train": 3, "validation": 1, "test": 2}
    assert source.notes[-1] == (
        "images left out, without a caption or a split: 6 (10.jpg, 11.jpg, 6.jpg, ...)"
    )


@pytest.mark.parametrize("ending", ["json", "jsonl"])
def test_json_records_with_one_caption_or_several(folder, ending):
    records = [{"image": f"{i}.jpg", "caption": [f"a {i}", "b"]} for i in range(12)]
    lines = "\n".join(map(json.dumps, records))
    text = json.dumps(records) if ending == "json" else lines
    (folder / f"c.{ending}").write_text(text, encoding="utf-8-sig")
    found = captions_of(sources.captions(folder / f"c.{ending}", seed=0))
    assert found == {f"{i}.jpg": (f"a {i}", "b") for i in range(12)}


def test_json_of_names_with_their_captions_or_labels(folder):
    path = folder / "c.json"
    path.write_text(json.dumps({f"{i}.jpg": "cat" if i % 2 else "dog" for i in range(12)}))
    assert captions_of(sources.captions(path, seed=0))["1.jpg"] == ("cat",)
    path.write_text(json.dumps({f"{i}.jpg": "cat" if i % 2 else "dog" for i in range(20)}))
    for i in range(12, 20):
        Image.new("RGB", (8, 6)).save(folder / f"{i}.jpg")
    assert labels_of(sources.labels(path, seed=0))["1.jpg"] == "cat"
    path.write_text('{"0.jpg": "cat", "0.jpg": "dog"}')
    with pytest.raises(ValueError, match=r"'0\.jpg' is there twice"):
        sources.captions(path, seed=0)


RECORDS = [{"file": f"{i}.jpg", "label": "cat" if i % 2 else "dog"} for i in range(12)]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.json", "\n".join(map(json.dumps, RECORDS))),  # as Hugging Face's to_json writes it
        ("t.jsonl", json.dumps(RECORDS)),
        ("t.json", json.dumps({key: [r[key] for r in RECORDS] for key in RECORDS[0]})),
        (
            "t.json",
            json.dumps({key: dict(enumerate(r[key] for r in RECORDS)) for key in RECORDS[0]}),
        ),
    ],
)
def test_json_is_read_by_its_content(folder, name, text):
    (folder / name).write_text(text)
    assert labels_of(sources.labels(folder / name, seed=0)) == {
        record["file"]: record["label"] for record in RECORDS
    }


def test_captions_in_json_lines_by_another_ending(folder):
    rows = [{"image": f"{i}.jpg", "caption": f"number {i}"} for i in range(12)]
    (folder / "t.json").write_text("\n".join(map(json.dumps, rows)))
    assert captions_of(sources.captions(folder / "t.json", seed=0))["3.jpg"] == ("number 3",)


def test_a_label_that_pandas_lacks_is_missing(folder):
    (folder / "t.json").write_text(json.dumps([*RECORDS[1:], {"file": "0.jpg", "label": np.nan}]))
    with pytest.raises(ValueError, match="record 12: expected a label"):
        sources.labels(folder / "t.json", seed=0)


def test_marks_of_files_that_were_put_together_are_left_out(folder):
    rows = [f"{i}.jpg,{'cat' if i % 2 else 'dog'}" for i in range(12)]
    text = "\ufeff\ufefffile,label\n" + "\n\ufeff".join(rows)
    (folder / "t.csv").write_text(text, encoding="utf-8")
    assert labels_of(sources.labels(folder / "t.csv", seed=0))["3.jpg"] == "cat"


def test_a_broken_line_of_json_is_named(folder):
    (folder / "c.jsonl").write_text('{"image": "0.jpg", "caption": "a"}\n{"image"\n')
    with pytest.raises(ValueError, match=r"c\.jsonl, line 2 is not JSON"):
        sources.captions(folder / "c.jsonl", seed=0)
    (folder / "c.jsonl").write_text('{"image": "0.jpg", "caption": "a"}\n[1]\n')
    with pytest.raises(ValueError, match=r"line 2: expected an object; got \[1\]"):
        sources.captions(folder / "c.jsonl", seed=0)


def test_labels_by_their_usual_names(folder):
    rows = "".join(f"{i};{'cat' if i % 2 else 'dog'};train\n" for i in range(12))
    (folder / "t.csv").write_text("Image_ID;Category;data set\n" + rows)
    assert labels_of(sources.labels(folder / "t.csv", seed=0))["3.jpg"] == "cat"
    rows = "".join(f"{i}.jpg,w_{i % 2}\n" for i in range(12))
    (folder / "t.csv").write_text("Image,Id\n" + rows)
    with pytest.raises(ValueError, match="label's column is named with --label-column"):
        sources.labels(folder / "t.csv", seed=0)
    (folder / "t.csv").write_text("Image,Id,split\n" + rows.replace("\n", ",test\n"))
    assert labels_of(sources.labels(folder / "t.csv", seed=0, label_column="Id"))["3.jpg"] == "w 1"


def test_numbered_labels_are_in_the_order_of_their_numbers(folder):
    rows = "".join(f"{i}.jpg,{i},train\n" for i in range(12))
    (folder / "t.csv").write_text("file,label,split\n" + rows)
    source = sources.labels(folder / "t.csv", seed=0)
    assert source.class_names == tuple(str(i) for i in range(12))
    assert source.notes == (
        "labels are numbered, and in the order of their numbers: 0, 1, 2, ...",
        "classes have numbers for names (0, 1, 2): where these stand for others, --class-names "
        "says which",
    )


@pytest.mark.parametrize("name", ["metadata.csv", "metadata.jsonl"])
@pytest.mark.parametrize("deep", [False, True])
def test_hugging_faces_imagefolder(folder, name, deep):
    """`metadata` in each split folder, or one beside them whose names begin with the split."""

    def text(rows):
        if name.endswith("csv"):
            return "file_name,text\n" + "".join(f"{a},{b}\n" for a, b in rows)
        return "".join(json.dumps({"file_name": a, "text": b}) + "\n" for a, b in rows)

    for split, numbers in (("train", range(9)), ("validation", range(9, 12))):
        (folder / split).mkdir()
        for i in numbers:
            (folder / f"{i}.jpg").rename(folder / split / f"{i}.jpg")
        if deep:
            rows = [(f"{i}.jpg", "cat" if i % 2 else "dog") for i in numbers]
            (folder / split / name).write_text(text(rows))
    if not deep:
        rows = [(f"train/{i}.jpg", "cat" if i % 2 else "dog") for i in range(9)]
        rows += [(f"validation/{i}.jpg", "cat" if i % 2 else "dog") for i in range(9, 12)]
        (folder / name).write_text(text(rows))
    source = sources.captions(folder, seed=0)
    assert source.splits == {"train": 9, "validation": 3}
    assert captions_of(source)["validation/9.jpg"] == ("cat",)
    source = sources.labels(folder, seed=0, label_column="text")
    assert source.splits == {"train": 9, "validation": 3}
    assert labels_of(source)["train/3.jpg"] == "cat"


def test_what_excel_writes_in_the_first_line_is_understood(folder):
    (folder / "c.csv").write_text("sep=;\n" + written("file,caption", ";"))
    assert captions_of(sources.captions(folder / "c.csv", seed=0)) == EXPECTED


def test_quotes_in_a_table_with_tabs_are_just_quotes_where_they_do_not_pair(folder):
    (folder / "c.tsv").write_text('file\tcaption\n0.jpg\t"a" dog\n1.jpg\t5" long\n')
    assert [row.cells for row in read_table(folder / "c.tsv").rows] == [
        ("0.jpg", '"a" dog'),
        ("1.jpg", '5" long'),
    ]


def test_lists_written_as_text_are_lists(folder):
    rows = [f"""{i}.jpg,"['cat', 'x']"\n""" for i in range(12)]
    (folder / "t.csv").write_text("file,label\n" + "".join(rows))
    source = sources.labels(folder / "t.csv", seed=0)
    assert source.class_names == ("cat", "x") and source.multi_label
    (folder / "t.csv").write_text("file,label\n" + rows[0].replace("', '", "' '"))
    with pytest.raises(ValueError, match=r"line 2: expected a label, or .* got the list"):
        sources.labels(folder / "t.csv", seed=0)
    rows = [f""""[""a man, a dog; number {i}""]",{i}.jpg\n""" for i in range(12)]
    (folder / "t.csv").write_text("raw,filename\n" + "".join(rows))  # Flickr30k on the Hub
    assert captions_of(sources.captions(folder / "t.csv", seed=0)) == EXPECTED


def test_blank_lines_and_blanks_before_quotes(folder):
    text = written("file, caption", ", ")
    (folder / "t.csv").write_text("\n\n" + text)
    assert captions_of(sources.captions(folder / "t.csv", seed=0)) == EXPECTED


def test_an_image_by_two_names_is_in_one_split(folder):
    rows = [f"{i}.jpg,dog,train\n" for i in range(12)]
    (folder / "t.csv").write_text("file,caption,split\n" + "".join(rows) + "./3.jpg,cat,train\n")
    assert captions_of(sources.captions(folder / "t.csv", seed=0))["3.jpg"] == ("dog", "cat")
    (folder / "t.csv").write_text("file,caption,split\n" + "".join(rows) + "./3.jpg,cat,test\n")
    with pytest.raises(ValueError, match=r"3\.jpg is in two splits: train and test"):
        sources.captions(folder / "t.csv", seed=0)


def test_files_that_are_no_tables_are_named(folder):
    (folder / "t.xlsx").write_bytes(b"PK")
    with pytest.raises(ValueError, match=r"t\.xlsx: expected CSV, .*; save the table as CSV"):
        sources.labels(folder / "t.xlsx", seed=0)
    (folder / "t.json").write_text('{"images": [], "annotations": []}')
    with pytest.raises(ValueError, match="is COCO's JSON, of which --captions reads captions"):
        sources.labels(folder / "t.json", seed=0)


def test_two_folders_of_imagefolder_for_one_split_are_refused(folder):
    for split in ("val", "dev"):
        (folder / split).mkdir()
        (folder / split / "metadata.csv").write_text("file_name,label\n")
    for read in (sources.captions, sources.labels):
        with pytest.raises(ValueError, match="dev and val are both split validation"):
            read(folder, seed=0)
        rows = "file_name,label\ndev/1.jpg,a\nval/2.jpg,b\n"
        (folder / "metadata.csv").write_text(rows)


@pytest.mark.parametrize("columns", ["cat,dog,emu", "label"])
def test_folders_of_imagefolder_with_other_classes_are_refused(folder, columns):
    """What one of them does not say of its images is not known to be absent."""
    for split, header in (("test", columns), ("train", "cat,dog")):
        (folder / split).mkdir()
        (folder / f"{len(split)}.jpg").rename(folder / split / "1.jpg")
        cells = ",".join("1" * len(header.split(",")))
        (folder / split / "metadata.csv").write_text(f"file_name,{header}\n1.jpg,{cells}\n")
    with pytest.raises(ValueError, match=r"train.metadata\.csv: expected the class columns of"):
        sources.labels(folder, seed=0)


@pytest.mark.parametrize("value", [{"en": "a dog"}, [{"raw": "a dog"}], [["a dog"]]])
def test_objects_in_place_of_texts_are_refused(folder, value):
    record = {"file": "1.jpg", "caption": value, "label": value}
    (folder / "c.json").write_text(json.dumps([{"file": "0.jpg", "caption": "a"}, record]))
    with pytest.raises(ValueError, match="record 2: caption: expected a caption; got "):
        sources.captions(folder / "c.json", seed=0)
    with pytest.raises(ValueError, match="record 2: label: expected a label; got "):
        sources.labels(folder / "c.json", seed=0)


def test_a_caption_of_coco_that_is_no_text_is_named(folder):
    images, captions = [{"id": 1, "file_name": "1.jpg"}], [{"image_id": 1, "caption": 5}]
    (folder / "c.json").write_text(json.dumps({"images": images, "annotations": captions}))
    with pytest.raises(ValueError, match=r"the caption of 1\.jpg: expected a text; got 5"):
        sources.captions(folder / "c.json", seed=0)
