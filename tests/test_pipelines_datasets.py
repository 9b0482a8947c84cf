"""`datasets` prints the whole catalogue, as a table and as JSON."""

import json

from pipelines.datasets import Options, run
from tfrecords.sources.catalog import DATASETS


def test_table_has_a_line_per_set(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    run(Options())
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split()[:4] == ["name", "images", "classes", "templates"]
    assert [line.split()[0] for line in lines] == list(DATASETS)
    food = next(line for line in lines if line.startswith("food101"))
    assert "101,000" in food and "TFDS or published" in food


def test_json_says_what_is_here(capsys, monkeypatch, tmp_path):
    (tmp_path / "dtd" / "3.0.1").mkdir(parents=True)
    (tmp_path / "dtd" / "3.0.1" / "dataset_info.json").write_text("{}")
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    run(Options(json=True))
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows.keys() == DATASETS.keys()
    here = [name for name, row in rows.items() if row["here"]]
    assert here == ["shapes", "shapes-wild", "shapes-multi", "dtd"]
    assert [name for name, row in rows.items() if row["multi_label"]] == ["shapes-multi"]
    assert rows["food101"]["splits"] == ["train", "test"]
