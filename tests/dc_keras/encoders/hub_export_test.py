import keras_nlp
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_hub

from dc_keras.encoders.captions import read_vocabulary
from dc_keras.encoders.hub_export import export_text_encoder
from dc_keras.errors import DataError

_IDS = np.array([[2, 7, 8, 9, 3], [2, 5, 3, 0, 0]], np.int32)
_MASK = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]], np.int32)
_SEGMENTS = np.array([[0, 0, 0, 1, 1], [0, 0, 0, 0, 0]], np.int32)


@pytest.fixture(scope="module")
def backbone(tiny_preset):
    return keras_nlp.models.BertBackbone.from_preset(str(tiny_preset))


@pytest.fixture(scope="module")
def module(tiny_hub):
    return tensorflow_hub.load(str(tiny_hub))


@pytest.fixture(scope="module")
def cased_preset(vocabulary, tmp_path_factory):
    preset = tmp_path_factory.mktemp("cased") / "preset"
    backbone = keras_nlp.models.BertBackbone(
        vocabulary_size=len(vocabulary),
        num_layers=1,
        num_heads=1,
        hidden_dim=4,
        intermediate_dim=4,
    )
    backbone.save_to_preset(str(preset))
    tokenizer = keras_nlp.models.BertTokenizer(list(vocabulary), lowercase=False)
    tokenizer.save_to_preset(str(preset))
    return preset


@pytest.fixture(scope="module")
def cased_hub(cased_preset, tmp_path_factory):
    """The cased preset, exported two directories down."""
    target = tmp_path_factory.mktemp("cased") / "new" / "bert"
    assert export_text_encoder(f"keras_nlp:{cased_preset}", str(target)) == target
    return target


@pytest.fixture
def bare_preset(backbone, tmp_path):
    """A preset of the backbone without a tokenizer."""
    backbone.save_to_preset(str(tmp_path / "bare"))
    return tmp_path / "bare"


def _inputs(names):
    values = (_IDS, _MASK, _SEGMENTS)
    return dict(zip(names, map(tf.constant, values), strict=True))


@pytest.mark.parametrize("output", ["sequence_output", "pooled_output"])
def test_outputs_are_those_of_the_preset(backbone, module, output):
    ours = module(_inputs(["input_word_ids", "input_mask", "input_type_ids"]))
    theirs = backbone(_inputs(["token_ids", "padding_mask", "segment_ids"]))
    assert ours[output].dtype == tf.float32
    np.testing.assert_allclose(ours[output], theirs[output], atol=1e-5)


def test_any_batch_and_length_is_taken(module):
    ones = tf.ones((3, 17), tf.int32)
    names = ("input_word_ids", "input_mask", "input_type_ids")
    outputs = module(dict.fromkeys(names, ones))
    assert outputs["sequence_output"].shape == (3, 17, 16)
    assert outputs["pooled_output"].shape == (3, 16)


def test_dropout_is_exported_for_fine_tuning(module):
    inputs = _inputs(["input_word_ids", "input_mask", "input_type_ids"])
    served = module(inputs)["sequence_output"]
    np.testing.assert_array_equal(
        module(inputs, training=False)["sequence_output"], served
    )
    trained = module(inputs, training=True)["sequence_output"]
    assert np.abs(trained - served).max() > 0.01


def test_every_weight_is_stored_once_and_stays_trainable(backbone, module, tiny_hub):
    def shapes(weights):
        return sorted(tuple(w.shape) for w in weights if w.dtype == "float32")

    # The states of dropout's generators are variables too, but not to be trained.
    assert len(module.variables) > len(module.trainable_variables)
    assert all(weight.dtype == "float32" for weight in module.trainable_variables)
    assert shapes(module.trainable_variables) == shapes(backbone.trainable_variables)
    reader = tf.train.load_checkpoint(str(tiny_hub / "variables" / "variables"))
    stored = [
        shape
        for name, shape in reader.get_variable_to_shape_map().items()
        if reader.get_variable_to_dtype_map()[name] == tf.float32
    ]
    assert sorted(map(tuple, stored)) == shapes(backbone.variables)


def test_the_vocabulary_and_its_case_come_along(module, tiny_hub, vocabulary):
    path = module.vocab_file.asset_path.numpy().decode()
    assert path == str(tiny_hub / "assets" / "vocab.txt")
    assert read_vocabulary(path) == vocabulary
    assert module.do_lower_case.numpy()


def test_a_cased_preset_stays_cased(cased_hub):
    assert not tensorflow_hub.load(str(cased_hub)).do_lower_case.numpy()


def test_missing_parents_are_made_and_nothing_else_is_left(cased_hub):
    assert [path.name for path in cased_hub.parent.iterdir()] == ["bert"]
    assert [path.name for path in cased_hub.parent.parent.iterdir()] == ["new"]


@pytest.mark.parametrize("old", [[], ["saved_model.pb", "of_the_old_one"]])
def test_an_empty_directory_or_a_saved_model_is_replaced(cased_preset, tmp_path, old):
    target = tmp_path / "bert"
    target.mkdir()
    for name in old:
        (target / name).touch()
    export_text_encoder(f"keras_nlp:{cased_preset}", target)
    assert not (target / "of_the_old_one").exists()
    tensorflow_hub.load(str(target))
    assert [path.name for path in tmp_path.iterdir()] == ["bert"]


@pytest.mark.parametrize("kind", ["file", "directory"])
def test_other_files_are_not_replaced(tiny_preset, tmp_path, kind):
    target = tmp_path / "thesis"
    kept = target
    if kind == "directory":
        target.mkdir()
        kept = target / "chapter.txt"
    kept.write_text("years of work")
    with pytest.raises(DataError, match=rf"SavedModel to replace.*output='{target}'"):
        export_text_encoder(f"keras_nlp:{tiny_preset}", target)
    assert kept.read_text() == "years of work"


def test_an_export_that_fails_leaves_the_old_one_alone(bare_preset, tmp_path):
    target = tmp_path / "bert"
    target.mkdir()
    (target / "saved_model.pb").write_bytes(b"the old one")
    with pytest.raises(DataError, match="includes no WordPiece vocabulary"):
        export_text_encoder(f"keras_nlp:{bare_preset}", target)
    assert (target / "saved_model.pb").read_bytes() == b"the old one"
    assert {path.name for path in tmp_path.iterdir()} == {"bare", "bert"}


@pytest.mark.parametrize("handle", ["hub:/some/dir", "keras_nlp:", "keras_nlp", "dir"])
def test_only_keras_nlp_presets_are_exported(tmp_path, handle):
    message = rf"only a keras-nlp BERT.*Received: text='{handle}'"
    with pytest.raises(DataError, match=message):
        export_text_encoder(handle, tmp_path / "bert")
    assert list(tmp_path.iterdir()) == []


def test_a_preset_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(
        DataError, match=r"cannot load the BERT preset.*'keras_nlp:/no/"
    ):
        export_text_encoder("keras_nlp:/no/preset", tmp_path / "bert")
    assert list(tmp_path.iterdir()) == []
