"""Options from a dataclass, a YAML file and the command line."""

from dataclasses import dataclass, field
from typing import Literal

import pytest

from pipelines.runs import config


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
    return config.parse(Options, command="thing", argv=list(argv))


def test_defaults():
    assert parse("--out", "x") == Options("x")


def test_all_kinds_of_values():
    text = "--out x --kind square --image-size 64 --rate 2 --shots 4 8 --dry"
    assert parse(*text.split()) == Options("x", "square", 64, 2.0, [4, 8], True)
    assert parse("--out", "x", "--image-size", "null", "--no-dry") == Options("x")


def test_a_file_gives_options_and_the_command_line_wins(tmp_path):
    path = tmp_path / "thing.yaml"
    path.write_text("out: x\nimage_size: 32\nrate: 1\n")
    expected = Options("x", image_size=32, rate=3.0)
    assert parse("--config", str(path), "--rate", "3") == expected
    assert parse("--rate", "3", f"--config={path}").image_size == 32


def test_a_recipe_is_found_by_its_name(tmp_path, monkeypatch):
    monkeypatch.setattr(config, "RECIPES", tmp_path)
    (tmp_path / "quick.yaml").write_text("out: x\nrate: 9\n")
    assert parse("--config", "quick").rate == 9
    with pytest.raises(ValueError, match=r"no file and no recipe 'quik'; recipes: quick$"):
        parse("--config", "quik")


def test_what_is_written_is_read_back(tmp_path):
    options = Options("x", image_size=64, shots=[3])
    config.write_config(options, tmp_path / "config.yaml")
    assert parse("--config", str(tmp_path / "config.yaml")) == options
    assert [path.name for path in tmp_path.iterdir()] == ["config.yaml"]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ("--rate 3", "the following arguments are required: out"),
        ("--out x --imagesize 3", r"arguments: --imagesize 3; did you mean --image-size\?"),
        ("--out x --qqq 3", "arguments: --qqq 3$"),
        ("--out x stray", "unrecognized arguments: stray"),
        ("--out x --rate", "argument --rate: expected one argument"),
        ("--out x --rate fast", "--rate: expected a number; got 'fast'"),
        ("--out x --image-size 1.5", "--image-size: expected a whole number or null; got '1.5'"),
        ("--out x --kind oval", "--kind: expected one of round, square; got 'oval'"),
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


def test_help_has_every_option_and_its_text(capsys):
    with pytest.raises(SystemExit) as stop:
        parse("--help")
    assert stop.value.code == 0
    output = capsys.readouterr().out
    assert "usage: python -m pipelines thing" in output and "Do a thing." in output
    for text in ("--image-size", "how fast. (type: float, default: 0.5)", "--no-dry", "--config"):
        assert text in output


@pytest.mark.parametrize("rate", [0.0, 0.5, 0.999])
def test_numbers_inside_their_range(rate):
    config.check_ranges(Options("x", rate=rate), {"[0, 1)": ("rate", "image_size")})


@pytest.mark.parametrize("rate", [-0.1, 1.0, float("nan"), float("inf")])
def test_numbers_outside_their_range(rate):
    with pytest.raises(ValueError, match=r"--rate: expected a number in \[0, 1\); got "):
        config.check_ranges(Options("x", rate=rate), {"[0, 1)": ("rate",)})


def test_infinity_is_not_a_positive_number():
    with pytest.raises(ValueError, match=r"--rate: expected a number in \(0, inf\); got inf"):
        config.check_ranges(Options("x", rate=float("inf")), {"(0, inf)": ("rate",)})
