"""CoOp: learnt words give what the same words in a template give, on every text tower."""

import keras
import numpy as np
import pytest
from keras import ops
from prompted_models import FAMILIES, LAYOUTS, loaded, model_of
from tiny_models import PIXELS

from dual_encoder import CoOp, DualEncoder, TextTower, TextTransformer, ZeroShotClassifier
from dual_encoder.prompts.layout import frames
from dual_encoder.towers import text_transformer

pytestmark = pytest.mark.usefixtures("all_eagerly")

NAMES = ["cat", "red apple pie", "a dog's house", "photo"]
PLACED = {"end": "a photo of a {}.", "middle": "a photo {} of a.", "front": "{} a photo of a."}
RNG = np.random.default_rng(0)


def images(model, count=6):
    return RNG.normal(size=(count, model.embed_dim)).astype("float32")


def zero_shot_logits(model, names, template, x):
    matrix = ZeroShotClassifier.from_names(model, names, [template]).class_matrix
    return x / np.linalg.norm(x, axis=1, keepdims=True) @ ops.convert_to_numpy(matrix)


@pytest.fixture(scope="module", params=FAMILIES)
def model(request):
    return model_of(request.param)


@pytest.fixture(scope="module")
def clip():
    return model_of("clip")


@pytest.mark.parametrize(
    ("position", "class_specific"),
    [("end", False), ("middle", False), ("front", False), ("middle", True)],
)
def test_untrained_words_are_the_template(model, position, class_specific):
    coop = CoOp(
        model, NAMES, words="a photo of a", position=position, class_specific=class_specific
    )
    assert coop.frames.template == PLACED[position]
    x = images(model)
    expected = zero_shot_logits(model, NAMES, PLACED[position], x)
    assert np.ptp(expected, axis=1).min() > 0.01  # the classes differ
    tolerance = 1e-5 * max(1, np.abs(expected).max())
    np.testing.assert_allclose(coop(x), expected, atol=tolerance)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_untrained_words_are_the_template_in_every_layout(layout, monkeypatch):
    model, names = loaded(layout, monkeypatch), ["cat", "red dog", "red"]
    for position, template in {"end": "a photo {}.", "middle": "a {} photo."}.items():
        coop = CoOp(model, names, words="a photo", position=position)
        x = images(model)
        expected = zero_shot_logits(model, names, template, x)
        np.testing.assert_allclose(coop(x), expected, atol=1e-5 * max(1, np.abs(expected).max()))


def test_other_names_with_the_same_words(clip):
    coop = CoOp(clip, NAMES, words="a photo of a")
    x, others = images(clip), ["dog", "red cat"]
    expected = zero_shot_logits(clip, others, PLACED["end"], x)
    np.testing.assert_allclose(
        coop.logits(x, others), expected, atol=1e-5 * max(1, np.abs(expected).max())
    )


def test_a_classifier_of_images(clip):
    coop = CoOp(clip, NAMES, n_ctx=3, seed=1)
    classifier = coop.classifier()
    embeddings = ops.convert_to_numpy(clip.encode_image(PIXELS))
    np.testing.assert_allclose(classifier(PIXELS), coop.logits(embeddings), atol=1e-4)
    assert classifier.class_names == NAMES and classifier.templates == ["[3 vectors] {}."]


@pytest.mark.parametrize("position", PLACED)
def test_what_texts_share_is_computed_once(clip, position, monkeypatch):
    """The packed rows give what each text by itself gives, however many fit in a row."""
    names = [f"{color} {thing}" for color in ("red", "blue", "grey") for thing in ("cat", "x", "b")]
    coop = CoOp(clip, names, n_ctx=4, position=position, seed=3)
    found = {}
    for packed in (1, 25, 256):
        monkeypatch.setattr(text_transformer, "PACKED", packed)
        found[packed] = ops.convert_to_numpy(coop.class_embeddings())
    monkeypatch.setattr(TextTransformer, "encode_alike", TextTower.encode_alike)
    expected = ops.convert_to_numpy(coop.class_embeddings())
    for packed, embeddings in found.items():
        np.testing.assert_allclose(embeddings, expected, atol=1e-6, err_msg=str(packed))


