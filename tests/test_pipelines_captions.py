"""Captions from the record to the loss: which are read, and whose negatives they are not."""

import io

import keras
import numpy as np
import pytest
from PIL import Image

import dual_encoder
import tfrecords
from tfrecords import sources

IMAGES, CAPTIONS, CHOSEN, BATCH = 10, 5, 3, 8


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """Ten images with five captions each, from a CSV."""
    home = tmp_path_factory.mktemp("captions")
    lines = ["file,caption,split"]
    for i in range(IMAGES):
        buffer = io.BytesIO()
        pixels = np.random.default_rng(i).integers(256, size=(16, 20, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(buffer, "PNG")
        (home / f"{i}.png").write_bytes(buffer.getvalue())
        lines += [f'{i}.png,"Image {i}, Caption No. {n}!",train' for n in range(CAPTIONS)]
    (home / "captions.csv").write_text("\n".join(lines) + "\n")
    tfrecords.write(
        sources.captions(home / "captions.csv", seed=0), home / "records", workers=1, progress=False
    )
    return home / "records"


@pytest.fixture(scope="module")
def tokenizer(records):
    texts = [text for e in tfrecords.examples(records, "train") for text in e.captions]
    return dual_encoder.Tokenizer.learn(texts, context_length=24)


def batches(records, tokenizer, **options):
    """(token ids [b, n], image ids [b], weight [b]) of every batch of training."""
    given = {"batch_size": BATCH, "captions_per_image": CHOSEN, "image_size": 16, **options}
    data = tfrecords.load(records, "train", tokenizer=tokenizer, training=True, **given)
    return [(x, np.array(y), np.array(w)) for x, y, w in data]


def pairs(found, tokenizer):
    """(image, caption) of every row that counts, in the order of the batches."""
    return [
        (int(i), tokenizer.decode(ids))
        for x, y, w in found
        for ids, i, weight in zip(np.array(x["token_ids"]), y, w, strict=True)
        if weight
    ]


def test_the_record_keeps_the_text_as_it_was(records):
    for example in tfrecords.examples(records, "train"):
        number = example.filename.removesuffix(".png")
        expected = [f"Image {number}, Caption No. {n}!" for n in range(CAPTIONS)]
        assert list(example.captions) == expected


def test_three_of_five_captions_by_seed_and_epoch(records, tokenizer):
    two = batches(records, tokenizer, epochs=2)
    half = len(two) // 2
    first, second = (pairs(part, tokenizer) for part in (two[:half], two[half:]))
    for epoch in (first, second):
        assert len(epoch) == len(set(epoch)) == IMAGES * CHOSEN  # three different ones of each
        assert {i for i, _ in epoch} == set(range(IMAGES))
    assert set(first) != set(second)  # the next epoch has others
    assert pairs(batches(records, tokenizer, epochs=1), tokenizer) == first  # of this seed
    assert set(pairs(batches(records, tokenizer, seed=1), tokenizer)) != set(first)


def test_two_captions_of_a_image_in_a_batch_are_not_negatives(records, tokenizer):
    """Of all other captions in the batch, those of the same image leave its loss alone."""
    crops = batches(records, tokenizer, crop_scale=(0.1, 0.5))  # the two see different ones
    found = next(f for f in crops if len(set(f[1])) < BATCH)
    x, ids, weight = found
    keras.utils.set_random_seed(0)
    model = dual_encoder.DualEncoder(
        dual_encoder.image_tower("convnet-tiny", image_size=16, widths=(8,)),
        dual_encoder.text_tower("transformer-tiny", tokenizer, width=16, depth=1),
        embed_dim=8,
        tokenizer=tokenizer,
    )
    model.build()
    embedded = model(x)
    loss = float(model.compute_loss(x, ids, embedded, weight))
    image, text = (np.array(embedded[name], np.float64) for name in ("image", "text"))
    logits = float(model.logit_scale) * image @ text.T
    same = ids[:, None] == ids[None, :]
    assert same.sum() > BATCH

    def expected(positive):
        target = positive / positive.sum(axis=1, keepdims=True)
        each = [
            (target * (m - np.log(np.exp(m).sum(axis=1, keepdims=True)))).sum(axis=1)
            for m in (logits, logits.T)
        ]
        return -np.mean(each)

    assert loss == pytest.approx(expected(same.astype(float)), abs=1e-5)
    assert abs(loss - expected(np.eye(BATCH))) > 1e-4  # as if they were
