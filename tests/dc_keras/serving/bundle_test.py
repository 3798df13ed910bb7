import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from google.protobuf import text_format
from saved_tokenizers import save_preprocessor, save_roberta

from dc_keras.encoders.hub_export import export_text_encoder
from dc_keras.errors import DataError
from dc_keras.serving.bundle import export_bundle
from dc_keras.serving.bundle_config import find_version
from dc_keras.serving.predictor import Predictor, RawPost
from dc_keras.serving.sample_requests import BATCH_SIZES, make_requests
from dc_keras.serving.serving_model import build_serving_model
from tfrecords.storage.checksums import read_sums, seal_directory

# A client that has nothing of ours: loads the bundle, answers, saves.
_CLIENT = """
import sys
import numpy as np
import tensorflow as tf
import tensorflow_text

inputs = dict(np.load(sys.argv[2], allow_pickle=False))
text = lambda name: tf.constant(inputs[name].astype(object))
frames = dict(np.load(sys.argv[3], allow_pickle=False))
jpegs = [row.tobytes()[:n] for row, n in zip(frames["bytes"], frames["length"])]
jpegs = tf.constant(np.array(jpegs, object).reshape(frames["shape"]))
signatures = tf.saved_model.load(sys.argv[1]).signatures
posts = {"captions": text("captions"), "frames": jpegs}
whole = signatures["captions_only"](challenge=text("challenge"), **posts)
shape = posts["captions"].shape
unknown = {
    "sounds": tf.fill(shape, ""),
    "sound_titles": tf.fill(shape, ""),
    "create_times": tf.fill(shape, tf.constant(-1, tf.int64)),
    "durations": tf.fill(shape, -1.0),
    "counts": tf.fill((*shape, 4), -1.0),
    "account": tf.fill((shape[0], 3), -1.0),
    "joined": tf.fill((shape[0], 1), ""),
    "now": tf.fill(shape[:1], tf.constant(-1, tf.int64)),
}
user = signatures["embed_user"](**posts, **unknown)["user"]
known = signatures["find_challenge"](name=text("challenge"))
score = signatures["score"](user=user, challenge=known["challenge"])
np.savez(
    sys.argv[4],
    whole=whole["probability"],
    known=whole["known_challenge"],
    parts=score["probability"],
    ours=[name for name in sys.modules if name.startswith("dc_keras")],
)
"""

# As a server runs a bundle: a session, a graph, the names of a signature's tensors.
_SESSION = """
import base64, json, pathlib, sys
import numpy as np
import tensorflow as tf
import tensorflow_text

def bare(value):
    if isinstance(value, list):
        return [bare(inner) for inner in value]
    if isinstance(value, dict):
        return base64.b64decode(value["b64"])
    return value.encode() if isinstance(value, str) else value

def plain(value):
    return value.decode() if isinstance(value, bytes) else value

place, answers = pathlib.Path(sys.argv[1]), {}
with tf.compat.v1.Session(graph=tf.Graph()) as session:
    loaded = tf.compat.v1.saved_model.load(session, [tf.saved_model.SERVING], str(place))
    for path in place.glob("sample_requests/*.json"):
        body = json.loads(path.read_text())
        signature = loaded.signature_def[body["signature_name"]]
        inputs = {
            tensor.name: np.array(
                [bare(row[key]) for row in body["instances"]],
                tf.as_dtype(tensor.dtype).as_numpy_dtype,
            )
            for key, tensor in signature.inputs.items()
        }
        names = {key: tensor.name for key, tensor in signature.outputs.items()}
        found = session.run(names, inputs)
        answers[path.stem] = {
            key: np.vectorize(plain, otypes=[object])(value).tolist()
            for key, value in found.items()
        }
print(json.dumps(answers))
"""


@pytest.fixture(scope="module")
def predictor(served):
    return served.predictor


def _ask(predictor, history, challenge="dance", num_posts=None):
    captions = [post.caption for post in history]
    jpegs = [list(post.jpegs) for post in history]
    width = max(1, *(len(j) for j in jpegs))
    jpegs = [j + [b""] * (width - len(j)) for j in jpegs]
    for _ in range((num_posts or len(history)) - len(history)):
        captions.append("")
        jpegs.append([b""] * width)
    answer = predictor.call(
        "captions_only",
        challenge=np.array([challenge], object),
        captions=np.array([captions], object),
        frames=np.array([jpegs], object),
    )
    return float(answer["probability"][0]), bool(answer["known_challenge"][0])


def test_raw_posts_score_as_their_cached_features_do(served, predictor):
    scores = predictor.predict(served.users, predictor.challenges)
    assert np.ptp(served.probability) > 1e-3
    # Features are float16; a batch of another size may round differently.
    np.testing.assert_allclose(scores, served.probability, atol=5e-5)
    for column, challenge in enumerate(predictor.challenges):
        alone = predictor.predict(served.users, [challenge])
        assert alone.shape == (len(served.users), 1)
        np.testing.assert_allclose(alone[:, 0], scores[:, column], atol=1e-6)


