"""Learnt prompts at real size: the template's logits, and the reference's gradient."""

import numpy as np
import tokenizers
import torch
from reference import Reference, vocabulary_of
from tokenizers import models, pre_tokenizers, processors

import dual_encoder

WORDS = ["a", "photo", "of", "cat", "red", "dog", "old", "house", ".", "zq"]
NAMES = ["cat", "red dog", "old red house", "photo"]
IMAGES = 6


def tokenizer_of(theirs: Reference) -> dual_encoder.Tokenizer:
    """A few words, with the ids of padding and end that the tower knows."""
    row = theirs.row
    vocabulary, pad, end = vocabulary_of(theirs.model, row)
    places = np.random.default_rng(2).permutation(np.arange(5, vocabulary - 5))
    words = {word: int(place) for word, place in zip(WORDS, places, strict=False)}
    words |= {"<end>": end, "<pad>": pad}
    made = tokenizers.Tokenizer(models.WordLevel(words, unk_token="zq"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(
        single="$A <end>", special_tokens=[("<end>", end)]
    )
    return dual_encoder.Tokenizer(
        made.to_str(),
        context_length=row.context_length,
        pad_id=pad,
        end_id=end,
        pad_to_context=row.pooling == "last",
    )


def compare(ours: dual_encoder.DualEncoder, theirs: Reference) -> dict[str, float]:
    """`prompt`: the largest difference between the logits of CoOp before training and zero-shot;
    `gradient`: how far its gradient is from the reference's, relative to the length of that."""
    ours.tokenizer = tokenizer_of(theirs)
    rng = np.random.default_rng(3)
    x = rng.normal(size=(IMAGES, ours.embed_dim)).astype("float32")
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    y = np.arange(IMAGES) % len(NAMES)
    coop = dual_encoder.CoOp(ours, NAMES, words="a photo of a")
    zero_shot = dual_encoder.ZeroShotClassifier.from_names(ours, NAMES, ["a photo of a {}."])
    logits = x @ zero_shot.class_matrix.numpy()
    coop.compile("sgd")
    _, _, (gradient,) = coop.gradients_of(torch_free(x), torch_free(y))
    expected = reference_gradient(coop, theirs, x, y)
    difference = np.linalg.norm(np.array(gradient) - expected) / np.linalg.norm(expected)
    return {
        "prompt": float(np.abs(coop.logits(x) - logits).max()),
        "gradient": float(difference),
    }


def torch_free(x: np.ndarray):
    """As a tensor of Keras."""
    import keras

    return keras.ops.convert_to_tensor(x)


def reference_gradient(
    coop: dual_encoder.CoOp, theirs: Reference, x: np.ndarray, y: np.ndarray
) -> np.ndarray:
    """Of the cross-entropy with respect to the context, put into the library's own text tower."""
    tables = [m for m in theirs.model.modules() if isinstance(m, torch.nn.Embedding)]
    table = max(tables, key=lambda module: module.num_embeddings)
    frames, tokenizer = coop.frames, coop.model.tokenizer
    padded = ((0, 0), (0, tokenizer.context_length - frames.token_ids.shape[1]))
    ids = torch.from_numpy(
        np.pad(frames.token_ids, padded, constant_values=tokenizer.pad_id).astype("int64")
    )
    source = torch.from_numpy(np.pad(frames.source, padded, constant_values=-1).astype("int64"))
    context = torch.nn.Parameter(torch.from_numpy(np.array(coop.context)))

    def put_in(module, inputs, output):
        return torch.where(source[..., None] >= 0, context[source.clamp(min=0)], output)

    hook = table.register_forward_hook(put_in)
    try:
        texts = theirs.unit_texts(ids)
        scale = float(coop.model.logit_scale)
        logits = scale * torch.from_numpy(x) @ texts.T
        torch.nn.functional.cross_entropy(logits, torch.from_numpy(y)).backward()
    finally:
        hook.remove()
    return context.grad.numpy()
