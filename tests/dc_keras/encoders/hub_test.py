import http.server
import tarfile
import threading
from functools import partial

import keras
import keras_nlp
import numpy as np
import pytest
import tensorflow as tf

from dc_keras.encoders.captions import read_vocabulary
from dc_keras.encoders.hub import HubBert, graph_hash, one_line
from dc_keras.encoders.text import TextSpec, build_text_encoder
from dc_keras.encoders.token_encoders import load_token_encoder
from dc_keras.errors import DataError

_IDS = tf.constant([[2, 1, 3], [2, 3, 0]])
_MASK = tf.constant([[1, 1, 1], [1, 1, 0]])
_TABLE = np.arange(12, dtype=np.float32).reshape(6, 2)


@pytest.fixture
def save_module(save_table_module):
    return partial(save_table_module, table=_TABLE)


@pytest.fixture(scope="module")
def tiny_layer(tiny_hub):
    return HubBert(str(tiny_hub))


def test_a_module_gets_ids_mask_and_segment_zero(save_module, tmp_path):
    layer = HubBert(save_module(tmp_path / "m"))
    # Rows 2, 1, 3 of the table, and rows 2, 3 before a masked token.
    expected = [[[4, 5], [2, 3], [6, 7]], [[4, 5], [6, 7], [0, 0]]]
    np.testing.assert_array_equal(layer(_IDS, _MASK), expected)
    assert layer.hidden_dim == 2


def test_a_module_that_takes_training_runs_without_dropout(save_module, tmp_path):
    takes = HubBert(save_module(tmp_path / "takes", takes_training=True))
    plain = HubBert(save_module(tmp_path / "plain"))
    np.testing.assert_array_equal(takes(_IDS, _MASK), plain(_IDS, _MASK))


def test_keras_trains_the_modules_own_variables(save_module, tmp_path):
    layer = HubBert(save_module(tmp_path / "m"))
    assert [len(layer.trainable_weights), len(layer.non_trainable_weights)] == [1, 2]
    ids, mask = (keras.Input((None,), dtype="int32") for _ in range(2))
    model = keras.Model([ids, mask], keras.ops.sum(layer(ids, mask), axis=(1, 2)))
    model.compile(keras.optimizers.SGD(1.0), loss=lambda _, y: y)
    model.fit([_IDS, _MASK], np.zeros(2), batch_size=2, verbose=0)
    # The loss is half the sum of the five unmasked rows: 2 and 3 are there twice.
    steps = np.array([0, 0.5, 1, 1, 0, 0])[:, None]
    np.testing.assert_allclose(layer.module.trainable_variables[0], _TABLE - steps)


def test_a_frozen_module_has_nothing_to_train(save_module, tmp_path):
    layer = HubBert(save_module(tmp_path / "m"), trainable=False)
    assert layer.trainable_weights == []
    layer.trainable = True
    assert len(layer.trainable_weights) == 1


def test_symbolic_shapes_are_those_of_the_output(tiny_layer):
    for length in (None, 7):
        ids, mask = (keras.Input((length,), dtype="int32") for _ in range(2))
        states = tiny_layer(ids, mask)
        assert (states.shape, states.dtype) == ((None, length, 16), "float32")


def test_a_module_states_its_vocabulary_and_case(
    save_module, tmp_path, tiny_layer, vocabulary
):
    assert read_vocabulary(tiny_layer.vocab_file) == vocabulary
    assert tiny_layer.lower_case is True
    assert HubBert(save_module(tmp_path / "a", lower_case=False)).lower_case is False
    silent = HubBert(save_module(tmp_path / "b"))
    assert (silent.vocab_file, silent.lower_case) == (None, None)


def test_a_module_without_vocabulary_is_refused(save_module, tmp_path):
    handle = f"hub:{save_module(tmp_path / 'm')}"
    message = rf"includes no vocabulary.*`vocab_file`\)\. Received: text='{handle}'"
    with pytest.raises(DataError, match=message):
        load_token_encoder(handle, None, 8)


def test_a_vocabulary_larger_than_the_table_is_refused(save_module, tmp_path):
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *map(str, range(len(_TABLE)))]
    module = save_module(tmp_path / "m", vocabulary=pieces)
    message = rf"must take 8 tokens .* and a vocabulary of {len(pieces)}\."
    with pytest.raises(DataError, match=message):
        load_token_encoder(f"hub:{module}", None, 8)


@pytest.mark.parametrize(("piece", "lower_case"), [("cat", True), ("Cat", False)])
def test_capitals_determine_the_case_of_a_silent_module(
    save_module, tmp_path, piece, lower_case
):
    pieces = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", piece)
    module = save_module(tmp_path / "m", vocabulary=pieces)
    bert = load_token_encoder(f"hub:{module}", None, 8)
    assert (bert.packer.vocabulary, bert.packer.lower_case) == (pieces, lower_case)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"output": "encoder_output"}, "KeyError: 'sequence_output'"),
        (
            {"inputs": ("ids", "mask", "segments")},
            "ValueError: Could not find matching",
        ),
        ({"leave_out": ("variables",)}, "no variables"),
        ({"leave_out": ("trainable_variables",)}, "no trainable_variables"),
        ({"leave_out": ("__call__",)}, "no __call__"),
    ],
)
def test_a_module_with_another_interface_is_refused(
    save_module, tmp_path, changes, reason
):
    handle = save_module(tmp_path / "m", **changes)
    message = (
        r"standard encoder interface \(input_word_ids, input_mask, input_type_ids → "
        rf"sequence_output\)\. Received: text='hub:{handle}' \({reason}"
    )
    with pytest.raises(DataError, match=message) as caught:
        HubBert(handle)
    assert str(caught.value).isprintable()


