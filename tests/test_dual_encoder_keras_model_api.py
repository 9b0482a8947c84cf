"""Habits of people who know Keras, on every model of Duet: what they type works or is refused in
one line."""

import copy
import pickle

import keras
import numpy as np
import pytest
import tensorflow as tf

import classifiers
import dual_encoder
from dual_encoder import CoOp, DualEncoder, ImageEncoder, ZeroShotClassifier
from dual_encoder.checkpoints.model_card import model_card
from dual_encoder.variable_names import named_variables
from duet import unit_rows

SIZE, NAMES = 16, ["red star", "blue ring", "old cat"]
TEXTS = [f"a {name}" for name in NAMES]
rng = np.random.default_rng(0)
IMAGES = rng.integers(256, size=(10, SIZE, SIZE, 3), dtype=np.uint8)
LABELS = np.arange(10, dtype=np.int32) % 3
TOKENIZER = dual_encoder.Tokenizer.learn(TEXTS, context_length=8)
TOKENS = TOKENIZER([TEXTS[label] for label in LABELS], length=8)
PAIRS = {"image": IMAGES, "token_ids": TOKENS}
SMALL = {"width": 8, "depth": 1, "heads": 2}


def image_tower():
    return dual_encoder.VisionTransformer(SIZE, 8, **SMALL)


def text_tower(**options):
    sizes = {**SMALL, **options, "end_id": TOKENIZER.end_id}
    return dual_encoder.TextTransformer(TOKENIZER.vocabulary_size, 8, **sizes)


def pairs_model(kind=DualEncoder):
    return kind(image_tower(), text_tower(), embed_dim=4, tokenizer=TOKENIZER)


def classifier():
    # Networks converted from PyTorch have names that no SavedModel takes.
    head = keras.layers.Dense(3, name="_head")
    return classifiers.ImageClassifier(image_tower(), head, class_names=NAMES)


def zero_shot():
    return ZeroShotClassifier.from_names(pairs_model(), NAMES, ["a {}"])


def coop():
    return CoOp(pairs_model(), NAMES, n_ctx=2)


EMBEDDINGS = rng.normal(size=(10, 4)).astype("float32")
MODELS = {
    "dual": (pairs_model, PAIRS),
    "classifier": (classifier, IMAGES),
    "zero-shot": (zero_shot, IMAGES),
    "coop": (coop, EMBEDDINGS),
}
IMAGE_MODELS = {name: MODELS[name] for name in ("dual", "classifier", "zero-shot")}


def each(models):
    return pytest.mark.parametrize("make, x", models.values(), ids=models)


def numbers(outputs):
    return np.concatenate([np.asarray(part) for part in keras.tree.flatten(outputs)])


