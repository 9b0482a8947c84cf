"""`models` prints everything that can be named, as tables and as JSON."""

import json
import subprocess
import sys
from pathlib import Path

from dual_encoder import CHECKPOINTS, IMAGE_TOWERS, TEXT_TOWERS
from pipelines.models import entries, tables

ROW = {
    "name": "tiny",
    "kind": "dual-encoder",
    "parameters": 1234,
    "image_size": 64,
    "zero_shot": {"shapes": 0.925},
    "bytes_here": 5_678_000,
}
TAG = {
    "name": "ViT-X/web",
    "image_size": 224,
    "parameters": 1_000_000,
    "licence": "MIT",
    "refusal": "",
    "average": 0.5,
    "imagenet": 0.625,
}


def test_json_from_the_command_line_is_quiet():
    command = [sys.executable, "-m", "pipelines", "models", "--json"]
    result = subprocess.run(
        command, capture_output=True, text=True, cwd=Path(__file__).parents[1], timeout=60
    )
    assert result.returncode == 0 and result.stderr == ""
    found = json.loads(result.stdout)
    assert [row["name"] for row in found["checkpoints"]] == list(CHECKPOINTS)
    assert found["image_towers"] == list(IMAGE_TOWERS)
    assert found["text_towers"] == list(TEXT_TOWERS)


def test_a_checkpoint_says_whether_it_is_here():
    rows = {row["name"]: row for row in entries()["checkpoints"]}
    shipped = CHECKPOINTS["shapes-tiny"]
    assert rows["shapes-tiny"]["bytes_here"] == shipped.file.stat().st_size
    assert rows["clip-rn50"]["zero_shot"]["food101"] == 0.808
    assert rows["clip-rn50"]["licence"] == "MIT"


def test_tables_for_people():
    missing = {**ROW, "name": "a longer name", "bytes_here": None, "zero_shot": {}}
    text = {**ROW, "name": "words", "kind": "text-encoder", "image_size": None, "zero_shot": {}}
    found = {"checkpoints": [ROW, missing, text]}
    other = {**TAG, "name": "Y/web", "parameters": None, "licence": "", "refusal": "no towers"}
    found |= {"image_towers": ["vit"], "text_towers": ["bert", "gru"], "open_clip": [TAG, other]}
    lines = tables(found).splitlines()
    assert lines[2].split() == ["tiny", "64", "1,234", "5.7", "MB", "shapes", "92.5%"]
    assert lines[3].split() == ["a", "longer", "name", "64", "1,234", "no"]
    assert lines[2].index("64") == lines[3].index("64")
    assert ["words", "1,234", "5.7", "MB"] in [line.split() for line in lines]
    assert "OpenCLIP's own table (--model MODEL/TAG): 1 of 2 load" in lines
    rows = [" ".join(line.split()) for line in lines]
    assert "ViT-X/web 224 1,000,000 MIT imagenet 62.5%, 38 sets 50.0%" in rows
    assert "Y/web 224 does not load: no such towers" in rows
    assert "image towers (--image-tower):" in lines and lines[-1] == "  bert, gru"
