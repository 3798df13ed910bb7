"""Tests that each fact of a request affects the right signatures only."""

import dataclasses

import numpy as np
import pytest

from dc_keras.serving.connect import connect
from dc_keras.serving.raw_requests import RawPost, RawUser, pack_posts, pack_users
from dc_keras.serving.sample_requests import make_requests
from dc_keras.serving.serving_model import POST_SPECS, USER_SPECS

_DAY = 86_400
_START = 1_600_000_000
# A user of whom everything is known.
_KNOWN = RawUser(
    (
        RawPost("a #dance", (), "3", "A Song", _START + 9 * _DAY, 20.0, (90, 9, 3, 1)),
        RawPost("so good", (), "4", "Another", _START + 2 * _DAY, 8.0, (50, 20, 1, 0)),
    ),
    account=(1000.0, 20.0, 7.0),
    # All challenges, so that the user clearly joins more often than the average.
    joined=("dance", "cats"),
    now=_START + 30 * _DAY,
)
_OF_POSTS = tuple(spec.name for spec in POST_SPECS)
_OF_USERS = tuple(spec.name for spec in USER_SPECS)
_FACTS = (*_OF_POSTS, *_OF_USERS)
# The signatures with probabilities; a small model may have learned to ignore a fact in
# some of them.
_ANSWERS = ("serving_default", "tokens", "rank_challenges")
_EMBEDDINGS = ("embed_user", "embed_challenge")


@pytest.fixture(scope="module")
def known():
    return pack_posts([_KNOWN.posts], "user") | pack_users([_KNOWN])


@pytest.fixture(scope="module")
def unknown():
    posts = [RawPost(post.caption) for post in _KNOWN.posts]
    return pack_posts([posts], "user") | pack_users([RawUser(posts)])


def _samples(place, names=None):
    """A request of one row for each signature, and the facts that it takes."""
    requests = {}
    for name, inputs in make_requests(place):
        if names is None or name in names:
            requests.setdefault(name, inputs)
    return [(n, i, [f for f in _FACTS if f in i]) for n, i in requests.items()]


def _replace(inputs, fact, values):
    """Returns the inputs with one fact set, for the number of their posts."""
    value = values[fact]
    if fact in _OF_POSTS:
        value = value[:, :1]
        if inputs["captions"].ndim == 1:
            value = value[:, 0]
    return {**inputs, fact: value}


def _moved(predictor, name, inputs, other):
    """Returns the largest difference of the outputs of two inputs."""
    before, after = (predictor.call(name, **values) for values in (inputs, other))
    numbers = [key for key, value in before.items() if value.dtype == np.float32]
    return max(float(np.abs(before[k] - after[k]).max()) for k in numbers)


def test_a_model_of_videos_only_ignores_facts(served_videos, known):
    predictor = served_videos.predictor
    for name, inputs, facts in _samples(served_videos.place, _EMBEDDINGS):
        for fact in facts:
            changed = _replace(inputs, fact, known)
            assert _moved(predictor, name, inputs, changed) == 0, (name, fact)


@pytest.mark.parametrize("fact", _FACTS)
def test_every_fact_affects_a_probability(served, known, unknown, fact):
    predictor = served.predictor
    challenges = np.array([b"dance", b"cats"], object)

    def predict(one):
        both = {key: np.repeat(value, 2, axis=0) for key, value in one.items()}
        answer = predictor.call("serving_default", challenge=challenges, **both)
        return answer["probability"]

    without = {**known, fact: unknown[fact]}
    assert np.abs(predict(known) - predict(without)).max() > 1e-5


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("served_text", _EMBEDDINGS),
        pytest.param("served_text", None, marks=pytest.mark.long),
        pytest.param("served", None, marks=pytest.mark.long),
        pytest.param("served_context", None, marks=pytest.mark.long),
    ],
)
def test_every_fact_affects_every_signature_that_takes_it(request, known, kind, names):
    bundle = request.getfixturevalue(kind)
    predictor, affected = bundle.predictor, set()
    for name, inputs, facts in _samples(bundle.place, names):
        for fact in facts:
            affected.add(fact)
            changed = _replace(inputs, fact, known)
            if name not in _ANSWERS:
                assert _moved(predictor, name, inputs, changed) > 1e-6, (name, fact)
    assert affected == set(_FACTS)


def test_a_fact_of_one_user_does_not_reach_another(served_text):
    predictor = served_text.predictor
    quiet = RawUser([RawPost("so good")])
    alone = predictor.represent_users([quiet])
    beside = predictor.represent_users([quiet, _KNOWN])[:1]
    np.testing.assert_allclose(beside, alone, atol=1e-5)


@pytest.fixture(scope="module")
def server(served_text, serve):
    with serve(served_text.place.parent, "facts") as addresses:
        yield addresses


@pytest.mark.long  # `client_test` does the same for all facts together
@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_a_server_receives_the_facts_and_fills_missing_ones(
    served_text, server, known, unknown, protocol
):
    predictor = served_text.predictor
    request = {"challenge": np.array([b"cats"], object)}
    with connect(server[protocol], "facts") as client:
        client.wait_until_ready(60)
        remote = dataclasses.replace(predictor, model=client)
        for user in (
            _KNOWN,
            RawUser(_KNOWN.posts),
            RawUser(_KNOWN.posts, joined=[]),
        ):
            np.testing.assert_allclose(
                remote.predict([user], ["cats"]),
                predictor.predict([user], ["cats"]),
                atol=1e-5,
            )
        for fact in _FACTS:
            whole = {**request, **known, fact: unknown[fact]}
            part = {key: v for key, v in whole.items() if key != fact}
            served = [
                client.predict("serving_default", inputs)["probability"][0]
                for inputs in (whole, part)
            ]
            here = predictor.call("serving_default", **whole)["probability"][0]
            assert served == pytest.approx([here, here], abs=1e-5), fact
