"""Prompts of each class from JSON, as CuPL's files are, or from a CSV."""

import json

import pytest

from pipelines.runs import class_name_options, class_prompt_files

NAMES = ["house cat", "dog"]
SAID = {"House_Cat": ["a  cat\nat home"], "dog": ["a pet", "it barks"], "owl": ["at night"]}
FOUND = ["{house cat} a cat at home", "{dog} a pet", "{dog} it barks"]


def read(tmp_path, name, text):
    (tmp_path / name).write_text(text, encoding="utf-8")
    return class_prompt_files.read(str(tmp_path / name), NAMES, what="--templates")


def test_json_and_csv_say_the_same_of_the_classes_that_are_asked_for(tmp_path):
    assert read(tmp_path, "a.json", json.dumps(SAID)) == FOUND
    rows = [f'{name},"{text}"' for name, texts in SAID.items() for text in texts]
    assert read(tmp_path, "a.csv", "class,prompt\n" + "\n".join(rows) + "\n") == FOUND


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.json", '{"dog": ["a pet"]}', r"no sentence for class 'house cat' \(1 of 2"),
        ("a.json", '["dog"]', "an object of class names and their sentences; .* has a list"),
        ("a.json", '{"dog": [1]}', "has something else for 'dog'"),
        ("a.json", "{", "is not JSON"),
        ("a.json", '{"dog": ["a pet"], "dog": ["a pug"]}', "'dog' is there twice"),
        ("a.csv", "class,text\ndog,a pet\n", "expected columns class and prompt; .* has class, te"),
        ("a.txt", "dog", r"expected a file \.json or \.csv"),
    ],
)
def test_other_files_are_one_line(tmp_path, name, text, said):
    with pytest.raises(ValueError, match=said) as raised:
        read(tmp_path, name, text)
    assert str(raised.value).startswith("--templates: ") and "\n" not in str(raised.value)


def test_a_domain_is_a_prompt_and_goes_with_no_other():
    assert class_name_options.templates(None, None, domain=" food ") == ["a photo of a food: a {}."]
    with pytest.raises(ValueError, match="--domain and --templates"):
        class_name_options.templates(["a {}"], None, domain="food")
    with pytest.raises(ValueError, match="--domain: expected what the classes are"):
        class_name_options.templates(None, None, domain=" ")
