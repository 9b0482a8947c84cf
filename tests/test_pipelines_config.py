"""Options from a dataclass, a YAML file and the command line."""

import importlib
import sys
from dataclasses import dataclass, field, fields
from typing import Literal

import pytest

from pipelines import compare, evaluate, finetune, predict
from pipelines.__main__ import COMMANDS
from pipelines.runs import help_groups, hub_revision, option_parsing


@dataclass
class Options:
    """Do a thing.

    Args:
        out: where to.
        kind: of thing.
        image_size: pixels.
        rate: how fast.
        shots: how many.
        dry: only say so.
    """

    out: str
    kind: Literal["round", "square"] = "round"
    image_size: int | None = None
    rate: float = 0.5
    shots: list[int] = field(default_factory=lambda: [1, 2])
    dry: bool = False


def parse(*argv):
    return option_parsing.parse(Options, command="thing", argv=list(argv))


def test_defaults():
    assert parse("--out", "x") == Options("x")


def test_all_kinds_of_values():
    text = "--out x --kind square --image-size 64 --rate 2 --shots 4 8 --dry"
    assert parse(*text.split()) == Options("x", "square", 64, 2.0, [4, 8], True)
    assert parse("--out", "x", "--image-size", "null", "--no-dry") == Options("x")


def test_a_list_can_be_taken_back(tmp_path):
    """As the command does that `compare` prints for a run with classes held out by name."""
    path = tmp_path / "config.yaml"
    path.write_text("data: x\nmodel: x\nout: x\nheld_out_classes: [dog, cat]\n")
    for more, expected in (((), ["dog", "cat"]), (("--held-out-classes", "null"), None)):
        argv = ["--config", str(path), *more]
        found = option_parsing.parse(finetune.Options, command="finetune", argv=argv)
        assert found.held_out_classes == expected


def test_one_text_in_a_file_is_a_list_of_one(tmp_path):
    """It was an error that named no option; --class-names of evaluate had been one text."""
    path = tmp_path / "config.yaml"
    path.write_text("data: x\nmodel: x\nout: x\nclass_names: names.csv\n")
    argv = ["--config", str(path), "--templates", "a {}", "the {}"]
    found = option_parsing.parse(evaluate.Options, command="evaluate", argv=argv)
    assert (found.class_names, found.templates) == (["names.csv"], ["a {}", "the {}"])


def test_a_file_gives_options_and_the_command_line_wins(tmp_path):
    path = tmp_path / "thing.yaml"
    path.write_text("out: x\nimage_size: 32\nrate: 1\n")
    expected = Options("x", image_size=32, rate=3.0)
    assert parse("--config", str(path), "--rate", "3") == expected
    assert parse("--rate", "3", f"--config={path}").image_size == 32


def test_the_command_line_wins_over_a_file_behind_it(tmp_path):
    """`--rate 3 --config FILE` had the file's rate."""
    path = tmp_path / "thing.yaml"
    path.write_text("out: x\nrate: 1\nimage_size: 32\n")
    other = tmp_path / "other.yaml"
    other.write_text("image_size: 64\n")
    argv = ["--rate", "3", f"--config={path}", "--config", str(other), "--dry"]
    assert parse(*argv) == Options("x", image_size=64, rate=3.0, dry=True)


def test_values_of_a_file_are_taken_as_they_stand(tmp_path):
    """Names that YAML reads as true or 1 were refused, one number for several was a traceback's
    words, and of an option that is there twice the last was taken."""

    def read(command, text):
        path = tmp_path / "config.yaml"
        path.write_text(f"data: 2024-01-01\nmodel: 12\nout: x\n{text}")
        argv = ["--config", str(path)]
        return option_parsing.parse(command.Options, command="finetune", argv=argv)

    found = read(finetune, "held_out_classes: [yes, no, 1, 1.0, null]\nwise_ft: no\nepochs: 3\n")
    assert found.held_out_classes == ["yes", "no", "1", "1.0", "null"]
    assert (found.wise_ft, found.data, found.model) == ("no", "2024-01-01", "12")
    assert found.epochs == 3
    assert read(finetune, "held_out_classes: null\n").held_out_classes is None
    assert read(compare, "seeds: 1\n").seeds == [1]
    for text, message in {
        "seeds: 1 2\n": "--seeds: expected whole numbers separated by spaces or null; got '1 2'",
        "seeds: 1\nseeds: 2\n": "expected each option once; seeds is there 2 times",
        "config: a.yaml\n": "config: expected options; a file names no other file",
        "allow_equal_names: 1\n": "--allow-equal-names: expected true or false; got 1",
    }.items():
        with pytest.raises(ValueError, match=message):
            read(compare, text)


