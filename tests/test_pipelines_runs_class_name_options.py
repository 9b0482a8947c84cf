"""Class names from files: by place or by name, in whatever encoding is certain; matched by name."""

import numpy as np
import pytest

from pipelines.runs import class_name_options
from pipelines.runs.class_matching import match_classes
from tfrecords import Manifest


def manifest(*names):
    return Manifest(1, "pets", {}, names, (), "top1", False, {}, {}, {})


@pytest.fixture
def written(tmp_path):
    def write(text, *, name="names.txt", encoding="utf-8"):
        (tmp_path / name).write_bytes(text.encode(encoding))
        return str(tmp_path / name)

    return write


PETS = manifest("house_cat", "dog")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
def test_a_list_is_read_in_any_encoding_that_is_certain(written, encoding):
    path = written("Cr\u00e8me br\u00fbl\u00e9e\n\n dog \n", encoding=encoding)
    assert class_name_options.class_names(path, PETS) == ["Cr\u00e8me br\u00fbl\u00e9e", "dog"]


@pytest.mark.parametrize("name", ["names.txt", "names.csv"])
def test_other_encodings_are_one_line_that_names_the_file(written, name):
    path = written("class,fr\ndog,cr\u00e8me\n", name=name, encoding="cp1252")
    with pytest.raises(ValueError, match=r"--class-names: .*names.* line 2 has the byte 0xe8"):
        class_name_options.class_names(path, PETS)


def test_the_names_of_other_places_are_refused(written):
    with pytest.raises(ValueError, match=r"line 1 .* is 'dog', which is the name of class 2"):
        class_name_options.class_names(written("dog\nhouse cat\n"), PETS)
    assert class_name_options.class_names(written("House Cat\nDOG\n"), PETS) == ["House Cat", "DOG"]


def test_names_are_given_as_they_are_or_in_a_file_for_records_too(written):
    assert class_name_options.class_names(["tom cat", "dog"], PETS) == ["tom cat", "dog"]
    assert class_name_options.class_names([written("tom cat\ndog\n")], PETS) == ["tom cat", "dog"]
    with pytest.raises(ValueError, match="expected 2 names, one for each class of pets; got 3"):
        class_name_options.class_names(["cat", "dog", "hen"], PETS)
    with pytest.raises(ValueError, match="name 1 is 'dog', which is the name of class 2"):
        class_name_options.class_names(["dog", "house cat"], PETS)


def test_numbers_that_belong_to_names_are_no_places(written):
    for names in (["zone 1", "zone 2"], ["1 euro", "2 euro"], ["MD-80 2", "Boeing 737"]):
        assert class_name_options.named([written("\n".join(names))], what="") == names


def test_numbers_in_the_order_of_text_go_with_no_list(written):
    folders = [str(i) for i in (1, 10, 11, 2)]
    flowers = written("rose\ntulip\nlily\nfern\n")
    with pytest.raises(ValueError, match="numbers in another order"):
        class_name_options.class_names(flowers, manifest(*folders))
    assert class_name_options.class_names(flowers, manifest("1", "2", "10", "11"))[2] == "lily"
    table = written("class,name\n1,rose\n2,tulip\n10,lily\n11,fern\n", name="names.csv")
    found = class_name_options.class_names(table, manifest(*folders))
    assert found == ["rose", "lily", "fern", "tulip"]


def test_a_table_is_read_by_name(written):
    path = written("class;de;fr\nDog;Hund;chien\nhouse cat;Katze;chat\n", name="names.csv")
    assert class_name_options.class_names(path, PETS, language="fr") == ["chat", "chien"]
    with pytest.raises(ValueError, match="--language: expected one of de, fr; got 'es'"):
        class_name_options.class_names(path, PETS, language="es")


def test_a_name_of_two_classes_is_refused_unless_allowed(written):
    path = written("missile\nmissile\n")
    with pytest.raises(ValueError, match=r"'missile' is there 2 times \(--allow-equal-names"):
        class_name_options.class_names(path, PETS)
    names = class_name_options.class_names(path, PETS, allow_equal=True)
    twice = class_name_options.equal_names(names)
    assert twice == {"missile": 2}
    assert class_name_options.equal_names_line({"equal_names": twice}).endswith("'missile' (2)")
    assert class_name_options.equal_names_line({"equal_names": {}}) == ""


def test_classes_are_matched_by_name_never_by_place():
    records = manifest("Hen", "Zebra", "apple")
    found = match_classes(["APPLE", "HEN", "ZEBRA"], records, model="m")
    np.testing.assert_array_equal(found, [1, 2, 0])
    found = match_classes(["caf\u00e9", "zebra"], manifest("cafe\u0301", "hen"), model="m")
    np.testing.assert_array_equal(found, [0, -1])


