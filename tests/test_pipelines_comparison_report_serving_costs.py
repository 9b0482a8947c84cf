"""What the methods of a comparison cost to run: measured once, shared, kept, and never fatal."""

import keras
import pytest
from colours import NAMES
from tiny_models import clip

import classifiers
from pipelines.comparison.comparison_settings import About
from pipelines.comparison.report import serving_cost_table, serving_costs
from pipelines.costs import flops, training_costs
from pipelines.reporting import number_format as reporting_text

BATCH = {"images_per_second": 250.0, "latency_p50_ms": 4.0, "latency_p95_ms": 5.25, "requests": 9}
SERVED = {
    "bytes": 1234,
    "load_seconds": 0.5,
    "peak_rss_bytes": 10**9,
    "batches": {"1": BATCH, "32": BATCH},
}


@pytest.fixture
def served(monkeypatch):
    """The image sizes of the networks that would have been exported and served."""
    sizes = []

    def serve(found, about):
        sizes.append(found.image_size)
        return SERVED

    monkeypatch.setattr(serving_costs, "_served", serve)
    return sizes


def finished(out, method, model=None):
    """The folder of a method's results, with a model if it leaves one."""
    cell = out / "runs" / method
    cell.mkdir(parents=True)
    if model is not None:
        model.save(cell / "model.keras")
    return cell


def tuned(**options):
    return classifiers.from_model(clip(**options), classes=list(NAMES))


def measure(home, out, cells, *, seconds=1.0):
    """What is measured of methods by their folders, one after the other."""
    about = About(
        out=out,
        data=str(home / "records"),
        split="test",
        model=str(home / "clip.keras"),
        names=NAMES,
        shots=2,
        methods=tuple(cells),
        seconds=seconds,
    )
    return {name: serving_costs.keep(name, about, cell=cell) for name, cell in cells.items()}


def test_methods_with_one_network_are_measured_once(home, tmp_path, served):
    dual = clip()
    dual.build()
    cells = {
        "zero-shot": finished(tmp_path, "zero-shot"),
        "fine-tune": finished(tmp_path, "fine-tune", tuned()),
        "flyp": finished(tmp_path, "flyp", dual),
        "from-scratch": finished(tmp_path, "from-scratch", tuned(image={"width": 16})),
    }
    found = measure(home, tmp_path, cells)
    likes = {name: row["like"] for name, row in found.items()}
    assert likes == {
        "zero-shot": None,
        "fine-tune": "zero-shot",
        "flyp": "zero-shot",
        "from-scratch": None,
    }
    assert len(served) == 2
    model = keras.saving.load_model(cells["fine-tune"] / "model.keras")
    row = found["fine-tune"]
    assert (row["flops"], row["image_size"]) == (flops.counted(model), 16)
    assert row["parameters"] == model.count_params() and row["bytes"] == 1234
    assert found["flyp"]["parameters"] == found["zero-shot"]["parameters"]


def test_a_cache_of_images_has_flops_and_a_reason(home, tmp_path, served):
    cells = {name: finished(tmp_path, name) for name in ("zero-shot", "tip-adapter")}
    found = measure(home, tmp_path, cells)
    keys, width, classes = 2 * len(NAMES), 6, len(NAMES)
    more = found["tip-adapter"]["flops"] - found["zero-shot"]["flops"]
    assert more == 2 * keys * width + 2 * keys * classes
    assert found["tip-adapter"]["batches"] is None
    assert found["tip-adapter"]["note"] == "its cache of images cannot be exported"


def test_the_model_that_a_run_left_is_measured_and_none_is_loaded(home, tmp_path, served):
    about = About(tmp_path, str(home / "records"), "test", "no such model", NAMES, 2, ("vit",), 1.0)
    row = serving_costs.keep("vit", about, cell=tmp_path, model=tuned())
    assert row["note"] is None and row["bytes"] == 1234
    missing = serving_costs.keep("flyp", about, cell=tmp_path)
    assert missing["note"].startswith("not measured: ")


def test_what_fails_is_a_note_and_tried_again(home, tmp_path, monkeypatch):
    cells = {"zero-shot": finished(tmp_path, "zero-shot")}

    def fails(found, about):
        raise RuntimeError("no room\nat all")

    monkeypatch.setattr(serving_costs, "_served", fails)
    row = measure(home, tmp_path, cells)["zero-shot"]
    assert row["note"] == "not measured: no room" and row["flops"] > 0 and row["bytes"] is None
    monkeypatch.setattr(serving_costs, "_served", lambda found, about: SERVED)
    assert measure(home, tmp_path, cells)["zero-shot"]["note"] is None


def test_what_was_measured_is_kept(home, tmp_path, served):
    cells = {"zero-shot": finished(tmp_path, "zero-shot")}
    first = measure(home, tmp_path, cells)
    assert measure(home, tmp_path, cells) == first and len(served) == 1
    nothing = measure(home, tmp_path, cells, seconds=0.0)["zero-shot"]
    assert len(served) == 1 and nothing["batches"] is None and nothing["flops"] > 0
    measure(home, tmp_path, cells, seconds=2.0)
    assert len(served) == 2


def test_what_was_measured_beside_other_programs_is_said():
    def remark(*processors, like=None):
        batches = {str(i): {**BATCH, "processors": each} for i, each in enumerate(processors)}
        return serving_cost_table.remark({"note": None, "like": like, "batches": batches})

    busy = "slowed down by other programs"
    assert remark(1.6, 0.95) == "" and remark(1.6, 0.3) == busy
    assert remark(0.3, like="zero-shot") == f"measured as zero-shot; {busy}"


def test_the_table(home):
    own = {"image_size": 16, "flops": 77_322_752, "parameters": 543_328, "like": None, "note": None}
    row = {"error": None, "trained_parameters": 0.0, "price_per_million": None}
    rows = [
        {"method": "zero-shot", **row, "deployed": {**own, **SERVED}},
        {"method": "auto", **row, "deployed": {**own, **SERVED, "like": "zero-shot"}},
        {"method": "vit", **row, "deployed": None},
    ]
    made = serving_cost_table.table(rows)
    assert [each["method"] for each in made["rows"]] == ["zero-shot", "auto"]
    assert "A million" not in made["headings"]  # nobody gave a price
    cells = ["77.3 M", "543 k", "0", "1.2 kB", "250", "4.0 / 5.2", "4.0 / 5.2"]
    assert made["rows"][0]["cells"] == cells
    assert made["rows"][1]["remark"] == "measured as zero-shot"
    assert serving_cost_table.table(rows[2:]) is None
    assert serving_cost_table.flat(rows[2])["deployed_flops"] is None
    rows[0]["price_per_million"] = training_costs.money_per_million(250, 3.6)
    assert [each["cells"][-1] for each in serving_cost_table.table(rows)["rows"]] == [
        "4.00",
        reporting_text.DASH,
    ]
