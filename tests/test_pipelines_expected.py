"""`python -m pipelines expected`: a run beside published figures, and the list of these."""

import json

import pytest
from published_runs import cell, compared, evaluated, finetuned, grid, row, write

from pipelines.__main__ import main

OPEN_CLIP = "open_clip 89fb801, docs/openclip_results.csv"


def expected(run, *more):
    return main(["expected", "--run", str(run), *more])


def lines(capsys):
    """Standard output, its runs of spaces as one."""
    return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]


def reason(capsys):
    """Why the nearest figure cannot be compared."""
    first = next(line for line in lines(capsys) if line.startswith("not comparable"))
    return first.split(", because it is ")[1]


def test_zero_shot_that_agrees_is_said_to_be_inside(tmp_path, capsys):
    assert expected(write(tmp_path / "run", evaluated())) == 0
    assert lines(capsys) == [
        "food101, clip-vit-base-patch32, zero-shot",
        "measure ours published difference tolerance source",
        f"top1 84.02 84.00 +0.02 1.50 inside {OPEN_CLIP}",
        "",
        "1 of 1 figures inside the tolerance",
    ]


def test_zero_shot_that_does_not_agree_is_outside_with_status_1(tmp_path, capsys):
    run = write(tmp_path / "run", evaluated(metrics={"top1": 0.82}))
    assert expected(run) == 1
    said = lines(capsys)
    assert said[2] == f"top1 82.00 84.00 -2.00 1.50 OUTSIDE {OPEN_CLIP}"
    assert said[-1] == "0 of 1 figures inside the tolerance"


def test_the_file_itself_can_be_named(tmp_path):
    assert expected(write(tmp_path / "run", evaluated()) / "results.json") == 0


def test_older_results_count_pictures(tmp_path, capsys):
    document = evaluated()
    document["pictures"] = document.pop("images")
    assert expected(write(tmp_path / "run", document)) == 0
    assert "inside" in lines(capsys)[2]


@pytest.mark.parametrize("name", ["ViT-B-32/openai", "hf://openai/clip-vit-base-patch32"])
def test_a_model_goes_by_its_other_names_too(name, tmp_path, capsys):
    assert expected(write(tmp_path / "run", evaluated(model=name))) == 0
    assert lines(capsys)[0] == "food101, clip-vit-base-patch32, zero-shot"


def test_few_test_images_widen_the_tolerance_by_their_standard_error(tmp_path, capsys):
    per_class = [{"name": f"dish {i}", "count": 5, "recall": 0.82} for i in range(101)]
    few = evaluated(images=505, per_class=per_class, metrics={"top1": 0.82})
    assert expected(write(tmp_path / "run", few)) == 0
    # 3 sqrt(0.84 0.16 / 505) = 0.0489
    part = "(505 of 25,250 images)"
    assert lines(capsys)[2] == f"top1 82.00 84.00 -2.00 4.89 inside {OPEN_CLIP} {part}"


def test_a_mean_over_classes_has_the_standard_error_of_one(tmp_path, capsys):
    counts = [50] * 36 + [100]
    pets = evaluated(
        dataset="oxford_iiit_pet",
        images=3669,
        classes=37,
        templates=["a photo of a {}, a type of pet."],
        metrics={"mean_per_class": 0.88},
        per_class=[{"name": "pet", "count": count, "recall": 0.88} for count in counts],
    )
    assert expected(write(tmp_path / "run", pets)) == 0
    # 3 sqrt(0.87 0.13 (36/50 + 1/100)) / 37 = 0.0233 for open_clip's 87.00
    found = lines(capsys)
    assert found[2] == f"mean_per_class 88.00 87.00 +1.00 2.33 inside {OPEN_CLIP}"
    assert found[3].startswith("mean_per_class 88.00 86.96 +1.04 2.33 inside CLIP_benchmark")


DIFFERENT = {
    "split": (
        {"split": "train"},
        "for split test, not train",
    ),
    "prompts": (
        {"templates": ["{}."]},
        'with prompt "a photo of {}, a type of food.", not "{}."',
    ),
    "measure": (
        {"metrics": {"top5": 0.97}},
        "the top-1 accuracy, which this run did not measure",
    ),
    "classes": (
        {"classes": 91, "images": 22_750},
        "for 101 classes, not 91",
    ),
    "more images": (
        {"images": 30_300},
        "for 25,250 images, not 30,300",
    ),
    "classes without an image": (
        {"images": 100, "per_class": [{"count": 100, "recall": 0.84}] + [{"count": 0}] * 100},
        "for all classes; 100 of 101 have no test image here",
    ),
    "names": (
        {"config": {"class_names": "namen.txt"}},
        "for the set's own class names, not those of namen.txt",
    ),
}