def test_of_a_name_that_two_classes_have_the_first_is_the_first():
    published = ["crane", "dog", "crane"]
    found = match_classes(published, manifest(*published), model="m")
    np.testing.assert_array_equal(found, [0, 1, 2])


def test_classes_that_may_be_two_of_the_models_are_refused_unless_spelt_the_same():
    with pytest.raises(ValueError, match="class 'HEN' of pets may be 'hen' or 'Hen' of m"):
        match_classes(["hen", "Hen"], manifest("HEN", "dog"), model="m")
    found = match_classes(["hen", "Hen"], manifest("Hen", "dog"), model="m")
    np.testing.assert_array_equal(found, [1, -1])


def test_a_model_of_other_classes_is_refused():
    with pytest.raises(ValueError, match="m has none of the classes of pets"):
        match_classes(["a", "b"], PETS, model="m")


def test_names_are_typed_or_stand_in_one_file(tmp_path):
    (tmp_path / "names.txt").write_text("red cat\nblue dog\n")
    assert class_name_options.named(["cat", "dog"], what="--class-names") == ["cat", "dog"]
    found = class_name_options.named([str(tmp_path / "names.txt")], what="--class-names")
    assert found == ["red cat", "blue dog"]
    (tmp_path / "names.CSV").write_text(",class,name\n0,dog,blue dog\n1,cat,red cat\n")
    found = class_name_options.named([str(tmp_path / "names.CSV")], what="--class-names")
    assert found == ["blue dog", "red cat"]
    with pytest.raises(FileNotFoundError, match="--class-names: no file cat"):
        class_name_options.named(["cat"], what="--class-names")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("labels.txt", "0 cat\n1 dog\n"),  # as Teachable Machine exports them
        ("classes.txt", "1 001.Black_footed_Albatross\n2 002.Laysan_Albatross\n"),
        ("names.txt", "'a cat',\n'a dog',\n"),
        ("names.txt", "# classes\na cat\na dog\n"),
        ("names.txt", '["cat", "dog"]\n'),
        ("names.md", "- a cat\n- a dog\n"),
        ("synset_words.txt", "n01440764 tench, Tinca tinca\nn01443537 goldfish\n"),
        ("names.txt", "class\tname\n0\tcat\n1\tdog\n"),
        ("names.txt", "dog\nhot dog\n'dog, sheep'\n"),  # a column of a CSV
        ("hmdb51.txt", "run 2\nbrush_hair 0\ncartwheel 1\n"),
        ("labels.txt", "1 dog\n0 cat\n"),
        ("data.yaml", "names:\n  0: cat\n  1: dog\n"),
    ],
)
def test_a_file_that_is_no_list_of_names_is_refused(written, name, text):
    with pytest.raises(ValueError, match=r"^--x: expected one text alone on each line of .*; got"):
        class_name_options.named([written(text, name=name)], what="--x")


@pytest.mark.parametrize(
    "text",
    [
        '["fat_cat", "dog"]',
        '{"1": "dog", "0": "fat cat"}',
        "\ufeff[\n'x'\n]".replace("'x'", '"fat cat", "dog"'),
    ],
)
def test_json_is_a_list_or_has_a_name_for_each_number(written, text):
    assert class_name_options.named([written(text, name="names.JSON")], what="--x") == [
        "fat cat",
        "dog",
    ]


@pytest.mark.parametrize("text", ["[]", "{}", '["cat", 1]', '{"1": "cat", "2": "dog"}', '"cat"'])
def test_other_json_is_refused(written, text):
    with pytest.raises(
        ValueError, match=r"^--x: expected in .* a list of names, or .* from 0; got"
    ):
        class_name_options.named([written(text, name="names.json")], what="--x")
    with pytest.raises(ValueError, match=r"^--x: .*names.json is not JSON"):
        class_name_options.named([written(text + "]", name="names.json")], what="--x")


def test_underscores_are_spaces_wherever_names_come_from(written):
    table = written("class,name\ndog,sheep_dog\nhouse cat,tom_cat\n", name="names.csv")
    for given in (["tom_cat", "sheep_dog"], [written("tom_cat\nsheep_dog\n")], [table]):
        assert class_name_options.class_names(given, PETS) == ["tom cat", "sheep dog"]
    assert class_name_options.named([table], what="--x") == ["sheep dog", "tom cat"]


@pytest.mark.parametrize("text", ["", "\n \n"])
def test_an_empty_file_is_refused(written, text):
    """As templates it had been none, and the usual one was taken."""
    with pytest.raises(ValueError, match=r"^--x: .* is empty; expected one text on each line$"):
        class_name_options.named([written(text)], what="--x")


def test_names_may_begin_with_numbers(written):
    path = written("7 up\n1 euro\n2 euro\n")
    assert class_name_options.named([path], what="--x") == ["7 up", "1 euro", "2 euro"]
