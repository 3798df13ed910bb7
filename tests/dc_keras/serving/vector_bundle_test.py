"""A DeepChallenger as a SavedModel that takes vectors."""

import json

import numpy as np
import pytest
import simulated_corpus
import tensorflow as tf

from dc_keras.errors import DataError
from dc_keras.features import Features
from dc_keras.models.deep_challenger import DeepChallenger
from dc_keras.serving.export import export
from dc_keras.serving.predictor import Predictor
from dc_keras.study.study import Study
from dc_keras.training.loop import predict
from dc_keras.training.participation_dataset import ParticipationDataset
from tfrecords.storage.integrity import verify_directory


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    corpus, study = simulated_corpus.write_corpus(tmp_path_factory.mktemp("world"))
    features = Features.from_arrays(
        corpus.videos["video_id"].to_list(),
        captions=simulated_corpus.caption_vectors(corpus),
    )
    data = ParticipationDataset(corpus, Study.load(study), features)
    return data.split("cold_user")


@pytest.fixture(scope="module")
def model(parts):
    model = DeepChallenger.from_preset("default", data=parts[0], hidden_dim=8)
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(size=w.shape) for w in model.get_weights()])
    return model


@pytest.fixture(scope="module")
def place(model, parts, tmp_path_factory):
    directory = tmp_path_factory.mktemp("bundle") / "vectors"
    return export(model, directory, data=parts[0], serving_target="2.20")


@pytest.fixture(scope="module")
def signatures(place):
    return tf.saved_model.load(str(place)).signatures


def test_answers_are_those_of_the_model(model, parts, signatures):
    *_, test = parts
    expected = predict(model, test.examples)
    inputs = next(iter(test.to_tf(len(test))))[0]
    names = tf.constant(test.pairs["challenge"].to_list())
    user = {name: inputs[name] for name in ("user", "user_valid")}
    by_name = signatures["serving_default"](challenge=names, **user)
    np.testing.assert_allclose(by_name["probability"], expected, atol=1e-5)
    assert by_name["known_challenge"].numpy().all()
    by_vectors = signatures["score"](**inputs)
    np.testing.assert_allclose(by_vectors["probability"], expected, atol=1e-5)


def test_sets_of_any_size_are_taken(model, parts, signatures):
    sizes, rng = model.sizes, np.random.default_rng(1)
    user = rng.normal(size=(2, 1, sizes["user_dim"])).astype(np.float32)
    many = rng.normal(size=(2, sizes["support_max"] + 3, sizes["challenge_dim"]))
    many = many.astype(np.float32)

    def ask(videos, valid=None):
        valid = np.ones(videos.shape[:2], bool) if valid is None else valid
        answer = signatures["score"](
            user=tf.constant(user),
            user_valid=tf.ones((2, 1), tf.bool),
            challenge=tf.constant(videos),
            challenge_valid=tf.constant(valid),
        )
        return answer["probability"].numpy()

    np.testing.assert_array_equal(ask(many), ask(many[:, : sizes["support_max"]]))
    first = np.arange(many.shape[1]) < 1
    one = ask(many, np.stack([first, first]))
    np.testing.assert_allclose(one, ask(many[:, :1]), atol=1e-6)
    assert (one != ask(many)).any()


def test_challenges_are_ranked_and_unknown_ones_are_told(parts, signatures):
    *_, test = parts
    inputs = next(iter(test.to_tf(2)))[0]
    user = {name: inputs[name] for name in ("user", "user_valid")}
    ranked = signatures["rank_challenges"](**user)
    probability = ranked["probability"].numpy()
    assert (np.diff(probability) <= 0).all()
    names = {name.decode() for name in ranked["challenge"].numpy()[0]}
    assert names == set(test.data.grid.challenges)
    unknown = signatures["serving_default"](
        challenge=tf.constant(["nobody knows"] * 2), **user
    )
    assert not unknown["known_challenge"].numpy().any()
    assert np.isfinite(unknown["probability"]).all()


def test_a_version_is_whole_and_audited(place):
    verify_directory(place, "export_model")
    audit = json.loads((place / "op_audit.json").read_text("utf-8"))
    assert "2.20" in audit["supported_by"]
    config = json.loads((place / "config.json").read_text("utf-8"))
    assert config["task"] == "video_vectors"
    with pytest.raises(DataError, match="takes video vectors, not raw posts"):
        Predictor.load(place)
    requests = {path.stem for path in (place / "sample_requests").iterdir()}
    assert requests == {"score", "serving_default", "rank_challenges"}


def test_without_data_only_vectors_are_taken(model, tmp_path):
    place = export(model, tmp_path / "bundle")
    assert place.name == "1"
    found = tf.saved_model.load(str(place)).signatures
    # A bundle of one signature has it as its default, too.
    assert set(found) == {"score", "serving_default"}
    assert set(found["serving_default"].structured_input_signature[1]) == {
        *("user", "user_valid", "challenge", "challenge_valid")
    }
    assert export(model, tmp_path / "bundle").name == "2"


def test_models_that_do_not_fit_are_refused(parts, tmp_path):
    copies = DeepChallenger.from_preset("default", data=parts[0], copies=2)
    with pytest.raises(DataError, match="several copies must be exported one by one"):
        export(copies, tmp_path / "bundle")
    other = DeepChallenger(2, 3, 2, 3)
    with pytest.raises(DataError, match="`data` must have the sizes of the model"):
        export(other, tmp_path / "bundle", data=parts[0])
    with pytest.raises(DataError, match="must be a whole number, at least 1"):
        export(other, tmp_path / "bundle", version=-1)
    assert not list(tmp_path.iterdir())