@pytest.mark.parametrize(("changes", "words"), DIFFERENT.values(), ids=DIFFERENT)
def test_what_differs_is_not_compared(changes, words, tmp_path, capsys):
    assert expected(write(tmp_path / "run", evaluated(**changes))) == 0
    printed = capsys.readouterr().out.splitlines()
    assert (
        f"  not comparable with 84.00 (top-1 accuracy; {OPEN_CLIP}), because it is {words}"
        in printed
    )
    assert printed[-1] == "nothing published can be compared with this run"


def test_prompts_are_compared_as_clip_reads_them(tmp_path, capsys):
    plain = evaluated(templates=["a photo of a {}."], metrics={"top1": 0.83})
    assert expected(write(tmp_path / "run", plain)) == 0
    assert lines(capsys)[2] == "top1 83.00 82.59 +0.41 1.50 inside WaffleCLIP 7a1b8ee"


def test_an_ensemble_is_compared_by_its_number_where_its_prompts_are_not_known(tmp_path, capsys):
    imagenet = evaluated(
        dataset="imagenet",
        split="validation",
        images=50_000,
        classes=1000,
        per_class=[],
        metrics={"top1": 0.63},
        config={"class_names": "names.txt"},  # folders of ImageNet have no names to speak of
        templates=[f"photo {i} of a {{}}." for i in range(80)],
    )
    assert expected(write(tmp_path / "run", imagenet)) == 0
    assert lines(capsys)[2] == f"top1 63.00 63.32 -0.32 1.50 inside {OPEN_CLIP}"
    imagenet["templates"] = imagenet["templates"][:7]
    assert expected(write(tmp_path / "other", imagenet)) == 0
    assert "with the 80 prompts of the set, not 7 others" in reason(capsys)


def test_retrieval_is_compared_both_ways(tmp_path, capsys):
    ways = {"text_to_image_recall1": 0.3044, "image_to_text_recall1": 0.40}
    captions = evaluated(
        dataset="coco_captions", protocol="retrieval", images=5000, metrics=ways, per_class=[]
    )
    captions |= {"config": {"captions_per_image": None}, "templates": [], "classes": None}
    assert expected(write(tmp_path / "run", captions)) == 1
    source = "open_clip 89fb801, docs/openclip_retrieval_results.csv"
    # 3 sqrt(0.3044 0.6956 / 5000) = 0.0195
    found = lines(capsys)
    assert found[2] == f"text_to_image_recall1 30.44 30.44 +0.00 1.95 inside {source}"
    assert found[3] == f"image_to_text_recall1 40.00 50.12 -10.12 2.12 OUTSIDE {source}"
    captions["config"] = {"captions_per_image": 1}
    assert expected(write(tmp_path / "first", captions)) == 0
    assert reason(capsys) == "for all captions of each image, not 1"


def test_a_grid_is_compared_by_method_and_shots_as_a_mean_over_seeds(tmp_path, capsys):
    cells = [cell("coop", 16, seed, top1) for seed, top1 in ((1, 0.91), (2, 0.92), (3, 0.93))]
    cells += [
        cell("coop", 3, 1, 0.89),
        cell("tip-adapter", 1, 1, 0.8),
        cell("zero-shot", 0, 0, 0.86),
    ]
    assert expected(grid(tmp_path / "grid", cells)) == 1
    found = lines(capsys)
    blocks = "\n".join(found).split("\n\n")
    assert [block.splitlines()[0] for block in blocks[:-1]] == [
        "caltech101, clip-rn50, coop, 16 shots",
        "caltech101, clip-rn50, coop, 3 shots",
        "caltech101, clip-rn50, tip-adapter, 1 shot",
        "caltech101, clip-rn50, zero-shot",
    ]
    # 3 sqrt(0.92 0.08 / 2465) = 0.0164, and 0.15 published as the deviation over seeds
    assert "top1 92.00 92.00 ± 0.15 +0.00 1.79 inside CoOp ff61507, COOP.md" in blocks[0]
    assert "top1 92.00 92.07 -0.07 1.63 inside APE 70460de, APE_results.ipynb" in blocks[0]
    assert "because it is for 1 training image per class, not 3 per class" in blocks[1]
    assert "top1 80.00 87.18 -7.18 2.02 OUTSIDE Tip-Adapter d0e2d6f, exp.log" in blocks[2]
    assert "top1 86.00 85.92 +0.08 2.10 inside Tip-Adapter d0e2d6f, exp.log" in blocks[3]
    assert blocks[-1] == "3 of 4 figures inside the tolerance"


