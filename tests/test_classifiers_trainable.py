"""What is trained and how fast: on real steps of real optimizers."""

import keras
import numpy as np
import pytest
from tiny_models import PIXELS, clip

import classifiers
import dual_encoder
from classifiers import averaged_weights, lora, recompute_activations, trainable
from dual_encoder.towers.convnext import ConvNeXt
from dual_encoder.towers.fastvit import FastViT
from dual_encoder.towers.rotary_transformer import RotaryTransformer
from dual_encoder.towers.swin import Swin
from duet import keras_private_api

NAMES = ["red cat", "blue dog", "café"]
LABELS = np.array([0, 1, 2])
PIXELS32 = np.random.default_rng(0).integers(256, size=(3, 32, 32, 3), dtype=np.uint8)


def classifier(seed=0, **options):
    keras.utils.set_random_seed(seed)
    return classifiers.from_model(clip(), classes=NAMES, **{"head": "zero-shot", **options})


def network(name, size):
    return classifiers.build(name, classes=3, weights=None, image_size=size)


def values(model):
    return {v.path: keras.ops.convert_to_numpy(v) for v in model.variables}


def changed(model, optimizer="sgd", steps=1):
    """Paths of the variables that training moves."""
    before = values(model)
    model.compile(optimizer)
    model.fit(PIXELS, LABELS, epochs=steps, verbose=0)
    return {path for path, value in values(model).items() if (value != before[path]).any()}


def resnet():
    tower = dual_encoder.ModifiedResNet(32, depths=(1, 2, 1, 1), width=8, heads=2, output_dim=12)
    return classifiers.from_model(tower, classes=3)


def fastvit():
    sizes = dict(depths=(1, 2), widths=(8, 32), mlp_ratio=2, layer_norm=True)
    return classifiers.from_model(FastViT(32, **sizes), classes=3)


def convnext():
    return classifiers.from_model(ConvNeXt(32, depths=(1, 2), widths=(8, 16)), classes=3)


def swin():
    sizes = dict(width=8, depths=(1, 2), heads=(2, 2), window=4)
    return classifiers.from_model(Swin(32, 2, **sizes), classes=3)


@pytest.mark.parametrize(
    ("make", "blocks"),
    [
        (classifier, 2),
        (resnet, 5),
        (fastvit, 3),
        (convnext, 3),
        (swin, 3),
        (lambda: network("convnet-tiny", 32), 4),
        (lambda: network("resnet50", 32), 16),
        (lambda: network("xception", 71), 14),
    ],
)
def test_stages_are_all_weights_in_order(make, blocks):
    model = make()
    stages = trainable.stages(model)
    assert len(stages) == blocks + 3  # stem, rest, head
    paths = [variable.path for stage in stages for variable in stage]
    assert sorted(paths) == sorted(v.path for v in model.trainable_variables)
    assert [v.path for v in stages[-1]] == [v.path for v in model.head.trainable_variables]


@pytest.mark.parametrize(("make", "halving"), [(convnext, "halving_1"), (swin, "merging_1")])
def test_what_lies_between_two_blocks_belongs_to_the_first(make, halving):
    stem, first, *_, rest, _ = trainable.stages(make())
    names = [[v.path.split("/")[-2] for v in stage] for stage in (stem, first, rest)]
    assert not {"last_norm", "norm_1", halving} & set(names[0])
    assert halving in names[1][-2:] and set(names[2]) == {"last_norm"}


def test_the_head_alone_has_fixed_features():
    """Of a tower with stochastic depth: dropout has no weights that could be frozen."""
    model = network("efficientnet-b0", 32)
    for variable in model.image_tower.trainable_variables:  # or all features are almost 0
        variable.assign(3 * variable)
    tuning_only(model, 0)
    found = [np.asarray(model.features(PIXELS32, training=True)) for _ in range(2)]
    np.testing.assert_array_equal(*found)
    np.testing.assert_array_equal(found[0], model.features(PIXELS32, training=False))
    trainable.thaw(model)
    found = [np.asarray(model.features(PIXELS32, training=True)) for _ in range(2)]
    assert (found[0] != found[1]).any()


def test_a_frozen_backbone_is_bit_equal_after_training(eagerly):
    moved = changed(tuning_only(classifier(), 0))
    assert sorted(path.split("/", 1)[1] for path in moved) == ["head/bias", "head/kernel"]


def tuning_only(model, last_blocks):
    trainable.train_only(model, last_blocks=last_blocks)
    return model


def test_the_last_block_and_what_follows_it():
    moved = changed(tuning_only(classifier(), 1), keras.optimizers.SGD(1.0))
    assert any("block_1/" in path for path in moved)
    assert any("norm_post" in path for path in moved)
    assert any("image_projection" in path for path in moved)
    assert not any(part in path for path in moved for part in ("block_0/", "positions", "patch"))


