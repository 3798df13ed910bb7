import json
import shutil

import keras
import keras_nlp
import numpy as np
import pytest
import tensorflow as tf

from dc_keras.encoders.token_encoders import (
    load_backbone,
    load_preset_vocabulary,
    load_token_encoder,
)
from dc_keras.errors import DataError

_IDS = tf.constant([[2, 5, 6, 3], [2, 3, 0, 0]])
_MASK = tf.constant([[1, 1, 1, 1], [1, 1, 0, 0]])


@pytest.fixture(scope="module", params=["keras_nlp", "hub"])
def handle(request, tiny_preset, tiny_hub):
    places = {"keras_nlp": tiny_preset, "hub": tiny_hub}
    return f"{request.param}:{places[request.param]}"


@pytest.fixture(scope="module")
def bert(handle):
    return _load(handle)


@pytest.fixture(scope="module")
def backbone(tiny_preset):
    return keras_nlp.models.BertBackbone.from_preset(str(tiny_preset))


@pytest.fixture(scope="module")
def bare_preset(backbone, tmp_path_factory):
    """A preset of the same backbone without a tokenizer."""
    directory = tmp_path_factory.mktemp("bert") / "bare"
    backbone.save_to_preset(str(directory))
    return directory


def _load(handle, *, max_tokens=8):
    return load_token_encoder(handle, None, max_tokens)


def test_states_are_those_of_the_last_layer_of_the_preset(bert, backbone):
    expected = backbone(
        {
            "token_ids": _IDS,
            "padding_mask": _MASK,
            "segment_ids": tf.zeros_like(_IDS),
        }
    )["sequence_output"]
    states = bert.encode(_IDS, _MASK)
    assert states.dtype == tf.float32
    assert states.shape == (2, 4, 16)
    np.testing.assert_allclose(states, expected, atol=1e-5)


def test_padding_does_not_change_tokens(bert):
    other = tf.constant([[2, 5, 6, 3], [2, 3, 9, 8]])
    states, changed = bert.encode(_IDS, _MASK), bert.encode(other, _MASK)
    np.testing.assert_array_equal(states[1, :2], changed[1, :2])
    unmasked = bert.encode(other, tf.ones_like(_MASK))
    assert np.abs(states[1, :2] - unmasked[1, :2]).max() > 0.01


def test_vocabulary_and_case_come_with_the_weights(bert, vocabulary):
    assert bert.packer.vocabulary == vocabulary
    assert bert.packer.lower_case is True


def test_weights_are_the_parameters_and_nothing_else(bert, backbone):
    def summed(weights):
        return sorted((tuple(w.shape), float(tf.reduce_sum(w))) for w in weights)

    assert summed(bert.weights) == summed(backbone.weights)


def test_encode_takes_symbolic_tensors(bert):
    ids = keras.Input((None,), dtype="int32")
    mask = keras.Input((None,), dtype="int32")
    model = keras.Model([ids, mask], bert.encode(ids, mask))
    np.testing.assert_allclose(
        model([_IDS, _MASK]), bert.encode(_IDS, _MASK), atol=1e-6
    )


def test_the_graph_is_a_json_value(bert):
    graph = bert.identity["graph"]
    assert json.loads(json.dumps(graph)) == graph


@pytest.mark.parametrize("handle", ["", "bert", "hub", "hub:", "keras_nlp:", "pt:x"])
def test_a_handle_needs_a_prefix(handle):
    message = rf"must be .*hub:PATH_OR_URL, keras_nlp:.*Received: text='{handle}'"
    with pytest.raises(DataError, match=message):
        _load(handle)


@pytest.mark.parametrize(
    ("handle", "message"),
    [
        ("keras_nlp:/nowhere/bert", "cannot load the BERT preset.*text=keras_nlp:DIR"),
        ("hub:/nowhere/bert", "cannot load the hub module.*--text=hub:DIR"),
    ],
)
def test_a_missing_directory_is_refused(handle, message):
    with pytest.raises(DataError, match=rf"{message}.*Received: text='{handle}'"):
        _load(handle)


def test_a_preset_of_another_network_is_refused(tmp_path):
    other = keras_nlp.models.RobertaBackbone(
        vocabulary_size=9, num_layers=1, num_heads=1, hidden_dim=4, intermediate_dim=4
    )
    other.save_to_preset(str(tmp_path / "other"))
    with pytest.raises(
        DataError, match=r"must be a BERT, DistilBERT or ELECTRA.*Roberta"
    ):
        load_backbone(str(tmp_path / "other"))


def test_a_preset_whose_weights_are_of_another_size_is_refused(tiny_preset, tmp_path):
    shutil.copytree(tiny_preset, tmp_path / "preset")
    path = tmp_path / "preset" / "config.json"
    config = json.loads(path.read_text())
    config["config"]["hidden_dim"] = 8
    path.write_text(json.dumps(config))
    with pytest.raises(DataError, match=r"cannot load the BERT preset.*/preset'"):
        _load(f"keras_nlp:{tmp_path / 'preset'}")


def test_a_preset_without_vocabulary_is_refused(bare_preset):
    message = r"includes no WordPiece vocabulary.*/bare'"
    with pytest.raises(DataError, match=message):
        load_preset_vocabulary(str(bare_preset))
    with pytest.raises(DataError, match=message):
        _load(f"keras_nlp:{bare_preset}")


def test_sequences_are_as_long_as_the_position_table_at_most(handle):
    _load(handle, max_tokens=64)
    message = r"must take 65 tokens \(--max_tokens\) and a vocabulary of 8\d\."
    with pytest.raises(DataError, match=message) as caught:
        _load(handle, max_tokens=65)
    assert str(caught.value).isprintable()


def test_pieces_of_the_real_vocabulary_stand_at_their_published_ids(minilm):
    pieces, lower_case = load_preset_vocabulary(str(minilm))
    assert (len(pieces), lower_case) == (30522, True)
    # The ids of bert-base-uncased that every tutorial prints.
    assert [pieces.index(piece) for piece in ("[PAD]", "[CLS]", "[SEP]", "hello")] == [
        0,
        101,
        102,
        7592,
    ]


@pytest.mark.parametrize("kind", ["DistilBert", "Electra"])
def test_other_networks_of_wordpieces_are_loaded(tmp_path, vocabulary, kind):
    arguments = {"embedding_dim": 8} if kind == "Electra" else {}
    network = getattr(keras_nlp.models, f"{kind}Backbone")(
        len(vocabulary),
        num_layers=1,
        num_heads=2,
        hidden_dim=8,
        intermediate_dim=8,
        **arguments,
    )
    network.save_to_preset(str(tmp_path))
    tokenizer = getattr(keras_nlp.models, f"{kind}Tokenizer")
    tokenizer(list(vocabulary), lowercase=True).save_to_preset(str(tmp_path))
    bert = load_token_encoder(f"keras_hub:{tmp_path}", None, 16)
    ids = tf.constant([[2, 5, 3]])
    assert bert.encode(ids, tf.ones_like(ids)).shape == (1, 3, 8)
    assert bert.packer.vocabulary == vocabulary
