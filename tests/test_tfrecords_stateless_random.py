"""Keys are the same wherever and from whatever they are mixed."""

import numpy as np
import pytest
import tensorflow as tf

from tfrecords import stateless_random


def test_the_key_of_zero_is_what_splitmix64_begins_with():
    assert int(stateless_random.key(0)) == 0xE220A8397B1DCDAF


@pytest.mark.parametrize("parts", [(3,), (0, 5, 7), (-1, 2), (2**31 - 1, -(2**31))])
def test_numbers_and_tensors_mix_to_the_same_key(parts):
    of_numbers = stateless_random.key(*parts)
    for first in range(len(parts)):
        tensors = (*parts[:first], *(tf.constant(part, tf.int64) for part in parts[first:]))
        np.testing.assert_array_equal(stateless_random.key(*tensors), of_numbers)
    mixed = tf.function(lambda: stateless_random.key(*parts), autograph=False)()
    np.testing.assert_array_equal(mixed, of_numbers)
