"""`python -m pipelines compare`: every method in one table, and what goes wrong in a row of it."""

import contextlib
import csv
import html
import io
import shlex
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from recipe_commands import options as options_of
from report_pages import comparison_document
from saved_runs import valid_results

from pipelines.__main__ import main
from pipelines.comparison import data_remarks, recipe_options
from pipelines.comparison import plan as comparison_plan
from pipelines.comparison import run as comparison_run
from pipelines.comparison.jobs import budget, fit_with_costs
from pipelines.comparison.jobs.fork_server import Outcome
from pipelines.comparison.jobs.worker_pool import Workers
from pipelines.comparison.options import Options, check_records
from pipelines.comparison.report import output_files, results_document
from pipelines.methods.registry import METHODS as TABLE
from pipelines.runs import folder
from tfrecords import Manifest

SETTINGS = (
    *(
        "--epochs",
        "1",
        "--batch-size",
        "16",
        "--shots",
        "1",
        "2",
        "--n-ctx",
        "2",
        "--bootstrap",
        "20",
    ),
    *("--learning-rate", "0.003", "--weights", "random", "--image-size", "32"),
    *("--serving-seconds", "0.02", "--folds", "1"),
)
METHODS = ("zero-shot", "linear-probe", "vit")


def compare(home, out, *more):
    """Exit status, output and complaints."""
    output, error = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(error):
        arguments = ["--data", str(home / "records"), "--model", str(home / "clip.keras")]
        status = main(["compare", *arguments, "--out", str(home / out), *SETTINGS, *more])
    return status, output.getvalue(), error.getvalue()


