import json
import shutil
from dataclasses import replace
from functools import partial

import keras
import keras_nlp
import numpy as np
import pytest
import tensorflow as tf

from dc_keras.encoders.text import (
    PREPROCESSING_VERSIONS,
    TextSpec,
    build_text_encoder,
    restore_cleaner,
    unknown_token_share,
)
from dc_keras.errors import DataError

_CAPTIONS = ["Cats dance #fun!", "", "dance " * 90, "cat"]
# What the tiny vocabulary makes of them, by hand; `fun` is spelled.
_PIECES = [
    ["[CLS]", "cat", "##s", "dance", "#", "f", "##u", "##n", "!", "[SEP]"],
    ["[CLS]", "[SEP]"],
    ["[CLS]", *["dance"] * 62, "[SEP]"],
    ["[CLS]", "cat", "[SEP]"],
]


@pytest.fixture(scope="module")
def backbone(tiny_preset):
    return keras_nlp.models.BertBackbone.from_preset(str(tiny_preset))


@pytest.fixture(scope="module")
def spec(tiny_preset):
    return TextSpec(f"keras_nlp:{tiny_preset}")


@pytest.fixture(scope="module")
def encoder(spec):
    return build_text_encoder(spec)


def _fingerprint(spec, **changes):
    return build_text_encoder(replace(spec, **changes)).fingerprint


def _states(backbone, vocabulary, pieces):
    """Returns the states of one caption without padding."""
    ids = tf.constant([[vocabulary.index(piece) for piece in pieces]])
    inputs = {
        "token_ids": ids,
        "padding_mask": tf.ones_like(ids),
        "segment_ids": tf.zeros_like(ids),
    }
    return np.array(backbone(inputs)["sequence_output"][0])


@pytest.mark.parametrize(
    ("pooling", "pool"),
    [("cls", lambda states: states[0]), ("mean", lambda states: states.mean(axis=0))],
)
def test_a_caption_becomes_the_pooled_states_of_its_pieces(
    spec, backbone, vocabulary, pooling, pool
):
    encoder = build_text_encoder(replace(spec, pooling=pooling))
    embeddings = encoder.model(tf.constant(_CAPTIONS))
    assert embeddings.dtype == tf.float32
    assert embeddings.shape == (4, encoder.embedding_dim) == (4, 16)
    expected = [pool(_states(backbone, vocabulary, pieces)) for pieces in _PIECES]
    np.testing.assert_allclose(embeddings, expected, atol=1e-5)


def test_the_hub_gives_the_embeddings_of_its_preset(encoder, tiny_hub):
    hub = build_text_encoder(TextSpec(f"hub:{tiny_hub}"))
    captions = tf.constant(_CAPTIONS)
    np.testing.assert_allclose(hub.model(captions), encoder.model(captions), atol=1e-5)


@pytest.mark.parametrize(
    ("hashtags", "equal"),
    [
        ("keep", {"cat": "cat #dance #fun", "#dance": "#dance"}),
        ("mask_focal", {"cat #dance #fun": "cat #fun", "#DANCE": ""}),
        ("drop", {"cat #dance #fun": "cat", "#dance": ""}),
    ],
)
def test_hashtags_are_taken_out_before_bert_sees_them(table_spec, hashtags, equal):
    focal = ("dance",) if hashtags == "mask_focal" else ()
    encoder = build_text_encoder(
        replace(table_spec, hashtags=hashtags, focal_hashtags=focal)
    )
    raw = encoder.model(tf.constant(list(equal))).numpy()
    clean = encoder.model(tf.constant(list(equal.values()))).numpy()
    is_equal = np.isclose(raw, clean, atol=1e-5).all(axis=1)
    assert is_equal.tolist() == [hashtags != "keep", True]


def test_captions_are_cut_to_max_tokens(table_spec):
    encoder = build_text_encoder(replace(table_spec, max_tokens=4))
    long, short = encoder.model(tf.constant(["cat dance cat dance", "cat dance"]))
    np.testing.assert_allclose(long, short, atol=1e-6)