def gradient_by_differences(coop, x, y, place, step=1e-2):
    losses = []
    start = ops.convert_to_numpy(coop.context)
    for sign in (1, -1):
        moved = start.copy()
        moved[place] += sign * step
        coop.context.assign(moved)
        losses.append(float(coop.compute_loss(x, y, coop(x))))
    coop.context.assign(start)
    return (losses[0] - losses[1]) / (2 * step)


def test_gradients_are_differences(model):
    coop = CoOp(model, NAMES, words="a photo of a", position="middle")
    coop.compile("sgd")
    x, y = ops.convert_to_tensor(images(model)), ops.convert_to_tensor([0, 1, 2, 3, 0, 1])
    _, _, (gradient,) = coop.gradients_of(x, y)
    gradient = ops.convert_to_numpy(gradient)
    for place in [(0, 1), (2, 3), (3, 0)]:
        expected = gradient_by_differences(coop, x, y, place)
        assert gradient[place] == pytest.approx(expected, rel=0.05, abs=2e-3)
    assert np.abs(gradient).max(axis=1).min() > 1e-4  # every vector counts


def test_only_the_context_learns(clip, in_graphs):
    coop = CoOp(clip, NAMES, n_ctx=4, class_specific=True, seed=1, decay=5e-4)
    assert [weight.path.split("/")[-1] for weight in coop.weights] == ["context"]
    assert coop.context.shape == (4, 4, 12)
    before = [ops.convert_to_numpy(weight) for weight in clip.weights]
    trainable = [weight.trainable for weight in clip.weights]
    x, y = images(clip, 8), np.arange(8) % 4
    coop.compile(keras.optimizers.SGD(0.05, momentum=0.9), metrics=["accuracy"])
    history = coop.fit(x, y, epochs=30, batch_size=4, verbose=0).history
    assert history["loss"][-1] < 0.7 * history["loss"][0]
    for weight, kept in zip(clip.weights, before, strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(weight), kept)
    assert [weight.trainable for weight in clip.weights] == trainable


def test_texts_can_be_held_to_those_of_templates(clip):
    """KgCoOp's term: nothing where they are the same words, and all that counts if it is large."""
    template = {"templates": ["a photo of a {}."]}
    same = CoOp(clip, NAMES, words="a photo of a", pull=8.0, **template)
    assert float(same.losses[0]) == pytest.approx(0, abs=1e-5)
    other = CoOp(clip, NAMES, n_ctx=4, seed=1, pull=100.0, **template)
    cosines = (other.class_matrix() * same.class_matrix()).sum(axis=0)
    assert float(other.losses[0]) == pytest.approx(100 * (1 - cosines.mean()), rel=1e-4)
    x, y = images(clip, 4), np.arange(4)
    other.compile(keras.optimizers.SGD(1e-4))
    other.fit(x, y, epochs=5, verbose=0)
    held = (other.class_matrix() * same.class_matrix()).sum(axis=0)
    assert held.mean() > cosines.mean()


