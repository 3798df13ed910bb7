import itertools
import json
import re

import numpy as np
import pytest
import tensorflow as tf

from dc_keras.serving.sample_requests import (
    BATCH_SIZES,
    SAMPLES,
    WARM_UP_FILE,
    make_requests,
    read_warm_up,
)

_SIGNATURES = {
    "captions_only",
    "embed_challenge",
    "embed_user",
    "embed_user_tokens",
    "embed_video",
    "find_challenge",
    "find_support",
    "join_challenge",
    "join_user",
    "prepare_users",
    "rank_challenges",
    "rank_users",
    "score",
    "serving_default",
    "tokens",
    "vary_challenge_video",
    "vary_user_video",
}


@pytest.fixture(scope="module")
def predictor(served_text):
    return served_text.predictor


def test_warm_up_records_have_every_signature_and_batch_size(served_text):
    pytest.importorskip("tensorflow_serving.apis", reason="the extra `serving`")
    found = {
        (name, len(next(iter(inputs.values()))))
        for name, inputs in read_warm_up(served_text.place / WARM_UP_FILE)
    }
    assert found == set(itertools.product(_SIGNATURES, BATCH_SIZES))


def test_every_signature_answers_its_sample_with_numbers(served_text, predictor):
    assert set(predictor.model.signatures) == _SIGNATURES
    requests = list(make_requests(served_text.place))
    for name, inputs in requests[:: len(BATCH_SIZES)]:
        for value in predictor.call(name, **inputs).values():
            assert value.shape[0] == BATCH_SIZES[0]
            assert value.dtype != np.float32 or np.isfinite(value).all()


@pytest.mark.long  # a test of `bundle_test` does the same for four signatures
def test_every_signature_answers_as_loaded_functions_do(served_text, predictor):
    functions = tf.saved_model.load(str(served_text.place)).signatures
    for name, inputs in make_requests(served_text.place):
        tensors = {key: tf.constant(value) for key, value in inputs.items()}
        as_functions = functions[name](**tensors)
        answer = predictor.call(name, **inputs)
        assert answer.keys() == as_functions.keys()
        for key, value in answer.items():
            expected = as_functions[key].numpy()
            assert (value.dtype, value.shape) == (expected.dtype, expected.shape)
            if value.dtype == np.float32:
                np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-5)
            else:
                np.testing.assert_array_equal(value, expected)


def test_samples_are_bodies_for_the_rest_api(served):
    found = {path.stem for path in (served.place / SAMPLES).iterdir()}
    assert found == _SIGNATURES
    body = json.loads((served.place / SAMPLES / "serving_default.json").read_text())
    [row] = body["instances"]
    assert body["signature_name"] == "serving_default"
    assert row["challenge"] == "dance"
    assert row["captions"] == ["so good #fyp"]
    assert list(row["frames"][0][0]) == ["b64"]


def test_requests_are_the_same_each_time(served_text):
    first, second = (list(make_requests(served_text.place)) for _ in range(2))
    for (name, inputs), (name_again, again) in zip(first, second, strict=True):
        assert name == name_again
        assert all(np.array_equal(inputs[key], again[key]) for key in inputs)


def test_the_documentation_lists_every_signature(request):
    document = request.config.rootpath / "docs" / "serving.md"
    rows = re.findall(r"^\| `(\w+)` \|", document.read_text("utf-8"), re.M)
    assert sorted(rows) == sorted(_SIGNATURES)