def test_a_grid_has_the_prompts_that_its_zero_shot_cell_says(tmp_path, capsys):
    caltech = {"model": "clip-rn50", "config": {}}
    cells = [cell("tip-adapter", 1, 1, 0.87, **caltech)]
    assert expected(grid(tmp_path / "unsaid", cells)) == 0
    words = 'with prompt "a photo of a {}.", not 34 others'  # those of the catalogue
    assert reason(capsys) == words
    cells.append(cell("zero-shot", 0, 0, 0.86, templates=["a photo of a {}."], **caltech))
    assert expected(grid(tmp_path / "said", cells)) == 0
    assert lines(capsys)[-1] == "2 of 2 figures inside the tolerance"


def test_a_grid_without_its_cells_has_its_table(tmp_path, capsys):
    document = cell("coop", 16, 1, 0.92)
    for key in ("method", "shots", "images", "classes", "per_class"):
        del document[key]
    table = {
        "model": "clip-rn50",
        "method": "coop",
        "shots": 16,
        "seeds": [1],
        "top1": {"mean": 0.93},
    }
    assert expected(write(tmp_path / "run", {**document, "metrics": {}, "table": [table]})) == 0
    assert "top1 93.00 92.00 ± 0.15 +1.00 1.79 inside CoOp ff61507, COOP.md" in "\n".join(
        lines(capsys)
    )


def test_a_cell_of_a_grid_is_a_run_as_well(tmp_path, capsys):
    run = grid(tmp_path / "grid", [cell("coop", 16, 1, 0.92)])
    assert expected(run / "cells/clip-rn50/coop/16-shot/seed-1") == 0
    assert lines(capsys)[0] == "caltech101, clip-rn50, coop, 16 shots"


def test_learnt_prompts_of_other_settings_are_not_compared(tmp_path, capsys):
    config = {"n_ctx": 4, "position": "end", "class_specific": False, "words": None, "epochs": None}
    assert expected(write(tmp_path / "run", cell("coop", 16, 1, 0.92, config=config))) == 0
    assert reason(capsys) == "with n_ctx 16 (not 4)"


def test_the_official_split_is_not_that_of_coop(tmp_path, capsys):
    official = cell("tip-adapter", 16, 1, 0.9, images=6084, classes=100)
    assert expected(write(tmp_path / "run", official)) == 0
    words = "for 2,465 images of CoOp's own test split, not 6,084"
    assert reason(capsys) == words


def test_base_to_new_is_compared_with_the_same_protocol_alone(tmp_path, capsys):
    metrics = {"top1": 0.98, "seen_top1": 0.98, "unseen_top1": 0.90}
    halves = cell("coop", 16, 1, 0.98, protocol="base-to-new", metrics=metrics)
    halves |= {"model": "clip-vit-base-patch16", "images": 1549, "classes": 50}
    assert expected(write(tmp_path / "run", halves)) == 0
    found = lines(capsys)
    assert found[2].startswith("seen_top1 98.00 98.00 +0.00 1.50 inside PromptKD")
    assert found[3].startswith("unseen_top1 90.00 89.80 +0.20 2.31 inside PromptKD")
    some = {"protocol": "held-out classes", "config": {"held_out": 50}}
    assert expected(write(tmp_path / "some", {**halves, **some})) == 0
    words = (
        "with half of the classes held out as in CoOp's protocol, not with some classes held out"
    )
    assert reason(capsys) == words


def test_half_of_another_set_is_not_compared(tmp_path, capsys):
    metrics = {"seen_top1": 0.98, "unseen_top1": 0.90}
    halves = cell("coop", 16, 1, 0.98, protocol="base-to-new", metrics=metrics, classes=5)
    halves["model"] = "clip-vit-base-patch16"
    assert expected(write(tmp_path / "run", halves)) == 0
    assert reason(capsys) == "for 50 classes to learn, not 5"


