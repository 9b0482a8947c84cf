"""Public names of `tfrecords`: each leads to what it names, those of before with a warning."""

import pytest

import tfrecords


@pytest.mark.parametrize("name", sorted(tfrecords._LAZY))
def test_every_lazy_name_is_there(name):
    assert getattr(tfrecords, name) is not None


@pytest.mark.parametrize(("old", "new"), sorted(tfrecords._RENAMED.items()))
def test_a_name_of_before_is_the_new_one_with_a_warning(old, new):
    with pytest.warns(DeprecationWarning, match=f"tfrecords.{old} is tfrecords.{new} now"):
        assert getattr(tfrecords, old) is getattr(tfrecords, new)


def test_other_names_are_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'tfrecords' has no attribute 'nothing'"):
        _ = tfrecords.nothing
