import functools

import keras_nlp
import numpy as np
import pytest
from saved_tokenizers import (
    SIZES,
    byte_pairs,
    save_preprocessor,
    save_preset,
    save_roberta,
    sentence_pieces,
)

from dc_keras.encoders.extraction import CaptionEmbedder
from dc_keras.encoders.text import TextSpec, build_text_encoder, unknown_token_share
from dc_keras.errors import DataError

# keras-hub leaves the file of sentence pieces open.
pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed file .*vocabulary.spm:ResourceWarning"),
    pytest.mark.filterwarnings(
        "ignore:Exception ignored in.*vocabulary.spm:"
        "pytest.PytestUnraisableExceptionWarning"
    ),
]


@pytest.fixture(scope="module")
def roberta(tmp_path_factory):
    return save_roberta(tmp_path_factory.mktemp("roberta"))


@pytest.fixture(scope="module")
def albert(tmp_path_factory):
    models = keras_nlp.models
    tokenizer = models.AlbertTokenizer(sentence_pieces())
    place = tmp_path_factory.mktemp("albert")
    return save_preset(place, tokenizer, models.AlbertBackbone, embedding_dim=4)


# A tokeniser of byte pairs takes seconds to build and to trace.
_SLOW_TOO = [pytest.param("roberta", marks=pytest.mark.long), "albert"]


@pytest.fixture(scope="module")
def handle(request):
    return request.getfixturevalue(request.param)


@functools.cache
def _build(handle, **changes):
    return build_text_encoder(TextSpec(handle, **{"max_tokens": 16, **changes}))


@functools.cache
def _embedder(handle, **changes):
    return CaptionEmbedder(_build(handle, **changes), batch_size=2)


@pytest.fixture(scope="module", autouse=True)
def _frees_encoders():
    yield
    _embedder.cache_clear()
    _build.cache_clear()


def _embed(handle, captions, **changes):
    return _embedder(handle, **changes).embed(captions)


@pytest.mark.parametrize("handle", ["roberta", "albert"], indirect=True)
def test_the_first_state_is_that_of_the_preset(handle):
    place = handle.partition(":")[2]
    backbone = keras_nlp.models.Backbone.from_preset(place)
    preprocessor = keras_nlp.models.TextClassifierPreprocessor.from_preset(
        place, sequence_length=8
    )
    captions = ["dance a cat", "", "dance " * 9]
    states = backbone(preprocessor(captions))
    if isinstance(states, dict):
        states = states["sequence_output"]
    found = _embed(handle, captions, max_tokens=8)
    np.testing.assert_allclose(found, states[:, 0], atol=1e-5)
    assert len(np.unique(found.round(4), axis=0)) == 3


@pytest.mark.parametrize("handle", _SLOW_TOO, indirect=True)
def test_the_mean_is_that_of_the_tokens_and_not_of_padding(handle):
    alone = _embed(handle, ["dance"], pooling="mean")
    beside = _embed(handle, ["dance", "dance a b c dance"], pooling="mean")
    np.testing.assert_allclose(alone[0], beside[0], atol=1e-5)
    assert np.abs(alone - _embed(handle, ["dance"])).max() > 1e-3


@pytest.mark.parametrize("handle", _SLOW_TOO, indirect=True)
def test_hashtags_are_cleaned_before(handle):
    cleaned = _embed(handle, ["cat #dance", "cat  "], hashtags="drop")
    np.testing.assert_allclose(cleaned[0], cleaned[1], atol=1e-5)
    kept = _embed(handle, ["cat #dance", "cat  "])
    assert np.abs(kept[0] - kept[1]).max() > 1e-4


def test_fingerprints_follow_what_shapes_the_output(albert):
    first = _build(albert)
    again = build_text_encoder(first.spec)
    assert again.fingerprint == first.fingerprint
    assert TextSpec.from_settings(first.settings()) == first.spec
    changed = [_build(albert, pooling="mean"), _build(albert, max_tokens=8)]
    prints = {encoder.fingerprint for encoder in changed}
    assert len(prints - {first.fingerprint}) == 2


