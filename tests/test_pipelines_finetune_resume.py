"""A fine-tuning that stopped in the middle of a pass ends with the weights of one that did not.

For each method, on one CPU, to the bit. A run that is whole has left the checkpoint that one
killed after it leaves; that nothing else counts is what test_pipelines_train.py kills for.
"""

import shutil
from functools import partial
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from colours import Colours

from pipelines.runs import runtime

runtime.import_tensorflow()

from tiny_models import clip  # noqa: E402

import tfrecords  # noqa: E402
from dual_encoder.towers import compiled_functions  # noqa: E402
from pipelines.finetuning import data as finetuning_data  # noqa: E402
from pipelines.finetuning import options as finetuning_options  # noqa: E402
from pipelines.finetuning import tower_training, wise_ft  # noqa: E402
from pipelines.finetuning.tower_training import CHECKPOINTS  # noqa: E402
from pipelines.runs import class_split  # noqa: E402
from pipelines.runs import strategy as strategies  # noqa: E402

# Those whose steps differ; the others train as one of these, with other weights frozen.
BY_STEPS = ["full", "lp-ft", "projection-ft", "paint", "flyp", "lora", "clip-lora"]
SETTINGS = {"batch_size": 20, "checkpoint_steps": 2, "learning_rate": 0.003, "crop_scale": 0.8}
MORE = {  # what else has a state
    "full": {"ema": 0.5, "mixup": 0.2},
    "paint": {"early_stopping": 2, "micro_batch": 10, "teacher": 5.0},
    "flyp": {"micro_batch": 10},
    "clip-lora": {"lora_rank": 2},
    "lora": {"lora_rank": 2, "random_erasing": 0.5, "optimizer": "sgd"},
}


HALF = "step-00000002.safetensors"  # of four steps of a pass


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """No XLA for images that are encoded twice."""
    monkeypatch.setattr(compiled_functions, "MOST_SHAPES", 0)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Records and a CLIP of one block."""
    home = tmp_path_factory.mktemp("home")
    tfrecords.write(Colours(), home / "records", workers=1, progress=False)
    keras.utils.set_random_seed(0)
    model = clip(image={"depth": 1, "dropout": 0.1}, text={"depth": 1})
    model.build()
    model.save(home / "clip.keras")
    return home


def prepared(home, out, method):
    """Its `train` as the command has it, and the data."""
    names = {"data": str(home / "records"), "model": str(home / "clip.keras"), "out": str(out)}
    more = MORE.get(method, {})
    options = finetuning_options.Options(
        **names, method=method, features=str(out / "features"), **{"epochs": 1, **SETTINGS, **more}
    )
    data = finetuning_data.of(options, tfrecords.Manifest.read(options.data), held_out=())
    strategy = strategies.build("one")
    train = partial(tower_training.train, strategy=strategy, claim=lambda: None)
    return train, options, data


def stop_in_the_middle(whole, stopped):
    """Leave in one folder of checkpoints what was in the other after step 2."""
    stopped.mkdir(parents=True)
    shutil.copy(whole / HALF, stopped / HALF)


def final(made):
    return {
        variable.path: keras.ops.convert_to_numpy(variable) for variable in made.model.variables
    }


def assert_same(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name, expected in theirs.items():
        np.testing.assert_array_equal(ours[name], expected, err_msg=name)


@pytest.mark.parametrize("method", BY_STEPS)
def test_goes_on_in_the_middle_of_a_pass(method, home, tmp_path, request):
    if method != "full":  # one is enough to see that graphs change nothing
        request.getfixturevalue("eagerly")
    train, options, data = prepared(home, tmp_path, method)
    assert data.steps == 4
    whole, course, _ = train(options, data, out=tmp_path / "whole")
    weights = final(whole)
    stop_in_the_middle(*(tmp_path / name / CHECKPOINTS for name in ("whole", "stopped")))
    again, course_again, _ = train(options, data, out=tmp_path / "stopped")
    assert_same(final(again), weights)
    assert course_again.step == course.step == 4
    for row in (*course.history, *course_again.history):
        row.pop("images_per_second", None)
    assert course_again.history == course.history


def test_alpha_is_chosen_as_if_its_training_had_not_stopped(home, tmp_path, eagerly):
    train, *given = prepared(home, tmp_path, "zero-shot-head")
    trained = []

    def fit(*args, **options):
        trained.append(train(*args, **options))
        return trained[-1]

    choose = partial(wise_ft.choose_alpha, fit, *given, devices=1)
    found = choose(directory=tmp_path / "whole")
    assert found["seconds"] > trained[0][1].seconds  # with those of the curve
    assert not list(tmp_path.rglob("*tfevents*"))  # nobody looks at this training
    stop_in_the_middle(*(tmp_path / name / CHECKPOINTS for name in ("whole", "stopped")))
    again = choose(directory=tmp_path / "stopped")
    assert choose(directory=tmp_path / "stopped") == again  # from the file
    for each in (found, again):
        each.pop("seconds")
    assert again == found


def test_alpha_of_few_classes_is_half(capsys, tmp_path):
    """They are too few to set some aside; nothing more is trained."""
    data = SimpleNamespace(parts=class_split.Parts((0, 1), (), (0, 1, 2), (3,), ()))
    found = wise_ft.choose_alpha(None, None, data, directory=tmp_path, devices=1)
    assert found == {
        "chosen": 0.5,
        "classes": [],
        "curve": [],
        "offset": 0.0,
        "right": [],
        "seconds": 0.0,
    }
    assert "2 classes are too few" in capsys.readouterr().out
