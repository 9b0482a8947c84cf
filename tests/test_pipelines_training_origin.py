"""What a run was begun from is known by its content, not by its name."""

import dataclasses

from pipelines.training.origin import origin
from tfrecords.manifest import Manifest

MANIFEST = Manifest(1, "pets", {}, ("cat",), (), "top1", False, {}, {}, {})


def test_records_and_models_are_known_by_their_content(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "a").write_bytes(b"1")
    first = origin(MANIFEST, str(tmp_path / "model"))
    assert first == origin(MANIFEST, str(tmp_path / "model")) and len(first) == 3
    (tmp_path / "model" / "a").write_bytes(b"2")
    other = origin(dataclasses.replace(MANIFEST, dataset="cars"), str(tmp_path / "model"))
    assert other["model"] != first["model"] and other["records"] != first["records"]


def test_a_published_name_is_no_file():
    assert "model" not in origin(MANIFEST, "clip-vit-base-patch32")
    assert "model" not in origin(MANIFEST, None)