@pytest.mark.long
def test_fingerprints_follow_the_merges(roberta, tmp_path):
    vocabulary, merges = byte_pairs()
    fewer = keras_nlp.models.RobertaTokenizer(vocabulary, merges[:-1])
    other = save_preset(tmp_path, fewer, keras_nlp.models.RobertaBackbone)
    assert _build(other).fingerprint != _build(roberta).fingerprint


def test_there_are_no_word_pieces_to_count(albert):
    encoder = _build(albert)
    assert encoder.token_model is None
    with pytest.raises(DataError, match="needs an encoder with WordPieces"):
        unknown_token_share(encoder, ["dance"])


def test_a_preset_that_takes_fewer_tokens_is_refused(albert):
    with pytest.raises(DataError, match=r"must take 64 tokens .*keras_hub:/.*albert"):
        build_text_encoder(TextSpec(albert, max_tokens=64))


def test_a_preset_that_takes_something_else_is_refused(tmp_path):
    tokenizer = keras_nlp.models.FNetTokenizer(sentence_pieces())
    sizes = {name: SIZES[name] for name in SIZES if name != "num_heads"}
    backbone = keras_nlp.models.FNetBackbone(
        vocabulary_size=tokenizer.vocabulary_size(), **sizes
    )
    backbone.save_to_preset(str(tmp_path))
    tokenizer.save_to_preset(str(tmp_path))
    with pytest.raises(DataError, match=r"and padding_mask .*\(a FNetBackbone\)"):
        build_text_encoder(TextSpec(f"keras_hub:{tmp_path}"))


def test_a_preset_without_preprocessing_is_refused(tmp_path):
    vocabulary, merges = byte_pairs()
    vocabulary |= {"<|endoftext|>": len(vocabulary)}
    tokenizer = keras_nlp.models.GPT2Tokenizer(vocabulary, merges)
    handle = save_preset(tmp_path, tokenizer, keras_nlp.models.GPT2Backbone)
    with pytest.raises(DataError, match="must include preprocessing of single texts"):
        build_text_encoder(TextSpec(handle, max_tokens=8))


@pytest.mark.parametrize(
    ("takes_length", "pooling"),
    [(True, "mean"), pytest.param(False, "cls", marks=pytest.mark.long)],
)
def test_a_hub_encoder_takes_what_its_preprocessing_gives(
    tiny_hub, vocabulary, tmp_path, takes_length, pooling
):
    made = save_preprocessor(
        tmp_path / "module", list(vocabulary), length=12, takes_length=takes_length
    )
    handle = f"hub:{tiny_hub}"
    captions = ["dance a cat", "", "cats dance " * 9]
    options = {"max_tokens": 12, "pooling": pooling}
    found = _embed(handle, captions, preprocessor=made, **options)
    expected = _embed(handle, captions, **options)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    encoder = _build(handle, preprocessor=made, **options)
    spec = TextSpec(handle, preprocessor=made, **options)
    assert TextSpec.from_settings(encoder.settings()) == spec
    plain = _build(handle, **options)
    assert "preprocessor" not in plain.settings()
    assert encoder.fingerprint != plain.fingerprint
    if not takes_length:
        with pytest.raises(DataError, match=r"at most 8 tokens .* with 10 tokens"):
            _embed(handle, captions, max_tokens=8, preprocessor=made)


def test_a_module_that_is_no_preprocessing_is_refused(tiny_hub):
    spec = TextSpec(f"hub:{tiny_hub}", preprocessor=f"hub:{tiny_hub}")
    with pytest.raises(DataError, match="must turn texts into input_word_ids and"):
        build_text_encoder(spec)


@pytest.mark.parametrize(
    ("handle", "preprocessor"),
    [("keras_nlp:x", "hub:y"), ("hub:x", "y"), ("hub:x", "keras_nlp:y")],
)
def test_preprocessing_is_for_hub_modules(handle, preprocessor):
    with pytest.raises(DataError, match="must both be hub:PATH_OR_URL"):
        TextSpec(handle, preprocessor=preprocessor)
