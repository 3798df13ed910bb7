"""From a corpus to a served answer in Python: the bundle answers as the model does."""

import json
from pathlib import Path

import numpy as np
import pytest
import simulated_corpus
import tensorflow as tf

import dc_keras as dc
from tfrecords.storage.integrity import verify_directory


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """A split over features that a text encoder of the registry made."""
    from dc_keras.encoders.registry import import_encoders
    from dc_keras.encoders.text import TextSpec, build_text_encoder

    corpus, study = simulated_corpus.write_corpus(tmp_path_factory.mktemp("world"))
    import_encoders(["tiny_encoders"])
    encoder = build_text_encoder(TextSpec("tiny_texts"))
    captions = corpus.videos["caption"].fill_null("")
    features = dc.Features(
        tuple(corpus.videos["video_id"]),
        {},
        np.asarray(encoder.model(tf.constant(captions.to_list()))),
        encoder.settings(),
    )
    data = dc.ParticipationDataset(corpus, dc.Study.load(study), features)
    return data.split("cold_user")


@pytest.fixture(scope="module")
def fitted(parts):
    train, valid, _ = parts
    return dc.fit_participation(
        train,
        valid,
        model=dc.ModelOptions(hidden_dim=8, projection_dim=4),
        training=dc.TrainingOptions(epochs=1, epoch_steps=1, patience=0),
    )


@pytest.fixture(scope="module")
def bundle(fitted, tmp_path_factory):
    directory = tmp_path_factory.mktemp("bundle") / "dc"
    dc.export(fitted, directory, calibration="none")
    return directory


def _raw_users(part):
    """The users of a part as a client describes them, and their rows."""
    facts, grid = part.data.facts, part.data.grid
    for user in sorted(set(part.pairs["user_id"])):
        posts = []
        for video in grid.histories[grid.users.index(user)]:
            row = facts.row_of[video]
            caption, sound, title, time, duration, counts = (
                column[row] for column in facts.posts
            )
            posts.append(
                dc.RawPost(
                    caption.decode(),
                    sound=sound.decode(),
                    sound_title=title.decode(),
                    create_time=int(time),
                    duration=float(duration),
                    counts=tuple(counts.tolist()),
                )
            )
        account = facts.accounts.get(user, np.full(3, np.nan))
        known = tuple(np.nan_to_num(account, nan=-1.0).tolist())
        yield user, dc.RawUser(posts, known)


@pytest.fixture(scope="module")
def predictor(bundle):
    return dc.load_bundle(bundle)


def test_a_bundle_answers_raw_posts_as_the_fitted_model(
    fitted, bundle, predictor, parts
):
    *_, test = parts
    verify_directory(bundle / "1", "export_model")
    assert predictor.challenges == test.data.grid.challenges
    names, users = zip(*_raw_users(test), strict=True)
    answers = predictor.predict(users, predictor.challenges)
    pairs = test.pairs
    served = [
        answers[names.index(user), predictor.challenges.index(challenge)]
        for user, challenge in pairs.select("user_id", "challenge").iter_rows()
    ]
    np.testing.assert_allclose(served, fitted.predict(test), atol=1e-5)


def test_an_own_text_encoder_is_served_without_tokens(bundle, predictor):
    assert not {"tokens", "embed_user_tokens"} & set(predictor.model.signatures)
    audit = json.loads((bundle / "1" / "op_audit.json").read_text("utf-8"))
    # Its ops are those of TensorFlow 2.15 already.
    assert {"2.15", "2.20"} <= set(audit["supported_by"])


@pytest.mark.parametrize(
    "load", [dc.load_participation, pytest.param(Path, marks=pytest.mark.long)]
)
def test_a_saved_model_makes_the_same_bundle(fitted, predictor, parts, tmp_path, load):
    _, users = zip(*_raw_users(parts[2]), strict=True)
    expected = predictor.predict(users, predictor.challenges)
    fitted.save(tmp_path / "model")
    model = load(tmp_path / "model")
    place = dc.export(model, tmp_path / "export", calibration="none")
    answers = dc.load_bundle(place).predict(users, predictor.challenges)
    np.testing.assert_allclose(answers, expected, atol=1e-6)
