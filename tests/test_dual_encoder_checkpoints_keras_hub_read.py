"""Presets as KerasHub saves them, loaded into Duet's own towers."""

import io
import json

import keras_hub
import numpy as np
import pytest
import sentencepiece

import dual_encoder
from dual_encoder.checkpoints.keras_hub import read as keras_hub_read

pytestmark = pytest.mark.usefixtures("all_eagerly")

RNG = np.random.default_rng(0)
SIZES = {"num_layers": 2, "num_heads": 2, "hidden_dim": 8}
PIXELS = RNG.integers(256, size=(2, 16, 16, 3), dtype="uint8")
IDS = np.array([[1, 5, 6, 7, 19, 19], [1, 9, 19, 19, 19, 19]])


def clip():
    vision = keras_hub.models.CLIPVisionEncoder(
        patch_size=8, image_shape=(16, 16, 3), intermediate_dim=16, **SIZES
    )
    text = keras_hub.models.CLIPTextEncoder(
        vocabulary_size=20,
        embedding_dim=8,
        intermediate_dim=16,
        max_sequence_length=6,
        **SIZES,
    )
    return keras_hub.models.CLIPBackbone(vision, text, projection_dim=4)


def scrambled(backbone, folder):
    """With weights that are not 0 and 1, saved as a preset."""
    for weight in backbone.weights:
        if "position_ids" in weight.path:  # KerasHub makes them zeros
            weight.assign(np.arange(weight.shape[1])[None])
        else:
            value = np.asarray(weight.numpy())
            weight.assign(value + 0.2 * RNG.normal(size=value.shape))
    backbone.save_to_preset(str(folder))
    return keras_hub.models.Backbone.from_preset(str(folder))


def unit(x):
    x = np.asarray(x)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def test_clip(tmp_path):
    theirs = scrambled(clip(), tmp_path / "clip")
    ours = dual_encoder.load(tmp_path / "clip")
    mean, std = np.array(ours.image_tower.mean), np.array(ours.image_tower.std)
    images = theirs.get_vision_embeddings(((PIXELS / 255 - mean) / std).astype("float32"))
    np.testing.assert_allclose(ours.encode_image(PIXELS), unit(images), atol=1e-5)
    texts = theirs.get_text_embeddings(IDS)
    np.testing.assert_allclose(ours.encode_text(IDS), unit(texts), atol=1e-5)
    scale = float(theirs.get_layer("clip_head").logit_scale.numpy())
    assert float(ours.logit_scale) == pytest.approx(min(np.exp(scale), 100))
    assert ours.image_tower.activation.__name__ == "quick_gelu"


def test_vit(tmp_path):
    vit = keras_hub.models.ViTBackbone((16, 16, 3), patch_size=(8, 8), mlp_dim=16, **SIZES)
    theirs = scrambled(vit, tmp_path / "vit")
    ours = dual_encoder.load(tmp_path / "vit")
    expected = np.asarray(theirs((PIXELS / 127.5 - 1).astype("float32")))[:, 0]
    np.testing.assert_allclose(ours.encode_image(PIXELS), expected, atol=1e-5)


def test_siglip(tmp_path):
    sizes = {**SIZES, "intermediate_dim": 16}
    vision = keras_hub.models.SigLIPVisionEncoder(8, image_shape=(18, 18, 3), **sizes)
    text = keras_hub.models.SigLIPTextEncoder(90, 8, max_sequence_length=6, **sizes)
    theirs = scrambled(keras_hub.models.SigLIPBackbone(vision, text), tmp_path / "siglip")
    siglip_tokenizer().save_to_preset(str(tmp_path / "siglip"))
    ours = dual_encoder.load(tmp_path / "siglip")
    pixels = RNG.integers(256, size=(2, 18, 18, 3), dtype="uint8")
    images = theirs.vision_encoder({"images": (pixels / 127.5 - 1).astype("float32")})
    np.testing.assert_allclose(ours.encode_image(pixels), unit(images), atol=1e-5)
    np.testing.assert_allclose(
        ours.encode_text(IDS), unit(theirs.text_encoder({"token_ids": IDS})), atol=1e-5
    )
    assert ours.loss_name == "sigmoid"
    assert ours.tokenizer(["CAT!"]).tolist() == ours.tokenizer(["cat"]).tolist()
    assert ours.tokenizer([""]).tolist() == [[1] * 6]


SENTENCES = ["A photo of 2 cats, and a dog!", "café   on\tthe mat", "ÀB東", ""]
LETTERS = sorted({*"".join(SENTENCES).lower(), *"abcdefgh"} - {" ", "\t"})


