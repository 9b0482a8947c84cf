"""Batches of cached embeddings: resumable, one view a pass."""

import numpy as np

from pipelines.methods.cached_embedding_batches import Embedded

VALUES = np.arange(2 * 5 * 3, dtype=np.float32).reshape(2, 5, 3)
LABELS = np.arange(5, dtype=np.int32)
EMBEDDED = Embedded(VALUES, LABELS, batch_size=2, seed=3)


def test_a_run_goes_on_where_it_stopped_and_each_pass_reads_another_view():
    whole = list(EMBEDDED.batches(epochs=3).as_numpy_iterator())
    rest = list(EMBEDDED.batches(epochs=3, start_step=3).as_numpy_iterator())
    assert (len(whole), len(rest), EMBEDDED.steps) == (6, 3, 2)
    for (values, labels), (same, alike) in zip(whole[3:], rest, strict=True):
        np.testing.assert_array_equal(values, same)
        np.testing.assert_array_equal(labels, alike)
    for step, (values, labels) in enumerate(whole):
        np.testing.assert_array_equal(values, VALUES[step // 2 % 2, labels])


def test_closing_them_waits_for_no_autotuning():
    assert EMBEDDED.batches(epochs=3).options().autotune.enabled is False
