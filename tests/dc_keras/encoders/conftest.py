import gc
import pickle
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture
def freed():
    """Frees the networks of a test at its end; Keras's layers refer to each other."""
    yield
    gc.collect()


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
    vocabulary=None,
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
    if vocabulary is None:
        tf.saved_model.save(root, str(directory))
        return str(directory)
    with tempfile.TemporaryDirectory() as place:
        path = Path(place, "vocab.txt")
        path.write_text("\n".join(vocabulary), "utf-8")
        root.vocab_file = tf.saved_model.Asset(str(path))
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

    directory = tmp_path_factory.mktemp("table") / "hub"
    rows = np.random.default_rng(0).normal(size=(len(vocabulary), 3))
    save_table_module(directory, table=rows.astype(np.float32), vocabulary=vocabulary)
    return TextSpec(f"hub:{directory}", pooling="mean")


@pytest.fixture(scope="session")
def write_torch_file() -> Callable[..., None]:
    """Writes float32 arrays as `torch.save` writes a state dict, as an archive or not."""

    def literal(value: object) -> bytes:
        # Without the protocol at the start and the stop at the end.
        return pickle.dumps(value, 2)[2:-1]

    def tensor(key, array, shape, strides) -> bytes:
        own = tuple(stride // 4 for stride in array.strides)
        return b"".join(
            (
                b"ctorch._utils\n_rebuild_tensor_v2\n((",
                *(literal("storage"), b"ctorch\nFloatStorage\n"),
                *(literal(key), literal("cpu"), literal(array.size), b"tQ"),
                *(literal(0), literal(shape or array.shape), literal(strides or own)),
                *(literal(False), b"ccollections\nOrderedDict\n)RtR"),
            )
        )

    def write(path, tensors, *, is_archive=True, shape=None, strides=None) -> None:
        text, storages = [b"\x80\x02ccollections\nOrderedDict\n)R("], {}
        for key, (name, values) in enumerate(tensors.items()):
            array = np.ascontiguousarray(values).reshape(np.shape(values))
            text += [literal(name), tensor(str(key), array, shape, strides)]
            storages[str(key)] = array
        pickled = b"".join((*text, b"u."))
        if is_archive:
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("archive/data.pkl", pickled)
                for key, array in storages.items():
                    archive.writestr(f"archive/data/{key}", array.tobytes())
            return
        start = (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})
        parts = [*(pickle.dumps(value, 2) for value in start), pickled]
        parts.append(pickle.dumps(list(storages), 2))
        for array in storages.values():
            parts += [array.size.to_bytes(8, "little"), array.tobytes()]
        path.write_bytes(b"".join(parts))

    return write
