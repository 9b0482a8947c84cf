"""Another worker that is gone is named in a line."""

import json
from types import SimpleNamespace

import pytest
import tensorflow as tf

from pipelines.runs import strategy as strategies
from pipelines.training import lost_workers

SAID = (
    "Collective ops is aborted by: /job:worker/replica:0/task:{task} is unreachable. "
    "The error could be from a previous operation. Restart your program to reset."
)


def lose(monkeypatch, task, *, count, error=tf.errors.UnavailableError):
    hosts = [f"host{number}:2222" for number in range(count)]
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": {"worker": hosts}}))
    monkeypatch.setattr(strategies, "worker", lambda _: (0, count))
    with lost_workers.named(SimpleNamespace()):
        raise error(None, None, SAID.format(task=task))


@pytest.mark.parametrize("error", [tf.errors.UnavailableError, tf.errors.AbortedError])
def test_the_worker_that_tensorflow_names_is_named_with_its_host(error, monkeypatch):
    with pytest.raises(RuntimeError, match=r"^worker 2 of 3 \(host2:2222\) does not answer any m"):
        lose(monkeypatch, 2, count=3, error=error)


def test_the_only_other_one_is_meant_where_tensorflow_names_this_one(monkeypatch):
    with pytest.raises(RuntimeError, match=r"^worker 1 of 2 \(host1:2222\) does not answer any m"):
        lose(monkeypatch, 0, count=2)


def test_of_many_others_none_is_guessed(monkeypatch):
    with pytest.raises(RuntimeError, match=r"^another one of the 3 workers does not answer"):
        lose(monkeypatch, 0, count=3)


def test_alone_an_error_stays_what_it_is(monkeypatch):
    with pytest.raises(tf.errors.UnavailableError):
        lose(monkeypatch, 0, count=1)