def test_a_directory_that_is_no_saved_model_is_refused(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(DataError, match=r"cannot load the hub module.*ValueError"):
        HubBert(str(tmp_path))


def test_weights_that_are_cut_short_are_refused(save_module, tmp_path):
    handle = save_module(tmp_path / "m")
    (data,) = (tmp_path / "m" / "variables").glob("*.data*")
    data.write_bytes(data.read_bytes()[:-16])
    with pytest.raises(DataError, match=rf"cannot load the hub module.*hub:{handle}'"):
        HubBert(handle)


class _QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def web(tmp_path, monkeypatch):
    """A directory on disk and its address on a local web server."""
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "cache"))
    directory = tmp_path / "web"
    directory.mkdir()
    handler = partial(_QuietHandler, directory=directory)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield directory, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_module_is_fetched_from_a_url(save_module, tmp_path, web):
    directory, address = web
    local = save_module(tmp_path / "m")
    with tarfile.open(directory / "bert.tar.gz", "w:gz") as archive:
        archive.add(local, arcname=".")
    url = f"{address}/bert.tar.gz"
    np.testing.assert_array_equal(
        HubBert(url)(_IDS, _MASK), HubBert(local)(_IDS, _MASK)
    )
    assert graph_hash(url) == graph_hash(local)


def test_an_unreachable_url_is_refused(web):
    _, address = web
    url = f"{address}/bert"
    message = (
        r"cannot load the hub module\. Offline, use --text=hub:DIR .*directory.*"
        rf"Received: text='hub:{url}' \(HTTPError.*404"
    )
    with pytest.raises(DataError, match=message):
        HubBert(url)


def test_the_graph_hash_is_of_the_computation_not_of_weights(save_module, tmp_path):
    handle = save_module(tmp_path / "m", takes_training=True)
    before = graph_hash(handle)
    for file in (tmp_path / "m" / "variables").iterdir():
        file.write_bytes(b"other weights")
    assert graph_hash(handle) == before
    assert graph_hash(save_module(tmp_path / "n")) != before


def test_an_error_becomes_one_short_line():
    error = ValueError(
        "\x1b[1m{{function_node __wrapped__Slice_device_/job:x}} Graph\n"
        "   error\x1b[0m " + 300 * "x"
    )
    line = one_line(error)
    assert line.startswith("ValueError: Graph error xxx")
    assert len(line) == 200


_CAPTIONS = [
    "my #dance video",
    "",
    "Wait for the end!! @someone #fyp #karenchallenge it's 2020, so: why not?",
    "zzxqy " * 80,
]


@pytest.fixture(scope="module")
def real_states(minilm):
    """States of the real weights for _CAPTIONS from keras-nlp, and their mask."""
    tokenizer = keras_nlp.models.BertTokenizer.from_preset(str(minilm))
    packer = keras_nlp.layers.MultiSegmentPacker(
        sequence_length=64, start_value=101, end_value=102
    )
    token_ids, segment_ids = packer(tokenizer(_CAPTIONS))
    mask = np.array(token_ids) != 0
    backbone = keras_nlp.models.BertBackbone.from_preset(str(minilm))
    inputs = {
        "token_ids": token_ids,
        "segment_ids": segment_ids,
        "padding_mask": tf.cast(mask, tf.int32),
    }
    return np.array(backbone(inputs)["sequence_output"]), mask


def test_real_weights_through_hub_give_the_cls_state_of_keras_nlp(
    minilm_hub, real_states
):
    encoder = build_text_encoder(TextSpec(f"hub:{minilm_hub}"))
    states, _ = real_states
    np.testing.assert_allclose(
        encoder.model(tf.constant(_CAPTIONS)), states[:, 0], atol=1e-4
    )


def test_real_weights_through_hub_give_the_mean_of_the_tokens(minilm_hub, real_states):
    encoder = build_text_encoder(TextSpec(f"hub:{minilm_hub}", pooling="mean"))
    expected = np.stack(
        [row[mask].mean(axis=0) for row, mask in zip(*real_states, strict=True)]
    )
    np.testing.assert_allclose(
        encoder.model(tf.constant(_CAPTIONS)), expected, atol=1e-4
    )
    # Printed by Hugging Face for these sentences and this model; its GELU is exact,
    # that of keras-nlp an approximation.
    sentences = [
        "That is a happy person",
        "That is a happy dog",
        "That is a very happy person",
        "Today is a sunny day",
    ]
    embeddings = encoder.model(tf.constant(sentences)).numpy()
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    np.testing.assert_allclose(
        embeddings[1:] @ embeddings[0], [0.694577, 0.942915, 0.256876], atol=1e-3
    )