def test_zero_shot_of_base_to_new_is_compared_on_halves_and_on_all_classes(tmp_path, capsys):
    metrics = {"seen_top1": 0.97, "unseen_top1": 0.94, "generalized_top1": 0.93}
    halves = cell("zero-shot", 0, 0, 0.97, protocol="base-to-new", metrics=metrics, classes=50)
    halves["model"] = "clip-vit-base-patch16"
    assert expected(write(tmp_path / "run", halves)) == 0
    found = lines(capsys)
    first = "caltech101, clip-vit-base-patch16, zero-shot, half of the classes held out"
    assert found[0] == first
    assert found[2].startswith("seen_top1 97.00 96.80 +0.20 1.50 inside PromptKD")
    assert found[5] == "caltech101, clip-vit-base-patch16, zero-shot"


def test_a_fine_tuning_is_compared_where_its_epochs_are_the_same(tmp_path, capsys):
    assert expected(write(tmp_path / "run", finetuned())) == 0
    found = lines(capsys)
    assert found[0] == "food101, vit-base-patch16-224, full, all training images"
    assert found[2] == "top1 91.01 90.88 +0.13 1.50 inside model cards on the Hugging Face hub"
    config = {**finetuned()["config"], "epochs": 3}
    assert expected(write(tmp_path / "short", finetuned(config=config))) == 0
    assert reason(capsys) == "with epochs 12 (not 3)"


def test_a_fine_tuning_with_held_out_classes_is_not_compared(tmp_path, capsys):
    parts = {"seen": list(range(91)), "held_out": list(range(91, 101))}
    assert expected(write(tmp_path / "run", finetuned(parts=parts, classes=91))) == 0
    words = "with no class held out, not with some classes held out"
    assert reason(capsys) == words


def test_a_comparison_is_compared_row_by_row(tmp_path, capsys):
    vit = row("vit", "finetune --model vit-base-patch16-224", 0.85, family="supervised")
    document = compared(
        row("zero-shot", "prompt", 0.8402),
        row("linear-probe", "finetune", 0.88),
        vit,
        row("auto", "finetune", None),
    )
    assert expected(write(tmp_path / "run", document)) == 0
    assert lines(capsys) == [
        "food101, clip-vit-base-patch32, zero-shot",
        "measure ours published difference tolerance source",
        f"top1 84.02 84.00 +0.02 1.50 inside {OPEN_CLIP}",
        "",
        "food101, clip-vit-base-patch32, linear-probe, all training images",
        "nothing published for this set, model and method",
        "",
        "food101, vit-base-patch16-224, full, all training images",
        "not comparable with 90.88 (top-1 accuracy; model cards on the Hugging Face hub), because "
        "it is with epochs 12 (not 10)",
        "not comparable with 90.80 (top-1 accuracy; model cards on the Hugging Face hub), because "
        "it is with epochs 7 (not 10) and batch_size 64 (not by default)",
        "",
        "1 of 1 figures inside the tolerance",
    ]


def test_a_row_that_is_judged_by_its_classes_is_no_accuracy(tmp_path, capsys):
    """`seen` is then the mean over classes, and not what was published as top-1."""
    per_class = [{"name": f"dish {i}", "count": 250, "recall": 0.84} for i in range(100)]
    per_class.append({"name": "dish 100", "count": 250, "recall": 0.0})
    document = compared(
        row("zero-shot", "prompt", 0.5, per_class=per_class), judged_by="mean_per_class"
    )
    expected(write(tmp_path / "run", document))
    assert "top1 83.17 84.00 -0.83" in " ".join(lines(capsys))


def test_the_prompts_of_a_comparison_are_those_that_its_runs_read_in_a_file(tmp_path, capsys):
    config = {"shots": 16, "epochs": 10, "held_out": 0, "templates": ["prompts.txt"]}
    run = write(tmp_path / "run", compared(row("zero-shot", "prompt", 0.84), config=config))
    others = evaluated(command="finetune", method="chosen-words", templates=["{}"])
    own = evaluated(templates=["a photo of {}, a type of food."])
    write(run / "runs" / "chosen-words" / "seed-1", others)
    write(run / "runs" / "prompt" / "cells" / "a", own)
    assert expected(run) == 0
    assert "inside" in " ".join(lines(capsys))


