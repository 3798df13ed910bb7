import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from dc_keras.errors import DataError
from dc_keras.serving.bundle import export_bundle
from dc_keras.serving.predictor import Predictor, RawPost, find_version
from dc_keras.serving.serving_model import build_serving_model

# A client that has nothing of ours: loads the bundle, answers, saves.
_CLIENT = """
import sys
import numpy as np
import tensorflow as tf
import tensorflow_text

asked = dict(np.load(sys.argv[2], allow_pickle=False))
text = lambda name: tf.constant(asked[name].astype(object))
frames = dict(np.load(sys.argv[3], allow_pickle=False))
jpegs = [row.tobytes()[:n] for row, n in zip(frames["bytes"], frames["length"])]
jpegs = tf.constant(np.array(jpegs, object).reshape(frames["shape"]))
signatures = tf.saved_model.load(sys.argv[1]).signatures
whole = signatures["serving_default"](
    challenge=text("challenge"), captions=text("captions"), frames=jpegs
)
user = signatures["embed_user"](captions=text("captions"), frames=jpegs)["user"]
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


@pytest.fixture(scope="module")
def predictor(served):
    return Predictor.load(served.place)


def _ask(predictor, history, challenge="dance", num_posts=None):
    captions = [post.caption for post in history]
    jpegs = [list(post.jpegs) for post in history]
    width = max(1, *(len(j) for j in jpegs))
    jpegs = [j + [b""] * (width - len(j)) for j in jpegs]
    for _ in range((num_posts or len(history)) - len(history)):
        captions.append("")
        jpegs.append([b""] * width)
    answer = predictor.signatures["serving_default"](
        challenge=np.array([challenge], object),
        captions=np.array([captions], object),
        frames=np.array([jpegs], object),
    )
    return float(answer["probability"][0]), bool(answer["known_challenge"][0])


def test_raw_posts_score_as_their_cached_features_do(served, predictor):
    scores = predictor.predict(served.histories, predictor.challenges)
    assert np.ptp(served.probability) > 1e-3
    np.testing.assert_allclose(scores, served.probability, atol=1e-5)


def test_another_process_without_this_package_answers_alike(served, tmp_path):
    histories = [h for h in served.histories if len(h) == 3]
    rows = [r for r, h in enumerate(served.histories) if len(h) == 3]
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
        expected = served.probability[rows, 1]
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


def test_an_unknown_challenge_is_said_to_be_unknown(served, predictor):
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


@pytest.mark.parametrize("sense", ["text", "vision"])
def test_a_corpus_without_media_or_without_captions_is_served_too(request, sense):
    served = request.getfixturevalue(f"served_{sense}")
    predictor = Predictor.load(served.place)
    assert (predictor.sampling is None) == (sense == "text")
    scores = predictor.predict(served.histories, predictor.challenges)
    assert np.ptp(served.probability) > 1e-3
    np.testing.assert_allclose(scores, served.probability, atol=1e-5)
    # What the model does not know of a post has no say.
    unseen = RawPost("#cats") if sense == "vision" else RawPost("", (b"no JPEG",))
    other = RawPost("?") if sense == "vision" else RawPost("", (b"neither",))
    assert _ask(predictor, [unseen]) == _ask(predictor, [other])


def test_an_encoder_with_other_weights_is_refused(served, tmp_path):
    model = shutil.copytree(served.model_directory, tmp_path / "model")
    config = json.loads((model / "config.json").read_text("utf-8"))
    config["sides"]["user"]["text"]["fingerprint"] = "of another BERT"
    (model / "config.json").write_text(json.dumps(config), "utf-8")
    with pytest.raises(DataError, match="has other weights than the one that made"):
        export_bundle(model, tmp_path / "export")
    assert not (tmp_path / "export").exists()


def test_the_bundle_says_which_servers_load_it(served_text, tmp_path):
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
    listed = (served.place / "SHA256SUMS").read_text("utf-8").splitlines()
    files = {line.split("  ", 1)[1] for line in listed} | {"SHA256SUMS"}
    found = {p.relative_to(served.place) for p in served.place.rglob("*")}
    assert files == {str(p) for p in found if (served.place / p).is_file()}
    assert {"batching_params.pbtxt", "calibration.json", "config.json"} < files


def test_versions_count_up_and_are_never_overwritten(served):
    assert served.place.name == "1"
    assert find_version(served.place.parent) == served.place
    with pytest.raises(DataError, match="1 is there already; give another --version"):
        export_bundle(served.model_directory, served.place.parent, version=1)
    assert [p.name for p in served.place.parent.iterdir()] == ["1"]


def test_the_bundle_says_what_is_behind_it(served, predictor):
    config = json.loads((served.place / "config.json").read_text("utf-8"))
    assert predictor.challenges == tuple(config["challenges"]) == ("dance", "cats")
    assert config["sides"]["user"]["text"]["hashtags"] == "mask_focal"


def test_a_proxy_is_no_participation_model(served):
    with pytest.raises(DataError, match="a bundle needs one of --task=participation"):
        build_serving_model(served.model_directory / "user_proxy")


def test_what_is_not_there_or_not_known_is_one_line(served, predictor, tmp_path):
    with pytest.raises(DataError, match=r"no bundle in .*export_model"):
        Predictor.load(tmp_path)
    with pytest.raises(DataError, match="knows the challenges dance, cats"):
        predictor.predict(served.histories, ["dancing"])
    with pytest.raises(DataError, match="at least one post"):
        predictor.predict([()], ["dance"])
