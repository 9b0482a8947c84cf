"""What several test files share."""

import gc
import itertools
import json
import os
import shutil
import signal
import tempfile
from pathlib import Path

# As many processes test as there are cores: their threads would wait for each other, spinning.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"):
    os.environ.setdefault(name, "1")

# What a person's shell and network have set is not what is tested: the hub and the workers of tests
# are on this machine, where no proxy finds them; terminals differ in width and colour.
for name in (
    *("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"),
    *("HF_ENDPOINT", "HF_HUB_OFFLINE", "DUET_CACHE", "TFDS_DATA_DIR", "KERAS_BACKEND", "TF_CONFIG"),
    *("FORCE_COLOR", "TQDM_DISABLE"),
):
    os.environ.pop(name, None)
KERAS_HOME = Path(tempfile.mkdtemp(prefix="keras-"))
os.environ.update({"COLUMNS": "80", "KERAS_HOME": str(KERAS_HOME)})
# What another program may have left there: `runtime.import_tensorflow` makes nothing of it.
KERAS_JSON = KERAS_HOME / "keras.json"
OF_ANOTHER = {"floatx": "float16", "image_data_format": "channels_first", "backend": "jax"}
KERAS_JSON.write_text(json.dumps({**OF_ANOTHER, "epsilon": 0.1}))

import huggingface_hub
import processes
import pytest
from hub_server import HubServer
from huggingface_hub import constants

from pipelines.reporting import figure
from pipelines.runs import runtime

# JAX, which other libraries import where it is installed, would set it to 1: the processes that
# tests start would then say on standard error which drivers TensorFlow did not find.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
signal.signal(
    signal.SIGINT, signal.default_int_handler
)  # shells let background processes ignore it
figure.DPI = 36  # drawing plots would be a sixteenth of the time of all tests

# Half a minute to two minutes each. They go first: what is left at the end is short, and keeps
# both of the processes that test busy.
LONGEST = (
    "test_pipelines_train",
    "test_distribution",
    "test_pipelines_finetune",
    "test_pipelines_finetune_resume",
    "test_pipelines_main",
    "test_pipelines_prompt",
    "test_classifiers_distribution",
    "test_pipelines_compare",
    "test_pipelines_recipes_finetune",
    "test_pipelines_export",
    "test_pipelines_training_resumable_fit",
    "test_classifiers_trainable",
    "test_dual_encoder_keras_model_api",
    "test_dual_encoder_model",
    "test_examples",
    "test_notebooks",
    "test_tfrecords_reader",
)


COLLECTIONS = itertools.count(1)
FROZEN = pytest.StashKey[int]()


def pytest_configure(config):
    """TensorFlow is imported where tests run, not where they are handed out."""
    if config.getoption("numprocesses", None) and not hasattr(config, "workerinput"):
        return
    runtime.import_tensorflow()  # by itself it imports JAX, matplotlib and scikit-learn too
    KERAS_JSON.unlink()
    config.stash[FROZEN] = gc.get_freeze_count()
    processes.leave_graphs_as_traced()


def pytest_unconfigure():
    shutil.rmtree(KERAS_HOME, ignore_errors=True)


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.path.stem not in LONGEST)


def pytest_collection_finish():
    gc.freeze()  # what is imported stays; every `keras.utils.clear_session` would look through it
    gc.callbacks.append(_freeze)


def _freeze(phase, info):
    """Nor is what outlived a whole collection looked through in the next; in every fiftieth all is,
    for what has become garbage since: a seventh of the time of all tests."""
    if phase == "stop" and info["generation"] == 2:
        gc.freeze() if next(COLLECTIONS) % 50 else gc.unfreeze()


@pytest.fixture
def frozen(pytestconfig):
    """How many objects the import of TensorFlow left out of all collections."""
    return pytestconfig.stash[FROZEN]


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """The stand-in of the hub, a token that may write there, and an empty cache."""
    with HubServer() as server:
        template = server.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "ENDPOINT", server.endpoint)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)  # plain HTTP
        monkeypatch.setenv("HF_TOKEN", server.token)
        yield server
        huggingface_hub.close_session()


@pytest.fixture
def block_calls(monkeypatch):
    """Names of the transformer blocks that were really called, and not run compiled."""
    from dual_encoder.towers.transformer import TransformerBlock

    found, call = [], TransformerBlock.call

    def spy(self, *args, **kwargs):
        found.append(self.name)
        return call(self, *args, **kwargs)

    monkeypatch.setattr(TransformerBlock, "call", spy)
    return found


@pytest.fixture(scope="session")
def colours(tmp_path_factory):
    """A folder with records of `colours.Colours` and a tiny CLIP; made once, not written to."""
    import keras
    from colours import Colours
    from tiny_models import clip

    import tfrecords

    folder = tmp_path_factory.mktemp("colours")
    tfrecords.write(Colours(), folder / "records", shard_size=40, workers=1, progress=False)
    keras.utils.set_random_seed(0)
    model = clip()
    model.build()
    model.save(folder / "clip.keras")
    return folder


@pytest.fixture(scope="module")
def home(colours, tmp_path_factory):
    """A copy of `colours` in which a test file makes its runs."""
    return shutil.copytree(colours, tmp_path_factory.mktemp("home") / "colours")


@pytest.fixture(scope="session")
def spelling_clip(tmp_path_factory):
    """A file of a tiny CLIP whose tokenizer knows all letters, so that it tells names apart."""
    import string

    import keras
    from tiny_models import clip

    from dual_encoder import Tokenizer

    keras.utils.set_random_seed(0)
    model = clip(
        Tokenizer.learn([string.ascii_lowercase + " ,." + string.digits], context_length=32)
    )
    model.build()
    path = tmp_path_factory.mktemp("spelling") / "clip.keras"
    model.save(path)
    return path


def _without_graphs():
    """Models run without graphs, for tests that are not about them: tracing takes most of a run.

    Those of tf.data remain.
    """
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


eagerly = pytest.fixture(_without_graphs, name="eagerly")  # in a test
all_eagerly = pytest.fixture(_without_graphs, name="all_eagerly", scope="module")  # in a file


@pytest.fixture
def in_graphs(all_eagerly):
    """A test about graphs, in a file of others."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(False)
    yield
    tf.config.run_functions_eagerly(True)


@pytest.fixture
def as_for_users():
    """Graphs are optimized, for tests of what that may change, such as fused operations."""
    processes.leave_graphs_as_traced(False)
    yield
    processes.leave_graphs_as_traced()
