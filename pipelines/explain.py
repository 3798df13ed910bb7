r"""Attributes a prediction to posts, frames and words of the user and the challenge.

    python -m pipelines.explain --bundle=run/export --corpus=run/corpus \
        --user=0f3a60d1c52b7e94a8d0c9b1e27f4455 --challenge=distancedance \
        --output=run/explanation

Predicts again without each post of the user and each post that describes the
challenge. For the --posts posts per side with the largest effect, also leaves out each
frame and each word. Writes explanation.json and, with the extra `report`,
explanation.html, a page that works offline. Both files contain posts of people:
`forget` removes the directory if one of these people is forgotten.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from dc_keras.escaping import escape_controls
from pipelines._cli import app, bundles, inputs, raw_posts

if TYPE_CHECKING:
    from dc_keras.corpus.records import Video
    from dc_keras.corpus.store import Corpus
    from dc_keras.serving.attribution import Effect, PostEffect
    from dc_keras.serving.predictor import Predictor
    from dc_keras.serving.raw_requests import RawPost
    from dc_keras.study.study import Study
    from tfrecords.frame_records import Sampler

bundles.define()
_CORPUS = flags.DEFINE_string("corpus", None, "Corpus directory.", required=True)
_USER = flags.DEFINE_string(
    "user",
    None,
    "Pseudonym in users.parquet; with --key_file also a platform id, secUid or handle.",
    required=True,
)
_CHALLENGE = flags.DEFINE_string(
    "challenge", None, "Name of a challenge of the bundle.", required=True
)
_POSTS = flags.DEFINE_integer(
    "posts", 3, "Number of posts per side explained by frames and words.", 0
)
_KEY_FILE = flags.DEFINE_string(
    "key_file", None, "Key file of the pseudonyms, for a --user given by other ids."
)
_MEDIA_ROOT = raw_posts.define_media_root()
_OUTPUT = flags.DEFINE_string(
    "output", None, "Directory of the explanation.", required=True
)

_THUMBNAIL_SIDE_PX = 160


def main() -> None:
    """Explains and writes."""
    from dc_keras.corpus.store import Corpus
    from dc_keras.study.resolution import user_histories
    from tfrecords.decoding_process import DecodingProcess

    corpus = Corpus.open(_CORPUS.value)
    [user] = inputs.find_users(corpus, [_USER.value], _KEY_FILE.value)
    predictor = bundles.open_bundle([_CHALLENGE.value])
    # Only now: TensorFlow takes seconds.

    histories = user_histories(predictor.study, corpus.videos, [user])
    if user not in histories:
        raise raw_posts.without_posts(f"user={_USER.value}")
    own = corpus.find_videos(histories[user])
    with DecodingProcess() as process:
        content = _explain(corpus, predictor, user, own, process.sample)
    _write(Path(_OUTPUT.value), content)


def _explain(
    corpus: Corpus,
    predictor: Predictor,
    user: str,
    own: Sequence[Video],
    sample: Sampler,
) -> dict[str, Any]:
    from dc_keras.serving.attribution import explain
    from dc_keras.serving.raw_requests import RawUser

    root = raw_posts.find_media_root(corpus, _MEDIA_ROOT.value)
    describing = _describing(corpus, predictor)
    sides = predictor.config["sides"]
    sampling = sides["challenge"]["sampling"]
    posts: dict[str, Sequence[RawPost]] = {
        "user": raw_posts.of_videos(own, root, sides["user"]["sampling"], sample),
        # Only those with the largest effects are looked at.
        "challenge": raw_posts.LazyPosts(
            describing, lambda some: raw_posts.of_videos(some, root, sampling, sample)
        ),
    }
    facts = raw_posts.read_facts(corpus, predictor, [user])
    who = RawUser(posts["user"], **facts[user])
    app.progress(
        f"predicting again without each post, word and frame: {len(own)} posts of the "
        f"user, {len(describing)} that describe the challenge, about a second a post"
    )
    found = explain(predictor, who, _CHALLENGE.value, posts["challenge"], _POSTS.value)
    app.say(
        f"{user}  {_CHALLENGE.value}  {found.probability:.3f}, "
        f"{len(found.user)} posts of the user, {len(found.challenge_posts)} that "
        "describe the challenge"
    )
    return {
        "user_id": user,
        "challenge": found.challenge,
        "probability": found.probability,
        "base_rate": _base_rate(corpus, predictor.study),
        "is_synthetic": corpus.is_synthetic,
        "bundle_sha256": predictor.sha256,
        "user_posts": _format_posts(found.user, own, posts["user"]),
        "challenge_posts": _format_posts(
            found.challenge_posts, describing, posts["challenge"]
        ),
        "facts": [{"name": e.name, **_format_effect(e)} for e in found.facts],
    }


def _base_rate(corpus: Corpus, study: Study) -> dict[str, int] | None:
    """Returns how many users joined, of how many; None for an added challenge."""
    from dc_keras.study.resolution import count_joined

    if _CHALLENGE.value not in [challenge.name for challenge in study.challenges]:
        return None
    joined, num_users = count_joined(study, corpus.videos, _CHALLENGE.value)
    return {"joined": joined, "users": num_users}


def _describing(corpus: Corpus, predictor: Predictor) -> list[Video | None]:
    """Returns the posts that describe the challenge, in the order of the bundle.

    The bundle contains their embeddings and keyed codes of their ids. None stands for
    a post that is not in the corpus. A baseline of the paper has no such posts.
    """
    from dc_keras.corpus.pseudonyms import post_code

    codes = predictor.config.get("describing_posts", {}).get(_CHALLENGE.value, [])
    code_set, key = set(codes), corpus.info["key_fingerprint"]
    ids = {
        code: video
        for video in (corpus.videos["video_id"] if code_set else ())
        if (code := post_code(key, video)) in code_set
    }
    known = [ids[code] for code in codes if code in ids]
    posts = {post.video_id: post for post in corpus.find_videos(known)}
    reads_posts = predictor.config.get("baseline") is None
    if len(known) < len(codes) or (reads_posts and not codes):
        app.progress(
            f"{len(known)} of the posts that describe the challenge are in this "
            "corpus; the others are shown by their numbers only"
        )
    return [posts.get(ids.get(code, "")) for code in codes]


def _format_posts(
    effects: Sequence[PostEffect],
    videos: Sequence[Video | None],
    posts: Sequence[RawPost],
) -> list[dict[str, Any]]:
    """Returns posts as JSON values, sorted by the size of their effect."""
    rows = []
    fields = ("video_id", "user_id", "create_time", "caption")
    for number, effect in enumerate(effects):
        video = videos[number] if videos else None
        post: dict[str, Any] = {"number": number + 1, **_format_effect(effect.whole)}
        post |= {name: getattr(video, name, None) for name in fields}
        post["words"] = [{"word": e.name, **_format_effect(e)} for e in effect.words]
        post["frames"] = [
            {"jpeg": _encode_thumbnail(jpeg), **_format_effect(e)}
            for e, jpeg in zip(
                effect.frames,
                posts[number].jpegs if effect.frames else (),
                strict=True,
            )
        ]
        rows.append(post)
    return sorted(rows, key=lambda post: -abs(post["log_odds"] or 0.0))


def _format_effect(effect: Effect) -> dict[str, float | None]:
    return {"probability": effect.probability, "log_odds": effect.log_odds}


def _encode_thumbnail(jpeg: bytes) -> str:
    """Returns a thumbnail of a frame as base64-encoded JPEG; "" if it is damaged."""
    import cv2
    import numpy as np

    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        return ""
    scale = min(1.0, _THUMBNAIL_SIDE_PX / max(image.shape[:2]))
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return base64.b64encode(cv2.imencode(".jpg", small)[1].tobytes()).decode("ascii")


def _write(directory: Path, content: dict[str, Any]) -> None:
    from dc_keras.corpus.store import write_sealed

    directory.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    text = escape_controls(text, keep="\n")
    write_sealed(directory / "explanation.json", text, seals=True)
    try:
        from dc_keras.reporting.explanation_page import render_explanation
    except ImportError:
        app.progress("the page needs `pip install 'dc_keras[report]'`")
        app.say(f"{directory / 'explanation.json'}: the prediction and its explanation")
        return
    write_sealed(directory / "explanation.html", render_explanation(content))
    app.say(f"{directory / 'explanation.html'}: the prediction and its explanation")


if __name__ == "__main__":
    app.run(main, writes="output")
