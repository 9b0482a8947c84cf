"""Zero-shot classifiers of a tiny dual encoder with random weights."""

import keras
import numpy as np
import pytest

import dual_encoder
from dual_encoder import DualEncoder, TextTransformer, Tokenizer, VisionTransformer
from dual_encoder.zero_shot import ZeroShotClassifier, class_embeddings

pytestmark = pytest.mark.usefixtures("all_eagerly")

NAMES = ["red star", "blue ring", "grey moon"]
TEMPLATES = ["a photo of a {}.", "{}", "a drawing of one {} on a wall."]


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    captions = [template.replace("{}", name) for template in TEMPLATES for name in NAMES]
    tokenizer = Tokenizer.learn(captions, context_length=24, vocabulary_size=300)
    image = VisionTransformer(16, 8, width=16, depth=1, heads=2)
    text = TextTransformer(
        tokenizer.vocabulary_size, 24, end_id=tokenizer.end_id, width=16, depth=2, heads=2
    )
    model = DualEncoder(image, text, embed_dim=8, tokenizer=tokenizer)
    model.build()
    for weight in model.trainable_weights:  # random biases and scales too
        noise = keras.random.normal(weight.shape, stddev=0.3, seed=len(weight.path))
        weight.assign_add(noise)
    return model


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(256, size=(5, 16, 16, 3), dtype=np.uint8)


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def test_logits_are_scaled_cosines_with_the_mean_of_the_templates(model, images):
    classifier = ZeroShotClassifier.from_names(model, NAMES, TEMPLATES, batch_size=2)
    columns = []
    for name in NAMES:
        prompts = [template.replace("{}", name) for template in TEMPLATES]
        embeddings = [model.encode_text(model.tokenizer([prompt], length=24)) for prompt in prompts]
        columns.append(unit(np.mean([unit(np.array(e[0])) for e in embeddings], axis=0)))
    cosines = np.array(model.encode_image(images)) @ np.array(columns).T
    expected = float(model.logit_scale) * cosines
    np.testing.assert_allclose(classifier(images), expected, rtol=1e-4, atol=1e-4)


