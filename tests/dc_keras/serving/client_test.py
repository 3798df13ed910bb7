import dataclasses
import json
import re
import shutil
import threading
from contextlib import closing
from http.client import HTTPConnection
from urllib.parse import urlsplit

import numpy as np
import pytest

from dc_keras.errors import DataError
from dc_keras.serving.client import shorten
from dc_keras.serving.connect import connect


@pytest.fixture(scope="module")
def export(served, tmp_path_factory):
    """Versions of the bundle that a server watches; tests may add versions."""
    place = tmp_path_factory.mktemp("watched")
    shutil.copytree(served.place, place / "1")
    return place


@pytest.fixture(scope="module")
def server(serve, export):
    """The addresses of a model server that loads the bundle in this process."""
    with serve(export, "dc") as addresses:
        yield addresses


@pytest.fixture(scope="module", params=["http", "grpc"])
def protocol(request):
    return request.param


@pytest.fixture(scope="module")
def join(server, protocol):
    """Connects to the server with the protocol of the test."""

    def make(model="dc", **more):
        return connect(server[protocol], model, **more)

    return make


@pytest.fixture(scope="module")
def client(join):
    with join() as made:
        made.wait_until_ready(60)
        yield made


@pytest.fixture(scope="module")
def predictor(served):
    return served.predictor


def _ask(client, captions=("so good",), frames=(b"",), challenge="dance"):
    answer = client.predict(
        "serving_default",
        {
            "challenge": [challenge],
            "captions": [list(captions)],
            "frames": [[list(frames)] * len(captions)],
        },
    )
    return float(answer["probability"][0]), bool(answer["known_challenge"][0])


def test_a_server_answers_as_the_bundle_in_process_does(served, client, predictor):
    remote = dataclasses.replace(predictor, model=client)
    expected = predictor.predict(served.histories, predictor.challenges)
    found = remote.predict(served.histories, predictor.challenges)
    assert np.ptp(expected) > 1e-3
    np.testing.assert_allclose(found, expected, atol=1e-5)
    with_facts = predictor.predict(served.users, predictor.challenges)
    assert np.abs(with_facts - expected).max() > 1e-4
    found = remote.predict(served.users, predictor.challenges)
    np.testing.assert_allclose(found, with_facts, atol=1e-5)


def test_every_output_comes_back_with_its_type(served, client, predictor):
    post = list(served.histories[0])[:1]
    inputs = {
        "captions": [[post[0].caption]],
        "frames": [[list(post[0].jpegs) or [b""]]],
    }
    arrays = {key: np.array(value, object) for key, value in inputs.items()}
    here = predictor.call("rank_challenges", **arrays)
    there = client.predict("rank_challenges", inputs)
    assert set(there) == set(here)
    for key, value in here.items():
        assert there[key].dtype == value.dtype
        if there[key].dtype == object:
            assert there[key].tolist() == value.tolist()
            assert isinstance(there[key][0, 0], bytes)
        else:
            np.testing.assert_allclose(there[key], value, atol=1e-5)


def test_metadata_says_what_signatures_take(client):
    signatures = client.metadata()
    score = signatures["score"]
    assert set(score.inputs) == {"user", "challenge"}
    assert score.inputs["user"].dtype == np.float32
    assert score.inputs["user"].shape[0] == -1
    assert score.outputs["probability"].shape == (-1,)
    whole = signatures["serving_default"]
    assert whole.inputs["frames"].dtype == object
    assert whole.inputs["frames"].shape == (-1, -1, -1)
    assert whole.outputs["known_challenge"].dtype == np.bool_
    assert not any(name.startswith("__") for name in signatures)


def test_versions_are_asked_for_by_number(join):
    assert join(version=1).status()[1] == "AVAILABLE"
    assert join(version=1).wait_until_ready(5) == 1
    probability, known = _ask(join(version=1))
    assert known
    assert 0 < probability < 1