def test_frozen_batch_normalisation_keeps_its_statistics():
    model = network("convnet-tiny", 16)
    trainable.train_only(model, last_blocks=2)
    moved = changed(model)
    assert {p.split("/")[-2] for p in moved if "moving" in p} == {"norm_2", "norm_3"}
    trainable.thaw(model)
    assert {p.split("/")[-2] for p in changed(model) if "moving" in p} == {
        f"norm_{i}" for i in range(4)
    }


def test_batch_normalisation_that_has_learnt_is_kept_in_training_and_a_new_one_learns(eagerly):
    model = network("convnet-tiny", 16)
    norms = [
        layer
        for layer in keras_private_api.layers_of(model)
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    for layer in norms[:-1]:
        layer.moving_mean.assign(layer.moving_mean + 0.5)
    trainable.keep_batch_norms(model)
    moved = changed(model)
    (new,) = {path.rsplit("/", 1)[0] for path in moved if "moving" in path}
    assert new == norms[-1].path
    assert not any(layer.path in path for layer in norms[:-1] for path in moved)
    new_one = norms[-1]
    new_one.moving_mean.assign(new_one.moving_mean + 0.5)
    trainable.keep_batch_norms(model)
    as_in_use = np.asarray(model(PIXELS, training=False))
    np.testing.assert_allclose(model(PIXELS, training=True), as_in_use, rtol=1e-5)


@pytest.mark.parametrize("count", [-1, 3])
def test_more_blocks_than_there_are(count):
    with pytest.raises(ValueError, match=f"0 to the 2 blocks of the tower; got {count}"):
        trainable.train_only(classifier(), last_blocks=count)


def test_learning_rates_fall_towards_the_images(eagerly):
    model = classifier()
    scales = trainable.scales(model, layer_decay=0.5, head_multiplier=10)
    before = values(model)
    model.compile(classifiers.ScaledAdamW(1e-3, weight_decay=0.0, scales=scales))
    model.fit(PIXELS, LABELS, verbose=0)
    expected = {"head/kernel": 10, "norm_post/gamma": 1, "image_projection": 1, "positions": 0.125}
    expected |= {"block_1/norm_2/beta": 0.5, "block_0/norm_2/beta": 0.25}
    for part, factor in expected.items():
        path = next(path for path in before if part in path and "text" not in path)
        step = np.abs(values(model)[path] - before[path]).max()  # Adam's first is the rate
        assert step == pytest.approx(1e-3 * factor, rel=2e-2), path


def test_without_factors_the_optimizer_is_the_plain_one():
    results = []
    for make in (classifiers.ScaledAdamW, dual_encoder.AdamW):
        model = classifier()
        optimizer = make(1e-2, weight_decay=0.3)
        optimizer.exclude_from_weight_decay(var_names=["bias"])
        model.compile(optimizer)
        model.fit(PIXELS, LABELS, epochs=3, verbose=0, shuffle=False)
        results.append(model.get_weights())
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_weight_decay_shrinks_by_the_scaled_rate():
    variable = keras.Variable(np.ones(2, np.float32), name="kernel")
    bias = keras.Variable(np.ones(2, np.float32), name="bias")
    optimizer = classifiers.ScaledSGD(0.1, weight_decay=0.5, scales={variable.path: 4.0})
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    optimizer.apply([np.zeros(2, np.float32)] * 2, [variable, bias])
    np.testing.assert_allclose(variable, 1 - 0.1 * 4 * 0.5)
    np.testing.assert_allclose(bias, 1)


def test_the_optimizer_is_saved_with_its_factors(tmp_path, eagerly):
    model = classifier()
    scales = trainable.scales(model, layer_decay=0.5)
    model.compile(classifiers.ScaledAdamW(1e-3, scales=scales))
    model.fit(PIXELS, LABELS, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.optimizer.scales == scales


def test_averaged_weights_are_there_inside_and_gone_outside(eagerly):
    model = classifier()
    model.compile(classifiers.ScaledAdamW(1e-2, use_ema=True, ema_momentum=0.5))
    start = values(model)
    model.fit(PIXELS, LABELS, verbose=0)
    one = values(model)
    model.fit(PIXELS, LABELS, verbose=0)
    two, key = values(model), next(path for path in start if "head/kernel" in path)
    with averaged_weights(model):
        np.testing.assert_allclose(values(model)[key], 0.1 * one[key] + 0.9 * two[key], atol=1e-6)
    np.testing.assert_array_equal(values(model)[key], two[key])


@pytest.mark.parametrize("momentum", [0.999, 0.5])
def test_an_average_of_few_steps_is_not_the_first_weights(momentum):
    weight, expected = keras.Variable([0.0]), 0.0
    optimizer = classifiers.ScaledSGD(1.0, use_ema=True, ema_momentum=momentum)
    for step in range(60):
        optimizer.apply([keras.ops.ones((1,)) * -1.0], [weight])
        kept = min(step / (step + 9), momentum)
        expected = kept * expected + (1 - kept) * (step + 1)
    ((_, average),) = keras_private_api.averages(optimizer)
    assert float(average[0]) == pytest.approx(expected, rel=1e-4) and expected > 50
    assert optimizer.ema_momentum == momentum


def test_lora_trains_small_matrices_and_merges_them(eagerly):
    model = classifier()
    before = np.asarray(model(PIXELS))
    lora.add_lora(model, rank=2, alpha=4)
    np.testing.assert_allclose(model(PIXELS), before, atol=1e-6)  # B starts at zero
    moved = changed(model, keras.optimizers.SGD(0.5), steps=2)
    assert moved and all("lora" in path or "/head/" in path for path in moved)
    merged = lora.without_lora(model)
    np.testing.assert_allclose(merged(PIXELS), model(PIXELS), atol=1e-5)
    assert not any("lora" in variable.path for variable in merged.variables)
    assert merged.count_params() < model.count_params()
    with pytest.raises(ValueError, match="a tower of transformer blocks; this one has none"):
        lora.add_lora(network("convnet-tiny", 16), rank=2)


def test_lora_takes_the_matrices_of_convolutional_blocks_and_of_those_that_attend():
    model = fastvit()
    lora.add_lora(model, rank=2)
    found = {v.path.split("/", 2)[2] for v in model.trainable_variables if "lora" in v.name}
    assert len(found) == 2 * (2 + 4 + 4)  # two factors of each matrix
    assert {path.split("/")[0] for path in found} == {
        "stage_0_block_0", "stage_1_block_0", "stage_1_block_1"
    }  # fmt: skip


def test_lora_in_both_towers_starts_at_zero_shot_and_merges_into_a_dual_encoder():
    keras.utils.set_random_seed(0)
    dual = clip()
    templates = ["a {}", "the {}"]
    zero_shot = dual_encoder.class_texts(dual, NAMES, templates)
    model = classifiers.from_model(dual, NAMES, head="class-texts", templates=templates)
    lora.add_lora_to_both(model, rank=2)
    features = np.asarray(dual.encode_image(PIXELS))
    np.testing.assert_allclose(model(PIXELS), features @ zero_shot.T, atol=1e-4)
    moved = changed(model, keras.optimizers.SGD(0.5), steps=2)
    assert moved and all("lora" in path and "query_key_value" in path for path in moved)
    assert {path.split("/")[1].rstrip("_0123456789") for path in moved} >= {"text_transformer"}
    merged = lora.without_lora(dual)
    assert not any("lora" in variable.path for variable in merged.variables)
    texts = dual_encoder.class_texts(merged, NAMES, templates)
    assert not np.allclose(texts, zero_shot, atol=1e-3)
    np.testing.assert_allclose(model(PIXELS), merged.encode_image(PIXELS) @ texts.T, atol=1e-4)
    again = type(model).from_config(model.get_config())
    assert again.head.units == len(NAMES)


def rotary():
    keras.utils.set_random_seed(0)
    sizes = dict(width=8, depth=2, heads=2, mlp_dim=16, angles={"reference": 2})
    return classifiers.from_model(RotaryTransformer(16, 8, **sizes), classes=3)


@pytest.mark.parametrize("make", [classifier, rotary])
def test_recomputing_activations_gives_the_same_weights(make):
    trained = []
    for recompute in (False, True):
        model = make()
        if recompute:
            recompute_activations.recompute(model)
            calls = [block.call for block in model.image_tower.blocks]
            recompute_activations.recompute(model)  # once is enough
            assert calls == [block.call for block in model.image_tower.blocks]
        model.compile(keras.optimizers.SGD(1e-3))
        model.fit(PIXELS, LABELS, epochs=2, verbose=0, shuffle=False)
        trained.append(model.get_weights())
    for kept, recomputed in zip(*trained, strict=True):
        np.testing.assert_allclose(recomputed, kept, atol=1e-5)
    with pytest.raises(ValueError, match="transformer blocks; this one has none"):
        recompute_activations.recompute(network("convnet-tiny", 16))
    with pytest.raises(ValueError, match="blocks without dropout"):
        recompute_activations.recompute(
            classifiers.from_model(clip(image={"dropout": 0.1}), classes=3)
        )
