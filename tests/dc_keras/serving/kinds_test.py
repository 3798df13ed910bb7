"""End-to-end tests of bundles of videos only, of context only and of both."""

import json
import subprocess
import sys

import numpy as np
import pytest
from tensorflow.core.protobuf import saved_model_pb2

from dc_keras.serving.add_challenge import add_challenge
from dc_keras.serving.attribution import explain
from dc_keras.serving.predictor import Predictor
from dc_keras.serving.ranking import Ranker
from dc_keras.serving.raw_requests import RawPost, pack_posts, pack_users
from dc_keras.serving.sample_requests import make_requests

_KINDS = ("served", "served_videos", "served_context")
_RELEASES = {"2.15", "2.16", "2.17", "2.18", "2.19", "2.20"}

# A client without this package, which sends the request of a pickle-free file to
# several bundles.
_CLIENT = """
import sys
import numpy as np
import tensorflow as tf
import tensorflow_text

requests = dict(np.load(sys.argv[1], allow_pickle=False))
inputs = {}
for key in {name.partition("/")[0] for name in requests}:
    if f"{key}/shape" in requests:
        flat, ends = requests[f"{key}/bytes"].tobytes(), requests[f"{key}/ends"]
        values = [flat[a:b] for a, b in zip([0, *ends], ends)]
        inputs[key] = np.array(values, object).reshape(requests[f"{key}/shape"])
    else:
        inputs[key] = requests[key]
inputs = {key: tf.constant(value) for key, value in inputs.items()}
answers = {}
for number, place in enumerate(sys.argv[3:]):
    model = tf.saved_model.load(place)
    answer = model.signatures["serving_default"](**inputs)
    answers[str(number)] = answer["probability"]
ours = [name for name in sys.modules if name.startswith("dc_keras")]
np.savez(sys.argv[2], **answers, ours=ours)
"""


def _kinds(short):
    """Runs a test for all kinds; all but one of them are long."""
    kinds = [
        kind if kind == short else pytest.param(kind, marks=pytest.mark.long)
        for kind in _KINDS
    ]
    return pytest.mark.parametrize("bundle", kinds, indirect=True, scope="module")


# Other files have short tests of the answers of the other kinds.
_of_answers, _of_files = _kinds("served_videos"), _kinds("served")