@pytest.mark.parametrize(
    "caption", [" ", "", "x" * 10_000, "💃🏽🔥", '"\\ {"b64": "!"}', "\0", "é\n\t"]
)
def test_any_caption_is_answered(client, predictor, caption):
    found, known = _ask(client, [caption, "more"])
    assert known
    here = predictor.call(
        "serving_default",
        challenge=np.array(["dance"], object),
        captions=np.array([[caption.encode(), b"more"]], object),
        frames=np.array([[[b""], [b""]]], object),
    )
    assert found == pytest.approx(float(here["probability"][0]), abs=1e-5)


def test_an_unknown_challenge_is_marked_as_unknown(client):
    probability, known = _ask(client, challenge="nobody knows")
    assert not known
    assert 0 < probability < 1


def test_a_broken_jpeg_is_one_line_and_the_server_lives(client):
    with pytest.raises(
        DataError, match=r"^the server refused the request: .*'dc'$"
    ) as error:
        _ask(client, ["a secret caption"], [b"\xff\xd8 secret no JPEG"])
    assert "secret" not in str(error.value)
    assert "\n" not in str(error.value)
    _ask(client)


def test_missing_models_are_refused(join, client):
    with pytest.raises(DataError, match=r"must serve the model: .*'nowhere'"):
        _ask(join("nowhere"))
    with pytest.raises(DataError, match=r"must serve the model: .*version=7"):
        _ask(join(version=7))
    with pytest.raises(
        DataError, match=r"must be one of .*serving_default.*='nothing'"
    ):
        client.predict("nothing", {})


def test_inputs_are_checked_before_they_are_sent(client):
    users = np.zeros((2, 3))
    with pytest.raises(DataError, match=r"takes challenge, user\. Received: inputs="):
        client.predict("score", {"user": users})
    with pytest.raises(DataError, match=r"`challenge` must have the shape .*\(2, 3\)"):
        client.predict("score", {"user": users, "challenge": users})
    with pytest.raises(DataError, match="`captions` must be rectangular"):
        client.predict("embed_user", {"captions": [["a"], []], "frames": [[[b""]]]})
    with pytest.raises(DataError, match="`captions` must contain strings"):
        client.predict("embed_user", {"captions": [[3]], "frames": [[[b""]]]})
    with pytest.raises(DataError, match=r"`captions` must be valid Unicode"):
        client.predict("embed_user", {"captions": [["\ud83d"]], "frames": [[[b""]]]})
    with pytest.raises(DataError, match="`challenge` must have the dtype float32"):
        client.predict("score", {"user": users, "challenge": [["a"]]})


def test_refusals_of_the_server_are_one_line(client):
    with pytest.raises(
        DataError,
        match=r"^the server refused the request: .*'dc'$|rows need",
    ):
        client.predict(
            "serving_default",
            {
                "challenge": ["cats"] * 2,
                "captions": [["a"]] * 3,
                "frames": [[[""]]] * 3,
            },
        )


def test_calls_from_several_threads_do_not_mix(client):
    challenges = ["dance", "cats", "unknown"] * 4
    alone = {name: _ask(client, challenge=name) for name in set(challenges)}
    found = {}

    def call_signature(index):
        found[index] = _ask(client, challenge=challenges[index])

    threads = [threading.Thread(target=call_signature, args=(n,)) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for index, name in enumerate(challenges):
        assert found[index] == pytest.approx(alone[name], abs=1e-6)


@pytest.mark.long  # the server loads the bundle once more
def test_a_new_version_is_served_once_it_is_loaded(server, export):
    shutil.copytree(export / "1", export / "tmp-2")
    (export / "tmp-2").rename(export / "2")
    for protocol in ("http", "grpc"):
        with connect(server[protocol], "dc", version=2) as newer:
            assert newer.wait_until_ready(60) == 2
            assert _ask(newer)[1]
        with connect(server[protocol], "dc") as latest:
            assert latest.status() == {1: "END", 2: "AVAILABLE"}
            assert _ask(latest)[1]


def test_an_address_says_which_protocol_it_speaks():
    for address in ("localhost:8501", "ftp://host", "http://", "grpc://", ""):
        with pytest.raises(DataError, match=r"http://, https:// or grpc://\. Received"):
            connect(address, "dc")


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"version": -1}, "`version` must be at least 0"),
        ({"timeout_s": 0}, "`timeout_s` must be above 0"),
        ({"retries": 5}, "`retries` must be 0 to 4"),
    ],
)
def test_options_outside_their_range_are_refused(options, rule):
    with pytest.raises(DataError, match=rule):
        connect("http://localhost:1", "dc", **options)
    with pytest.raises(DataError, match=r"`model` must be letters.*'\.\./x'"):
        connect("http://localhost:1", "../x")


