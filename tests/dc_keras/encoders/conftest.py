from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tiny_hub(tiny_preset, tmp_path_factory) -> Path:
    """The tiny preset as a SavedModel for tensorflow-hub."""
    from dc_keras.encoders.hub_export import export_text_encoder

    directory = tmp_path_factory.mktemp("hub") / "bert"
    return export_text_encoder(f"keras_nlp:{tiny_preset}", directory)


def _save_table_module(
    directory,
    *,
    table,
    output="sequence_output",
    takes_training=False,
    inputs=("input_word_ids", "input_mask", "input_type_ids"),
    leave_out=(),
    lower_case=None,
):
    """Writes a hub module whose states are rows of a table, zero where masked."""
    import tensorflow as tf

    rows = tf.Variable(table)
    frozen = tf.Variable(1.0, trainable=False)
    counter = tf.Variable(0, trainable=False, dtype=tf.int64)

    def encode(values, training=False):
        ids, mask, segments = (values[name] for name in inputs)
        states = tf.gather(rows, ids) * frozen
        states *= tf.cast(mask, tf.float32)[..., None]
        states += 100 * tf.cast(segments, tf.float32)[..., None]
        return {output: states + 1000.0 if training else states}

    def encode_without_training(values):
        return encode(values)

    function = tf.function(encode if takes_training else encode_without_training)
    specs = {name: tf.TensorSpec((None, None), tf.int32, name) for name in inputs}
    for options in (
        [{"training": False}, {"training": True}] if takes_training else [{}]
    ):
        function.get_concrete_function(specs, **options)
    root = tf.train.Checkpoint(tracked=[rows, frozen, counter])
    attributes = {
        "__call__": function,
        "variables": [rows, frozen, counter],
        "trainable_variables": [rows],
    }
    for name, value in attributes.items():
        if name not in leave_out:
            setattr(root, name, value)
    if lower_case is not None:
        root.do_lower_case = tf.Variable(lower_case, trainable=False)
    tf.saved_model.save(root, str(directory))
    return str(directory)


@pytest.fixture(scope="session")
def save_table_module():
    return _save_table_module


@pytest.fixture(scope="session")
def table_spec(save_table_module, vocabulary, tmp_path_factory):
    """A small encoder; the state of a piece is its row of a table."""
    import numpy as np

    from dc_keras.encoders.text import TextSpec

    directory = tmp_path_factory.mktemp("table")
    rows = np.random.default_rng(0).normal(size=(len(vocabulary), 3))
    save_table_module(directory / "hub", table=rows.astype(np.float32))
    (directory / "vocab.txt").write_text("\n".join(vocabulary), "utf-8")
    return TextSpec(
        f"hub:{directory / 'hub'}",
        pooling="mean",
        vocab_file=str(directory / "vocab.txt"),
    )