def pieces(**options):
    """A small SentencePiece model."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([text.lower() for text in SENTENCES * 3]),
        model_writer=model,
        hard_vocab_limit=False,
        minloglevel=2,
        num_threads=1,
        **{"vocab_size": 90} | options,
    )
    return model.getvalue()


def gemma():
    options = {"model_type": "bpe", "byte_fallback": True, "add_dummy_prefix": False}
    options |= {"remove_extra_whitespaces": False, "normalization_rule_name": "identity"}
    ids = {"pad_id": 0, "eos_id": 1, "bos_id": 2, "unk_id": 3}
    names = {"pad_piece": "<pad>", "eos_piece": "<eos>", "bos_piece": "<bos>"}
    model = pieces(**{**options, **ids, **names, "vocab_size": 330})
    return keras_hub.models.GemmaTokenizer(model)


def siglip_tokenizer():
    model = pieces(pad_id=0, eos_id=1, unk_id=2, bos_id=-1)
    return keras_hub.models.SigLIPTokenizer(model, add_eos=True)


def bert_tokenizer(**options):
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *LETTERS, *(f"##{c}" for c in LETTERS)]
    return keras_hub.models.BertTokenizer([*words, "A", "photo"], **options)


def read_tokenizer_of(tokenizer, folder, *, kind, **reading):
    tokenizer.save_to_preset(str(folder))
    return keras_hub_read._tokenizer(folder, 24, kind=kind, **reading)


@pytest.mark.parametrize("make", [siglip_tokenizer, gemma])
def test_texts_of_siglip_are_those_of_its_preprocessor(make, tmp_path):
    theirs = keras_hub.models.SigLIPPreprocessor(make(), sequence_length=24)
    images = np.zeros((len(SENTENCES), 2, 2, 3))
    ours = read_tokenizer_of(theirs.tokenizer, tmp_path, kind="SigLIPTokenizer", cleaning="siglip")
    ours.cleaning = "siglip"
    given = [text.replace("À", "à") for text in SENTENCES]  # KerasHub lowers ASCII's letters only
    expected = theirs({"images": images, "prompts": given})["token_ids"]
    np.testing.assert_array_equal(ours(SENTENCES), expected)


def test_texts_of_xlm_roberta_are_those_of_its_preprocessor(tmp_path):
    tokenizer = keras_hub.models.XLMRobertaTokenizer(pieces())
    theirs = keras_hub.models.XLMRobertaTextClassifierPreprocessor(tokenizer, sequence_length=24)
    ours = read_tokenizer_of(tokenizer, tmp_path, kind="RobertaTokenizer")
    np.testing.assert_array_equal(ours(SENTENCES, length=24), theirs(SENTENCES)["token_ids"])


@pytest.mark.parametrize("options", [{}, {"lowercase": True}, {"strip_accents": True}])
def test_texts_of_bert_keep_case_and_accents_as_the_preset_says(options, tmp_path):
    tokenizer = bert_tokenizer(**options)
    theirs = keras_hub.models.BertTextClassifierPreprocessor(tokenizer, sequence_length=24)
    ours = read_tokenizer_of(tokenizer, tmp_path, kind="BertTokenizer")
    np.testing.assert_array_equal(ours(SENTENCES, length=24), theirs(SENTENCES)["token_ids"])


def test_a_tokenizer_of_another_class_is_refused(tmp_path):
    (tmp_path / "assets" / "tokenizer").mkdir(parents=True)
    (tmp_path / "assets" / "tokenizer" / "vocabulary.spm").write_bytes(b"")
    (tmp_path / "tokenizer.json").write_text('{"class_name": "AlbertTokenizer"}')
    with pytest.raises(ValueError, match=r"in tokenizer\.json; got 'AlbertTokenizer'"):
        keras_hub_read._tokenizer(tmp_path, 8, kind="BertTokenizer")


def of_converter(folder):
    """Mean 0.5 and deviation 0.25, as a preset's own image converter says it."""
    inner = {"scale": [4 / 255] * 3, "offset": [-2.0] * 3, "interpolation": "bicubic"}
    document = {"config": {"image_converter": {"config": inner}}}
    (folder / "preprocessor.json").write_text(json.dumps(document))
    return ((PIXELS / 255 - 0.5) / 0.25).astype("float32")


def test_deit(tmp_path):
    sizes = {**SIZES, "intermediate_dim": 16, "image_shape": (16, 16, 3)}
    deit = keras_hub.models.DeiTBackbone(patch_size=8, **sizes)
    theirs = scrambled(deit, tmp_path / "preset")
    pixels = of_converter(tmp_path / "preset")
    ours = dual_encoder.load(tmp_path / "preset")
    expected = np.asarray(theirs(pixels))[:, 0]
    np.testing.assert_allclose(ours.encode_image(PIXELS), expected, atol=2e-5)
    assert ours.preprocessing["interpolation"] == "bicubic"