@pytest.fixture(scope="module")
def compared(home):
    """A comparison with a method that cannot run here, and its output."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")  # vit has no weights here
        status, output, error = compare(
            home, "compare", "--seeds", "0", "--held-out", "1", "--methods", *METHODS
        )
    assert status == 0, error
    return home / "compare", output


def test_a_row_for_every_method_and_one_answer(compared):
    out, output = compared
    document = valid_results(out)
    rows = {row["method"]: row for row in document["rows"]}
    assert tuple(rows) == METHODS
    for name in METHODS[:2]:
        assert rows[name]["error"] is None and rows[name]["unseen"] is None  # one class is easy
        assert rows[name]["seconds"] > 0 and rows[name]["peak_rss_bytes"] > 0
        assert rows[name]["deployed"]["batches"]["32"]["latency_p50_ms"] > 0
        assert rows[name]["deployed"]["note"] is None
    assert rows["linear-probe"]["deployed"]["like"] == "zero-shot"
    assert rows["zero-shot"]["trained_parameters"] == 0 and rows["vit"]["deployed"] is None
    assert rows["zero-shot"]["generalized"] is not None
    low, high = rows["zero-shot"]["intervals"]["generalized"]
    assert low <= rows["zero-shot"]["generalized"] <= high
    assert rows["linear-probe"]["generalized"] is not None  # the name's text names a new class
    answer = document["recommendation"]["answer"]
    assert (
        document["recommendation"]["method"] == "linear-probe"
        and rows["linear-probe"]["seen"] > 0.9
    )
    assert answer.startswith("Use linear-probe: ") and answer in output
    assert "on new ones among all classes" in answer  # the one that is held out
    assert f"What now: linear-probe, which {out} recommends, is {out}/runs/linear-probe" in output
    (pair,) = document["pairs"]
    assert (pair["a"], pair["b"], pair["better"]) == (*METHODS[:2], "linear-probe")


def test_the_first_thing_to_do_now_is_to_train_the_winner_on_all_classes(compared, capsys):
    out, output = compared
    said, command = output[output.index("What now") :].splitlines()[:2]
    count = len(Manifest.read(Path(valid_results(out)["config"]["data"])).class_names)
    assert f"answers {count - 1} of {count} classes" in said and "first line trains it on" in said
    assert main(shlex.split(command)[3:]) == 0, capsys.readouterr().err
    assert valid_results(Path(f"{out}-all"))["classes"] == count


def test_a_method_that_fails_is_a_row_with_its_error(compared):
    out, output = compared
    row = next(row for row in valid_results(out)["rows"] if row["method"] == "vit")
    assert row["seen"] is None and "vit" in row["error"]
    assert "failed: " in output
    assert "failed: " in (out / "report.html").read_text()


def test_everything_is_written_and_the_page_needs_nothing_else(compared):
    out, _ = compared
    with open(out / "results.csv", encoding="utf-8") as file:
        table = {row["method"]: row for row in csv.DictReader(file)}
    rows = {row["method"]: row for row in valid_results(out)["rows"]}
    assert float(table["linear-probe"]["seen"]) == pytest.approx(rows["linear-probe"]["seen"])
    page = (out / "report.html").read_text()
    assert "Serving cost" in page and "measured as zero-shot" in page
    served = rows["zero-shot"]["deployed"]["batches"]["1"]["latency_p95_ms"]
    assert float(table["linear-probe"]["latency_p95_ms_1"]) == pytest.approx(served)
    assert "Food-101 study" not in page and "python -m pipelines finetune" in page
    assert "Held out, which no method is trained on: " in page and "said: " in page
    assert rows["zero-shot"]["certainty"] is None  # it has no images to choose by
    assert set(rows["linear-probe"]["certainty"]) >= {"temperature", "sets", "none_of_these"}
    assert "How sure?" in page
    (curve,) = valid_results(out)["curves"]
    assert [each["shots"] for each in curve["points"]] == [1, 2]
    assert curve["method"] == "linear-probe" and "How many images do I need?" in page
    typed = f"predict --model {shlex.quote(str(out))} --images IMAGES"
    assert "What now" in page and typed in html.unescape(page)
    assert 'src="http' not in page and 'href="http' not in page
    assert (out / "tensorboard" / "zero-shot").is_dir()


def test_all_rows_share_one_feature_cache(compared):
    out, _ = compared
    folders = sorted(path.name.rsplit("-", 1)[0] for path in (out / "features").iterdir())
    assert folders == ["test-embedding", "train-embedding"]
    assert not list((out / "runs").rglob("features"))


@pytest.fixture
def given_again(compared, tmp_path):
    """The folder of the comparison, which a test may change."""
    out, _ = compared
    kept = shutil.copytree(out, tmp_path / "kept", symlinks=True)
    yield out
    shutil.rmtree(out)
    shutil.copytree(kept, out, symlinks=True)


def test_what_is_finished_is_not_run_again(given_again, home, monkeypatch):
    out = given_again
    (out / "runs" / "linear-probe" / "seed-0" / ".lock").touch()  # killed as it ended
    called = []

    def note(self, call):
        called.append(call.function)
        return []  # as the look for test images that stand in train

    monkeypatch.setattr(Workers, "call", note)
    monkeypatch.setattr(Workers, "run", None)
    methods = METHODS[:2]
    status, output, error = compare(
        home, "compare", "--seeds", "0", "--held-out", "1", "--methods", *methods
    )
    assert status == 0, error
    modules = [each.__module__ for each in called]
    assert modules == ["pipelines.inspection.leaks", "pipelines.comparison.report.tensorboard"]
    assert "of which 3 are finished" in output
    assert list(out.rglob("runs/**/.lock")) == []
    assert (out / "results.json").is_file()


def test_a_budget_leaves_out_what_costs_most(home, monkeypatch):
    speed = budget.Speed(flops=2e7, images_per_second=10.0)
    monkeypatch.setattr(
        Workers, "call", lambda self, call: [] if "leaks" in call.function.__name__ else speed
    )
    monkeypatch.setattr(comparison_run, "run", lambda plan, workers, about, claim: claim())
    methods = ("zero-shot", "auto", "efficientnet-b7")
    status, output, _ = compare(
        home, "budget", "--seeds", "0", "--budget", "3m", "--methods", *methods
    )
    assert status == 1  # nothing has run
    assert "left out: efficientnet-b7 (about 6.1 min," in output
    document = valid_results(home / "budget")
    assert list(document["left_out"]) == ["efficientnet-b7"]
    assert document["recommendation"]["method"] is None


def test_a_model_that_cannot_be_had_ends_the_command_before_the_first_run(home):
    out = home / "nothing"
    arguments = ["--data", str(home / "records"), "--model", "clip-vit-base-patch23"]
    error = io.StringIO()
    with contextlib.redirect_stderr(error):
        status = main(["compare", *arguments, "--out", str(out), "--methods", "zero-shot", "flyp"])
    assert status == 2 and "clip-vit-base-patch23" in error.getvalue()
    assert error.getvalue().count("\n") == 1
    assert not out.exists()


def test_the_folder_is_claimed_before_a_row_can_write(monkeypatch):
    """In the worker: this process may be killed before it hears that the model is there."""
    asked = []

    class Slow(Workers):
        def run(self, calls):
            asked.append([(call.function, call.essential) for call in calls])
            yield from (Outcome() for _ in calls)

    job = SimpleNamespace(method=SimpleNamespace(network=False), logs=Path("logs"))
    monkeypatch.setattr(comparison_run, "batches", lambda made: [[job], [job]])
    monkeypatch.setattr(comparison_run, "Display", lambda *_: contextlib.nullcontext())
    monkeypatch.setattr(comparison_run, "_follow", lambda _, outcomes, display: list(outcomes))
    made = SimpleNamespace(jobs=[], names=(), templates=(), judged_by="top1")
    comparison_run.run(made, Slow(), SimpleNamespace(model="m"), claim=print)
    fit = (fit_with_costs.fit, False)
    assert asked == [[(fit_with_costs.resolve, True), (print, True), fit], [fit]]


def test_the_model_is_looked_at_before_the_images(home, monkeypatch):
    called = []

    def call(self, call):
        called.append(call.function)
        raise KeyboardInterrupt

    monkeypatch.setattr(Workers, "call", call)
    status, _, error = compare(home, "early", "--seeds", "0", "--methods", "zero-shot")
    assert (status, called) == (130, [fit_with_costs.resolve]), error
    assert not (home / "early").exists()


def test_names_that_are_one_are_refused_before_anything_is_computed(home, tmp_path):
    with pytest.raises(ValueError, match="'Red' and 'red' are the same tokens to this model"):
        fit_with_costs.resolve(str(home / "clip.keras"), ["Red", "dog", "red"], ["{}"])
    shutil.copytree(home / "records", tmp_path / "records")
    manifest = Manifest.read(home / "records")
    _, second, *others = manifest.class_names
    replace(manifest, class_names=(second, second, *others)).write(tmp_path / "records")
    shutil.copy(home / "clip.keras", tmp_path)
    status, output, error = compare(tmp_path, "twice")
    assert status == 2 and f"{second!r} is there 2 times (--allow-equal-names" in error
    assert error.count("\n") == 1 and not output


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--methods", "magic"), "expected all, or some of zero-shot, chosen-words"),
        (("--methods", "linear_probe"), "; did you mean linear-probe?"),
        (("--seeds", "1", "1"), "--seeds: expected one or more, each once"),
        (("--seeds", "1", "-1"), "--seeds: expected 0 or more; got -1"),
        (("--bootstrap", "0"), "--bootstrap: expected"),
        (("--recipes", "vit"), "expected METHOD=RECIPE with one of chosen-words, linear-probe"),
        (("--recipes", "coop=food101_vit"), "got 'coop=food101_vit'"),
        (("--recipes", "vit=food"), "--recipes: no file and no recipe 'food'; recipes: animals10"),
        (("--recipes", "vit=shapes_compare"), "shapes_compare has an option"),
        (("--recipes", "lora=food101_clip"), "row lora is that method; food101_clip has method"),
        (("--budget", "soon"), "expected a time such as 30m, 2h or 90s; got 'soon'"),
        (("--methods", "model-stock", "paint", "--seeds", "1"), "two or more --seeds; got [1]"),
        (
            ("--methods", "model-stock", "wise-ft", "--seeds", "1", "2"),
            "expected one of zero-shot-head, paint, flyp, fine-tune, ft-clip, flyp-captions beside",
        ),
        (("--held-out", "5"), "expected 1 to 4 of the 6 classes of colours; got 5"),
    ],
)
def test_wrong_input_is_one_line(home, more, message):
    status, _, error = compare(home, "wrong", *more)
    assert status == 2 and message in error and error.count("\n") == 1


def test_records_without_one_class_an_image_are_refused_before_hours_of_runs():
    labelled = SimpleNamespace(class_counts=(3, 3))
    about = {"dataset": "tags", "multi_label": False}
    found = {"train": labelled, "test": SimpleNamespace(class_counts=())}
    records = SimpleNamespace(**about, split=found.__getitem__)
    check_records(Options("d", "o", test="train"), records)
    with pytest.raises(ValueError, match="split 'test' of tags has no labels; compare expects"):
        check_records(Options("d", "o"), records)


def test_all_methods_of_the_studies_are_there():
    supervised = {"vit", "resnet50", "xception", "efficientnet-b7"}
    few_shot = {"zero-shot", "linear-probe", "tip-adapter", "coop", "cocoop"}
    assert supervised | few_shot | {"fine-tune", "ft-clip", "flyp", "wise-ft"} <= set(TABLE)


def test_the_studys_tables_have_a_line_for_every_method():
    row = {"method": "auto", "error": None, "seen": 0.9187, "unseen_among_all": None,
           "spread": {"seen": 0.004}, "deployment": "High"}  # fmt: skip
    tables = output_files.study_tables({"rows": [row]})
    assert [table["rows"] for table in tables] == [
        [["auto", "91.9 ± 0.4 %"]],
        [["auto", "High"]],  # and no Table 4: no class is held out
    ]


def records(split, names=()):
    """A manifest with one split, whatever it is called."""
    names = names or tuple(map(str, range(len(split.class_counts))))
    about = {"multi_label": False, "spoken_names": names, "prompt_templates": ("a {}",)}
    about |= {"metric": "top1", "dataset": "d", "class_names": names}
    return SimpleNamespace(split=lambda name: split, **about)


def planned(counts, *, held_out=(), **given):
    """The plan for so many training images of each class, and as many to test on."""
    split = SimpleNamespace(count=sum(counts), class_counts=counts)
    manifest = records(split)
    options = Options(
        "data", "out", methods=["fine-tune", "from-scratch"], seeds=[0], folds=1, **given
    )
    return comparison_plan.plan(options, manifest, Workers(), held_out=held_out, out=Path("out"))


def test_few_images_make_small_batches_and_it_is_said():
    made = planned((5, 5, 1, 5), held_out=(0,))
    assert [job.options.batch_size for job in made.jobs] == [9, 9]  # 4 of 5 twice, and 1
    batches, one_away, chosen_by, tested = made.remarks
    assert batches.startswith("Batches are of 9 images, not of 64")
    assert one_away.startswith("Held out, which no method is trained on: ")
    assert "trained on: 0. Among one class every answer is right" in one_away
    assert chosen_by.startswith("2 images to choose by")
    assert tested.startswith("11 test images") and "about 30 points either way" in tested
    for micro, sizes in ((4, (8, 4)), (10, (9, 0))):
        job = planned((5, 5, 1, 5), held_out=(0,), micro_batch=micro).jobs[0]
        assert (job.options.batch_size, job.options.micro_batch) == sizes
    made = planned((400, 400))
    assert [job.options.batch_size for job in made.jobs] == [64, 32] and made.remarks == ()


def test_classes_without_a_test_image_are_named():
    *_, untested, _ = planned((5, 0, 5, 5), held_out=(1,)).remarks
    assert untested == "Without a test image: 1; no figure says anything of these."


def test_classes_that_differ_much_are_named_and_can_be_weighted():
    names = ("cat", "dog", "bird")
    split = SimpleNamespace(count=330, class_counts=[300, 20, 10])
    manifest = records(split, names)
    options = Options("data", "out", methods=["linear-probe", "coop"], class_weight=0.5)
    made = comparison_plan.plan(options, manifest, Workers(), held_out=(), out=Path("out"))
    (said,) = (remark for remark in made.remarks if remark.startswith("Classes differ"))
    assert "more than 5 : 1 (cat has 300 training images, bird 10)" in said
    assert made.jobs[0].options.class_weight == 0.5  # coop draws as many of each class
    assert said.endswith("counts every class alike.")  # what was done is not advised
    made = replace(options, judge_by="mean_per_class")
    made = comparison_plan.plan(made, manifest, Workers(), held_out=(), out=Path("out"))
    assert "training images, bird 10)." in " ".join(made.remarks)
    assert data_remarks.unbalanced({0: 50, 1: 10, 2: 0}, manifest, weighted=False) == ""
    advised = data_remarks.unbalanced({0: 51, 1: 10, 2: 0}, manifest, weighted=False)
    assert "(cat has 51" in advised and advised.endswith("alike, --class-weight 1 trains so.")


def test_a_recipe_without_a_method_leaves_the_row_its_own(tmp_path):
    recipe = tmp_path / "own.yaml"
    recipe.write_text("epochs: 3\n")
    found = recipe_options.read(Options("d", "o", recipes=[f"lora={recipe}", f"vit={recipe}"]))
    assert found == {
        "lora": {"method": "lora", "epochs": 3},
        "vit": {"method": "full", "epochs": 3},
    }


def test_the_food101_study_is_run_by_its_tables(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("records/food101").mkdir(parents=True)
    study = options_of("compare", "--config", "food101_study")
    split = SimpleNamespace(count=75_750, class_counts=[750] * 101)
    manifest = records(split)
    away = tuple(range(10))
    made = comparison_plan.plan(study, manifest, Workers(), held_out=away, out=Path("out"))
    jobs = {job.name: job for job in made.jobs}
    for method, recipe in (("fine-tune", "food101_clip"), ("vit", "food101_vit")):
        words = shlex.split(jobs[f"{method}, seed 1"].words)[4:]
        found, alone = options_of("finetune", *words), options_of("finetune", "--config", recipe)
        same = replace(alone, out=found.out, seed=1, split_seed=0, micro_batch=128)
        same = replace(same, features="out/features")
        assert found == same and (same.held_out, same.validation) == (10, 0.2)
    assert {"zero-shot", "linear-probe, seed 0", "auto, seed 2"} <= set(jobs)


def test_rows_on_features_share_a_process_and_every_other_run_has_its_own(tmp_path):
    split = SimpleNamespace(count=80, class_counts=[40, 40])
    manifest = records(split)
    methods = ["flyp", "zero-shot", "linear-probe", "vit"]
    options = Options("data", str(tmp_path), methods=methods, seeds=[0])
    made = comparison_plan.plan(options, manifest, Workers(), held_out=(), out=tmp_path)
    batches = comparison_run.batches(made)
    names = [[job.method.name for job in batch] for batch in batches]
    assert names == [["zero-shot", "linear-probe"], ["flyp"], ["vit"]]


def test_model_stock_comes_after_the_runs_that_it_averages(tmp_path):
    manifest = records(SimpleNamespace(count=80, class_counts=[40, 40]))
    methods = ["model-stock", "flyp", "zero-shot", "paint", "wise-ft"]
    options = Options("data", str(tmp_path), methods=methods, seeds=[1, 2], views=3)
    made = comparison_plan.plan(options, manifest, Workers(), held_out=(), out=tmp_path)
    last = made.jobs[-1]
    assert last.name == "model-stock, seed 1" and last.options.method == "auto"
    assert last.options.stock == [str(tmp_path / "runs" / name) for name in ("flyp", "paint")]
    said = "Rows on cached features learn from 3 views of each training image; "
    assert f"{said}flyp, zero-shot, paint, wise-ft, model-stock take none." in made.remarks
    assert "Run once, for no seed changes them: zero-shot." in made.remarks


def test_seeds_that_were_averaged_are_not_taken_for_those_of_more_methods(tmp_path):
    manifest = records(SimpleNamespace(count=80, class_counts=[40, 40]))
    options = Options("data", str(tmp_path), methods=["paint", "model-stock"], seeds=[1, 2])
    made = comparison_plan.plan(options, manifest, Workers(), held_out=(), out=tmp_path)
    folder.claim(Path(made.jobs[-1].options.out), made.jobs[-1].options)
    comparison_plan.plan(options, manifest, Workers(), held_out=(), out=tmp_path)
    with pytest.raises(ValueError, match=r"with other options \(it averages paint\): delete it"):
        more = replace(options, methods=["paint", "flyp", "model-stock"])
        comparison_plan.plan(more, manifest, Workers(), held_out=(), out=tmp_path)


def test_a_page_without_held_out_classes_is_not_about_them():
    document = comparison_document()
    for row in document["rows"]:
        row |= dict.fromkeys(("unseen", "unseen_among_all", "generalized", "harmonic_mean"))
    page = output_files.page(document, [])
    assert "Accuracy on seen and held-out classes" not in page and "Table 3" not in page
    assert "<b>Seen</b>: test images of the classes" in page and "<b>Held out</b>" not in page
    study = output_files.page({**document, "dataset": "food101"}, [])
    assert "Table 3" in study and "Table 4" not in study
    recipes = {**document["config"], "recipes": ["vit=food101_vit"]}
    assert "Table 3" in output_files.page({**document, "config": recipes}, [])


def test_which_test_images_sureness_was_measured_on_is_said_where_there_are_folds():
    """The table of methods has a calibration error of all folds, this one of the first."""
    document, said = comparison_document(), "test images of the first division alone"
    document["rows"][1]["certainty"] = {
        "ece_before": 0.2,
        "ece_after": 0.1,
        "temperature": 1.5,
        "sets": {"mean_size": 2.0, "coverage": 0.9},
        "none_of_these": {"kept": 0.95, "false_positive_rate": None, "auroc": None},
    }
    assert said not in output_files.page({**document, "folds": 1}, [])
    assert said in output_files.page({**document, "folds": 5}, [])


def test_the_table_speaks_of_seeds_and_folds_where_there_are_several():
    document = comparison_document()
    for seeds, folds in (1, 5), (2, 1):
        rows = [{**row, "seeds": seeds} for row in document["rows"]]
        page = output_files.page({**document, "folds": folds, "rows": rows}, [])
        assert ("mean over seeds ±" in page) == (seeds > 1)
        assert ("each once, in one of 5 divisions" in page) == (folds > 1)


def test_only_what_is_recommended_is_marked():
    document = comparison_document()
    page = output_files.page(document, [])
    assert page.count('class="chosen"') == 1 and "recommended method is in bold" in page
    document["recommendation"]["method"] = None
    page = output_files.page(document, [])
    assert 'class="chosen"' not in page and "in bold" not in page and "What now" not in page


def test_an_interrupt_between_two_replies_stops_the_worker_at_once(monkeypatch, tmp_path):
    stopped = []

    class Pool:
        def run(self, calls):
            try:
                for _ in calls:
                    yield Outcome()
            finally:
                stopped.append(True)

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(comparison_run, "_follow", interrupted)
    job = SimpleNamespace(is_done=False, method=TABLE["linear-probe"], logs=tmp_path)
    plan = SimpleNamespace(jobs=[job], names=(), templates=(), judged_by="top1")
    monkeypatch.setattr(comparison_run, "Display", lambda *_: contextlib.nullcontext())
    with pytest.raises(KeyboardInterrupt) as kept:
        comparison_run.run(plan, Pool(), SimpleNamespace(model="clip"), claim=print)
    assert stopped and kept  # while the frames live, which hold what was not closed


def test_a_run_of_other_options_is_not_taken_for_the_one_that_is_planned(tmp_path):
    """Of another first seed, which divides the images, or of a recipe that was changed."""
    manifest = records(SimpleNamespace(count=80, class_counts=[40, 40]))
    options = Options("data", str(tmp_path), methods=["full"], seeds=[1, 2])
    made = comparison_plan.plan(options, manifest, Workers(), held_out=(), out=tmp_path)
    for job in made.jobs:
        folder.claim(Path(job.options.out), job.options)
    comparison_plan.plan(options, manifest, Workers(), held_out=(), out=tmp_path)
    with pytest.raises(ValueError, match=r"seed-2 holds a run of full .*split_seed was 1, not 2"):
        others = replace(options, seeds=[2, 3])
        comparison_plan.plan(others, manifest, Workers(), held_out=(), out=tmp_path)
    recipe = tmp_path / "own.yaml"
    recipe.write_text("epochs: 3\n")
    with pytest.raises(ValueError, match="epochs was 10, not 3"):
        others = replace(options, recipes=[f"full={recipe}"])
        comparison_plan.plan(others, manifest, Workers(), held_out=(), out=tmp_path)


def test_a_row_says_where_auto_was_another_method_by_the_seed():
    job = SimpleNamespace(failure=None, words="command")
    seeds = [
        {"model": "m", "metrics": {}, "cost": {}, "auto": {"method": method, "why": "it is best"}}
        for method in ("projection", "paint")
    ]
    row = results_document._row("auto", seeds, [job], {})
    assert row["what"] == "projection, paint by seed; the first: it is best"
    assert results_document._row("auto", seeds[:1], [job], {})["what"] == "projection: it is best"
