"""`load` of a name, of a repository, of what is wrong there, on a stand-in of the hub."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch_archives
from published_repositories import REPOSITORIES, published, tiny_texts
from safetensors.numpy import load_file

import dual_encoder
from dual_encoder import CHECKPOINTS
from dual_encoder.checkpoints import fetch_by_name
from dual_encoder.checkpoints.open_clip import text_towers

pytestmark = pytest.mark.usefixtures("all_eagerly")

FIXTURES = Path(__file__).parent / "fixtures" / "pretrained"
MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.3, 0.25)
ROW = replace(
    CHECKPOINTS["clip-vit-large-patch14"],
    repository="duet/tiny",
    parameters=3_417,
    image_size=16,
    patch_size=8,
    embed_dim=8,
    context_length=8,
    mean=MEAN,
    std=STD,
    tag="tiny/duet",
)


def files_of(name):
    """A published repository: the fixture with other things beside it."""
    folder = FIXTURES / name
    paths = [path for path in folder.rglob("*") if path.is_file()]
    files = {str(path.relative_to(folder)): path.read_bytes() for path in paths}
    return {**files, "README.md": b"about", "pytorch_model.bin": b"never wanted"}


def in_torch(files):
    """The same with its weights as a file of torch alone."""
    name = next(file for file in files if file.endswith("model.safetensors"))
    tensors = load_file(FIXTURES / "clip_quick_gelu_legacy_eos" / name)
    state = {key: torch_archives.tensor(array) for key, array in tensors.items()}
    others = {key: data for key, data in files.items() if key != name}
    return {**others, "pytorch_model.bin": torch_archives.archive(state)}


def assert_is(model, name):
    wanted = load_file(FIXTURES / name / "expected.safetensors")
    found = np.array(model.encode_image(wanted["image_pixels"]))
    np.testing.assert_allclose(found, wanted["image"], atol=1e-5)


def refused(error, *arguments, **options):
    with pytest.raises(error) as caught:
        dual_encoder.load(*arguments, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.fixture
def table(monkeypatch):
    """A table with one row, whose published files are a fixture."""

    def put(row):
        monkeypatch.setattr(fetch_by_name, "CHECKPOINTS", {"tiny": row})

    return put


@pytest.mark.parametrize("name", ["clip_quick_gelu_legacy_eos", "open_clip_vit"])
def test_a_repository_by_its_address(hub, name, tmp_path):
    hub.publish("duet/tiny", files_of(name))
    assert_is(dual_encoder.load("hf://duet/tiny"), name)
    fetched = {path.name for path in (tmp_path / "cache").rglob("snapshots/*/*")}
    assert "pytorch_model.bin" not in fetched and "README.md" not in fetched


def test_a_name_of_the_table_or_its_tag(hub, table):
    name = "clip_quick_gelu_legacy_eos"
    hub.publish("duet/tiny", files_of(name))
    model = dual_encoder.load("hf://duet/tiny")
    count = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    table(replace(ROW, parameters=count))
    size = (FIXTURES / name / "model.safetensors").stat().st_size
    assert fetch_by_name.bytes_here(fetch_by_name.CHECKPOINTS["tiny"]) == size
    for given in ("tiny", "tiny/duet"):
        assert_is(dual_encoder.load(given), name)
    assert dual_encoder.load("tiny", image_size=24).image_size == 24


def test_a_configuration_that_contradicts_the_table(hub, table):
    hub.publish("duet/tiny", files_of("clip_gelu_bfloat16"))
    table(ROW)
    message = refused(ValueError, "tiny")
    assert message.startswith("duet/tiny: its configuration contradicts the table of checkpoints:")
    assert "activation: the table has 'quick_gelu', the checkpoint 'gelu'" in message


def test_pixel_statistics_that_contradict_the_table(hub, table):
    files = files_of("clip_quick_gelu_legacy_eos")
    pixels = json.loads(files["preprocessor_config.json"])
    files["preprocessor_config.json"] = json.dumps({**pixels, "image_mean": STD}).encode()
    hub.publish("duet/tiny", files)
    table(ROW)
    assert "mean: the table has (0.4, 0.5, 0.6), the checkpoint (0.2, 0.3, 0.25)" in refused(
        ValueError, "tiny"
    )


def test_weights_that_only_torch_wrote(hub, table):
    """Read without running what they pickle."""
    name = "clip_quick_gelu_legacy_eos"
    files = in_torch(files_of(name))
    hub.publish("duet/tiny", files)
    assert_is(dual_encoder.load("hf://duet/tiny"), name)
    row = replace(ROW, parameters=1)
    table(row)
    assert fetch_by_name.bytes_here(row) == len(files["pytorch_model.bin"])


def test_a_revision_behind_the_name_or_as_an_argument(hub, table):
    name, revision = "clip_quick_gelu_legacy_eos", "refs/pr/2"
    hub.publish("duet/tiny", {"README.md": b"about"})
    hub.publish("duet/tiny", files_of(name), reference=revision)
    assert_is(dual_encoder.load(f"hf://duet/tiny@{revision}"), name)
    model = dual_encoder.load("hf://duet/tiny", revision=revision)
    count = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    table(replace(ROW, parameters=count))
    for given in (f"tiny@{revision}", f"tiny/duet@{revision}"):
        assert_is(dual_encoder.load(given), name)
    message = refused(FileNotFoundError, "tiny@v9")
    assert message.startswith("duet/tiny: no revision 'v9' on the hub")
    for given, revision in (("tiny@", None), ("tiny@v1", "v2")):
        assert "expected one revision after @" in refused(ValueError, given, revision=revision)


def test_a_repository_without_weights_says_what_it_has(hub, table):
    hub.publish("duet/tiny", {"config.json": b"{}", "tf_model.h5": b"of another framework"})
    table(ROW)
    for given in ("tiny", "hf://duet/tiny"):
        message = refused(FileNotFoundError, given)
        assert message.startswith("duet/tiny: no weights here; expected model.safetensors, ") or (
            given != "tiny" and message.startswith("duet/tiny: no weights here; expected ")
        )
        assert message.endswith("there is config.json, tf_model.h5")
    assert hub.sent() == 0


def test_a_preset_of_keras_hub_comes_with_its_weights_and_assets(hub, tmp_path):
    files = {"config.json": b'{"registered_name": "x", "class_name": "NoBackbone"}'}
    files |= {"model.weights.h5": b"weights", "task.json": b"{}", "README.md": b"about"}
    files |= {"assets/tokenizer/vocabulary.spm": b"words"}
    hub.publish("keras/tiny", files)
    assert "expected a preset of CLIPBackbone" in refused(ValueError, "hf://keras/tiny")
    (folder,) = (tmp_path / "cache").glob("models--keras--tiny/snapshots/*")
    fetched = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert fetched == files.keys() - {"README.md"}


def test_what_is_not_there(hub, table):
    table(ROW)
    assert fetch_by_name.bytes_here(ROW) is None
    for given in ("tiny", "hf://duet/tiny"):
        assert refused(FileNotFoundError, given).startswith("duet/tiny: no such repository")
    assert "expected a repository of the form 'org/repo'" in refused(ValueError, "hf://tiny")


# --- Every row of the table, from the files that its repository has ------------------------------

PUBLISHED = [name for name, row in CHECKPOINTS.items() if row.repository]


def test_every_repository_of_the_table_is_known():
    assert REPOSITORIES.keys() == set(PUBLISHED)
    assert {facts["sure"] for facts in REPOSITORIES.values()} == {"several", "one", "likely"}


@pytest.mark.parametrize("name", PUBLISHED)
def test_sizes_of_published_files_are_those_of_the_parameters(name):
    """In float32, with a header and what the model has no use for beside."""
    for file, size in REPOSITORIES[name]["weights"].items():
        assert size is None or 4 * CHECKPOINTS[name].parameters < size, file
        assert size is None or size < 4.03 * CHECKPOINTS[name].parameters, file


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_row_loads_from_the_files_that_are_there(name, hub, table, monkeypatch, tmp_path):
    monkeypatch.setattr(text_towers, "HF_TEXT", tiny_texts())
    folder = tmp_path / "settings"
    folder.mkdir()
    repository = published(name, folder)
    address = str(repository.row.repository)
    hub.publish(address, repository.files, reference=repository.revision)
    table(repository.row)
    model = dual_encoder.load("tiny")
    assert sum(int(np.prod(w.shape)) for w in model.trainable_weights) == repository.row.parameters
    assert fetch_by_name.bytes_here(repository.row) in map(len, repository.files.values())
    fetched = {path.name for path in (tmp_path / "cache").rglob("snapshots/*/*")}
    weights = fetched & set(REPOSITORIES[name]["weights"])
    assert len(weights) == 1
    safetensors = any(file.endswith(".safetensors") for file in REPOSITORIES[name]["weights"])
    assert weights.pop().endswith(".safetensors" if safetensors else ".bin")
