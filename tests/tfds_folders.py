"""Tiny TFDS folders as its own builders write them."""

import numpy as np
import pytest
import tensorflow as tf

# TensorFlow Datasets 4.9.10 uses what protobuf 6 deprecates.
old_protobuf = pytest.mark.filterwarnings(r"ignore:label\(\) is deprecated:DeprecationWarning")


def prepare_tfds(root, name, splits):
    """Write a tiny set as TFDS would have prepared it: `splits` maps names to lists of features."""
    import tensorflow_datasets as tfds

    builder = tfds.builder(name, data_dir=root, try_gcs=False)
    directory = root / name / str(builder.version)
    directory.mkdir(parents=True)
    infos = []
    for split, examples in splits.items():
        halves = np.array_split(np.arange(len(examples)), 2)
        for number, half in enumerate(halves):
            shard = f"{builder.name}-{split}.tfrecord-{number:05d}-of-00002"
            with tf.io.TFRecordWriter(str(directory / shard)) as writer:
                for i in half:
                    writer.write(builder.info.features.serialize_example(examples[i]))
        infos.append(
            tfds.core.SplitInfo(
                name=split,
                shard_lengths=[len(half) for half in halves],
                num_bytes=0,
                filename_template=tfds.core.ShardedFileTemplate(
                    dataset_name=builder.name,
                    data_dir=directory,
                    split=split,
                    filetype_suffix="tfrecord",
                ),
            )
        )
    tfds.folder_dataset.write_metadata(
        data_dir=directory, features=builder.info.features, split_infos=infos
    )
