"""The hub's files: fetched once, resumed, checked, refused in one line, pushed."""

import importlib
import os
import resource
import shutil
import subprocess
import sys
import threading
import time
import types
from pathlib import Path
from unittest import mock

import huggingface_hub
import huggingface_hub.errors  # before the import below, which forgets what it brought
import huggingface_hub.hf_api  # noqa: F401
import pytest
from hub_server import Fault, HubServer
from huggingface_hub import constants

ROOT = Path(__file__).parents[1]
WEIGHTS = bytes(range(256)) * 1200  # 300 kB
SMALL = {"config.json": b'{"embed_dim": 128}', "tokens/vocab.txt": b"a\nred\nstar\n"}
FILES = {"model.safetensors": WEIGHTS, **SMALL}
REPOSITORY = "duet/shapes"
# huggingface_hub 2.4 uploads over plain HTTP with an argument that its HTTP library deprecates.
OLD_UPLOAD = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


def import_hub() -> types.ModuleType:
    """The module without the packages around it, which need Keras and a backend."""
    with mock.patch.dict(sys.modules):
        for name in ("dual_encoder", "dual_encoder.checkpoints", "dual_encoder.checkpoints.hub"):
            sys.modules[name] = types.ModuleType(name)
            sys.modules[name].__path__ = [str(ROOT / name.replace(".", "/"))]
        return importlib.import_module("dual_encoder.checkpoints.hub.download_upload")


module = import_hub()


@pytest.fixture
def server(hub, monkeypatch):
    """The stand-in with one repository, nobody's token and no waiting."""
    hub.publish(REPOSITORY, FILES)
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1 << 14)
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    return hub


def line_of(error: pytest.ExceptionInfo, *parts: str) -> str:
    """The message, which is one line, begins with the repository and has the parts."""
    line = str(error.value)
    print(f"{error.typename}: {line}")
    assert line.startswith(f"{REPOSITORY}: ") and "\n" not in line
    assert all(part in line for part in parts), line
    assert error.value.__cause__ is not None or "checksum" in line or "expected one of" in line
    return line


def cached_files(tmp_path: Path) -> list[str]:
    """Everything in the cache that holds a file's bytes, whole or not."""
    return sorted(path.name for path in (tmp_path / "cache").rglob("blobs/*"))


def test_downloads_what_matches(server):
    folder = module.fetch(REPOSITORY, ["config.json", "*.safetensors", "*.h5"])
    assert (folder / "config.json").read_bytes() == SMALL["config.json"]
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert not (folder / "tokens").exists()
    assert server.sent() == len(WEIGHTS) + len(SMALL["config.json"])


def test_lists_files(server):
    assert module.files(REPOSITORY) == sorted(FILES)
    assert len(server.requests) == 1


def test_second_call_transfers_nothing(server):
    first = module.fetch(REPOSITORY, list(FILES))
    before, sent = len(server.requests), server.sent()
    assert module.fetch(REPOSITORY, ["*"]) == first
    assert len(server.requests) == before + 1 and server.sent() == sent


def test_hashes_only_what_is_new(server, monkeypatch):
    module.fetch(REPOSITORY, ["*"])
    monkeypatch.setattr(module.hashlib, "file_digest", None)
    module.fetch(REPOSITORY, ["*"])


def test_resumes_with_a_range(server):
    server.faults = [Fault("GET /duet/shapes/resolve", cut_after=200_000, times=1)]
    folder = module.fetch(REPOSITORY, ["model.safetensors"])
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    asked = [request for request in server.requests if request.sent]
    start = int(asked[1].headers["Range"].removeprefix("bytes=").removesuffix("-"))
    assert len(asked) == 2 and 0 < start <= 200_000
    assert asked[1].sent == len(WEIGHTS) - start


