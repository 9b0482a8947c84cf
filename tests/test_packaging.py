"""What `python -m build` makes: an sdist, and of it a wheel with every file."""

import email
import os
import shlex
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

pytest.importorskip("build", reason="the extra dev is not installed")

ROOT = Path(__file__).parents[1]
PACKAGES = ("duet", "tfrecords", "dual_encoder", "classifiers", "pipelines")
NO_DATA = shutil.ignore_patterns("__pycache__", "*.pyc", "*.egg-info")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
SUPPORTED = ("3.11", "3.12", "3.13")


def test_the_lock_has_every_direct_dependency_at_a_version_that_is_allowed():
    """For each Python: a line of the lock, `name==version ; marker`, may be of some alone."""
    lines = [
        Requirement(line)
        for line in (ROOT / "requirements-lock.txt").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    asked = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]]
    asked += PROJECT["optional-dependencies"]["serve"]
    for version in SUPPORTED:
        python = {"python_version": version, "python_full_version": f"{version}.9"}
        locked = {
            canonicalize_name(line.name): next(iter(line.specifier)).version
            for line in lines
            if line.marker is None or line.marker.evaluate({**python, "sys_platform": "linux"})
        }
        for each in map(Requirement, asked):
            if (name := canonicalize_name(each.name)) != PROJECT["name"]:
                assert each.specifier.contains(locked[name]), (version, str(each))


def test_the_citation_is_of_this_version():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert cited["version"] == PROJECT["version"] and cited["license"] == PROJECT["license"]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder with an sdist and the wheel that was made of it, from a copy of the sources.

    A copy, for setuptools puts into a wheel what it finds in an older `build/`.
    """
    folder = tmp_path_factory.mktemp("packaging")
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for package in PACKAGES:
        shutil.copytree(ROOT / package, source / package, ignore=NO_DATA)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder / "dist")]
    done = subprocess.run(
        [*command, str(source)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path[1:]))},
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-2000:]
    return folder / "dist"


@pytest.fixture(scope="module")
def wheel(built):
    (path,) = built.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        yield archive


def on_disk():
    """Every file of the packages, by its path."""
    paths = (path for package in PACKAGES for path in (ROOT / package).rglob("*"))
    return {
        path.relative_to(ROOT).as_posix()
        for path in paths
        if path.is_file() and path.suffix != ".pyc"
    }


def read(archive, name):
    (path,) = [path for path in archive.namelist() if path.endswith(f".dist-info/{name}")]
    return archive.read(path).decode()


def test_the_wheel_has_every_file_of_the_packages_and_no_other(wheel):
    packed = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert packed == on_disk()


def test_data_that_commands_need_is_in_the_wheel(wheel):
    packed = set(wheel.namelist())
    assert "dual_encoder/checkpoints/shapes-tiny.safetensors" in packed
    assert "dual_encoder/checkpoints/open_clip/tags.csv" in packed
    assert "pipelines/runs/schemas/results.schema.json" in packed
    assert "pipelines/published/datasets.yaml" in packed
    assert "pipelines/recipes/shapes_compare.yaml" in packed
    assert "pipelines/reporting/templates/compare.html.j2" in packed


def test_the_sdist_has_all_that_the_wheel_is_made_of(built):
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        packed = {name.partition("/")[2] for name in archive.getnames()}
    assert on_disk() | {"pyproject.toml", "README.md", "LICENSE"} <= packed


def test_the_metadata_says_who_can_install_it(wheel):
    metadata = email.message_from_string(read(wheel, "METADATA"))
    assert metadata["Name"] == "duet-vision-language" and metadata["Version"] == PROJECT["version"]
    assert metadata["License-Expression"] == "Apache-2.0" and "LICENSE" in metadata["License-File"]
    assert set(metadata["Requires-Python"].split(",")) == {">=3.11", "<3.14"}
    listed = {name.rpartition(" :: ")[2] for name in metadata.get_all("Classifier")}
    assert set(SUPPORTED) <= listed
    required = [line for line in metadata.get_all("Requires-Dist") if "extra ==" not in line]
    assert len(required) == len(PROJECT["dependencies"])
    assert metadata.get_payload().startswith("# Duet")
    scripts = " ".join(read(wheel, "entry_points.txt").split())
    assert scripts == "[console_scripts] duet = pipelines.__main__:main"


def test_the_console_script_starts_from_the_wheel_alone(wheel, tmp_path):
    wheel.extractall(tmp_path / "installed")
    module, _, function = PROJECT["scripts"]["duet"].partition(":")
    code = (
        f"import sys; sys.path.insert(0, sys.argv.pop(1)); import {module} as m, duet; "
        f"print(m.__file__); sys.exit(m.{function}())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "installed"), "--version"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    where, said = done.stdout.splitlines()
    assert done.returncode == 0 and Path(where).is_relative_to(tmp_path / "installed")
    assert said == f"duet {PROJECT['version']}"


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_make_sets_nothing_up_with_a_python_that_is_not_supported(tmp_path):
    old = tmp_path / "python3.10"
    code = (
        "import os, sys; flags = sys.flags; "
        "print('PYTHONPATH' in os.environ, flags.optimize, flags.utf8_mode); "
        "sys.version_info, sys.version = (3, 10, 13), '3.10.13 (main)'; "
    )
    old.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -c "{code}$2"\n')
    old.chmod(0o755)
    for name in ("Makefile", "pyproject.toml", "requirements-lock.txt"):
        shutil.copy(ROOT / name, tmp_path)
    command = ["make", "demo", f"PYTHON=./{old.name}"]
    shell = {  # not within the make that runs the tests, which would say so
        **{name: value for name, value in os.environ.items() if "MAKE" not in name},
        "PYTHONPATH": "/of/another/program",
        "PYTHONOPTIMIZE": "1",
        "PYTHONUTF8": "0",
    }
    done = subprocess.run(command, cwd=tmp_path, env=shell, capture_output=True, text=True)
    said = "expected Python 3.11 to 3.13, as in make PYTHON=python3.12; ./python3.10 is 3.10.13\n"
    assert done.returncode == 2 and said in done.stderr and not (tmp_path / ".venv").exists()
    assert done.stdout == "False 0 1\n"  # of the shell's settings it gets none


def test_the_docker_image_is_made_of_what_the_wheel_needs():
    kept = {
        line[1:].removesuffix("/**")
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    assert kept == {"pyproject.toml", "requirements-lock.txt", "README.md", "LICENSE", *PACKAGES}
    text = (ROOT / "Dockerfile").read_text()
    assert "pip install --no-cache-dir --constraint /wheels/requirements-lock.txt" in text
    python = next(line for line in text.splitlines() if line.startswith("ARG PYTHON="))
    assert python.partition("=")[2] in SUPPORTED
    extras = [line for line in text.splitlines() if line.startswith("ARG EXTRAS=")]
    assert extras and extras[0].partition("=")[2] in PROJECT["optional-dependencies"]