@pytest.fixture(scope="module")
def bundle(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def predictor(bundle):
    return bundle.predictor


def _write(path, inputs):
    """Writes the inputs of a request, with strings as concatenated bytes."""
    arrays = {}
    for key, value in inputs.items():
        if value.dtype == object:
            flat = value.ravel().tolist()
            arrays[f"{key}/bytes"] = np.frombuffer(b"".join(flat), np.uint8)
            arrays[f"{key}/ends"] = np.cumsum([len(text) for text in flat])
            arrays[f"{key}/shape"] = np.array(value.shape)
        else:
            arrays[key] = value
    np.savez(path, **arrays)


@pytest.fixture(scope="module")
def answers_apart(request, tmp_path_factory):
    """Probabilities of one challenge from another process, by the bundle's place."""
    bundles = [request.getfixturevalue(kind) for kind in _KINDS]
    users, directory = bundles[0].users, tmp_path_factory.mktemp("apart")
    inputs = pack_posts([user.posts for user in users], "user") | pack_users(users)
    inputs["challenge"] = np.full(len(users), b"cats", object)
    _write(directory / "requests.npz", inputs)
    arguments = (directory / "requests.npz", directory / "out.npz")
    places = [bundle.place for bundle in bundles]
    subprocess.run(
        [sys.executable, "-c", _CLIENT, *arguments, *places],
        check=True,
        cwd=directory,
    )
    with np.load(directory / "out.npz", allow_pickle=False) as answers:
        assert answers["ours"].size == 0
        return {place: answers[str(n)] for n, place in enumerate(places)}


@_of_answers
def test_answers_are_those_of_the_fitted_model(bundle, predictor):
    answered = predictor.predict(bundle.users, predictor.challenges)
    expected = predictor.calibration.apply(bundle.probability)
    assert np.ptp(expected) > 1e-3
    np.testing.assert_allclose(answered, expected, atol=1e-4)


@pytest.mark.long  # `bundle_test` does the same for one kind
@_of_answers
def test_another_process_without_this_package_gives_equal_results(
    bundle, predictor, answers_apart
):
    column = predictor.challenges.index("cats")
    expected = predictor.calibration.apply(bundle.probability[:, column])
    answer = answers_apart[bundle.place]
    np.testing.assert_allclose(answer, expected, atol=1e-4)


@_of_answers
def test_ranked_users_have_their_probabilities(bundle, predictor):
    prepared = predictor.prepare_users(predictor.represent_users(bundle.users))
    ranker = Ranker(prepared, predictor.model)
    whole = predictor.predict(bundle.users, predictor.challenges)
    for column, name in enumerate(predictor.challenges):
        [challenge] = predictor.find_challenges([name])
        np.testing.assert_allclose(ranker.score(challenge), whole[:, column], atol=1e-5)


@_of_answers
def test_a_prediction_is_explained(request, bundle, predictor):
    user = next(u for u in bundle.users if len(u.posts) == 3)
    found = explain(predictor, user, "dance", most_posts=1)
    [whole] = predictor.predict([user], ["dance"])[0]
    assert found.probability == pytest.approx(whole, abs=1e-5)
    assert len(found.user) == 3
    assert any(post.words for post in found.user)
    has_context = predictor.config["context"]["context"] != "none"
    names = [effect.name for effect in found.facts]
    assert names == (
        ["sounds", "dates", "durations", "counts", "account", "earlier joins"]
        if has_context
        else []
    )


@pytest.mark.long  # `add_challenge_test` does the same for one kind
@_of_answers
def test_a_challenge_is_added(bundle, predictor, tmp_path):
    posts = [
        RawPost("open an umbrella", sound="9", create_time=1_600_000_000),
        RawPost("#umbrella", duration=7.0, counts=(10.0, 2.0, 1.0, 0.0)),
    ]
    place = add_challenge(bundle.place, "umbrella", posts)
    try:
        new = Predictor.load(place)
        before = predictor.predict(bundle.users, predictor.challenges)
        after = new.predict(bundle.users, new.challenges)
        np.testing.assert_allclose(after[:, :-1], before, atol=1e-6)
        np.testing.assert_allclose(
            new.find_challenges(["umbrella"])[0],
            predictor.represent_challenge(posts),
            atol=1e-5,
        )
    finally:
        place.rename(tmp_path / "moved")


@_of_files
def test_servers_from_2_15_to_2_20_know_every_op(bundle):
    audit = json.loads((bundle.place / "op_audit.json").read_text("utf-8"))
    assert set(audit["supported_by"]) >= _RELEASES


@pytest.mark.long  # `sample_requests_test` does the same for one kind
@_of_answers
def test_every_sample_is_answered_with_numbers(bundle, predictor):
    for name, inputs in make_requests(bundle.place):
        size = len(next(iter(inputs.values())))
        for value in predictor.call(name, **inputs).values():
            assert len(value) == size
            assert value.dtype != np.float32 or np.isfinite(value).all()


@_of_files
def test_no_tensor_has_an_axis_of_people(bundle):
    num_users = len(bundle.users)
    num_trained = num_users - _validation_users(bundle.model_directory).n_unique()
    # Numbers that nothing else in the bundle has, nor their pairs with two challenges.
    assert (num_users, num_trained) == (12, 9)
    people = {num_users, num_trained, 2 * num_users, 2 * num_trained}
    shapes = dict(_shapes(bundle.place))
    assert len(shapes) > 1000
    assert {n: s for n, s in shapes.items() if people & {*s}} == {}


def _validation_users(directory):
    import polars as pl

    return pl.read_parquet(directory / "predictions.parquet")["user_id"]


def _shapes(place):
    """Returns names and shapes of the constants and variables of a SavedModel."""
    saved = saved_model_pb2.SavedModel.FromString(
        (place / "saved_model.pb").read_bytes()
    )
    graph = saved.meta_graphs[0].graph_def
    nodes = [("", node) for node in graph.node]
    for function in graph.library.function:
        nodes += [(function.signature.name, node) for node in function.node_def]
    for function, node in nodes:
        if node.op == "Const":
            dims = node.attr["value"].tensor.tensor_shape.dim
        elif node.op == "VarHandleOp":
            dims = node.attr["shape"].shape.dim
        else:
            continue
        yield f"{function}/{node.name}", tuple(dim.size for dim in dims)
