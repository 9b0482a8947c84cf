"""`python -m pipelines prompt`: a grid on the miniature world, gone on with, and misused."""

import csv
import io
import json
import shutil

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image, ImageColor

import dual_encoder
import tfrecords
from pipelines.__main__ import main
from pipelines.fewshot import options as fewshot_options
from pipelines.fewshot import plots as fewshot_plots
from pipelines.fewshot import report as fewshot_report
from pipelines.methods.registry import METHODS
from pipelines.prediction import model_of_run_folder
from pipelines.training import resumable_fit

CLASSES = ("blue_ring", "green_circle", "red_star", "yellow_cross")
GRID = (
    *("--models", "shapes-tiny", "--shots", "1", "--seeds", "1", "2", "--epochs", "2"),
    *("--methods", "zero-shot", "tip-adapter-f", "coop", "--n-ctx", "2", "--batch-size", "2"),
    *("--conditional-epochs", "1"),
)

pytestmark = pytest.mark.usefixtures("all_eagerly")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Records of four classes with five images each to learn from."""
    home = tmp_path_factory.mktemp("prompt")
    rng = np.random.default_rng(0)
    for split, count in (("train", 5), ("test", 6)):
        for name in CLASSES:
            folder = home / "images" / split / name
            folder.mkdir(parents=True)
            for i in range(count):
                color = np.array(ImageColor.getrgb(name.split("_")[0]))
                pixels = rng.integers(0, 120, [64, 64, 3]) + color[None, None] // 2
                Image.fromarray(pixels.astype("uint8")).save(folder / f"{i}.png")
    records = ["--folder", str(home / "images"), "--out", str(home / "records")]
    assert main(["prepare", *records, "--workers", "1"]) == 0
    return home


def command(home, out, *more):
    return ["prompt", "--data", str(home / "records"), "--out", str(home / out), *GRID, *more]


def results(folder):
    return json.loads((folder / "results.json").read_text())


@pytest.fixture(scope="module")
def grid(home):
    assert main(command(home, "grid")) == 0
    return home / "grid"


def test_every_cell_has_its_results(grid):
    cells = sorted(path.parent for path in grid.glob("cells/**/results.json"))
    assert len(cells) == 1 + 2 * 2  # zero-shot; two methods with two seeds
    for cell in cells:
        found = results(cell)
        assert found["images"] == 24 and found["classes"] == 4
        assert not (cell / "checkpoints").exists()
    learnt = results(grid / "cells/shapes-tiny/coop/1-shot/seed-1")
    assert [row["epoch"] for row in learnt["history"]] == [0, 1]
    assert learnt["template"] == "[2 vectors] {}." and len(learnt["nearest_words"]) == 2


def test_the_table_is_the_mean_over_seeds(grid):
    found = results(grid)
    rows = {row["method"]: row for row in found["table"]}
    cells = (grid / f"cells/shapes-tiny/coop/1-shot/seed-{seed}" for seed in (1, 2))
    values = [results(cell)["metrics"]["top1"] for cell in cells]
    row = rows["coop"]
    assert row["top1"]["mean"] == pytest.approx(np.mean(values))
    assert row["top1"]["deviation"] == pytest.approx(np.std(values, ddof=1))
    assert row["seeds"] == [1, 2]
    assert rows["zero-shot"]["top1"]["deviation"] is None
    page = (grid / "report.html").read_text()
    for line in fewshot_report.as_text(found["table"]).splitlines()[1:]:
        assert line.split()[3] in page
    assert (grid / "accuracy.png").read_bytes().startswith(b"\x89PNG")


def test_more_of_the_grid_skips_what_is_finished(home, grid, capsys, monkeypatch):
    grid = shutil.copytree(grid, home / "more")
    before = {path: path.stat().st_mtime_ns for path in grid.glob("cells/**/results.json")}
    more = ("--methods", "zero-shot", "tip-adapter", "coop")
    assert main(command(home, "more", *more)) == 0
    said = capsys.readouterr().out
    assert "cells: 5, of which 3 are finished" in said
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())
    monkeypatch.setattr(resumable_fit, "fit", None)  # nothing is left to train
    (grid / ".lock").touch()  # of a process that was killed as it ended
    assert main(command(home, "more", "--methods", "coop", "tip-adapter-f")) == 0
    assert not (grid / ".lock").exists()
    assert main(command(home, "more", "--learning-rate", "0.1")) == 2
    assert "learning_rate was 0.002, not 0.1" in capsys.readouterr().err


def test_two_models_do_not_share_a_folder(home, grid, capsys):
    models = ("--models", "runs/a/b", "runs/a_b")
    assert main(command(home, "twins", *models)) == 2
    assert "runs/a/b and runs/a_b would be in one folder, runs_a_b" in capsys.readouterr().err
    grid = shutil.copytree(grid, home / "other")
    (path,) = grid.glob("cells/*/zero-shot/**/results.json")
    path.write_text(path.read_text().replace('"model": "shapes-tiny"', '"model": "shapes/tiny"'))
    assert main(command(home, "other")) == 2
    assert "holds results of shapes/tiny, not of shapes-tiny" in capsys.readouterr().err


def test_a_grid_does_not_go_on_with_other_templates_of_the_same_file(home, capsys):
    texts = home / "templates.txt"
    texts.write_text("a {}\n")
    only = ("--methods", "zero-shot", "--templates", str(texts))
    assert main(command(home, "texts", *only)) == 0
    texts.write_text("the {}\n")
    assert main(command(home, "texts", *only)) == 2
    assert f"begun from other texts {texts} (changed since)" in capsys.readouterr().err


def test_an_interrupted_cell_goes_on_and_ends_the_same(home, grid, capsys):
    only = ("--methods", "coop", "--seeds", "1")
    fit = resumable_fit.fit

    def killed(model, load, *, epochs, checkpoint, **options):
        fit(model, load, epochs=1, checkpoint=checkpoint, **options)
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resumable_fit, "fit", killed)
        assert main(command(home, "again", *only)) == 130
    cell = home / "again/cells/shapes-tiny/coop/1-shot/seed-1"
    assert (cell / "checkpoints").is_dir() and not (cell / "results.json").exists()
    capsys.readouterr()
    assert main(command(home, "again", *only)) == 0
    assert "going on after step 2 of 4" in capsys.readouterr().out
    own, other = (
        dual_encoder.describe_prompts(cell / "prompts.safetensors"),
        results(grid / "cells/shapes-tiny/coop/1-shot/seed-1"),
    )
    assert own["shots"] == 1
    assert results(cell)["metrics"] == other["metrics"]
    assert results(cell)["history"] == other["history"]


def test_evaluate_takes_the_prompts(home, grid, capsys):
    prompts = grid / "cells/shapes-tiny/coop/1-shot/seed-1/prompts.safetensors"
    basics = ["--data", str(home / "records"), "--model", "shapes-tiny", "--bootstrap", "0"]
    out = home / "evaluated"
    assert main(["evaluate", *basics, "--prompts", str(prompts), "--out", str(out)]) == 0
    capsys.readouterr()
    found, cell = results(out), results(prompts.parent)
    assert found["metrics"]["top1"] == pytest.approx(cell["metrics"]["top1"], abs=0.05)
    assert found["protocol"] == "learnt prompts" and found["templates"] == ["[2 vectors] {}."]


def test_a_whole_grid_stands_for_its_prompts(grid, tmp_path):
    """Of which it has one, or else what to name in its place is said."""
    shutil.copytree(grid, tmp_path / "grid")
    first, *others = sorted((tmp_path / "grid").glob("cells/**/prompts.safetensors"))
    for path in others:
        path.unlink()
    asked = model_of_run_folder.Source(str(tmp_path / "grid"))
    found = model_of_run_folder.find(asked)
    assert (found.model, found.prompts) == ("shapes-tiny", str(first))
    first.unlink()
    with pytest.raises(ValueError, match=r"no learnt prompts; expected a run of coop, .*zero-shot"):
        model_of_run_folder.find(asked)
    others = [path.parent for path in (tmp_path / "grid").glob("cells/**/tip-adapter-f/**/res*")]
    with pytest.raises(ValueError, match="one of coop, kgcoop, cocoop or zero-shot"):
        model_of_run_folder.find(model_of_run_folder.Source(str(others[0])))


def test_prompts_are_measured_on_other_classes(home, grid, capsys):
    prompts = grid / "cells/shapes-tiny/coop/1-shot/seed-1/prompts.safetensors"
    names = ["blue ring", "zebra", "red star", "lion"]
    (home / "names.txt").write_text("\n".join(names))
    basics = ["--data", str(home / "records"), "--model", "shapes-tiny", "--bootstrap", "0"]
    more = ["--class-names", str(home / "names.txt"), "--prompts"]
    assert main(["evaluate", *basics, *more, str(prompts), "--out", str(home / "others")]) == 0
    found = results(home / "others")
    model = dual_encoder.load("shapes-tiny")
    learnt = dual_encoder.load_prompts(prompts, model)
    new = len(set(names) - set(learnt.class_names))
    assert found["new_names"] == new and new > 0
    assert f"over 4 classes, {new} of them new to the prompts" in capsys.readouterr().out
    rows = list(csv.DictReader((home / "others/predictions.csv").read_text().splitlines()))
    examples = tfrecords.examples(home / "records", "test")
    images = [Image.open(io.BytesIO(each.image)) for each in examples]
    wanted = learnt.logits(np.asarray(model.encode_image(images)), names).argmax(axis=1)
    assert [row["predicted"] for row in rows] == [names[place] for place in wanted]
    own = dual_encoder.CoOp(model, learnt.class_names, n_ctx=2, class_specific=True)
    dual_encoder.save_prompts(own, home / "own.safetensors", backbone="shapes-tiny")
    more += [str(home / "own.safetensors"), "--out", str(home / "refused")]
    assert main(["evaluate", *basics, *more]) == 2
    error = capsys.readouterr().err
    assert "learnt for other class names: class 1 is" in error and error.count("\n") == 1


def test_base_to_new(home):
    more = ("--base-to-new", "--methods", "zero-shot", "linear-probe", "cocoop", "coop")
    assert main(command(home, "halves", *more, "--seeds", "1", "--views", "2")) == 0
    rows = {row["method"]: row for row in results(home / "halves")["table"]}
    for method in ("zero-shot", "coop", "cocoop"):
        seen, unseen = (rows[method][key]["mean"] for key in ("seen_top1", "unseen_top1"))
        harmonic = rows[method]["harmonic_mean"]["mean"]
        assert harmonic == pytest.approx(2 * seen * unseen / (seen + unseen))
        assert rows[method]["top1"] == rows[method]["seen_top1"]
    assert rows["linear-probe"]["unseen_top1"] == rows["zero-shot"]["unseen_top1"]  # by its text
    learnt = home / "halves/cells/shapes-tiny/cocoop/1-shot/seed-1/prompts.safetensors"
    assert len(dual_encoder.describe_prompts(learnt)["class_names"]) == 2


def test_names_in_another_language(home):
    german = ("blauer Ring", "gruener Kreis", "roter Stern", "gelbes Kreuz")
    rows = [f"{name},{own}," for name, own in zip(CLASSES, german, strict=True)]
    (home / "names.csv").write_text("\n".join(["class,de,fr", *reversed(rows)]))
    more = ("--class-names", str(home / "names.csv"), "--methods", "zero-shot")
    assert main(command(home, "german", *more, "--language", "de")) == 0
    cell = results(home / "german/cells/shapes-tiny/zero-shot/0-shot/seed-0")
    assert [row["name"] for row in cell["per_class"]] == list(german)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--position", "left"), "position: expected one of end, middle, front; got 'left'"),
        (("--methods", "coop", "magic"), "--methods: expected some of zero-shot, chosen-words"),
        (("--shots", "0"), "--shots: expected 1 or more; got 0"),
        (("--seeds", "1", "1"), "--seeds: expected one or more, each once; got [1, 1]"),
        (("--n-ctx", "17"), "--n-ctx: expected a number in [1, 16]; got 17"),
        (("--words", "a " * 20), "words: expected 2 tokens, as many as n_ctx"),
        (("--base-to-new", "--class-specific"), "--class-specific vectors say nothing of classes"),
        (("--split", "dev"), "has no split 'dev'; it has: "),
        (("--language", "de"), "--language: expected --class-names with a CSV file; got none"),
        (("--class-names", "names.csv", "--language", "it"), "expected one of de, fr; got 'it'"),
        (("--class-names", "names.csv", "--language", "fr"), "has no name in 'fr' for class"),
    ],
)
def test_wrong_input_is_one_line_and_leaves_nothing(home, capsys, monkeypatch, more, message):
    monkeypatch.chdir(home)
    (home / "names.csv").write_text("class,de,fr\nblue_ring,blauer Ring,\n")
    assert main(command(home, "wrong", *more)) == 2
    error = capsys.readouterr().err
    assert message in error and error.startswith("error: ") and error.count("\n") == 1
    assert not (home / "wrong").exists()


def test_a_learning_rate_that_diverges_is_a_failure_and_no_figure(home, capsys):
    more = ("--methods", "coop", "--seeds", "1", "--learning-rate", "1e6")
    assert main(command(home, "diverged", *more)) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "the loss rose from" in line and line.endswith("try a smaller --learning-rate")
    assert not (home / "diverged" / "results.json").exists()


def test_a_grid_can_be_held_against_published_figures(home, grid, capsys):
    capsys.readouterr()
    assert main(["expected", "--run", str(grid), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    rows = {(row["method"], row["shots"]): row["images"] for row in found["measured"]}
    assert rows == {("zero-shot", 0): 24, ("tip-adapter-f", 1): 24, ("coop", 1): 24}


def test_fewer_images_than_shots_are_used_several_times_and_it_is_said(home, capsys):
    more = ("--methods", "linear-probe", "--shots", "16", "--seeds", "1")
    assert main(command(home, "short", *more)) == 0
    said = capsys.readouterr().out
    assert "fewer images than 16 shots: 4 of 4 classes, the fewest 'blue ring' with 5" in said


def test_a_method_that_cannot_name_unlearnt_classes_is_not_shown_as_the_best():
    probe = {"method": "linear-probe", "top1": {"mean": 0.9}}
    coop = {"method": "coop", "top1": {"mean": 0.8}, "harmonic_mean": {"mean": 0.7}}
    assert fewshot_report.best_of([probe, coop])["method"] == "coop"
    assert fewshot_report.best_of([probe])["method"] == "linear-probe"


def test_all_methods_are_plotted_each_by_its_name(monkeypatch):
    figure = Figure()
    monkeypatch.setattr(fewshot_plots, "png", lambda draw, size: draw(figure))
    rows = [
        {"model": "m", "method": name, "shots": shots, "top1": {"mean": 0.5, "deviation": None}}
        for name in fewshot_options.METHODS
        for shots in ((1, 2) if METHODS[name].learns else (0,))
    ]
    fewshot_plots.few_shot(rows, ("top1",))
    labels = figure.axes[0].get_legend_handles_labels()[1]
    assert sorted(labels) == sorted(fewshot_options.METHODS)