def weighted(batch, **options):
    """Ten images in batches of equal size, the last one filled up with rows of weight 0."""
    rows = np.arange(-(-10 // batch) * batch) % 10
    weight = (np.arange(len(rows)) < 10).astype("float32")
    data = {key: value[rows] for key, value in PAIRS.items()}, LABELS[rows], weight
    return tf.data.Dataset.from_tensor_slices(data).batch(batch, drop_remainder=True, **options)


# --- Before the first batch -------------------------------------------------------------------


@pytest.mark.parametrize("make", [pairs_model, classifier])
def test_there_are_weights_before_the_first_batch(make, tmp_path, capsys):
    model = make()
    model.summary()
    assert f"{model.count_params():,}" in capsys.readouterr().out
    model.save_weights(tmp_path / "a.weights.h5")
    again = make()
    again.load_weights(tmp_path / "a.weights.h5")
    for variable, expected in zip(again.variables, model.variables, strict=True):
        np.testing.assert_array_equal(variable, expected)
    compiled = make()
    compiled.compile("sgd")
    assert compiled.built
    saved = make()
    saved.save(tmp_path / "a.keras")
    loaded = keras.saving.load_model(tmp_path / "a.keras")
    for ours, theirs in zip(saved.variables, loaded.variables, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_backup_and_restore_begins_before_the_first_batch(tmp_path):
    model = pairs_model()
    model.compile("sgd", run_eagerly=True)
    backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
    history = model.fit(PAIRS, LABELS, batch_size=5, verbose=0, callbacks=[backup])
    assert np.isfinite(history.history["loss"]).all()


# --- fit --------------------------------------------------------------------------------------

COMPILED = {
    "dual": {"run_eagerly": True},
    "classifier": {"steps_per_execution": 2, "metrics": ["accuracy"]},
    "zero-shot": {"run_eagerly": True, "metrics": ["accuracy"]},
    "coop": {"jit_compile": True},
}


@pytest.mark.parametrize("name", ["dual", "classifier", "coop"])
def test_fits_numpy_arrays(name):
    make, x = MODELS[name]
    model = make()
    model.compile("sgd", **COMPILED[name])
    history = model.fit(x, LABELS, batch_size=5, epochs=2, verbose=0).history
    assert len(history["loss"]) == 2 and np.isfinite(history["loss"]).all()


def test_zero_shot_evaluates_numpy_arrays():
    model = zero_shot()
    model.compile(**COMPILED["zero-shot"])
    _, accuracy = model.evaluate(IMAGES, LABELS, batch_size=5, verbose=0)
    assert accuracy == pytest.approx(np.mean(np.argmax(model(IMAGES), axis=-1) == LABELS))


def test_a_dual_encoder_takes_pairs_as_a_tuple():
    model = pairs_model()
    expected = model(PAIRS)
    outputs = model((IMAGES, TOKENS))
    np.testing.assert_array_equal(outputs["text"], expected["text"])
    model.compile("sgd", run_eagerly=True)
    model.fit((IMAGES, TOKENS), LABELS, batch_size=5, verbose=0)


@pytest.mark.parametrize("mode", ["int", "categorical"])
def test_a_classifier_takes_labels_of_both_modes(tmp_path, mode):
    for name, image in zip("aabbcc", IMAGES, strict=False):
        (tmp_path / name).mkdir(exist_ok=True)
        keras.utils.save_img(tmp_path / name / f"{len(list(tmp_path.rglob('*.png')))}.png", image)
    options = {"label_mode": mode, "batch_size": 6, "verbose": False}
    model = classifier()
    model.compile("sgd", metrics=["accuracy"], run_eagerly=True)
    read = keras.utils.image_dataset_from_directory
    model.fit(read(tmp_path, image_size=(SIZE, SIZE), **options), verbose=0)
    logits = model.predict(
        read(tmp_path, image_size=(SIZE, SIZE), shuffle=False, **options), verbose=0
    )
    scores = model.evaluate(
        read(tmp_path, image_size=(SIZE, SIZE), shuffle=False, **options), verbose=0
    )
    chosen = logits[np.arange(6), np.arange(6) // 2]
    expected = np.mean(np.log(np.exp(logits).sum(-1)) - chosen)
    np.testing.assert_allclose(scores[0], expected, rtol=1e-5)
    with pytest.raises(
        ValueError, match=r"^images: expected pixels \[b, 16, 16, 3\].*got \[None, 24, 24"
    ):
        model.fit(read(tmp_path, image_size=(24, 24), **options), verbose=0)


def test_a_loss_and_an_accuracy_of_a_dual_encoder_are_refused():
    with pytest.raises(ValueError, match="loss: a dual encoder has its own, 'contrastive'"):
        pairs_model().compile("sgd", loss="mse")
    with pytest.raises(ValueError, match="metrics: the outputs of a dual encoder are embeddings"):
        pairs_model().compile("sgd", metrics=["accuracy"])
    model = pairs_model()
    model.compile("sgd")
    with pytest.raises(ValueError, match=r"in batches \(x, y\); got TensorSpec$"):
        model.fit(tf.data.Dataset.from_tensor_slices((IMAGES, TOKENS)).batch(5))


def test_class_weights_go_with_the_weights_of_padding():
    model = classifier()
    model.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
    model.fit(weighted(8), class_weight={0: 4.0}, verbose=0)
    logits = model(IMAGES)
    losses = keras.losses.sparse_categorical_crossentropy(LABELS, logits, from_logits=True)
    expected = np.mean(np.asarray(losses) * np.where(LABELS == 0, 4.0, 1.0))
    np.testing.assert_allclose(model.history.history["loss"], [expected], rtol=1e-5)


class Clipped(DualEncoder):
    """A model with a step of its own, as Keras' guide writes it."""

    def train_step(self, data):
        return {**super().train_step(data), "mine": 1.0}


def test_a_training_step_of_ones_own_is_used():
    model = pairs_model(Clipped)
    model.compile("sgd", run_eagerly=True)
    assert model.fit(PAIRS, LABELS, batch_size=5, verbose=0).history["mine"] == [1.0]


def test_models_are_made_again_by_a_function_of_hyperparameters():
    def build_model(rate):
        model = classifier()
        model.compile(keras.optimizers.Adam(rate), metrics=["accuracy"], run_eagerly=True)
        return model

    found = []
    for rate in (1e-3, 1e-2):  # as a tuner does
        keras.utils.set_random_seed(0)
        model = build_model(rate)
        history = model.fit(IMAGES, LABELS, validation_split=0.2, verbose=0, batch_size=8)
        found.append(history.history["val_loss"][-1])
    assert np.isfinite(found).all() and found[0] != found[1]


# --- Rows that count --------------------------------------------------------------------------


@pytest.mark.parametrize("make", [classifier, zero_shot])
def test_the_loss_does_not_depend_on_the_size_of_batches(make):
    model = make()
    model.compile("sgd", metrics=["accuracy"])
    found = [model.evaluate(weighted(batch), verbose=0) for batch in (2, 4, 8, 16)]
    losses = keras.losses.sparse_categorical_crossentropy(LABELS, model(IMAGES), from_logits=True)
    np.testing.assert_allclose([loss for loss, _ in found], float(np.mean(losses)), rtol=1e-5)
    assert len({accuracy for _, accuracy in found}) == 1


def test_the_training_loss_and_its_gradient_leave_padding_out():
    whole, padded = (classifier() for _ in range(2))
    padded.built_now(), whole.built_now()
    padded.set_weights(whole.get_weights())
    for model, data in ((whole, weighted(10)), (padded, weighted(16))):
        model.compile(keras.optimizers.SGD(0.1), run_eagerly=True)
        model.fit(data, verbose=0)
    assert whole.history.history["loss"] == pytest.approx(padded.history.history["loss"])
    for a, b in zip(whole.get_weights(), padded.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


@each(IMAGE_MODELS)
def test_predictions_are_as_many_as_images(make, x):
    model = make()
    found = model.predict(weighted(8), verbose=0)
    expected = model.predict(PAIRS if isinstance(x, dict) else x, verbose=0)
    for ours, theirs in zip(keras.tree.flatten(found), keras.tree.flatten(expected), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


@keras.saving.register_keras_serializable("test")
class MeanColor(keras.layers.Layer):
    """The smallest thing that is an image tower."""

    image_size, output_dim = SIZE, 3

    def build(self, input_shape=None):
        self.built = True

    def call(self, image, training=None):
        return keras.ops.mean(keras.ops.cast(image, "float32"), axis=(1, 2)) / 255


def test_a_tower_of_ones_own_needs_no_more_than_its_sizes(tmp_path, eagerly):
    model = DualEncoder(MeanColor(), text_tower(), embed_dim=4, tokenizer=TOKENIZER)
    assert model.preprocessing == {"image_size": SIZE}
    model.save(tmp_path / "model.keras")
    again = dual_encoder.load(tmp_path / "model.keras")
    saved, loaded = named_variables(model), named_variables(again)
    assert list(loaded) == list(saved)
    for name, value in saved.items():
        np.testing.assert_array_equal(loaded[name], value, err_msg=name)
    assert again.preprocessing == model.preprocessing
    assert again.tokenizer.get_config() == model.tokenizer.get_config()
    assert dual_encoder.fingerprint(again) == dual_encoder.fingerprint(model)
    assert "| Pixels of a side | 16 |" in model_card(again, "me/mine")


def test_any_layer_is_a_head():
    head = keras.Sequential([keras.layers.Dense(8, "relu"), keras.layers.Dense(3)])
    model = ImageEncoder(image_tower(), head=head)
    assert model.compute_output_shape((None, SIZE, SIZE, 3)) == (None, 3)
    x = keras.Input((SIZE, SIZE, 3))
    assert model(x).shape == (None, 3)


# --- Saving, exporting, quantizing ------------------------------------------------------------


@each(MODELS)
def test_exports_without_a_call(make, x, tmp_path):
    model = make()
    model.export(tmp_path / "saved", verbose=False)
    served = tf.saved_model.load(tmp_path / "saved")
    floats = keras.tree.map_structure(
        lambda a: a.astype("float32") if a.dtype == np.uint8 else a, x
    )
    np.testing.assert_allclose(numbers(served.serve(floats)), numbers(model(x)), atol=1e-5)


@pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated")
def test_exports_for_phones(tmp_path):
    model = ImageEncoder(image_tower())
    model.export(tmp_path / "model.tflite", format="litert", verbose=False)
    interpreter = tf.lite.Interpreter(str(tmp_path / "model.tflite"))
    run = interpreter.get_signature_runner()
    (output,) = run(**dict.fromkeys(run.get_input_details(), IMAGES[:1].astype("float32"))).values()
    np.testing.assert_allclose(output, model(IMAGES[:1]), atol=1e-4)


@pytest.mark.filterwarnings("ignore")  # of tf2onnx, under NumPy 2
def test_exports_for_onnx(tmp_path):
    """GELU is made of an operator that tf2onnx does not know."""
    pytest.importorskip("tf2onnx", reason="tf2onnx is not installed")
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    reference = pytest.importorskip("onnx.reference")
    model = classifier()
    model.export(tmp_path / "model.onnx", format="onnx", verbose=False)
    exported = onnx.load(tmp_path / "model.onnx")
    onnx.checker.check_model(exported)
    inputs = {exported.graph.input[0].name: IMAGES.astype("float32")}
    (output,) = reference.ReferenceEvaluator(exported).run(None, inputs)
    np.testing.assert_allclose(output, model(IMAGES), atol=1e-4)


def test_a_model_of_images_and_texts_is_refused_for_onnx(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    with pytest.raises(ValueError, match="takes no model of images and texts; export a Zero"):
        pairs_model().export(tmp_path / "model.onnx", format="onnx")


@pytest.mark.parametrize("kind", ["onnx", "openvino"])
def test_formats_whose_packages_are_missing_say_so(kind, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=rf"export to {kind} needs the package \w+: pip install"):
        classifier().export(tmp_path / "model", format=kind)


@each(IMAGE_MODELS)
def test_a_quantized_model_loads_again(make, x, tmp_path, eagerly):
    model = make()
    model.built_now()
    model.quantize("int8")
    expected = numbers(model(x))
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(numbers(again(x)), expected, atol=1e-6)


def clip_resnet():
    tower = dual_encoder.ModifiedResNet(64, depths=[1] * 4, width=8, heads=2, output_dim=16)
    return ImageEncoder(tower)


def siglip():
    return ImageEncoder(dual_encoder.VisionTransformer(64, 16, **SMALL, pooling="attention"))


def vit():
    return ImageEncoder(dual_encoder.VisionTransformer(64, 16, **SMALL))


@pytest.mark.parametrize("make", [vit, siglip, clip_resnet])
@pytest.mark.parametrize("mode", ["int8", "int4"])
def test_integers_give_nearly_what_fractions_gave(make, mode):
    """The last block and the poolings ask with one query, by the kernels themselves."""
    keras.utils.set_random_seed(0)
    model, draws = make(), np.random.default_rng(0)
    images = draws.integers(256, size=(8, 64, 64, 3), dtype=np.uint8)
    model.built_now()
    for variable in model.trainable_variables:
        if variable.name == "kernel":
            variable.assign(draws.normal(0, variable.shape[-2] ** -0.5, variable.shape))
    before = unit_rows.unit(numbers(model.encode_image(images)))
    model.quantize(mode)
    after = unit_rows.unit(numbers(model.encode_image(images)))
    assert np.median((before * after).sum(axis=1)) > {"int8": 0.995, "int4": 0.9}[mode]


@pytest.mark.parametrize("make, x", [(pairs_model, PAIRS), (classifier, IMAGES)])
def test_low_rank_changes_of_the_whole_model(make, x, tmp_path, eagerly):
    model = make()
    model.enable_lora(2)
    changed = [v.path for v in model.trainable_variables if "tower" in v.path or "block" in v.path]
    assert changed and all("lora" in path for path in changed)
    model.compile("sgd", run_eagerly=True)
    model.fit(x, LABELS, batch_size=5, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(numbers(again(x)), numbers(model(x)), atol=1e-5)
    with pytest.raises(ValueError, match="enable_lora: expected a tower with dense matrices"):
        coop().enable_lora(2)


CHANGES = {"lora": lambda model: model.enable_lora(2), "int8": lambda model: model.quantize("int8")}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_was_compiled_before_follows_low_rank_changes_and_quantization(change):
    """Graphs hold the weights that a layer had when they were traced."""
    model = pairs_model()
    named = ZeroShotClassifier.from_names(model, NAMES, ["a {}"])
    named.compile(metrics=["accuracy"])
    model.encode_image(IMAGES)
    model.encode_text(TOKENS)
    named.predict(IMAGES, verbose=0)
    named.evaluate(IMAGES, LABELS, verbose=0)
    change(model)
    for variable in model.variables:
        if "lora" in variable.path:
            variable.assign(rng.normal(size=variable.shape))
    expected = model(PAIRS)
    np.testing.assert_allclose(model.encode_image(IMAGES), expected["image"], atol=1e-3)
    np.testing.assert_allclose(model.encode_text(TOKENS), expected["text"], atol=1e-3)
    np.testing.assert_allclose(named.predict(IMAGES, verbose=0), named(IMAGES), atol=2e-2)
    loss = keras.losses.sparse_categorical_crossentropy(LABELS, named(IMAGES), from_logits=True)
    found, _ = named.evaluate(IMAGES, LABELS, verbose=0)
    np.testing.assert_allclose(found, np.mean(loss), atol=2e-2)


def test_training_does_not_go_on_with_weights_that_were_replaced():
    model = classifier()
    model.compile("sgd")
    model.fit(IMAGES, LABELS, verbose=0)
    model.enable_lora(2)
    with pytest.raises(
        ValueError, match=r"enable_lora or quantize has replaced weights .* compile"
    ):
        model.fit(IMAGES, LABELS, verbose=0)
    model.compile("sgd")
    frozen = [np.array(each) for each in model.image_tower.non_trainable_variables]
    model.fit(IMAGES, LABELS, verbose=0)
    for before, after in zip(frozen, model.image_tower.non_trainable_variables, strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("rank", [0, -1, 2.5, "8", None])
def test_a_rank_that_is_none_is_refused_before_anything_is_frozen(rank):
    model = classifier()
    with pytest.raises(ValueError, match="rank: expected a whole number of 1 or more; got"):
        model.enable_lora(rank)
    model.built_now()
    assert len(model.trainable_variables) == len(model.variables)


def test_low_rank_changes_come_once():
    model = classifier()
    model.enable_lora(np.int64(2))
    with pytest.raises(ValueError, match="enable_lora: expected a model without LoRA; this has it"):
        model.enable_lora(2)


@each(IMAGE_MODELS)
def test_copies_have_the_weights_of_the_original(make, x):
    model = make()
    for again in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):  # our own
        np.testing.assert_array_equal(numbers(again(x)), numbers(model(x)))


def test_a_copy_made_before_texts_were_read_has_the_same_text_tower():
    model = pairs_model()
    model.encode_image(IMAGES)
    again = copy.deepcopy(model)
    np.testing.assert_allclose(again.encode_text(TOKENS), model.encode_text(TOKENS), atol=1e-6)


def test_a_configuration_can_be_used_twice():
    config = pairs_model().get_config()
    first, second = DualEncoder.from_config(config), DualEncoder.from_config(config)
    assert first.count_params() == second.count_params()


@pytest.mark.parametrize("name", ["model.h5", "model.hdf5", "model.weights.h5"])
def test_a_file_that_no_model_loads_from_is_not_written(name, tmp_path):
    with pytest.raises(ValueError, match=r"save: expected a file that ends in \.keras; got .*h"):
        classifier().save(tmp_path / name)
    assert not list(tmp_path.iterdir())


OTHER_INPUTS = {
    "other keys": ({"images": IMAGES}, r"a dict with \"image\"; got keys \['images'\]"),
    "a list of images": (list(IMAGES), "expected one array of images.*; got a list of 10"),
    "no image": (IMAGES[:0], "images: expected one or more; got none"),
}


@pytest.mark.parametrize("make", [classifier, zero_shot])
@pytest.mark.parametrize("x, message", OTHER_INPUTS.values(), ids=OTHER_INPUTS)
def test_other_inputs_of_image_models_are_refused(make, x, message):
    model = make()
    model.compile("sgd")
    for use in (model.predict, lambda x: model.evaluate(x, LABELS), lambda x: model.fit(x, LABELS)):
        with pytest.raises(ValueError, match=message) as error:
            use(x)
        assert "\n" not in str(error.value)


def test_a_dataset_of_unknown_shape_says_what_it_lacks():
    data = tf.data.Dataset.from_generator(
        lambda: zip(IMAGES, LABELS, strict=True), (tf.uint8, tf.int32)
    )
    model = classifier()
    model.compile("sgd")
    with pytest.raises(ValueError, match="got a tensor of unknown shape: give from_generator an"):
        model.fit(data.batch(2))


def test_prompts_take_embeddings_not_images():
    model = coop()
    model.compile("sgd")
    with pytest.raises(ValueError, match=r"embeddings: expected those of encode_image, \[b, 4\]"):
        model.fit(IMAGES, LABELS)


@each(IMAGE_MODELS)
def test_clones_have_the_same_architecture(make, x):
    model = make()
    clone = keras.models.clone_model(model)
    assert clone.count_params() == model.count_params()


@each(IMAGE_MODELS)
def test_a_model_of_a_configuration_takes_weights_at_once(make, x):
    model = make()
    again = type(model).from_config(model.get_config())
    again.set_weights(model.get_weights())
    np.testing.assert_array_equal(numbers(again(x)), numbers(model(x)))


def test_features_make_a_model_of_their_own():
    model = classifier().built_now()
    inputs = keras.Input((SIZE, SIZE, 3))
    extractor = keras.Model(inputs, model.features(inputs))
    np.testing.assert_allclose(
        extractor.predict(IMAGES, verbose=0), model.encode_image(IMAGES), atol=1e-5
    )


# --- What people hand over --------------------------------------------------------------------


@pytest.fixture(scope="module")
def model():
    return pairs_model().built_now()


def test_texts_are_encoded_as_they_are(model):
    expected = model.encode_text(TOKENIZER(TEXTS[:2]))
    np.testing.assert_allclose(model.encode_text(TEXTS[:2]), expected, atol=1e-6)
    np.testing.assert_allclose(model.encode_text(TEXTS[0]), expected[:1], atol=1e-6)
    np.testing.assert_allclose(model.encode_text(TOKENIZER(TEXTS[:2])[0]), expected[:1], atol=1e-6)
    with pytest.raises(ValueError, match="expected token ids, for the model has no tokenizer"):
        DualEncoder(image_tower(), text_tower()).encode_text("a star")
    with pytest.raises(ValueError, match=r"or token ids, int \[b, n\]; got float64"):
        model.encode_text(0.5)


def test_images_of_every_kind_are_encoded(model, tmp_path):
    from PIL import Image

    path = tmp_path / "image.png"
    Image.fromarray(IMAGES[0]).resize((30, 20)).save(path)
    with Image.open(path) as opened:
        image = opened.copy()
    kinds = [path, str(path), np.str_(path), image, np.asarray(image)]
    together = np.asarray(model.encode_image(kinds))
    np.testing.assert_allclose(together, np.repeat(together[:1], 5, axis=0), atol=1e-6)
    paths = np.array([str(path)] * 2)
    np.testing.assert_allclose(model.encode_image(paths), together[:2], atol=1e-6)
    for kind in kinds:
        np.testing.assert_allclose(model.encode_image(kind), together[:1], atol=1e-6)
    alone = model.encode_image(IMAGES[3])
    np.testing.assert_allclose(alone, model.encode_image(IMAGES)[3:4], atol=1e-6)
    np.testing.assert_allclose(model.encode_image(IMAGES[3].astype("float32")), alone, atol=1e-6)


def test_images_of_no_kind_are_refused(model, tmp_path):
    (tmp_path / "notes.jpg").write_text("no image")
    with pytest.raises(ValueError, match=r"notes\.jpg: not a readable image"):
        model.encode_image(tmp_path / "notes.jpg")
    with pytest.raises(FileNotFoundError, match=r"absent\.jpg"):
        model.encode_image("absent.jpg")
    with pytest.raises(ValueError, match=r"images: expected a file; .* is a folder"):
        model.encode_image(tmp_path)
    with pytest.raises(ValueError, match=r"expected a file; got 'http://a/b.jpg'; download it"):
        model.encode_image("http://a/b.jpg")
    with pytest.raises(ValueError, match=r"expected pixels \[b, 16, 16, 3\]; got \[2, 24, 24, 3\]"):
        model.encode_image(np.zeros((2, 24, 24, 3), "uint8"))
    with pytest.raises(ValueError, match=r"expected a path, a PIL image, an array.*got int"):
        model.encode_image(7)


@pytest.mark.parametrize("use", ["encode_image", "predict"])
def test_fractions_of_one_are_noticed(use):
    made = ImageEncoder(image_tower())
    with pytest.warns(UserWarning, match=r"expected pixels 0-255.*got floats of at most"):
        getattr(made, use)(IMAGES.astype("float32") / 255)


# --- Refused before anything is computed ------------------------------------------------------


@pytest.mark.parametrize("use", ["train_on_batch", "test_on_batch", "fit"])
def test_labels_and_images_of_a_batch_are_looked_at(use):
    model = classifier()
    model.compile("sgd", run_eagerly=True)
    call = getattr(model, use)
    with pytest.raises(ValueError, match=r"y: expected labels \[b\], 0 to 2 or .*; got 3$"):
        call(IMAGES, LABELS + 1)
    with pytest.raises(ValueError, match=r"^images: expected pixels \[b, 16, 16, 3\]"):
        call(IMAGES[:, :8], LABELS)
    with pytest.warns(UserWarning, match="expected pixels 0-255.*got floats of at most"):
        call(IMAGES / 255, LABELS)
    with pytest.raises(ValueError, match="images: expected finite pixels, 0-255; got NaN"):
        call(np.full(IMAGES.shape, np.nan), LABELS)


def test_images_of_a_batch_to_predict_are_looked_at():
    with pytest.raises(ValueError, match=r"^images: expected pixels \[b, 16, 16, 3\]"):
        classifier().predict_on_batch(IMAGES[:, :8])


VALIDATION = {
    "images": ((IMAGES[:, :8], LABELS), r"^validation_data: images: expected pixels \[b, 16"),
    "labels": ([IMAGES, LABELS + 1], r"^validation_data: y: expected labels .*; got 3$"),
}


@pytest.mark.parametrize("given, message", VALIDATION.values(), ids=VALIDATION)
def test_validation_data_is_refused_before_an_epoch_is_trained(given, message):
    model = classifier()
    model.compile("sgd", run_eagerly=True)
    before = model.get_weights()
    with pytest.raises(ValueError, match=message):
        model.fit(IMAGES, LABELS, validation_data=given, verbose=0)
    for first, second in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(first, second)


OTHER_PAIRS = {
    "ids of no token": ({"token_ids": TOKENS + 1000}, LABELS, "expected token ids 0 to .*got 10"),
    "padding of -100": ({"token_ids": TOKENS - 100}, LABELS, "token ids 0 to .*; got -"),
    "fractions": ({"token_ids": TOKENS / 2}, LABELS, r"token_ids: expected int \[b, n\].*float64"),
    "one id": ({"token_ids": TOKENS[:, 0]}, LABELS, r"token_ids: expected int .*int32 \[10\]"),
    "long rows": ({"token_ids": np.tile(TOKENS, 2)}, LABELS, r"at most 8 tokens .*\[10, 16\]"),
    "texts": ({"token_ids": TEXTS}, LABELS, r"token_ids: .*; got texts: model.tokenizer\(texts\)"),
    "columns": ({}, np.eye(3)[LABELS], r"y: expected numbers \[b\].*; got float64 \[10, 3\]"),
    "names": ({}, np.array(NAMES)[LABELS], r"y: expected numbers \[b\].*; got <U9 \[10\]"),
}


@pytest.mark.parametrize("changed, y, message", OTHER_PAIRS.values(), ids=OTHER_PAIRS)
def test_other_pairs_are_refused(model, changed, y, message):
    model.compile("sgd", run_eagerly=True)
    for use in (model.fit, model.evaluate, model.train_on_batch):
        with pytest.raises(ValueError, match=message) as error:
            use({**PAIRS, **changed}, y)
        assert "\n" not in str(error.value)


def test_a_loss_of_images_alone_is_refused(model):
    model.compile("sgd")
    with pytest.raises(ValueError, match=r"\"image\" and \"token_ids\".*got keys \['image'\]"):
        model.fit({"image": IMAGES}, LABELS)
    assert list(model.predict({"image": IMAGES}, verbose=0)) == ["image"]


def test_a_text_encoder_looks_at_its_tokens():
    encoder = dual_encoder.TextEncoder(text_tower(), tokenizer=TOKENIZER)
    with pytest.raises(ValueError, match="expected token ids 0 to "):
        encoder.predict(TOKENS + 1000)
    found = keras.Sequential([encoder]).predict(TOKENS, verbose=0)  # which makes them float32
    np.testing.assert_allclose(found, encoder(TOKENS), atol=1e-6)


@pytest.mark.parametrize("make, x", [MODELS["dual"], MODELS["coop"]])
def test_a_model_without_trainable_weights_is_refused(make, x):
    model = make()
    model.trainable = False
    model.compile("sgd", run_eagerly=True)
    with pytest.raises(ValueError, match="there is nothing to train: every weight is frozen"):
        model.fit(x, LABELS, verbose=0)


NUMBERS = {
    "embed_dim": ("4", "embed_dim: expected a whole number of at least 1; got '4'"),
    "projection_depth": (-1, "projection_depth: expected a whole number of at least 0; got -1"),
    "temperature": (float("nan"), "temperature: expected more than 0; got nan"),
}


@pytest.mark.parametrize("name, given", NUMBERS.items(), ids=NUMBERS)
def test_numbers_out_of_range_are_refused(name, given):
    value, message = given
    with pytest.raises(ValueError, match=message):
        DualEncoder(image_tower(), text_tower(), **{name: value})


def test_weighted_accuracy_of_a_dual_encoder_is_refused():
    with pytest.raises(ValueError, match="weighted_metrics: the outputs of a dual encoder are emb"):
        pairs_model().compile("sgd", weighted_metrics=["accuracy"])


@pytest.mark.parametrize("size", [0, -1, 1.5, "8"])
def test_names_are_encoded_one_or_more_at_a_time(model, size):
    with pytest.raises(ValueError, match="batch_size: expected a whole number of at least 1; got"):
        ZeroShotClassifier.from_names(model, NAMES, ["a {}"], batch_size=size)


def test_a_model_that_cannot_be_saved_leaves_the_file_that_was_there(tmp_path):
    path = tmp_path / "model.keras"
    path.write_bytes(b"another model")
    with pytest.raises(ValueError, match=r"use dual_encoder\.save_prompts"):
        coop().save(path)
    assert path.read_bytes() == b"another model"
    assert list(tmp_path.iterdir()) == [path]


@each(IMAGE_MODELS)
def test_a_model_is_quantized_without_a_batch(make, x):
    model = make()
    model.quantize("int8")
    assert any("int8" in each.dtype_policy.name for each in model.image_tower._flatten_layers())


def test_a_model_without_layers_is_not_quantized():
    with pytest.raises(ValueError, match="quantize: expected a model of layers; co_op"):
        coop().quantize("int8")