def test_a_half_file_is_never_used(server, tmp_path):
    server.faults = [Fault("GET /duet/shapes/resolve", cut_after=0)]
    with pytest.raises(ConnectionError) as error:
        module.fetch(REPOSITORY, ["model.safetensors"])
    line_of(error, "the download of model.safetensors broke off", "try again")
    assert cached_files(tmp_path) == []
    server.faults = []
    assert (module.fetch(REPOSITORY, ["*"]) / "model.safetensors").read_bytes() == WEIGHTS


def test_wrong_bytes_are_deleted_and_fetched_again(server, tmp_path):
    server.faults = [Fault("GET /duet/shapes/resolve/", corrupt=True, times=1)]
    with pytest.raises(ValueError) as error:
        module.fetch(REPOSITORY, ["model.safetensors"])
    line_of(error, "checksum", "model.safetensors", "deleted", str(tmp_path))
    assert cached_files(tmp_path) == []
    assert (module.fetch(REPOSITORY, ["*"]) / "model.safetensors").read_bytes() == WEIGHTS


@pytest.mark.parametrize(
    ("fault", "kind", "parts"),
    [
        (Fault("/api/models", status=401), FileNotFoundError, ("401", "HF_TOKEN")),
        (Fault("/api/models", 403, "GatedRepo"), PermissionError, ("403", "HF_TOKEN", "page")),
        (Fault("/resolve/", 403, "GatedRepo"), PermissionError, ("403", "HF_TOKEN", "page")),
        (Fault("/resolve/", status=403), PermissionError, ("403", "HF_TOKEN")),
        (Fault("/api/models", 404, "RepoNotFound"), FileNotFoundError, ("404", "check the name")),
        (Fault("HEAD ", 404, "EntryNotFound"), FileNotFoundError, ("no file config.json",)),
        (Fault("/api/models", status=503), ConnectionError, ("503 Service Unavailable", "later")),
        (Fault("/tree/", status=503), ConnectionError, ("503 Service Unavailable", "later")),
        (Fault("HEAD ", status=503), ConnectionError, ("503 Service Unavailable", "later")),
        (Fault("GET /duet", status=503), ConnectionError, ("503 Service Unavailable", "later")),
        (Fault("/api/models", status=429), ConnectionError, ("429 Too Many Requests", "later")),
    ],
)
def test_refusals(server, tmp_path, fault, kind, parts):
    server.faults = [fault]
    with pytest.raises(kind) as error:
        module.fetch(REPOSITORY, ["config.json"])
    line_of(error, *parts)
    assert cached_files(tmp_path) == [] and len(server.requests) < 12


def test_unavailable_hub_leaves_the_cache(server):
    folder = module.fetch(REPOSITORY, ["config.json", "tokens/*"])
    server.faults = [Fault("/", status=503)]
    with pytest.warns(UserWarning, match=r"503.*using the copy in the cache"):
        assert module.fetch(REPOSITORY, ["config.json"]) == folder
    with pytest.raises(ConnectionError) as error:
        module.fetch(REPOSITORY, ["config.json", "*.safetensors"])
    line_of(error, "503", "the cache has not all of config.json, *.safetensors")


def test_unreachable_hub(server, monkeypatch):
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ConnectionError) as error:
        module.fetch(REPOSITORY, ["config.json"])
    line_of(error, "cannot be reached", "refused", "HF_ENDPOINT")
    with pytest.raises(ConnectionError) as error:
        module.files(REPOSITORY)
    line_of(error, "the cache has not any file", "refused")


def test_not_a_hub(server):
    server.faults = [Fault("/api/models", status=204)]
    with pytest.raises(ConnectionError) as error:
        module.fetch(REPOSITORY, ["config.json"])
    line_of(error, "what answered is not the hub", "HF_ENDPOINT")