def test_the_token_model_takes_up_where_the_packer_stops(encoder):
    captions = tf.constant(_CAPTIONS)
    packed = encoder.model.get_layer("pack")(encoder.model.get_layer("clean")(captions))
    np.testing.assert_allclose(
        encoder.token_model(packed), encoder.model(captions), atol=1e-6
    )


def test_the_token_model_needs_no_op_of_tf_text(encoder):
    def op_types(model, spec):
        graph = tf.function(model).get_concrete_function(spec).graph
        functions = graph.as_graph_def().library.function
        nodes = [node.op for function in functions for node in function.node_def]
        return {operation.type for operation in graph.get_operations()} | set(nodes)

    specs = {
        name: tf.TensorSpec((None, None), tf.int32, name)
        for name in ("token_ids", "padding_mask")
    }
    text_ops = {"CaseFoldUTF8", "WordpieceTokenizeWithOffsets"}
    assert text_ops <= op_types(encoder.model, tf.TensorSpec((None,), tf.string))
    assert not any(
        "UTF8" in op or "ordpiece" in op or "Regex" in op or "Lookup" in op
        for op in op_types(encoder.token_model, specs)
    )


def test_an_encoder_works_inside_tf_data(table_spec):
    encoder = build_text_encoder(table_spec)
    dataset = tf.data.Dataset.from_tensor_slices(_CAPTIONS).batch(2).map(encoder.model)
    embeddings = np.concatenate(list(dataset.as_numpy_iterator()))
    np.testing.assert_allclose(
        embeddings, encoder.model(tf.constant(_CAPTIONS)), atol=1e-5
    )


def test_settings_travel_as_json(table_spec):
    spec = replace(
        table_spec, max_tokens=12, hashtags="mask_focal", focal_hashtags=("b", "a")
    )
    encoder = build_text_encoder(spec)
    settings = json.loads(json.dumps(encoder.settings()))
    assert TextSpec.from_settings(settings) == spec
    assert settings["embedding_dim"] == 3
    assert settings["fingerprint"] == encoder.fingerprint
    assert restore_cleaner(settings).focal_hashtags == ("b", "a")


def test_captions_cleaned_by_another_version_are_refused():
    # The first version kept what it should have masked.
    settings = {"hashtags": "mask_focal", "focal_hashtags": ["a"], "preprocessing": 1}
    with pytest.raises(DataError, match="'mask_focal' with preprocessing=1, not 2"):
        restore_cleaner(settings)
    kept = restore_cleaner({**settings, "hashtags": "keep"})
    assert kept.clean(["#a"]) == ["#a"]


@pytest.mark.parametrize(
    "changes",
    [
        {"pooling": "cls"},
        {"max_tokens": 63},
        {"hashtags": "drop"},
        {"hashtags": "mask_focal", "focal_hashtags": ("dance",)},
    ],
)
def test_settings_change_the_fingerprint(table_spec, changes):
    assert _fingerprint(table_spec, **changes) != _fingerprint(table_spec)


def test_the_focal_hashtags_count_and_their_order_does_not(table_spec):
    ab, ba, ac = (
        _fingerprint(table_spec, hashtags="mask_focal", focal_hashtags=focal)
        for focal in (("a", "b"), ("b", "a"), ("a", "c"))
    )
    assert ab == ba != ac


def test_building_again_gives_the_same_fingerprint(spec, encoder):
    keras.utils.set_random_seed(77)
    assert _fingerprint(spec) == encoder.fingerprint


def test_another_preprocessing_is_another_encoder(table_spec, monkeypatch):
    before = _fingerprint(table_spec)
    monkeypatch.setitem(PREPROCESSING_VERSIONS, table_spec.hashtags, 99)
    assert _fingerprint(table_spec) != before


def _save_preset(directory, backbone, vocabulary, *, lower_case=True):
    backbone.save_to_preset(str(directory))
    tokenizer = keras_nlp.models.BertTokenizer(list(vocabulary), lowercase=lower_case)
    tokenizer.save_to_preset(str(directory))
    return TextSpec(f"keras_nlp:{directory}")


def test_the_same_encoder_from_elsewhere_has_the_same_fingerprint(
    encoder, backbone, vocabulary, tmp_path
):
    spec = _save_preset(tmp_path / "elsewhere", backbone, vocabulary)
    assert _fingerprint(spec) == encoder.fingerprint


