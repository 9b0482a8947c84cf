"""Batches where there are fewer images than were asked for."""

import pytest

from pipelines.training import small_set_batch_size


@pytest.mark.parametrize(
    ("asked", "images", "devices", "expected"),
    [
        ((64, None), 100, 1, (64, None)),
        ((64, 8), 64, 2, (64, 8)),
        ((64, 0), 41, 1, (41, 0)),
        ((64, 8), 41, 1, (40, 8)),  # whole pieces
        ((64, 8), 41, 2, (32, 8)),
        ((64, 8), 15, 2, (14, None)),  # not one on each
        ((64, 8), 7, 1, (7, None)),
    ],
)
def test_as_asked_for_or_whole_pieces_of_what_there_is(asked, images, devices, expected):
    assert small_set_batch_size.fitting(*asked, images=images, devices=devices) == expected


def test_every_device_has_a_image():
    with pytest.raises(ValueError, match="at most 3 devices; got 4"):
        small_set_batch_size.fitting(64, None, images=3, devices=4)