@pytest.mark.parametrize("n_ctx", [1, 5, 16])
@pytest.mark.parametrize("position", PLACED)
def test_vectors_stand_around_the_name(clip, n_ctx, position):
    found = frames(clip.tokenizer, NAMES, n_ctx=n_ctx, position=position)
    before = {"end": n_ctx, "middle": n_ctx // 2, "front": 0}[position]
    assert found.n_ctx == n_ctx and found.alike == 1 + before  # after the start
    for name, ids, source in zip(NAMES, found.token_ids, found.source, strict=True):
        assert source[source >= 0].tolist() == list(range(n_ctx))
        (own,) = clip.tokenizer.rows([name])
        rest = ids[source < 0].tolist()
        (stop,) = clip.tokenizer.rows(["."])
        assert rest[: len(own) + 1] == own[:-1] + stop[1:]
        assert (source[1 : 1 + before] >= 0).all()
        place = 1 + before + len(own) - 2
        assert (source[place : place + n_ctx - before] >= before).all()


def test_rows_are_as_long_as_the_longest_prompt_or_as_the_tower_reads(clip):
    assert frames(clip.tokenizer, NAMES, n_ctx=1).token_ids.shape[1] < 20
    siglip = model_of("siglip")
    assert CoOp(siglip, NAMES, n_ctx=1).frames.token_ids.shape[1] == siglip.context_length


@pytest.mark.parametrize(
    ("names", "options", "message"),
    [
        (NAMES, {"position": "left"}, "position: expected one of end, middle, front; got 'left'"),
        (NAMES, {"n_ctx": 17}, "n_ctx: expected 1 to 16 learnt vectors; got 17"),
        (NAMES, {"n_ctx": 0}, "n_ctx: expected 1 to 16 learnt vectors; got 0"),
        (NAMES, {"n_ctx": 2.5}, "n_ctx: expected 1 to 16 learnt vectors; got 2.5"),
        (NAMES, {"n_ctx": "4"}, "n_ctx: expected 1 to 16 learnt vectors; got '4'"),
        (NAMES, {"words": 3}, 'words: expected a text, such as "a photo of a"; got 3'),
        (NAMES, {"words": ""}, "words: expected 1 to 16 tokens; '' has 0"),
        (NAMES, {"words": "a a", "n_ctx": 3}, "expected 3 tokens, as many as n_ctx; 'a a' has 2"),
        (["Cat", "dog", "cat"], {}, "class_names: 'Cat' and 'cat' have the same tokens"),
        (["cat", "dog " * 30], {}, r"at most 32 tokens, which the text tower holds; .* has \d\d"),
        (["cat"], {}, "class_names: expected a list of 2 or more texts"),
    ],
)
def test_what_is_refused(clip, names, options, message):
    with pytest.raises(ValueError, match=message) as caught:
        CoOp(clip, names, **options)
    assert "\n" not in str(caught.value)


def test_a_name_without_tokens_is_refused():
    with pytest.raises(ValueError, match=r"class_names: '!\?' tokenizes to nothing"):
        CoOp(model_of("siglip"), ["cat", "!?"])


def test_models_that_cannot_be_prompted_are_refused(clip):
    tower = keras.Sequential([keras.Input([4], dtype="int32"), keras.layers.Embedding(6, 8)])
    tower.context_length, tower.output_dim, tower.trims_exactly = 4, 8, True
    whole = DualEncoder(clip.image_tower, tower, embed_dim=4)
    with pytest.raises(ValueError, match="expected one with a tokenizer"):
        CoOp(whole, NAMES)
    whole.tokenizer = clip.tokenizer
    with pytest.raises(ValueError, match="takes vectors for words; Sequential does not"):
        CoOp(whole, NAMES)


def test_class_specific_vectors_say_nothing_of_other_classes(clip):
    coop = CoOp(clip, NAMES, n_ctx=2, class_specific=True)
    with pytest.raises(ValueError, match="class-specific vectors say nothing of other classes"):
        coop.logits(images(clip), ["dog", "cat"])


def test_it_is_not_saved_as_a_model(clip, tmp_path):
    with pytest.raises(ValueError, match=r"use dual_encoder\.save_prompts"):
        CoOp(clip, NAMES, n_ctx=2).save(tmp_path / "model.keras")


OTHER_EMBEDDINGS = {
    "other numbers": (np.ones((2, 3)), r"embeddings: expected .*, \[b, 6\]; got \[2, 3\]"),
    "one": (np.ones(6), r"embeddings: expected .*, \[b, 6\]; got \[6\]"),
    "no numbers": (np.full((2, 6), np.nan), "embeddings: expected finite numbers; got NaN or inf"),
}


@pytest.mark.parametrize("x, message", OTHER_EMBEDDINGS.values(), ids=OTHER_EMBEDDINGS)
def test_other_embeddings_are_refused(clip, x, message):
    coop = CoOp(clip, NAMES, n_ctx=2)
    coop.compile("sgd")
    for use in (coop.logits, coop.predict, lambda x: coop.fit(x, np.zeros(2))):
        with pytest.raises(ValueError, match=message):
            use(x)
    with pytest.raises(ValueError, match="embeddings: expected one or more; got none"):
        coop.fit(np.ones((0, 6)), np.zeros(0))


def test_a_text_is_no_list_of_names(clip):
    with pytest.raises(ValueError, match="class_names: expected a list of 1 or more texts; got 'c"):
        CoOp(clip, NAMES, n_ctx=2).logits(images(clip), "cat")