def test_names_that_do_not_exist(server):
    with pytest.raises(FileNotFoundError) as error:
        module.fetch(REPOSITORY, ["config.json", "model.h5"])
    line_of(error, "no file model.h5", "model.safetensors")
    with pytest.raises(FileNotFoundError) as error:
        module.fetch(REPOSITORY, ["*.h5"])
    line_of(error, "no file *.h5", "model.safetensors")
    with pytest.raises(FileNotFoundError) as error:
        module.fetch(REPOSITORY, ["config.json"], revision="v9")
    line_of(error, "no revision 'v9'", "a tag")
    assert server.sent() == 0
    for name in ("shapes-tiny", "a/b/c", "duet/../shapes", "duet/sh apes"):
        with pytest.raises(ValueError, match=r"expected a repository.*'org/repo'.*got|not a name"):
            module.fetch(name, ["config.json"])


def test_a_repository_that_is_not_there_or_private(server, monkeypatch):
    with pytest.raises(FileNotFoundError, match=r"^duet/none: no such repository.*HF_TOKEN"):
        module.files("duet/none")
    server.repositories[REPOSITORY].private = True
    with pytest.raises(FileNotFoundError) as error:
        module.fetch(REPOSITORY, ["config.json"])
    line_of(error, "private", "HF_TOKEN")
    monkeypatch.setenv("HF_TOKEN", server.token)
    assert (module.fetch(REPOSITORY, ["config.json"]) / "config.json").is_file()
    assert server.requests[-1].headers["Authorization"] == f"Bearer {server.token}"


def test_full_disk(server, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    with monkeypatch.context() as patch, pytest.raises(OSError) as error:
        patch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=100_000))
        module.fetch(REPOSITORY, ["*"])
    line_of(error, "full", "MB wanted", "HF_HOME", str(tmp_path))
    assert server.sent() == 0