def test_what_is_asked_about_is_given_once():
    """`--images a --images b` was b alone, in silence."""
    message = "--images is given 2 times; expected once, with all its values behind it"
    argv = ["--model", "x", "--out", "x.csv", "--images", "a", "--images=b"]
    with pytest.raises(ValueError, match=message):
        option_parsing.parse(predict.Options, command="predict", argv=argv)
    assert parse("--out", "x", "--out", "y", "--shots", "1", "--shots", "2") == Options(
        "y", shots=[2]
    )


def test_home_is_found_where_no_shell_looks_for_it(tmp_path, monkeypatch):
    """`out: ~/runs` made a folder called ~."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "thing.yaml").write_text("out: ~/x\n")
    assert parse("--config=~/thing.yaml").out == f"{tmp_path}/x"
    assert parse("--out=~/y").out == f"{tmp_path}/y"


def test_a_recipe_is_found_by_its_name(tmp_path, monkeypatch):
    monkeypatch.setattr(option_parsing, "RECIPES", tmp_path)
    (tmp_path / "quick.yaml").write_text("out: x\nrate: 9\n")
    assert parse("--config", "quick").rate == 9
    with pytest.raises(ValueError, match=r"no file and no recipe 'quik'; recipes: quick$"):
        parse("--config", "quik")


def test_what_is_written_is_read_back(tmp_path):
    options = Options("x", image_size=64, shots=[3])
    option_parsing.write_config(options, tmp_path / "config.yaml")
    assert parse("--config", str(tmp_path / "config.yaml")) == options
    assert [path.name for path in tmp_path.iterdir()] == ["config.yaml"]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ("--rate 3", "expected --out; missing"),
        ("--out x --imagesize 3", r"arguments: --imagesize 3; did you mean --image-size\?"),
        ("--out x --qqq 3", "arguments: --qqq 3$"),
        ("--out x --resolution 3", "arguments: --resolution 3$"),
        (
            "--out x stray",
            "arguments: stray behind --out x, which takes one value .quote its spaces.$",
        ),
        (
            "--dry stray --out x",
            "arguments: stray; expected the name of an option, such as --out, be",
        ),
        ("--out x --rate", "argument --rate: expected one argument"),
        ("--out x --rate fast", "--rate: expected a number; got 'fast'"),
        ("--out x --image-size 1.5", "--image-size: expected a whole number or null; got '1.5'"),
        ("--out x --kind oval", "--kind: expected one of round, square; got 'oval'"),
        ("--out x --kind sqare", r"got 'sqare'; did you mean square\?$"),
        ("--out x --shots 1 two", "--shots: .*two"),
        ("--out x --config", "argument --config: expected one argument"),
        ("--out x --im 3", "unrecognized arguments: --im 3"),  # no abbreviations
    ],
)
def test_a_wrong_command_line_is_one_line(argv, message):
    with pytest.raises(ValueError, match=message) as error:
        parse(*argv.split())
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("out: x\nimagesize: 3\n", r"'imagesize' is not accepted; did you mean image_size\?"),
        ("out: x\nrate: fast\n", "--rate: expected a number; got 'fast'"),
        ("out: x\nkind: [1]\n", "--kind: expected one of round, square; got"),
        ("out: [\n", "thing.yaml: not YAML"),
        ("- a\n", r"thing.yaml: expected lines like `epochs: 10`; got \['a'\]"),
        ("", "thing.yaml: expected lines like `epochs: 10`; got None"),
    ],
)
def test_a_wrong_file_is_one_line(text, message, tmp_path):
    (tmp_path / "thing.yaml").write_text(text)
    with pytest.raises(ValueError, match=message):
        parse("--config", str(tmp_path / "thing.yaml"))


def printed(capsys, *argv, **options):
    with pytest.raises(SystemExit) as stop:
        option_parsing.parse(argv=list(argv), **options)
    assert stop.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("asked", ["-h", "--help", "--help-all"])
def test_help_has_every_option_of_a_command_that_has_few(asked, capsys):
    output = printed(capsys, asked, options=Options, command="thing")
    assert output.startswith("usage: python -m pipelines thing --out OUT [OPTIONS]\n")
    for text in (
        "Do a thing.",
        "--image-size N ",
        "--rate N ",
        "how fast. (default 0.5)",
        "of thing. (one of round, square; default round)",
        "--shots N [N ...] ",
        "how many. (default 1 2)",
        "--dry ",
        "--config",
    ):
        assert text in output
    assert "options: python" not in output


def test_short_help_has_what_is_needed_first_and_whole_help_the_rest(capsys, monkeypatch):
    monkeypatch.setitem(help_groups.BASIC, "thing", "rate out gone")
    output = printed(capsys, "--help", options=Options, command="thing")
    assert "--rate" in output and "--kind" not in output
    assert "4 more options: python -m pipelines thing --help-all" in output
    assert "--kind" in printed(capsys, "--help-all", options=Options, command="thing")


def test_options_stand_in_groups_and_those_of_none_come_last(capsys):
    output = printed(capsys, "--help", options=Options, command="thing")
    places = [output.index(f"\n{title}:\n") for title in ("method", "output", "more", "about")]
    assert places == sorted(places)
    assert output.index("--shots") < output.index("--out OUT  ") < output.index("--rate")


def test_the_program_is_called_as_it_was_typed(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/somewhere/bin/duet", "thing"])
    output = printed(capsys, "--help", options=Options, command="thing")
    assert output.startswith("usage: duet thing --out OUT [OPTIONS]")


@dataclass
class Measured:
    """Measure a thing, and never cut a line at a hyphen within a-word-with-hyphens-in-it.

    Args:
        batch_size: images at a time.
        left_out: nothing without it, whatever else may be said of an option like
            --left-out-all-of-it at the end of a line.
    """

    batch_size: int = 32
    left_out: list[str] = field(default_factory=list)


def test_help_cuts_no_option_at_its_hyphens_and_says_no_empty_default(capsys):
    output = printed(capsys, "--help", options=Measured, command="thing")
    assert "a-word-with-hyphens-in-it" in output and "--left-out-all-of-it" in output
    assert "(default )" not in output and "\u2011" not in output


def test_a_command_that_trains_nothing_has_no_group_of_training(capsys):
    output = printed(capsys, "--help", options=Measured, command="thing")
    assert "training:" not in output and output.index("\nmore:\n") < output.index("--batch-size")


@dataclass
class Trained:
    """Train a thing.

    Args:
        data: records.
        learning_rate: at its highest.
        early_stopping: epochs.
    """

    data: str
    learning_rate: float = 0.1
    early_stopping: int = 0


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("--lr 1", r"--lr 1; did you mean --learning-rate\?$"),
        ("--patience 3", r"--patience 3; did you mean --early-stopping\?$"),
        ("--lr=1", r"did you mean --learning-rate\?$"),
        ("--device gpu", "unrecognized arguments: --device gpu$"),  # it has no such option
        ("--folder x", r"did you mean --data\? It takes records, which `prepare --folder X --out "),
    ],
)
def test_words_of_other_libraries_are_understood_well_enough_to_say_ours(typed, message):
    with pytest.raises(ValueError, match=message):
        option_parsing.parse(Trained, command="thing", argv=["--data", "x", *typed.split()])


@pytest.mark.parametrize("rate", [0.0, 0.5, 0.999])
def test_numbers_inside_their_range(rate):
    option_parsing.check_ranges(Options("x", rate=rate), {"[0, 1)": ("rate", "image_size")})


@pytest.mark.parametrize("rate", [-0.1, 1.0, float("nan"), float("inf")])
def test_numbers_outside_their_range(rate):
    with pytest.raises(ValueError, match=r"--rate: expected a number in \[0, 1\); got "):
        option_parsing.check_ranges(Options("x", rate=rate), {"[0, 1)": ("rate",)})


def test_infinity_is_not_a_positive_number():
    with pytest.raises(ValueError, match=r"--rate: expected a number in \(0, inf\); got inf"):
        option_parsing.check_ranges(Options("x", rate=float("inf")), {"(0, inf)": ("rate",)})


@dataclass(frozen=True)
class Evaluated:
    """Measure a model.

    Args:
        model: which.
    """

    model: str


def revised(*argv):
    return option_parsing.parse(Evaluated, command="evaluate", argv=list(argv))


def test_a_revision_is_kept_behind_the_name_of_the_model(tmp_path):
    named = Evaluated("hf://org/repo@refs/pr/2")
    assert revised("--model", "hf://org/repo", "--revision", "refs/pr/2") == named
    path = tmp_path / "config.yaml"
    path.write_text("model: clip\nrevision: v1\n")
    assert revised("--config", str(path)) == Evaluated("clip@v1")
    assert revised("--model", "clip") == Evaluated("clip")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("clip@v1", "--revision: --model clip@v1 has a revision already"),
        (sys.prefix, "--revision: only models of the hub have one; .* lies here"),
    ],
)
def test_a_model_with_a_revision_of_its_own_or_none_is_refused(model, message):
    with pytest.raises(ValueError, match=message):
        revised("--model", model, "--revision", "v2")


def test_every_command_that_takes_a_model_of_the_hub_takes_its_revision():
    modules = {name: importlib.import_module(f"pipelines.{name}") for name in COMMANDS}
    names = {
        command: {each.name for each in fields(module.Options)} & {"model", "models", "check"}
        for command, module in modules.items()
    }
    del names["expected"]  # whose model is a word of published tables
    names["retrieve"].remove("check")  # an index
    assert {name: next(iter(each)) for name, each in names.items() if each} == hub_revision.NAMED
