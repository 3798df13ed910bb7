import hashlib
import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import average_precision_score

from dc_keras.corpus.records import Video
from dc_keras.corpus.store import Corpus, table_of
from dc_keras.training.model_card import CARD_FILE, write_model_cards

_SIDE = {"vision": {"name": "VGG16", "fingerprint": "v1"}, "text": None}


def _write_model(directory, grid, task, predictions, **config):
    directory.mkdir(parents=True)
    content = {
        "task": task,
        "model": {"dropout": 0.2},
        "training": {"seed": 3, "epochs": 30},
        "protocol": {"negatives": "all"},
        "context": {"context": "all", "videos": True},
        "grid_sha256": grid.sha256,
        "sides": {"challenge": _SIDE},
        "versions": {"keras": "3.15.1"},
    }
    (directory / "config.json").write_text(json.dumps(content | config), "utf-8")
    (directory / "history.csv").write_text("epoch,loss\n0,1\n1,0.5\n", "utf-8")
    predictions.write_parquet(directory / "predictions.parquet")


@pytest.fixture(autouse=True)
def _few_draws(monkeypatch):
    monkeypatch.setattr("dc_keras.training.model_card.BOOTSTRAP_DRAWS", 60)


@pytest.fixture
def pairs():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 40)
    return pl.DataFrame(
        {
            "user_id": [f"u_{number // 4}" for number in range(40)],
            "challenge": ["dance", "cats", "cooking", "x"] * 10,
            "label": labels,
            "score": 0.3 * labels + 0.7 * rng.random(40),
        }
    )


@pytest.fixture
def posts():
    labels = ["u_a", "u_a", "u_b", "u_c"]
    predicted = ["u_a", "u_b", "u_b", "u_b"]
    names = [str(number) for number in range(4)]
    return pl.DataFrame({"video_id": names, "label": labels, "predicted": predicted})


def _corpus(directory, *, is_synthetic=False):
    table_of(Video, ()).write_parquet(directory / "videos.parquet")
    info = {
        "version": 1,
        "counts": {"videos": 1234, "users": 56, "ties": 0},
        "sources": {"web_item": 1234},
        "media_root": None,
        "is_synthetic": is_synthetic,
    }
    return Corpus(directory, info)


@pytest.fixture
def grid(grid):
    return replace(grid, settings={**grid.settings, "name": "a|study"})


@pytest.fixture
def write(tmp_path, grid):
    def write(task, predictions, **config):
        _write_model(tmp_path / "model", grid, task, predictions, **config)
        [card] = write_model_cards(tmp_path / "model", _corpus(tmp_path), grid)
        return card.read_text("utf-8")

    return write


def test_card_has_data_and_training(write, grid, pairs, tmp_path):
    text = write("participation", pairs)
    posts = (tmp_path / "videos.parquet").read_bytes()
    digest = hashlib.sha256(posts).hexdigest()
    assert text.startswith("# Model card: deepChallenger\n")
    assert "See section IV-C, eqs. (1) and (2) of the paper" in text
    num_pairs, joined = int(grid.observed.sum()), int(grid.labels.sum())
    for row in (
        f"| corpus (sha256 of its posts) | {digest} |",
        "| posts, authors | 1,234, 56 |",
        "| synthetic | unknown |",
        r"| study | a\|study |",
        f"| grid (sha256) | {grid.sha256} |",
        f"| users, challenges | {len(grid.users)}, {len(grid.challenges)} |",
        f"| pairs | {num_pairs}, of which {joined} joined |",
        "| challenge vision | VGG16 v1 |",
        "| model.dropout | 0.2 |",
        "| protocol.negatives | all |",
        "| keras | 3.15.1 |",
    ):
        assert row in text
    assert "2 epochs ran, seed 3" in text
    for heading in ("## Do not use it for", "## Limits"):
        assert heading in text


@pytest.mark.parametrize(
    ("context", "has_videos", "title"),
    [
        ("all", True, "deepChallenger"),
        ("none", True, "videos only"),
        ("rates,text", False, "context only"),
    ],
)
def test_card_describes_the_inputs_of_the_model(
    write, pairs, context, has_videos, title
):
    text = write(
        "participation", pairs, context={"context": context, "videos": has_videos}
    )
    assert text.startswith(f"# Model card: {title}\n")
    # Only the fusion of videos is from the paper and uses early stopping.
    for words in (
        "A fusion of videos uses frames.",
        "eqs. (1) and (2)",
        "Early stopping",
    ):
        assert (words in text) == has_videos
    assert ("context features" in text) == (context != "none")
    assert (f"(groups: {context})" in text) == (context != "none")
    assert "`evaluate` tests the same recipe" in text


def test_metrics_are_those_of_the_validation_rows(write, pairs):
    text = write("participation", pairs)
    labels, scores = pairs["label"].to_numpy(), pairs["score"].to_numpy()
    value = average_precision_score(labels, scores)
    # The interval again, from repeated rows: ten users of four pairs.
    draws = np.random.default_rng(0).multinomial(10, np.full(10, 0.1), 60)
    values = [
        average_precision_score(
            np.repeat(labels, np.repeat(counts, 4)),
            np.repeat(scores, np.repeat(counts, 4)),
        )
        for counts in draws
    ]
    low, high = np.percentile(values, [2.5, 97.5])
    assert f"| average precision | {value:.3f}, 95 % [{low:.3f} {high:.3f}] |" in text
    assert f"| prevalence | {labels.mean():.3f} |" in text
    assert "40 pairs of 10 users not used for training." in text
    assert "60 bootstrap draws over users, seed 0" in text


@pytest.mark.parametrize(
    ("task", "title"), [("user", "user proxy"), ("challenge", "challenge proxy")]
)
def test_card_of_a_proxy_has_class_metrics_and_no_names(write, posts, task, title):
    text = write(task, posts, classes=["u_a", "u_b", "u_c"])
    assert text.startswith(f"# Model card: {title}\n")
    # a: P 1, R 1/2; b: P 1/3, R 1; c: P 0, R 0. Two of four are right.
    assert "| macro precision | 0.444 |" in text
    assert "| macro recall | 0.500 |" in text
    assert "| accuracy | 0.500 |" in text
    assert "4 posts that were not used for training, 3 classes." in text
    assert "u_" not in text


@pytest.mark.parametrize("rows", [0, 1])
def test_too_few_validation_rows_give_no_metrics(write, pairs, rows):
    assert "No metrics:" in write("participation", pairs.head(rows))


def test_proxies_have_their_own_cards(tmp_path, grid, pairs, posts):
    model = tmp_path / "model"
    _write_model(model, grid, "participation", pairs)
    for kind in ("challenge", "user"):
        _write_model(model / f"{kind}_proxy", grid, kind, posts)
    cards = write_model_cards(model, _corpus(tmp_path), grid)
    places = (model, model / "challenge_proxy", model / "user_proxy")
    assert cards == [place / CARD_FILE for place in places]
    before = [card.read_bytes() for card in cards]
    write_model_cards(model, _corpus(tmp_path), grid)
    assert [card.read_bytes() for card in cards] == before


def test_the_card_knows_from_the_corpus_that_it_is_simulated(tmp_path, grid, pairs):
    _write_model(tmp_path / "model", grid, "participation", pairs)
    corpus = _corpus(tmp_path, is_synthetic=True)
    [card] = write_model_cards(tmp_path / "model", corpus, grid)
    assert "| synthetic | yes: a simulated world |" in card.read_text("utf-8")
