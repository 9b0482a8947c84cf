"""`python docs/site/demo.py runs/demo`, after `make demo`: what README and guide show of it.

Keeps the figures in `docs/demo.json`, writes them as a table and the quoted answer between the
marks `demo` of README.md and docs/guides/compare.md, and takes the image of the page with Chromium.
A test compares both pages with `docs/demo.json`.
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
KEPT, IMAGE = ROOT / "docs/demo.json", ROOT / "docs/compare.png"
PAGES = (ROOT / "README.md", ROOT / "docs/guides/compare.md")
MARKS = re.compile(r"(<!-- demo -->\n).*?(<!-- /demo -->)", re.DOTALL)
SETTINGS = ("shots", "prompt_epochs", "epochs", "held_out")
COLUMNS = {
    "seen": "seen",
    "unseen": "held out",
    "unseen_among_all": "held out, among all",
    "generalized": "all classes",
}
SIZE = (900, 1500)  # pixels of the image


def figures(results: dict[str, Any]) -> dict[str, Any]:
    """What is kept of the results of `make demo`."""
    rows = [{key: row[key] for key in ("method", *COLUMNS, "seconds")} for row in results["rows"]]
    chosen = results["recommendation"]
    about = {key: results["config"][key] for key in SETTINGS}
    return {**about, "classes": results["classes"], "rows": rows, "recommendation": chosen}


def shown(kept: dict[str, Any]) -> str:
    """The table and the answer, in Markdown."""
    head = ["", *COLUMNS.values(), "training"]
    lines = [head, ["---"] * len(head)]
    for row in kept["rows"]:
        cells = [_name(row, kept), *(_cell(row, key) for key in COLUMNS)]
        if row["method"] == kept["recommendation"]["method"]:
            cells = [f"**{cell}**" if cell else cell for cell in cells]
        lines.append([*cells, _duration(row["seconds"])])
    table = "\n".join(f"| {' | '.join(line)} |".replace("|  |", "| |") for line in lines)
    return f"{table}\n\n> {kept['recommendation']['answer']}\n"


def _name(row: dict[str, Any], kept: dict[str, Any]) -> str:
    if row["method"] != "coop":
        return row["method"]
    return f"coop ({max(kept['shots'])} shots, {kept['prompt_epochs']} passes)"


def _cell(row: dict[str, Any], key: str) -> str:
    return "" if row[key] is None else f"{100 * row[key]:.1f}"


def _duration(seconds: float) -> str:
    return f"{seconds / 60:.1f} min" if seconds >= 60 else f"{seconds:.0f} s"


def written(page: str, kept: dict[str, Any]) -> str:
    """A page with the table between its marks."""
    return MARKS.sub(lambda found: found[1] + shown(kept) + found[2], page)


def photograph(page: Path, image: Path) -> None:
    """The upper part of a page as an image of 128 colours."""
    from PIL import Image

    chromium = shutil.which("chromium") or "chromium-browser"
    with tempfile.TemporaryDirectory() as profile:
        whole = Path(profile) / "whole.png"
        subprocess.run(
            [
                *(chromium, "--headless", "--no-sandbox", "--hide-scrollbars", "--disable-gpu"),
                *(f"--user-data-dir={profile}", f"--window-size={SIZE[0]},{SIZE[1]}"),
                *(f"--screenshot={whole}", page.resolve().as_uri()),
            ],
            check=True,
            capture_output=True,
        )
        Image.open(whole).convert("RGB").quantize(128).save(image, optimize=True)


def main(run: Path) -> None:
    kept = figures(json.loads((run / "results.json").read_text(encoding="utf-8")))
    KEPT.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    for page in PAGES:
        page.write_text(written(page.read_text(encoding="utf-8"), kept), encoding="utf-8")
    photograph(run / "report.html", IMAGE)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
