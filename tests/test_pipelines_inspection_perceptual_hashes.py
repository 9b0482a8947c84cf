"""Perceptual hashes, and the search for those that differ in few bits."""

import io

import numpy as np
import pytest
from PIL import Image

from pipelines.inspection.perceptual_hashes import DISTANCE, near_pairs, perceptual_hash

RNG = np.random.default_rng(0)


def drawn(seed):
    """A smooth random image, 120 x 90."""
    pixels = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize((120, 90), Image.Resampling.BICUBIC)


def encoded_again(image, *, quality=60, scale=0.7):
    small = image.resize((int(image.width * scale), int(image.height * scale)))
    file = io.BytesIO()
    small.save(file, "JPEG", quality=quality)
    return Image.open(file)


def differing(a, b):
    return int(np.bitwise_count(perceptual_hash(a) ^ perceptual_hash(b)))


def test_a_copy_scaled_and_encoded_again_keeps_its_hash_but_for_a_few_bits():
    assert max(differing(drawn(i), encoded_again(drawn(i))) for i in range(20)) <= DISTANCE


def test_brightness_does_not_matter():
    brighter = drawn(1).point(lambda value: value // 2 + 60)
    assert differing(drawn(1), brighter) <= 2


def test_other_images_differ_in_about_half_of_the_bits():
    bits = [differing(drawn(i), drawn(i + 100)) for i in range(20)]
    assert min(bits) > DISTANCE and 24 < np.mean(bits) < 40


@pytest.mark.parametrize("distance", [0, 1, 8])
def test_pairs_are_those_of_comparing_each_with_each(distance):
    hashes = RNG.integers(0, 2**63, 300, dtype=np.uint64)
    flips = [sum(1 << int(bit) for bit in RNG.choice(64, n, replace=False)) for n in range(12)]
    hashes = np.concatenate([hashes, hashes[:12] ^ np.array(flips, np.uint64)])
    bits = np.bitwise_count(hashes[:, None] ^ hashes[None])
    expected = np.argwhere(np.triu(bits <= distance, 1))
    assert len(expected) == distance + 1
    assert near_pairs(hashes, distance=distance).tolist() == expected.tolist()


def test_many_equal_hashes_are_each_others_pairs():
    assert len(near_pairs(np.zeros(50, np.uint64))) == 50 * 49 // 2
    assert near_pairs(np.zeros(1, np.uint64)).shape == (0, 2)


def test_few_of_many_pairs_are_compared(monkeypatch):
    compared, usual = [], np.bitwise_count
    monkeypatch.setattr(np, "bitwise_count", lambda x: compared.append(x.size) or usual(x))
    hashes = np.random.default_rng(0).integers(2**64, size=20_000, dtype=np.uint64)
    assert near_pairs(hashes).shape == (0, 2)
    assert sum(compared) < 10 * len(hashes)  # of 200 million pairs