def test_zero_shot_beside_held_out_classes_is_compared_on_all_of_them(tmp_path, capsys):
    config = {**compared()["config"], "held_out": 10}
    learnt = [{"name": f"dish {i}", "count": 250, "recall": 0.85} for i in range(91)]
    zero_shot = row("zero-shot", "prompt", 0.85, generalized=0.8402, per_class=learnt)
    document = compared(zero_shot, config=config)
    assert expected(write(tmp_path / "run", document)) == 0
    assert lines(capsys)[2] == f"top1 84.02 84.00 +0.02 1.50 inside {OPEN_CLIP}"
    zero_shot["per_class"] = learnt[:2]
    assert expected(write(tmp_path / "small", document)) == 0
    assert reason(capsys) == "for 101 classes, not 12"


UNKNOWN = {
    "set": (evaluated(dataset="my_photos"), ": my_photos with clip-vit-base-patch32"),
    "model": (evaluated(model="runs.keras"), ": food101 with runs.keras"),
    "method": (evaluated(protocol="classifier"), ": food101 with clip-vit-base-patch32"),
    "training": (evaluated(command="train"), ""),
    "comparison in which all failed": (compared(row("zero-shot", "prompt", None)), ""),
}


@pytest.mark.parametrize(("document", "what"), UNKNOWN.values(), ids=UNKNOWN)
def test_nothing_published_is_one_line_with_status_0(document, what, tmp_path, capsys):
    assert expected(write(tmp_path / "run", document)) == 0
    assert lines(capsys) == ["nothing published for this run" + what]


def test_json_has_what_could_be_compared_and_what_could_not(tmp_path, capsys):
    run = write(tmp_path / "run", evaluated(metrics={"top1": 0.82}))
    assert expected(run, "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["compared"], found["outside"]) == (1, 1)
    (one,) = found["measured"]
    assert (one["dataset"], one["method"], one["shots"]) == ("food101", "zero-shot", 0)
    best, *others = one["figures"]
    assert (best["value"], best["inside"], best["reasons"]) == (84.0, False, [])
    assert best["difference"] == pytest.approx(-2) and best["tolerance"] == 1.5
    assert {each["inside"] for each in others} == {None} and all(e["reasons"] for e in others)


WRONG = {
    "no such run": (None, "error: --run: no run at "),
    "not finished": ("", "has no results.json: it has not finished, or is no run"),
    "not JSON": ("{", "results.json: not the results of a run: not readable as JSON ("),
    "not an object": (
        "[]",
        "results.json: not the results of a run: expected an object; got a list",
    ),
    "something else": ('{"a": 1}', "results.json: not the results of a run: command is missing"),
    "another command": (
        json.dumps(evaluated(command="retrieve")),
        "expected results of evaluate, prompt, finetune, compare, train; got those of 'retrieve'",
    ),
    "half of it": (
        json.dumps(compared(row("zero-shot", "prompt", "high"))),
        "results.json is damaged: ValueError (could not convert string to float: 'high')",
    ),
}


@pytest.mark.parametrize(("text", "words"), WRONG.values(), ids=WRONG)
def test_what_is_no_finished_run_is_refused_in_one_line(text, words, tmp_path, capsys):
    run = tmp_path / "run"
    if text is not None:
        run.mkdir()
        (run / "config.yaml").touch()
        if text:
            (run / "results.json").write_text(text)
    assert expected(run) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1 and words in said.err


def test_without_a_run_the_table_is_listed(capsys):
    assert (
        main(["expected", "--dataset", "dtd", "--method", "zero-shot", "--model", "clip-rn50"]) == 0
    )
    assert lines(capsys) == [
        "dataset model method shots split prompts measure value source",
        "dtd clip-rn50 zero-shot 0 test ensemble top1 41.54 open_clip 89fb801, "
        "docs/openclip_results.csv",
        "dtd clip-rn50 zero-shot 0 coop-test coop top1 42.20 Tip-Adapter d0e2d6f, exp.log",
        "dtd clip-rn50 zero-shot 0 test A photo of a {}. top1 38.51 WaffleCLIP 7a1b8ee",
    ]
    assert main(["expected", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) >= 300


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ("--dataset", "food10"),
            "--dataset: nothing published for 'food10'; did you mean food101?",
        ),
        (("--method", "x"), "--method: nothing published for 'x'; there are: ape, ape-t, arf"),
        (
            ("--run", ".", "--model", "clip-rn50"),
            "--model chooses among the figures that are listed",
        ),
    ],
)
def test_wrong_filters_are_refused(arguments, words, capsys):
    assert main(["expected", *arguments]) == 2
    assert words in capsys.readouterr().err
