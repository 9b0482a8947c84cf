"""A model pushed to a stand-in of the hub, and loaded back from it."""

import pytest
from tiny_models import assert_same, bert, clip, outputs, scrambled, vit

import dual_encoder

pytestmark = pytest.mark.usefixtures("all_eagerly")

RESULTS = {"schema": 2, "metrics": {"top1": 0.8237}, "intervals": {"top1": [0.8071, 0.8402]}}
# huggingface_hub 2.4 uploads over plain HTTP with an argument that its HTTP library deprecates.
OLD_UPLOAD = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


@OLD_UPLOAD
def test_push_and_load_back(hub):
    model = scrambled(clip())
    url = dual_encoder.push_to_hub(
        model, "me/shapes", results=RESULTS, licence="mit", private=True, message="First"
    )
    repository = hub.repositories["me/shapes"]
    assert url.startswith(f"{hub.endpoint}/me/shapes/commit/")
    assert repository.private and repository.messages == ["First"]
    files = repository.commits[repository.references["main"]]
    assert "82.4 %" in files["README.md"].decode() and "CLIPModel" in files["README.md"].decode()
    assert_same(outputs(dual_encoder.load("hf://me/shapes")), outputs(model))


@OLD_UPLOAD
def test_push_of_what_transformers_has_not_and_over_another_model(hub):
    first, second = scrambled(bert()), scrambled(clip(projection_depth=1))
    hub.publish("me/shapes", {"notes.txt": b"mine", "open_clip_config.json": b"{}"})
    repository = hub.repositories["me/shapes"]
    for model, library in ((second, "keras"), (first, "transformers"), (second, "keras")):
        dual_encoder.push_to_hub(model, "me/shapes")
        files = repository.commits[repository.references["main"]]
        assert f"library_name: {library}" in files["README.md"].decode()
        assert files["notes.txt"] == b"mine"
        loaded = dual_encoder.load("hf://me/shapes")
        assert type(loaded) is type(model)
        assert_same(outputs(loaded), outputs(model))
    assert set(files) == {"README.md", "model.keras", "notes.txt"}


def test_pushes_that_are_refused_before_anything_is_written(hub):
    with pytest.raises(ValueError, match="expected a repository of the form 'org/repo'"):
        dual_encoder.push_to_hub(vit(), "shapes")
    with pytest.raises(FileNotFoundError, match="no such results"):
        dual_encoder.push_to_hub(vit(), "me/shapes", results="none.json")
    assert hub.requests == []