def test_another_process_without_this_package_gives_equal_results(
    served, predictor, tmp_path
):
    histories = [h for h in served.histories if len(h) == 3]
    jpegs = [
        [*post.jpegs, b"", b"", b""][:3] for history in histories for post in history
    ]
    flat = [jpeg for row in jpegs for jpeg in row]
    longest = max(map(len, flat))
    padded = [np.frombuffer(jpeg.ljust(longest, b"\0"), np.uint8) for jpeg in flat]
    np.savez(
        tmp_path / "frames.npz",
        bytes=np.stack(padded),
        length=[len(jpeg) for jpeg in flat],
        shape=(len(histories), 3, 3),
    )
    np.savez(
        tmp_path / "text.npz",
        challenge=np.array(["cats"] * len(histories)),
        captions=np.array([[post.caption for post in h] for h in histories]),
    )
    arguments = (served.place, *(tmp_path / n for n in ("text.npz", "frames.npz")))
    subprocess.run(
        [sys.executable, "-c", _CLIENT, *arguments, tmp_path / "out.npz"],
        check=True,
        cwd=tmp_path,
    )
    with np.load(tmp_path / "out.npz", allow_pickle=False) as answer:
        assert answer["ours"].size == 0
        assert answer["known"].all()
        [expected] = predictor.predict(histories, ["cats"]).T
        np.testing.assert_allclose(answer["whole"], expected, atol=1e-5)
        np.testing.assert_allclose(answer["parts"], expected, atol=1e-5)


def test_padding_changes_nothing(served, predictor):
    history = served.histories[0]
    alone, _ = _ask(predictor, history)
    padded, _ = _ask(predictor, history, num_posts=6)
    assert padded == pytest.approx(alone, abs=1e-6)


def test_posts_beyond_the_history_change_nothing(served, predictor):
    history = served.histories[2]
    longer = (*history, RawPost("one more"))
    assert _ask(predictor, longer)[0] == pytest.approx(
        _ask(predictor, history)[0], abs=1e-6
    )


def test_an_unknown_challenge_is_marked_as_unknown(served, predictor):
    probability, known = _ask(predictor, served.histories[0], "nobody knows")
    assert not known
    assert 0 < probability < 1


@pytest.mark.parametrize("caption", [" ", "x" * 10_000, "💃🏽🔥", "#dance", "\0"])
def test_any_caption_is_answered(predictor, caption):
    probability, known = _ask(predictor, [RawPost(caption)])
    assert known
    assert 0 < probability < 1


def test_focal_hashtags_are_masked_in_the_graph(predictor):
    cats, _ = _ask(predictor, [RawPost("look #cats")])
    dance, _ = _ask(predictor, [RawPost("look #dance")])
    assert cats == dance


@pytest.mark.parametrize(
    "sense", ["text", pytest.param("vision", marks=pytest.mark.long)]
)
def test_a_corpus_without_media_or_without_captions_is_served_too(request, sense):
    served = request.getfixturevalue(f"served_{sense}")
    predictor = served.predictor
    assert (predictor.sampling is None) == (sense == "text")
    scores = predictor.predict(served.users, predictor.challenges)
    assert np.ptp(served.probability) > 1e-3
    np.testing.assert_allclose(scores, served.probability, atol=5e-5)
    # What the model does not know of a post has no say.
    unseen = RawPost("!!!") if sense == "vision" else RawPost("", (b"no JPEG",))
    other = RawPost("?") if sense == "vision" else RawPost("", (b"neither",))
    assert _ask(predictor, [unseen]) == _ask(predictor, [other])


@pytest.mark.long
@pytest.mark.parametrize("kind", ["preset", "hub"])
def test_encoders_with_tokenisers_of_their_own_are_served(
    make_served, tiny_preset, vocabulary, tmp_path, kind
):
    if kind == "preset":
        handle, changes = save_roberta(tmp_path), {"max_tokens": 16}
    else:
        handle = (
            f"hub:{export_text_encoder(f'keras_nlp:{tiny_preset}', tmp_path / 'b')}"
        )
        place = tmp_path / "preprocessor"
        made = save_preprocessor(place, list(vocabulary), length=9, takes_length=True)
        changes = {"preprocessor": made}
    served = make_served([], handle, **changes)
    # An export is whole: it needs none of the files that it was made from.
    shutil.rmtree(tmp_path)
    predictor = served.predictor
    assert np.ptp(served.probability) > 1e-3
    scores = predictor.predict(served.users, predictor.challenges)
    np.testing.assert_allclose(scores, served.probability, atol=5e-5)
    assert not {"tokens", "embed_user_tokens"} & set(predictor.model.signatures)
    audit = json.loads((served.place / "op_audit.json").read_text("utf-8"))
    assert "2.20" in audit["supported_by"]


