"""What a comparison's methods are predicted to take, and what a budget leaves of them."""

from types import SimpleNamespace

import pytest
from tiny_models import clip

import dual_encoder
from pipelines.comparison.jobs import budget
from pipelines.costs import flops
from pipelines.methods.registry import METHODS

pytestmark = pytest.mark.usefixtures("all_eagerly")

MANIFEST = SimpleNamespace(
    class_names=["cat", "dog"],
    split=lambda name: SimpleNamespace(count={"train": 1000, "test": 200}[name]),
)
SPEED = budget.Speed(flops=7.71e9, images_per_second=100.0)  # a tower as large as ResNet50


def options(**given):
    usual = {
        "model": "m",
        "seeds": [1, 2],
        "folds": 1,
        "epochs": 10,
        "test": "test",
        "image_size": None,
        "views": 1,
        "most_shots": 16,
    }
    usual |= {"serving_seconds": 0.0, "budget": None}
    return SimpleNamespace(**{**usual, **given})


def predicted(method, **given):
    return budget.predicted(method, options(**given), MANIFEST, SPEED, {})


def test_a_method_takes_what_its_network_computes():
    runs = budget.OVERHEAD + (3 * 10 * 1000 + 200) / 100
    assert predicted("fine-tune") == predicted("resnet50") == 2 * runs
    assert predicted("zero-shot") == budget.OVERHEAD + 2  # the test images, once
    half = predicted("resnet50", image_size=112) - 2 * budget.OVERHEAD
    assert half == pytest.approx((predicted("resnet50") - 2 * budget.OVERHEAD) / 4)
    served = predicted("resnet50", serving_seconds=2.0)
    assert served == predicted("resnet50") + budget.EXPORTING + 4


def test_what_fits_and_what_is_left_out():
    methods = ["efficientnet-b7", "fine-tune", "zero-shot"]
    given = options(budget="12m", methods=methods)
    taken, left_out = budget.within(given, MANIFEST, {}, speed=SPEED)
    assert taken == ["fine-tune", "zero-shot"]  # in the order asked for
    assert left_out == {"efficientnet-b7": "about 1.7 h, 54 s left"}
    with pytest.raises(ValueError, match="too little for any method; the cheapest needs about 22"):
        budget.within(options(budget="5s", methods=methods), MANIFEST, {}, speed=SPEED)


def test_views_are_embedded_once_for_all_rows_that_take_them():
    methods = ["zero-shot", "linear-probe", "text-probe"]
    plain, several = (
        budget.forecast(options(methods=methods, views=views), MANIFEST, {}, speed=SPEED)
        for views in (1, 4)
    )
    assert several[-1] == "  views         30 s, embedded once"  # 3 x 1,000 images
    assert [*several[1:-1]] == plain[1:]
    few = options(methods=["coop"], views=4)  # 16 images of 2 classes, 2 seeds
    assert budget.forecast(few, MANIFEST, {}, speed=SPEED)[-1].endswith(" 2 s, embedded once")
    none = options(methods=["zero-shot", "flyp"], views=4)
    assert "views" not in budget.forecast(none, MANIFEST, {}, speed=SPEED)[-1]


def test_a_dry_run_says_what_each_method_takes():
    given = options(budget="12m", methods=["efficientnet-b7", "fine-tune", "zero-shot"])
    assert budget.forecast(given, MANIFEST, {}, speed=SPEED) == [
        "methods: 2, predicted to take 11.1 min on this machine",  # 2 (20 + 302) + 22 s
        "  fine-tune        10.7 min",
        "  zero-shot        22 s",
        "  efficientnet-b7  left out (about 1.7 h, 54 s left)",
    ]
    folded = options(methods=["zero-shot"], folds=5)
    assert budget.forecast(folded, MANIFEST, {}, speed=SPEED) == [
        "methods: 1 in 5 folds, predicted to take 1.8 min on this machine",  # 5 (20 + 2) s
        "  zero-shot  1.8 min",
    ]


@pytest.mark.parametrize("name", ["resnet50", "from-scratch", "vit"])
def test_the_figures_of_the_table(name):
    row = METHODS[name]
    towers = {"vit": ("vit-base-16", {}), "resnet50": ("resnet50", {"weights": None})}
    tower, given = towers.get(name, (row.network, {}))
    tower = dual_encoder.image_tower(tower, image_size=row.image_size, **given)
    assert flops.counted(tower) == pytest.approx(row.flops, rel=0.01)


def test_the_speed_is_that_of_the_image_tower(tmp_path):
    model = clip()
    model.build()
    model.save(tmp_path / "clip.keras")
    speed = budget.measured_speed(str(tmp_path / "clip.keras"))
    assert speed.flops == flops.counted(model.image_tower) and speed.images_per_second > 0
