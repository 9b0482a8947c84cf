"""What a method costs: the rule behind Low, Medium and High, money, an export that is served."""

import io

import keras
import numpy as np
import pytest
from PIL import Image

import classifiers
import dual_encoder
from pipelines.costs import serving_measurement, training_costs
from pipelines.costs.training_costs import Training, level
from pipelines.deployment import saved_model
from pipelines.deployment.load_classifier import Deployable
from pipelines.runs import models

# The Food-101 study's Tables 1 and 2, ten epochs each: GFLOPs of an image forwards (35.1 of
# ViT-B/16, 8.8 of ViT-B/32, 5.9 of CLIP's text tower at 77 tokens), and what activations take:
# numbers in a batch's tokens, twelve blocks each.
VIT = Training(device_seconds=35.1, peak_bytes=256 * 197 * 768)
CLIP = Training(device_seconds=8.8 + 5.9, peak_bytes=2048 * (50 * 768 + 77 * 512))
ZERO_SHOT = Training(device_seconds=0, peak_bytes=256 * 50 * 768)


def test_table_5_of_the_food101_study():
    assert [level(each, VIT) for each in (VIT, ZERO_SHOT, CLIP)] == ["Medium", "Low", "High"]


def test_the_rule():
    reference = Training(100, 1000)
    assert level(Training(10, 5000), reference) == "Low"
    assert level(Training(11, 900), reference) == "Medium"
    assert level(Training(200, 2000), reference) == "Medium"
    assert level(Training(201, 900), reference) == "High"
    assert level(Training(50, 2001), reference) == "High"
    with pytest.raises(ValueError, match="took time and memory"):
        level(reference, ZERO_SHOT)


def test_training_is_read_off_a_run():
    spent = {"seconds": 50.0, "peak_rss_bytes": 7}
    run = {"cost": spent, "steps": 10, "devices": ["GPU:0", "GPU:1"]}
    assert training_costs.training_of(run) == Training(100.0, 7)
    assert training_costs.training_of({"cost": spent}) == Training(0.0, 7)


def test_money():
    assert training_costs.money(1800, price_per_hour=2.5) == 1.25
    assert training_costs.money_per_million(100.0, price_per_hour=3.6) == pytest.approx(10.0)
    with pytest.raises(ValueError, match="price per hour"):
        training_costs.money(1, -1)


def test_parameters_and_bytes(tmp_path):
    tower = dual_encoder.VisionTransformer(16, 8, width=8, depth=1, heads=2)
    model = classifiers.from_model(tower, classes=3)
    tower.trainable = False
    assert models.parameters(model) == {"trained": 27, "all": model.count_params()}
    (tmp_path / "inner").mkdir()
    (tmp_path / "a").write_bytes(bytes(10))
    (tmp_path / "inner" / "b").write_bytes(bytes(5))
    assert (
        serving_measurement.bytes_on_disk(tmp_path) == 15
        and serving_measurement.bytes_on_disk(tmp_path / "a") == 10
    )
    with pytest.raises(FileNotFoundError, match="nowhere"):
        serving_measurement.bytes_on_disk(tmp_path / "nowhere")


def test_an_export_is_served_in_a_process_of_its_own(tmp_path):
    keras.utils.set_random_seed(0)
    tower = dual_encoder.VisionTransformer(16, 8, width=8, depth=1, heads=2)
    model = classifiers.from_model(tower, classes=["a", "b"])
    saved_model.write(Deployable(model, ("a", "b"), (), False, "tiny"), tmp_path, top=1)
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((40, 50, 3), np.uint8)).save(buffer, "JPEG")
    found = serving_measurement.serving(
        tmp_path, [buffer.getvalue()], batch_sizes=(1, 4), seconds=0.5
    )
    assert found["load_seconds"] > 0 and 5e7 < found["peak_rss_bytes"] < 5e9
    assert list(found["batches"]) == ["1", "4"]
    for size, row in found["batches"].items():
        assert row["requests"] >= 5 and 0 < row["latency_p50_ms"] <= row["latency_p95_ms"]
        assert row["processors"] > 0
        mean = 1000 * int(size) / row["images_per_second"]
        assert mean * row["requests"] >= row["latency_p95_ms"]
    with pytest.raises(ValueError, match="got none"):
        serving_measurement.serving(tmp_path, [])
    with pytest.raises(FileNotFoundError, match="no SavedModel in"):
        serving_measurement.serving(tmp_path / "nowhere", [b"JPEG"])