def test_an_encoder_with_other_weights_is_refused(served, tmp_path):
    model = shutil.copytree(served.model_directory, tmp_path / "model")
    config = json.loads((model / "config.json").read_text("utf-8"))
    config["sides"]["user"]["text"]["fingerprint"] = "of another BERT"
    (model / "config.json").write_text(json.dumps(config), "utf-8")
    seal_directory(model)
    with pytest.raises(DataError, match="has other weights than the one that made"):
        export_bundle(model, tmp_path / "export")
    assert not (tmp_path / "export").exists()


def test_the_bundle_contains_the_op_audit(served_text, tmp_path):
    audit = json.loads((served_text.place / "op_audit.json").read_text("utf-8"))
    assert "2.20" in audit["supported_by"]
    assert set(audit["signatures"]) >= {"serving_default", "tokens", "rank_users"}
    assert not any(op.startswith("TFText>") for op in audit["signatures"]["tokens"])
    directory = served_text.model_directory
    with pytest.raises(DataError, match=r"must be one of 2\.13, .*2\.20"):
        export_bundle(directory, tmp_path, serving_target="1.0")
    assert not list(tmp_path.glob("[0-9]*"))


def test_every_file_is_in_the_checksums(served):
    done = subprocess.run(
        ["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=served.place, check=False
    )
    assert done.returncode == 0
    files = {*read_sums(served.place / "SHA256SUMS"), "SHA256SUMS"}
    found = {p.relative_to(served.place) for p in served.place.rglob("*")}
    assert files == {str(p) for p in found if (served.place / p).is_file()}
    assert {"batching_params.pbtxt", "calibration.json", "config.json"} < files


def test_versions_count_up_and_are_never_overwritten(served):
    assert served.place.name == "1"
    assert find_version(served.place.parent) == served.place
    with pytest.raises(DataError, match="1 is there already; give another --version"):
        export_bundle(served.model_directory, served.place.parent, version=1)
    names = {p.name for p in served.place.parent.iterdir()}
    assert names == {"1", "models.config"}


def test_a_server_reads_the_list_of_models(served, tmp_path):
    config = pytest.importorskip("tensorflow_serving.config.model_server_config_pb2")
    path = served.place.parent / "models.config"
    found = text_format.Parse(path.read_text("utf-8"), config.ModelServerConfig())
    [model] = found.model_config_list.config
    assert (model.name, model.base_path) == ("export", "/models/export")
    assert model.model_version_policy.latest.num_versions == 2


@pytest.mark.long
def test_the_loader_of_the_server_finds_tensors_by_name(served_text):
    # In a process of its own, for a session and eager mode do not go together.
    done = subprocess.run(
        [sys.executable, "-c", _SESSION, served_text.place],
        capture_output=True,
        text=True,
        check=True,
    )
    by_name = json.loads(done.stdout)
    bundle = served_text.predictor
    # The first of each signature is its sample.
    requests = list(make_requests(served_text.place))[:: len(BATCH_SIZES)]
    assert {name for name, _ in requests} == set(by_name)
    for name, inputs in requests:
        expected = bundle.call(name, **inputs)
        assert expected.keys() == by_name[name].keys()
        for key, value in expected.items():
            found = np.array(by_name[name][key])
            if value.dtype == object:
                assert found.tolist() == np.char.decode(value.astype(bytes)).tolist()
            else:
                np.testing.assert_allclose(found, value, atol=1e-5)


def test_the_bundle_contains_its_settings(served, predictor):
    config = json.loads((served.place / "config.json").read_text("utf-8"))
    assert predictor.challenges == tuple(config["challenges"]) == ("dance", "cats")
    assert config["sides"]["user"]["text"]["hashtags"] == "mask_focal"


def test_a_proxy_is_no_participation_model(served):
    with pytest.raises(DataError, match="must have a model of --task=participation"):
        build_serving_model(served.model_directory / "user_proxy")


def test_missing_bundles_and_invalid_requests_are_refused(served, predictor, tmp_path):
    with pytest.raises(DataError, match=r"must contain saved_model.pb .*export_model"):
        Predictor.load(tmp_path)
    with pytest.raises(DataError, match="knows the challenges dance, cats"):
        predictor.predict(served.histories, ["dancing"])
    with pytest.raises(DataError, match="at least one post"):
        predictor.predict([()], ["dance"])
    with pytest.raises(DataError, match=r"takes name\. Received: inputs=\['names'\]"):
        predictor.call("find_challenge", names=np.array(["dance"], object))


@pytest.mark.long
def test_the_papers_networks_and_a_real_bert_are_served(make_served, minilm_hub):
    served = make_served(["VGG16", "ResNet50"], f"hub:{minilm_hub}")
    config = json.loads((served.place / "config.json").read_text("utf-8"))
    names = {side: config["sides"][side]["vision"]["name"] for side in config["sides"]}
    assert names == {"challenge": "VGG16", "user": "ResNet50"}
    predictor = served.predictor
    assert np.ptp(served.probability) > 1e-3
    scores = predictor.predict(served.users, predictor.challenges)
    np.testing.assert_allclose(scores, served.probability, atol=5e-5)
    audit = json.loads((served.place / "op_audit.json").read_text("utf-8"))
    assert "2.20" in audit["supported_by"]