@pytest.mark.parametrize(
    ("error", "kept"),
    [
        (
            'Error: JSON Value: "my is not Type: x" Type: String is not of expected '
            "type: float\nmore",
            "Error: a JSON value Type: String is not of expected type: float",
        ),
        (
            'JSON Value: {"b65": "my"} not formatted correctly for base64 data',
            "a JSON value not formatted correctly for base64 data",
        ),
        ('JSON Value: {\n "b65": "my"\n} not formatted', "a JSON value"),
        ('Conversion of JSON Value: "my" to type: half', "Conversion of a JSON value"),
        ("Cannot convert JSON value: 7 to float", "Cannot convert a JSON value"),
        ("{{function_node __inference_<lambda>_3}} Unknown format.", "Unknown format"),
        ("no such label\nmy", "no such label"),
        ("", "no message"),
    ],
)
def test_a_servers_message_loses_values_of_the_request(error, kept):
    assert shorten(error) == kept


def test_a_servers_message_is_shortened():
    assert len(shorten("x" * 5000)) < 400


@pytest.mark.parametrize(
    ("path", "body", "status", "error"),
    [
        (":predict", b"{", 400, "JSON Parse error"),
        (":predict", b"[]", 400, "must have one of"),
        (":predict", b'{"inputs": {}, "instances": []}', 400, "must have one of"),
        (":predict", b'{"instances": []}', 400, "not a non-empty list"),
        (":predict", b'{"signature_name": 3, "inputs": {}}', 400, "must be a string"),
        (":predict", b'{"signature_name": "x", "inputs": {}}', 400, "x"),
        (":predict", b'{"inputs": {"challenge": ["a"]}}', 400, "all named inputs"),
        (":forget", b"{}", 400, "Malformed request"),
    ],
)
def test_the_server_of_the_tests_refuses_what_the_rules_forbid(
    server, path, body, status, error
):
    found, content = _post(server, path, body)
    assert found == status
    assert error in content["error"]


def _post(server, path, body):
    place = urlsplit(server["http"]).netloc
    with closing(HTTPConnection(place, timeout=20)) as connection:
        connection.request("POST", f"/v1/models/dc{path}", body)
        response = connection.getresponse()
        return response.status, json.loads(response.read())


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ({"b64": "_-8="}, "Unable to base64 decode"),  # the alphabet of addresses
        ({"b64": "YQ==", "more": 1}, "not formatted correctly for base64"),
        (3, "is not of expected type: string"),
        (["a"], "level|size|dimension|rank|shape|to be"),
    ],
)
def test_strings_are_texts_or_base64_objects(server, name, error):
    body = {"signature_name": "find_challenge", "inputs": {"name": [name]}}
    status, content = _post(server, ":predict", json.dumps(body).encode())
    assert status == 400
    assert re.search(error, content["error"])
    body["inputs"] = [{"b64": "ZGFuY2U="}]  # "dance", bare as there is one input
    _, content = _post(server, ":predict", json.dumps(body).encode())
    assert content["outputs"]["known_challenge"] == [True]