def test_every_prompt_counts_the_same_however_far_it_is_from_the_others(model):
    one, two = (class_embeddings(model, NAMES, [t]) for t in TEMPLATES[:2])
    both = class_embeddings(model, NAMES, TEMPLATES[:2])
    np.testing.assert_allclose(np.linalg.norm(both, axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose((both * one).sum(1), (both * two).sum(1), rtol=1e-4)


def test_prompts_are_cut_to_the_longest_and_that_changes_nothing(model, monkeypatch):
    lengths = []
    encode_text = model.encode_text

    def watched(token_ids, training=None):
        lengths.append(token_ids.shape[1])
        return encode_text(token_ids, training=training)

    monkeypatch.setattr(model, "encode_text", watched)
    short = class_embeddings(model, NAMES, ["a {}"])
    monkeypatch.setattr(type(model.text_tower), "trims_exactly", False)
    full = class_embeddings(model, NAMES, ["a {}"])
    assert lengths[0] < 10 and lengths[1] == model.context_length == 24
    np.testing.assert_allclose(short, full, atol=1e-6)


def test_images_or_a_batch_of_records_give_the_same_logits(model, images):
    classifier = ZeroShotClassifier.from_names(model, NAMES, TEMPLATES)
    batch = {"image": images, "token_ids": np.zeros((5, 4), np.int32)}
    expected = np.array(classifier(images))
    assert expected.shape == (5, 3)
    np.testing.assert_array_equal(classifier({"image": images}), expected)
    np.testing.assert_allclose(classifier.predict(batch, verbose=0), expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(classifier(images.astype("float32")), expected, rtol=1e-6)


def test_metrics_do_not_count_padding(model, images):
    classifier = ZeroShotClassifier.from_names(model, NAMES, TEMPLATES)
    logits = np.array(classifier(images))
    labels = logits.argmax(1).astype("int32")
    labels[1] = (labels[1] + 1) % 3  # one wrong among the three images that count
    labels[3:] = (labels[3:] + 1) % 3  # wrong, but padding
    weights = np.array([1, 1, 1, 0, 0], "float32")
    classifier.compile(metrics=["accuracy"])
    found = classifier.evaluate(
        {"image": images}, labels, sample_weight=weights, batch_size=5, verbose=0, return_dict=True
    )
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert found["accuracy"] == pytest.approx(2 / 3)
    losses = -np.log(probabilities[range(3), labels[:3]])
    assert found["loss"] == pytest.approx(losses.mean(), rel=1e-4)


def test_saved_and_loaded_it_is_the_same_classifier(model, images, tmp_path):
    classifier = ZeroShotClassifier.from_names(model, NAMES, TEMPLATES, name="zero_shot")
    classifier.compile(metrics=["accuracy"])
    classifier.save(tmp_path / "classifier.keras")
    loaded = keras.saving.load_model(tmp_path / "classifier.keras")
    assert (loaded.class_names, loaded.templates) == (NAMES, TEMPLATES)
    assert loaded.image_size == 16
    np.testing.assert_array_equal(
        loaded.predict(images, verbose=0), classifier.predict(images, verbose=0)
    )
    labels = np.zeros(5, "int32")
    assert loaded.evaluate(images, labels, verbose=0) == classifier.evaluate(
        images, labels, verbose=0
    )


def test_it_shares_the_image_side_and_leaves_the_dual_encoder_trainable(model):
    classifier = ZeroShotClassifier.from_names(model, NAMES, TEMPLATES)
    assert classifier.image_tower is model.image_tower
    assert model.image_tower.trainable
    assert not classifier.class_matrix.trainable


def test_update_follows_the_text_side(model, images):
    classifier = ZeroShotClassifier.from_names(model, NAMES, TEMPLATES)
    before = classifier.predict(images, verbose=0)
    weight = model.text_projection.trainable_weights[0]
    kept = weight.numpy()
    weight.assign(np.flip(kept, axis=1))
    classifier.update(model)
    fresh = ZeroShotClassifier.from_names(model, NAMES, TEMPLATES)
    weight.assign(kept)
    after = classifier.predict(images, verbose=0)
    assert np.abs(after - before).max() > 0.1
    np.testing.assert_allclose(after, fresh.predict(images, verbose=0), rtol=1e-5, atol=1e-5)


def test_braces_in_a_name_and_a_name_twice_in_a_template_are_plain_text(model):
    names = ["a {b}", "c"]
    found = class_embeddings(model, names, ["{} or {}"])
    expected = [model.encode_text(model.tokenizer([f"{n} or {n}"]))[0] for n in names]
    np.testing.assert_allclose(found, np.array(expected), atol=1e-6)


@pytest.mark.parametrize(
    ("names", "templates", "message"),
    [
        (["cat"], ["{}"], "class_names: expected a list of 2 or more texts; got"),
        ("cat", ["{}"], "class_names: expected a list of 2 or more texts; got 'cat'"),
        ({"cat": 0, "dog": 1}, ["{}"], "class_names: expected a list of 2 or more texts; got {"),
        ({"cat", "dog"}, ["{}"], "class_names: expected a list of 2 or more texts; got {"),
        (iter(["cat", "dog"]), ["{}"], "class_names: expected a list of 2 or more texts; got <"),
        (None, ["{}"], "class_names: expected a list of 2 or more texts; got None"),
        (["cat", 1], ["{}"], "class_names: expected texts; got 1 among them"),
        ([b"cat", "dog"], ["{}"], "class_names: expected texts; got b'cat' among them"),
        (np.array([["cat", "dog"]] * 2), ["{}"], "class_names: expected a list of 2 or more texts"),
        (["cat", "dog"], [len], "templates: expected texts; got <built-in function len> among"),
        (["cat", " "], ["{}"], "class_names: expected no empty name; number 1 is empty"),
        (["cat", "dog"], [], "templates: expected a list of 1 or more texts"),
        (["cat", "dog"], "{}", "templates: expected a list of 1 or more texts; got '{}'"),
        (["cat", "dog"], ["{}", "a photo"], "expected {} where the name goes; got 'a photo'"),
    ],
)
def test_names_and_templates_that_cannot_be_used_are_refused(model, names, templates, message):
    with pytest.raises(ValueError) as error:
        ZeroShotClassifier.from_names(model, names, templates)
    assert message in str(error.value)


@pytest.mark.parametrize(
    "twins",
    [
        ("Red Star", "red star"),
        ("caf\u00e9", "cafe\u0301"),
        ("red\u00a0star", "red star"),
        ("\u8d64\u3044\u661f", "\u9752\u3044\u8f2a"),
        ("red star " * 40 + "a", "red star " * 40 + "b"),
    ],
    ids=["case", "composed", "space", "unknown letters", "cut"],
)
def test_different_names_that_are_the_same_tokens_are_refused_by_name(twins):
    known = dual_encoder.load("shapes-tiny")
    with pytest.raises(ValueError, match="are the same tokens to this model") as error:
        class_embeddings(known, [*twins, "blue ring"], ["the {}"])
    assert repr(twins[0])[:57] in str(error.value)
    with pytest.raises(ValueError, match="are the same tokens to this model"):
        dual_encoder.refuse_equal_names(known, [*twins, "blue ring"])
    dual_encoder.refuse_equal_names(known, ["red star", "blue ring"])


def test_the_very_same_name_twice_is_taken_as_published_lists_have_it(model, images):
    names = ["missile", "tench", "missile"]
    found = class_embeddings(model, names, TEMPLATES)
    np.testing.assert_array_equal(found[0], found[2])
    np.testing.assert_allclose(found[:2], class_embeddings(model, names[:2], TEMPLATES), atol=1e-6)
    logits = ZeroShotClassifier.from_names(model, names, TEMPLATES).predict(images, verbose=0)
    np.testing.assert_allclose(logits[:, 0], logits[:, 2], rtol=1e-5)


def test_names_of_an_array_are_plain_texts(model):
    made = ZeroShotClassifier.from_names(model, np.array(["cat", "dog"]), np.array(["a {}"]))
    assert {type(text) for text in (*made.class_names, *made.templates)} == {str}


@pytest.mark.parametrize("other", ["shapes-tiny", None, keras.layers.Dense(2)])
def test_other_models_are_refused_by_what_reads_class_names(other):
    for use in (
        lambda: ZeroShotClassifier.from_names(other, NAMES, TEMPLATES),
        lambda: dual_encoder.CoOp(other, NAMES),
    ):
        with pytest.raises(ValueError, match="model: expected a DualEncoder, as dual"):
            use()


def test_a_model_without_a_tokenizer_is_refused(model, monkeypatch):
    monkeypatch.setattr(model, "tokenizer", None)
    with pytest.raises(ValueError, match="expected one with a tokenizer"):
        ZeroShotClassifier.from_names(model, NAMES, TEMPLATES)
