"""A saved model has the same weights frozen when it is loaded."""

import keras
import numpy as np
from tiny_models import PIXELS

import classifiers
import dual_encoder
from classifiers import trainable
from dual_encoder.training import saved_frozen_flags

LABELS = np.array([0, 1, 2])


def trained(path, freeze):
    """A classifier with layers that its tower makes itself, saved with its optimizer."""
    model = classifiers.build("convnet-tiny", classes=3, weights=None, image_size=16)
    freeze(model)
    model.compile("adamw")
    model.fit(PIXELS, LABELS, verbose=0)
    model.save(path)
    return model


def flags(model):
    return [weight.trainable for weight in model.weights]


def test_layers_and_weights_stay_frozen_and_the_optimizer_fits(tmp_path):
    def freeze(model):
        trainable.train_only(model, last_blocks=2)
        trainable.freeze(model, model.head.trainable_variables[-1:])

    model = trained(tmp_path / "model.keras", freeze)
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert flags(loaded) == flags(model) and 1 < sum(flags(model)) < len(flags(model))
    for ours, theirs in zip(loaded.optimizer.variables, model.optimizer.variables, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    mine, same = (np.asarray(each(PIXELS, training=True)) for each in (model, loaded))
    np.testing.assert_allclose(same, mine, atol=1e-6)  # norms that are frozen keep to statistics
    trainable.thaw(loaded)
    assert len(loaded.trainable_variables) > len(model.trainable_variables)


def test_a_model_with_nothing_frozen_has_the_configuration_of_keras(tmp_path):
    model = trained(tmp_path / "model.keras", lambda model: None)
    assert saved_frozen_flags.frozen(model) == []
    assert "frozen" not in (model.get_build_config() or {})


def test_what_was_frozen_in_other_layers_freezes_nothing():
    model = dual_encoder.load("shapes-tiny")
    before = flags(model)
    found = {"place": 1, "name": "another", "whole": True, "weights": [0]}
    saved_frozen_flags.freeze(model, [found, {**found, "place": 10_000}])
    assert flags(model) == before
