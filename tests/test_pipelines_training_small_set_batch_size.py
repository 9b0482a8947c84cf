"""Batches where there are fewer images than were asked for."""

import pytest

from pipelines.finetuning.options import Options as Finetune
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


def test_a_batch_that_nobody_asked_for_is_no_larger_than_the_images_there_are(capsys):
    def unasked(images, **given):
        return small_set_batch_size.unasked(Finetune("d", "m", "o", **given), images=images)

    assert unasked(41) == 41 and unasked(41, micro_batch=8) == 40
    assert "Batches are of 41 images, not of 64: there are no more" in capsys.readouterr().out
    assert unasked(100) == unasked(41, strategy="mirrored") == unasked(0) == 64
    assert unasked(41, batch_size=50) == 50  # and is refused
    assert small_set_batch_size.unasked(Finetune("d", "m", "o"), images=41, steps=False) == 41
    assert not capsys.readouterr().out
