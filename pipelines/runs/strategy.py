"""Choose the devices of a run, and distribute batches over them."""

import contextlib
import functools
import json
import os
from collections.abc import Callable
from typing import Any

STRATEGIES = ("one", "mirrored", "multi-worker")

NO_PROXY = "no_grpc_proxy"  # hosts that gRPC asks for without a proxy; by default those of no_proxy

# Options that may be others when a run goes on: batches are of all devices together.
ELASTIC = ("strategy", "virtual_devices")


@functools.cache  # a second MirroredStrategy in one process makes the collectives of both clash
def build(name: str) -> Any:
    """The `tf.distribute.Strategy` of that name; the same object every time.

    - `one`: TensorFlow's default, the first GPU or the CPU.
    - `mirrored`: all GPUs of this machine, or all (virtual) CPU devices where it has none.
    - `multi-worker`: one process per machine, as the environment variable TF_CONFIG lists them.
    Waits until all of them are up. Has to be built before TensorFlow computes anything.

    Build the model, and load it, inside `with strategy.scope():`.

    Raises:
        ValueError: no such strategy; TF_CONFIG is missing or malformed.
    """
    if name not in STRATEGIES:
        raise ValueError(f"strategy: expected one of {', '.join(STRATEGIES)}; got {name!r}")
    if name == "multi-worker":
        read_tf_config()
        _past_proxies()
    import tensorflow as tf

    if name == "mirrored":
        devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        return tf.distribute.MirroredStrategy([device.name for device in devices])
    if name == "multi-worker":
        return tf.distribute.MultiWorkerMirroredStrategy()
    return tf.distribute.get_strategy()


def set_virtual_devices(count: int) -> None:
    """Split the CPU into `count` devices, and hide GPUs, to try `mirrored` out without hardware.

    Raises:
        ValueError: `count` is not positive.
        RuntimeError: TensorFlow has already started.
    """
    import tensorflow as tf

    if count < 1:
        raise ValueError(f"virtual devices: expected a positive number, got {count}")
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_visible_devices([], "GPU")
    parts = [tf.config.LogicalDeviceConfiguration()] * count
    tf.config.set_logical_device_configuration(cpu, parts)


def share_gpus() -> None:
    """Take only as much of the GPUs' memory as is needed, and leave the rest to other processes.

    Does nothing where TensorFlow has already started.
    """
    import tensorflow as tf

    for gpu in tf.config.list_physical_devices("GPU"):
        with contextlib.suppress(RuntimeError):
            tf.config.experimental.set_memory_growth(gpu, True)


def describe(strategy: Any) -> list[str]:
    """The devices of this process, one per replica, such as `GPU:0 (NVIDIA H100 80GB HBM3)`."""
    import tensorflow as tf

    physical = tf.config.get_visible_devices("GPU")
    gpus = tf.config.list_logical_devices("GPU")
    index, count = worker(strategy)
    devices = ["GPU:0" if gpus else "CPU:0"]
    if strategy.num_replicas_in_sync > 1:  # the default strategy cannot tell
        devices = [":".join(name.split(":")[-2:]) for name in strategy.extended.worker_devices]
    if len(gpus) == len(physical):  # none is cut into several
        models = {
            gpu.name.removeprefix("/device:"): tf.config.experimental.get_device_details(card)
            for gpu, card in zip(gpus, physical, strict=True)
        }
        devices = [
            f"{name} ({models[name].get('device_name', '?')})" if name in models else name
            for name in devices
        ]
    return devices if count == 1 else [f"worker {index} of {count}, {name}" for name in devices]


def worker(strategy: Any) -> tuple[int, int]:
    """(index, count) of this process among those that train together; (0, 1) when alone."""
    resolver = strategy.cluster_resolver
    if resolver is None or not resolver.cluster_spec():
        return 0, 1
    tasks = _tasks(resolver.cluster_spec().as_dict())
    return tasks.index((resolver.task_type, resolver.task_id)), len(tasks)


def is_chief(strategy: Any) -> bool:
    """Whether this process is the one that writes files."""
    return worker(strategy)[0] == 0


def distribute(strategy: Any, load: Callable[..., Any]) -> Any:
    """Batches in the form that `fit` and `evaluate` take under the strategy.

    Args:
        strategy: from `build`.
        load: called as `load(worker=(index, count))`; gives the batches of this process, static
            shapes, e.g. `functools.partial(tfrecords.load, directory, "train", batch_size=64)`.

    Returns:
        A `tf.data.Dataset` whose batches Keras cuts into equal parts, in order, one per replica;
        for several workers a `tf.distribute.DistributedDataset` of this worker's parts.

    Raises:
        ValueError: the batch cannot be cut into equal parts.
    """
    import tensorflow as tf

    index, count = worker(strategy)
    dataset = load(worker=(index, count))
    local_batch = tf.nest.flatten(dataset.element_spec)[0].shape[0]
    replicas = strategy.num_replicas_in_sync
    local_replicas = replicas // count
    if local_batch is None:
        raise ValueError("batch size: expected batches of a fixed size, got batches that vary")
    if local_batch % local_replicas:
        raise ValueError(
            f"batch size: expected a multiple of the {replicas} devices, got {local_batch * count}"
        )
    if count == 1:
        return dataset
    # A plain dataset would be sharded over the workers once more, so each brings its own parts.
    length = int(dataset.cardinality())
    parts = dataset.rebatch(local_batch // local_replicas)
    if length >= 0:  # it is known and finite, but rebatch forgets it
        parts = parts.apply(tf.data.experimental.assert_cardinality(length * local_replicas))
    return strategy.distribute_datasets_from_function(lambda _: parts)


def read_tf_config() -> tuple[int, int]:
    """(index, count) of this process by the environment variable TF_CONFIG.

    Raises:
        ValueError: TF_CONFIG is missing or malformed, saying what it should look like.
    """
    example = (
        '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, '
        '"task": {"type": "worker", "index": 0}}'
    )
    text = os.environ.get("TF_CONFIG")
    try:
        if not text:
            raise ValueError("it is not set")
        config = json.loads(text)
        tasks = _tasks(config["cluster"])
        task = (config["task"]["type"], int(config["task"]["index"]))
        if task not in tasks:
            raise ValueError(f"task {task[0]!r} {task[1]} is not in the cluster")
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        reason = f"key {error} is missing" if isinstance(error, KeyError) else str(error)
        raise ValueError(
            f"strategy multi-worker: TF_CONFIG should be like {example}, but {reason}"
        ) from None
    return tasks.index(task), len(tasks)


def _past_proxies() -> None:
    """Have workers talk to each other where there is a proxy (`http_proxy`): gRPC would ask it for
    them, and wait for ever."""
    cluster = json.loads(os.environ["TF_CONFIG"])["cluster"]
    hosts = {address.rpartition(":")[0] for job in cluster.values() for address in job}
    known = os.environ.get(NO_PROXY) or os.environ.get("no_proxy") or ""
    os.environ[NO_PROXY] = ",".join([*filter(None, [known]), *sorted(hosts)])


def _tasks(cluster: dict[str, list[str]]) -> list[tuple[str, int]]:
    """The processes that train, in TensorFlow's order: the chief, if there is one, comes first."""
    return [(job, i) for job in ("chief", "worker") for i in range(len(cluster.get(job, [])))]
