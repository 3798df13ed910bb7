import string
from pathlib import Path

import numpy as np
import pytest

from dc_keras.corpus.grid import Grid

# Real wordpieces would need a download; these spell every ASCII word.
VOCABULARY = (
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    *string.ascii_lowercase,
    *(f"##{letter}" for letter in string.ascii_lowercase),
    *string.digits,
    *(f"##{digit}" for digit in string.digits),
    *"#@!.,",
    "dance",
    "cat",
    "##s",
)
VOCABULARY = tuple(dict.fromkeys(VOCABULARY))


@pytest.fixture(scope="session")
def vocabulary() -> tuple[str, ...]:
    return VOCABULARY


@pytest.fixture(scope="session")
def tiny_preset(tmp_path_factory) -> Path:
    """A random BERT of two layers, 16 wide, as a keras-nlp preset directory."""
    import keras
    import keras_nlp

    keras.utils.set_random_seed(0)
    backbone = keras_nlp.models.BertBackbone(
        vocabulary_size=len(VOCABULARY),
        num_layers=2,
        num_heads=2,
        hidden_dim=16,
        intermediate_dim=32,
        max_sequence_length=64,
    )
    # Freshly made biases are zero, and would hide one that is lost.
    for weight in backbone.weights:
        weight.assign_add(0.3 * keras.random.normal(weight.shape, seed=1))
    directory = tmp_path_factory.mktemp("bert") / "preset"
    backbone.save_to_preset(str(directory))
    tokenizer = keras_nlp.models.BertTokenizer(list(VOCABULARY), lowercase=True)
    tokenizer.save_to_preset(str(directory))
    return directory


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