def test_disk_that_ends_in_the_middle(server, tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(OSError) as error:
            module.fetch(REPOSITORY, ["model.safetensors"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    line_of(error, "full", "File too large", "HF_HOME", str(tmp_path))
    assert cached_files(tmp_path) == []


def test_cache_that_cannot_be_written(server, tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(OSError) as error:
        module.fetch(REPOSITORY, ["config.json"])
    line_of(error, "cannot write to the cache", "HF_HOME", str(tmp_path))


def test_offline(server, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(ConnectionError) as error:
        patch.setattr(constants, "HF_HUB_OFFLINE", True)
        module.fetch(REPOSITORY, ["config.json"])
    line_of(error, "the cache has not all of config.json", "unset it", "beforehand")
    folder = module.fetch(REPOSITORY, ["config.json", "tokens/*"])
    before = len(server.requests)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert module.fetch(REPOSITORY, ["config.json", "tokens/*"]) == folder
    assert module.files(REPOSITORY) == ["config.json", "tokens/vocab.txt"]
    with pytest.raises(ConnectionError) as error:
        module.fetch(REPOSITORY, ["config.json", "model.*"])
    line_of(error, "HF_HUB_OFFLINE")
    assert len(server.requests) == before


def test_offline_half_a_set_is_not_a_set(server, monkeypatch):
    shards = {f"model-{part}.safetensors": WEIGHTS[: part + 9] for part in range(3)}
    server.publish(REPOSITORY, shards)
    module.fetch(REPOSITORY, ["model-0.safetensors"])
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ConnectionError, match=r"has not all of \*.safetensors"):
        module.fetch(REPOSITORY, ["*.safetensors"])


def test_old_revision_serves_until_the_new_one_is_whole(server, monkeypatch):
    old = module.fetch(REPOSITORY, ["*"])
    server.publish(REPOSITORY, {**FILES, "model.safetensors": WEIGHTS[::-1]})
    server.faults = [Fault("GET /duet/shapes/resolve", corrupt=True)]
    with pytest.raises(ValueError, match="checksum"):
        module.fetch(REPOSITORY, ["*"])
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert module.fetch(REPOSITORY, ["*"]) == old
    assert (old / "model.safetensors").read_bytes() == WEIGHTS


def test_pinned_revision(server):
    first = server.repositories[REPOSITORY].references["main"]
    server.publish(REPOSITORY, {"config.json": b"{}"}, reference="v2")
    for revision, content in ((first, SMALL["config.json"]), ("v2", b"{}")):
        folder = module.fetch(REPOSITORY, ["config.json"], revision=revision)
        assert (folder / "config.json").read_bytes() == content
    before = len(server.requests)
    assert module.fetch(REPOSITORY, ["config.json"], revision=first).name == first
    assert len(server.requests) == before  # a commit never changes


@OLD_UPLOAD
def test_push_and_fetch_back(server, tmp_path, monkeypatch):
    folder = tmp_path / "mine"
    for name, data in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    monkeypatch.setenv("HF_TOKEN", server.token)
    url = module.push(folder, "me/new", private=True, message="First")
    repository = server.repositories["me/new"]
    assert repository.private and repository.messages == ["First"]
    assert url == f"{server.endpoint}/me/new/commit/{repository.references['main']}"
    fetched = module.fetch("me/new", ["*"])
    assert {name: (fetched / name).read_bytes() for name in FILES} == FILES
    module.push(folder, "me/new")  # into one that is there
    assert set(repository.messages) == {"First", "Upload a Duet model"}


@OLD_UPLOAD
def test_pushes_that_fail(server, tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match="no such folder"):
        module.push(tmp_path / "none", REPOSITORY)
    (tmp_path / "mine").mkdir()
    with pytest.raises(ValueError, match="empty"):
        module.push(tmp_path / "mine", REPOSITORY)
    (tmp_path / "mine" / "model.safetensors").write_bytes(WEIGHTS)
    with pytest.raises(PermissionError) as error:
        module.push(tmp_path / "mine", REPOSITORY)
    line_of(error, "401", "HF_TOKEN", "write")
    monkeypatch.setenv("HF_TOKEN", server.token)
    before = dict(server.repositories[REPOSITORY].references)
    for part in ("PUT /upload", "/commit/"):
        server.faults = [Fault(part, status=503)]
        with pytest.raises(ConnectionError) as error:
            module.push(tmp_path / "mine", REPOSITORY)
        line_of(error, "503", "later")
    assert server.repositories[REPOSITORY].references == before


PROGRAM = """
import test_dual_encoder_checkpoints_hub_download_upload as test
print(test.module.fetch("duet/shapes", ["model.safetensors"]))
"""


def child(server: HubServer, home: Path, **more: str) -> subprocess.Popen[str]:
    """A process of its own that fetches, as huggingface_hub reads the variables once."""
    own = {"HF_HOME": str(home), "HF_TOKEN": server.token, "HF_ENDPOINT": server.endpoint}
    environment = {**os.environ, **own, "PYTHONPATH": str(ROOT / "tests"), **more}
    command = [sys.executable, "-c", PROGRAM]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True)


def test_obeys_the_usual_variables(server, tmp_path):
    server.repositories[REPOSITORY].private = True
    with child(server, tmp_path / "home") as process:
        printed, progress = process.communicate()
    assert process.returncode == 0, progress
    weights = Path(printed.strip()) / "model.safetensors"
    assert weights.read_bytes() == WEIGHTS and tmp_path / "home" in weights.parents
    assert "100%" in progress
    before = len(server.requests)
    with child(server, tmp_path / "home", HF_HUB_OFFLINE="1", HF_TOKEN="") as process:
        assert process.communicate()[0] == printed
    assert len(server.requests) == before


def test_a_killed_download_leaves_nothing_to_use(server, tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "home" / "hub"))
    server.faults = [Fault("GET /duet/shapes/resolve", cut_after=200_000, hang=True, times=1)]
    with child(server, tmp_path / "home") as process:
        while not server.sent() and process.poll() is None:
            threading.Event().wait(0.05)
        process.kill()
    assert server.sent() == 200_000
    folder = module.fetch(REPOSITORY, ["model.safetensors"])
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
