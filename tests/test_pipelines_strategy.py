"""Strategies by name, and what TF_CONFIG may say; test_distribution.py trains under them."""

import json
import os

import pytest
import tensorflow as tf

from pipelines.runs import strategy as strategies


def test_one_is_the_default_strategy():
    strategy = strategies.build("one")
    assert strategies.build("one") is strategy
    assert strategies.worker(strategy) == (0, 1) and strategies.is_chief(strategy)
    assert [name[:5] for name in strategies.describe(strategy)] in (["CPU:0"], ["GPU:0"])


def test_unknown_strategy():
    with pytest.raises(ValueError, match=r"one, mirrored, multi-worker; got 'two'"):
        strategies.build("two")


@pytest.mark.parametrize(
    ("tf_config", "reason"),
    [
        (None, "it is not set"),
        ("{", "Expecting property name"),
        ("[]", "list indices"),
        ('{"task": {"type": "worker", "index": 0}}', "key 'cluster' is missing"),
        ('{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker"}}', "key 'index' is missing"),
        (
            '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}',
            "task 'worker' 1 is not in the cluster",
        ),
    ],
)
def test_tf_config_missing_or_malformed(monkeypatch, tf_config, reason):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if tf_config is not None:
        monkeypatch.setenv("TF_CONFIG", tf_config)
    with pytest.raises(ValueError, match=f"^strategy multi-worker: TF_CONFIG should .*{reason}"):
        strategies.build("multi-worker")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, "host1,host2"),
        ({"no_proxy": "localhost,.corp"}, "localhost,.corp,host1,host2"),
        ({"no_proxy": "localhost", "no_grpc_proxy": ".lab"}, ".lab,host1,host2"),
    ],
)
def test_workers_are_not_asked_for_at_a_proxy(monkeypatch, before, after):
    """gRPC would wait for ever for what the proxy of `http_proxy` does not find."""
    cluster = {"chief": ["host1:2222"], "worker": ["host2:2222", "host2:2223"]}
    task = {"type": "worker", "index": 0}
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": cluster, "task": task}))
    monkeypatch.setattr(tf.distribute, "MultiWorkerMirroredStrategy", lambda: "built")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv(strategies.NO_PROXY, "")
    for name, value in before.items():
        monkeypatch.setenv(name, value)
    assert strategies.build.__wrapped__("multi-worker") == "built"
    assert os.environ[strategies.NO_PROXY] == after


def test_the_chief_comes_first(monkeypatch):
    cluster = {"worker": ["b:1", "c:1"], "chief": ["a:1"]}
    task = {"type": "worker", "index": 0}
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": cluster, "task": task}))
    assert strategies.read_tf_config() == (1, 3)
