"""What several test files share."""

import os

import huggingface_hub
import pytest
from hub_server import HubServer
from huggingface_hub import constants

# JAX, which other libraries import where it is installed, would set it to 1: the processes that
# tests start would then say on standard error which drivers TensorFlow did not find.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


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
