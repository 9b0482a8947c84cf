"""`models` prints everything that can be named, as tables and as JSON."""

import json
import subprocess
import sys
from pathlib import Path

from dual_encoder import CHECKPOINTS, IMAGE_TOWERS, TEXT_TOWERS
from pipelines.models import entries, tables

ROW = {
    "name": "tiny",
    "parameters": 1234,
    "image_size": 64,
    "zero_shot": {"shapes": 0.925},
    "trained_on": "captions",
    "here": True,
    "bytes": 5678,
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
    for row in entries()["checkpoints"]:
        file = CHECKPOINTS[row["name"]].file
        assert row["here"] == file.is_file()
        assert row["bytes"] == (file.stat().st_size if file.is_file() else None)


def test_tables_for_people():
    missing = {**ROW, "name": "other", "here": False, "bytes": None, "zero_shot": {}}
    found = {"checkpoints": [ROW, missing], "image_towers": ["vit"], "text_towers": ["bert"]}
    lines = tables(found).splitlines()
    assert lines[1].endswith("64 px, 1,234 parameters, 5,678 bytes; zero-shot top-1: shapes 92.5%")
    assert lines[3].endswith("1,234 parameters, not here; zero-shot top-1: unknown")
    assert "image towers (--image-tower):" in lines and lines[-1] == "  bert"