@pytest.mark.parametrize("image_size", [None, 24])
@pytest.mark.parametrize("options", [{}, {"num_register_tokens": 2, "use_swiglu_ffn": True}])
def test_dinov2_interpolates_positions_as_keras_hub(options, image_size, tmp_path):
    sizes = {**SIZES, "intermediate_dim": 24, "image_shape": (16, 16, 3)}
    shape = (32, 32, 3)  # of its positions
    backbone = keras_hub.models.DINOV2Backbone(
        8, position_embedding_shape=shape, **sizes, **options
    )
    scrambled(backbone, tmp_path)
    pixels = keras_hub.layers.DINOV2ImageConverter(
        image_size=(16, 16), scale=[4 / 255] * 3, offset=[-2.0] * 3, interpolation="bicubic"
    )
    pixels.save_to_preset(str(tmp_path))
    size = image_size or 16
    theirs = keras_hub.models.Backbone.from_preset(str(tmp_path), image_shape=(size, size, 3))
    ours = dual_encoder.load(tmp_path, image_size=image_size)
    images = RNG.integers(256, size=(2, size, size, 3), dtype="uint8")
    given = {"images": ((images / 255 - 0.5) * 4).astype("float32")}
    expected = np.asarray(theirs(given))[:, 0]
    np.testing.assert_allclose(ours.encode_image(images), expected, atol=2e-5)
    assert (ours.image_size, ours.preprocessing["interpolation"]) == (size, "bicubic")


def test_a_preset_without_a_converter_of_images_is_refused(tmp_path):
    deit = keras_hub.models.DeiTBackbone(
        patch_size=8, intermediate_dim=16, image_shape=(16, 16, 3), **SIZES
    )
    deit.save_to_preset(str(tmp_path))
    with pytest.raises(
        FileNotFoundError, match=r"no file image_converter\.json or preprocessor\.json"
    ):
        dual_encoder.load(tmp_path)


def embedder(folder, **options):
    """A sentence embedder of KerasHub, read back from its preset."""
    backbone = scrambled(keras_hub.models.BertBackbone(20, intermediate_dim=16, **SIZES), folder)
    theirs = keras_hub.models.BertTextEmbedder(backbone, preprocessor=None, **options)
    theirs.save_to_preset(str(folder))
    return theirs


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_a_sentence_embedder_pools_as_its_task_says(pooling, tmp_path):
    theirs = embedder(tmp_path / "preset", pooling_mode=pooling)
    ours = dual_encoder.load(tmp_path / "preset")
    ids = np.where(IDS == 19, 0, IDS)
    inputs = {"token_ids": ids, "segment_ids": 0 * ids, "padding_mask": (ids != 0).astype("int32")}
    np.testing.assert_allclose(unit(ours.encode_text(ids)), theirs(inputs), atol=1e-5)


def test_a_sentence_embedder_that_takes_the_largest_is_refused(tmp_path):
    embedder(tmp_path / "preset", pooling_mode="max")
    with pytest.raises(
        ValueError, match=r"expected pooling_mode mean, cls in task\.json; got 'max'"
    ):
        dual_encoder.load(tmp_path / "preset")


@pytest.mark.parametrize("name", ["Bert", "Roberta", "XLMRoberta"])
def test_text_encoders(name, tmp_path):
    make = getattr(keras_hub.models, f"{name}Backbone")
    theirs = scrambled(make(20, intermediate_dim=16, **SIZES), tmp_path / "text")
    ours = dual_encoder.load(tmp_path / "text")
    pad = 0 if name == "Bert" else 1
    ids = np.where(IDS == 19, pad, IDS)
    ids[:, 0] = 2
    mask = (ids != pad).astype("int32")
    inputs = {"token_ids": ids, "padding_mask": mask}
    if name == "Bert":
        expected = theirs({**inputs, "segment_ids": 0 * ids})["pooled_output"]
    else:
        hidden = np.asarray(theirs(inputs))
        expected = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)
    np.testing.assert_allclose(ours.encode_text(ids), expected, atol=1e-5)


def test_presets_of_something_else(tmp_path):
    (tmp_path / "config.json").write_text(
        json.dumps({"registered_name": "keras_hub>GemmaBackbone", "class_name": "GemmaBackbone"})
    )
    with pytest.raises(ValueError, match=r"expected a preset of CLIPBackbone, .* got Gemma"):
        dual_encoder.load(tmp_path)