def test_other_weights_vocabulary_or_case_change_the_fingerprint(
    encoder, tiny_preset, vocabulary, tmp_path
):
    other = keras_nlp.models.BertBackbone.from_preset(str(tiny_preset))
    swapped = [*vocabulary[:-2], vocabulary[-1], vocabulary[-2]]
    specs = [
        _save_preset(tmp_path / "vocabulary", other, swapped),
        _save_preset(tmp_path / "case", other, vocabulary, lower_case=False),
    ]
    last = other.weights[-1]
    last.assign(np.nextafter(last.numpy(), np.float32(np.inf)))
    specs.append(_save_preset(tmp_path / "weights", other, vocabulary))
    prints = {_fingerprint(spec) for spec in specs}
    assert len({*prints, encoder.fingerprint}) == 4


def _add_one(module, dtype):
    """Changes the variables of one dtype in a SavedModel, but not its graph."""
    prefix = str(module / "variables" / "variables")
    reader = tf.train.load_checkpoint(prefix)
    names = sorted(reader.get_variable_to_shape_map())
    tensors = [tf.constant(reader.get_tensor(name)) for name in names]
    assert any(tensor.dtype == dtype for tensor in tensors)
    tf.raw_ops.SaveV2(
        prefix=prefix,
        tensor_names=names,
        shape_and_slices=[""] * len(names),
        tensors=[t + 1 if t.dtype == dtype else t for t in tensors],
    )


def test_a_hub_module_is_known_by_its_weights_not_its_place(table_spec, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(table_spec.handle.removeprefix("hub:"), copy)
    moved, original = f"hub:{copy}", _fingerprint(table_spec)
    assert _fingerprint(table_spec, handle=moved) == original
    # No embedding depends on such, as the states of dropout's generators are.
    _add_one(copy, tf.int64)
    assert _fingerprint(table_spec, handle=moved) == original
    _add_one(copy, tf.float32)
    assert _fingerprint(table_spec, handle=moved) != original


def test_equal_weights_in_another_graph_are_another_encoder(
    table_spec, save_table_module, vocabulary, tmp_path
):
    table = np.ones((len(vocabulary), 3), np.float32)
    save = partial(save_table_module, table=table, vocabulary=vocabulary)
    paths = [save(tmp_path / str(takes), takes_training=takes) for takes in (0, 1)]
    prints = {_fingerprint(table_spec, handle=f"hub:{path}") for path in paths}
    assert len(prints) == 2


def test_the_share_of_unknown_pieces_is_counted_uncut(encoder):
    # `дом` and `猫` are one [UNK] each; 100 known pieces are more than max_tokens.
    captions = ["cat дом 猫", "dance " * 97, ""]
    assert unknown_token_share(encoder, captions) == pytest.approx(2 / 100)


def test_hashtags_that_are_masked_are_not_counted_as_unknown(table_spec):
    encoder = build_text_encoder(replace(table_spec, hashtags="drop"))
    assert unknown_token_share(encoder, ["cat #дом"]) == 0
    assert unknown_token_share(encoder, ["#дом"]) == 0
    assert unknown_token_share(encoder, []) == 0


def test_the_share_is_over_all_batches(encoder):
    # 1024 captions a batch: the unknown ones are in the second.
    assert unknown_token_share(encoder, ["cat"] * 1024 + ["дом"] * 1024) == 0.5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pooling": "max"}, r"`pooling` must be one of cls, mean.*pooling='max'"),
        ({"max_tokens": 1}, r"at least 2, for \[CLS\] and \[SEP\].*max_tokens=1"),
    ],
)
def test_invalid_specs_are_refused(changes, message):
    with pytest.raises(DataError, match=message):
        TextSpec("hub:x", **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_tokens": 65}, "must take 65 tokens"),
        ({"hashtags": "hide"}, "`hashtags` must be one of keep, mask_focal, drop"),
        ({"hashtags": "mask_focal"}, "needs the focal hashtags"),
        ({"handle": "bert"}, "must be a known one, such as .*text='bert'"),
    ],
)
def test_unbuildable_specs_are_refused(spec, changes, message):
    with pytest.raises(DataError, match=message):
        build_text_encoder(replace(spec, **changes))
