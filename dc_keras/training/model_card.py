"""MODEL_CARD.md: data, training, metrics, intended use and limits of a model.

The card is made from the files of a model directory after training.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    brier_score_loss,
    precision_recall_fscore_support,
    roc_auc_score,
)

from dc_keras.corpus.store import VIDEOS_FILE, Corpus, write_sealed
from dc_keras.escaping import format_markdown
from dc_keras.study.participation import Grid
from dc_keras.training.average_precision import (
    BOOTSTRAP_DRAWS,
    BOOTSTRAP_SEED,
    Scores,
    bootstrap_average_precision,
)
from dc_keras.training.model_directory import CONFIG_FILE

CARD_FILE = "MODEL_CARD.md"
PROXIES = ("challenge_proxy", "user_proxy")

_PARTICIPATION = (
    "The probability that a user joins a challenge, from the user's earlier posts "
    "and from posts of the challenge by others."
)
_BASELINE = (
    "The probability that a user joins a challenge, from the user's earlier posts "
    "alone. It has one output for each challenge of its training, and none for others."
)
_FUSION = "IV-C, eqs. (1) and (2)"
# Per proxy: title, what it predicts, section of the paper.
_PROXIES = {
    "challenge": (
        "challenge proxy",
        "The challenge of a post. Its last hidden layer gives the embeddings of "
        "challenge posts for deepChallenger.",
        "IV-A, Fig. 1 (a)",
    ),
    "user": (
        "user proxy",
        "The author of a post. Its last hidden layer gives the embeddings of users' "
        "posts for deepChallenger. The names of its classes are pseudonyms.",
        "IV-B, Fig. 1 (b)",
    ),
}
_NOT_FOR = (
    "decisions about a person, such as hiring, insurance, admission, ranking or "
    "sanctions;",
    "inferring a person's identity, or information that the person did not publish;",
    "predictions about minors, health, politics, religion or other sensitive traits;",
    "causal claims: the model predicts who joins, not the effect of an invitation.",
)
_LIMITS = (
    "The model was trained on one collection of posts. Collections by hashtag are "
    "incomplete, so users may have joined although they count as not joined.",
    "Challenges, sounds and users change within weeks. Evaluate the model on later "
    "data before using it there (`evaluate --split=temporal`).",
    "`evaluate` tests the same recipe on held-out pairs, with simple baselines.",
    "A model does not forget its training data: train again after `forget`.",
)
_STOPPED = (
    "Early stopping used the validation rows, so the metrics on them are optimistic."
)


def write_model_cards(directory: Path, corpus: Corpus, grid: Grid) -> list[Path]:
    """Writes the cards of a finished model directory and of the proxies inside it.

    Returns:
        Paths of the cards.
    """
    cards, data = [], _describe_data(corpus, grid)
    for model in [directory, *(directory / name for name in PROXIES)]:
        if (model / CONFIG_FILE).exists():
            write_sealed(model / CARD_FILE, _render(model, data))
            cards.append(model / CARD_FILE)
    return cards


def summarize_score(directory: Path) -> str:
    """Returns the main metric of a finished model on its validation rows, as text."""
    predictions = pl.read_parquet(directory / "predictions.parquet")
    if predictions.is_empty() or predictions["label"].n_unique() < 2:
        return "no score: there are no validation rows, or all have one label"
    if "score" in predictions.columns:
        labels, scores = (predictions[name].to_numpy() for name in ("label", "score"))
        return (
            f"average precision {average_precision_score(labels, scores):.3f} (chance "
            f"{labels.mean():.3f}) on {len(labels):,} pairs of "
            f"{predictions['user_id'].n_unique():,} validation users"
        )
    accuracy = float(
        (predictions["label"] == predictions["predicted"]).to_numpy().mean()
    )
    return f"accuracy {accuracy:.3f} on {predictions.height:,} validation posts"


def _describe_data(corpus: Corpus, grid: Grid) -> dict[str, str]:
    with (corpus.directory / VIDEOS_FILE).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    counts, sources = corpus.info["counts"], corpus.info["sources"]
    num_pairs = int(grid.observed.sum())
    return {
        "corpus (sha256 of its posts)": digest,
        "posts, authors": f"{counts['videos']:,}, {counts['users']:,}",
        "formats": ", ".join(f"{k} {n:,}" for k, n in sorted(sources.items())),
        "synthetic": "yes: a simulated world" if corpus.is_synthetic else "unknown",
        "study": grid.settings.get("name", "–"),
        "grid (sha256)": grid.sha256,
        "users, challenges": f"{len(grid.users):,}, {len(grid.challenges):,}",
        "pairs": f"{num_pairs:,}, of which {int(grid.labels.sum()):,} joined",
    }


def _render(directory: Path, data: Mapping[str, str]) -> str:
    config = json.loads((directory / CONFIG_FILE).read_text(encoding="utf-8"))
    title, *description = _describe(config)
    options = {
        f"{kind}.{name}": value
        for kind in ("model", "training", "protocol", "context")
        for name, value in config.get(kind, {}).items()
    }
    parts = [
        f"# Model card: {title}",
        *description,
        "## Data",
        _table("what", "value", {**data, **dict(_encoders(config["sides"]))}),
        "## Training",
        f"{_epochs(directory)}, seed {config['training']['seed']}. All options:",
        _table("option", "value", options),
        "## Metrics on validation rows",
        *_metrics(pl.read_parquet(directory / "predictions.parquet")),
        "## Do not use it for",
        "\n".join(f"- {line}" for line in _NOT_FOR),
        "## Limits",
        "\n".join(f"- {line}" for line in _limits(config)),
        "## Versions",
        _table("package", "version", config["versions"]),
    ]
    return "\n\n".join(parts) + "\n"


def _describe(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Returns the title of a model, its prediction, and its method."""
    if config["task"] != "participation":
        title, prediction, section = _PROXIES[config["task"]]
        return title, prediction, _reference(section)
    if config.get("baseline") is not None:
        return f"baseline {config.get('baseline')}", _BASELINE, _reference("V-A")
    groups, has_videos = config["context"]["context"], config["context"]["videos"]
    methods = []
    if has_videos:
        names = {"text": "captions", "vision": "frames"}
        inputs = [
            name
            for kind, name in names.items()
            if any(side[kind] for side in config["sides"].values())
        ]
        fusion = f"A fusion of videos uses {' and '.join(inputs)}."
        methods.append(f"{fusion} {_reference(_FUSION)}")
    if groups == "none":
        return "videos only", _PARTICIPATION, *methods
    methods.append(
        "A logistic regression combines "
        f"{'the fusion and ' * has_videos}context features (groups: {groups}) of "
        "captions, frames, sounds, dates, durations, counts, accounts and earlier "
        "joins, as far as a request has them."
    )
    title = "deepChallenger" if has_videos else "context only"
    return title, _PARTICIPATION, *methods


def _reference(section: str) -> str:
    return f"See section {section} of the paper (arXiv 2112.13384)."


def _limits(config: Mapping[str, Any]) -> list[str]:
    is_stopped = config["task"] != "participation" or config["context"]["videos"]
    return [*_LIMITS, *([_STOPPED] if is_stopped else ())]


def _epochs(directory: Path) -> str:
    """Returns text with the number of epochs; a model of context only has none."""
    path = directory / "history.csv"
    if not path.exists():
        return "No network was trained"
    with path.open(encoding="utf-8", newline="") as file:
        return f"{sum(1 for _ in csv.DictReader(file))} epochs ran"


def _encoders(sides: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yields the encoders of each side, with their fingerprints."""
    for side, encoders in sides.items():
        for kind in ("vision", "text"):
            spec = encoders[kind]
            if spec:
                name = spec.get("name", spec.get("handle", ""))
                yield f"{side} {kind}", f"{name} {spec['fingerprint']}".strip()


def _table(name: str, value: str, rows: Mapping[str, Any]) -> str:
    return format_markdown((name, value), [(k, str(v)) for k, v in rows.items()])


def _metrics(predictions: pl.DataFrame) -> list[str]:
    if predictions.is_empty() or predictions["label"].n_unique() < 2:
        return ["No metrics: there are no validation rows, or all have one label."]
    if "score" in predictions.columns:
        return _pair_metrics(predictions)
    return _class_metrics(predictions)


def _pair_metrics(predictions: pl.DataFrame) -> list[str]:
    labels, scores = (predictions[name].to_numpy() for name in ("label", "score"))
    pairs = Scores(labels, scores, predictions["user_id"].to_numpy())
    draws = bootstrap_average_precision([pairs], BOOTSTRAP_DRAWS, BOOTSTRAP_SEED)
    low, high = np.nanpercentile(draws, [2.5, 97.5])
    precision = average_precision_score(labels, scores)
    num_users = predictions["user_id"].n_unique()
    values = {
        "average precision": f"{precision:.3f}, 95 % [{low:.3f} {high:.3f}]",
        "ROC-AUC": f"{roc_auc_score(labels, scores):.3f}",
        "Brier score": f"{brier_score_loss(labels, scores):.3f}",
        "prevalence": f"{labels.mean():.3f}",
    }
    return [
        f"{len(labels):,} pairs of {num_users:,} users not used for training.",
        _table("metric", "value", values),
        "Average precision: area under the precision–recall curve without "
        "interpolation; the prevalence is chance level. Brier score: mean squared "
        "difference of probability and label; lower is better. 95 %: percentiles of "
        f"{BOOTSTRAP_DRAWS} bootstrap draws over users, seed {BOOTSTRAP_SEED}.",
    ]


def _class_metrics(predictions: pl.DataFrame) -> list[str]:
    labels, predicted = (predictions[n].to_list() for n in ("label", "predicted"))
    names = ("macro precision", "macro recall", "macro F1")
    numbers = precision_recall_fscore_support(
        labels, predicted, average="macro", zero_division=0.0
    )
    values = {n: f"{v:.3f}" for n, v in zip(names, numbers[:3], strict=True)}
    values["accuracy"] = f"{accuracy_score(labels, predicted):.3f}"
    return [
        f"{len(labels):,} posts that were not used for training, "
        f"{len(set(labels)):,} classes.",
        _table("metric", "value", values),
        "Macro: unweighted mean over the classes that occur or are predicted; "
        "precision is 0 for a class that is never predicted. There is a single "
        "division of the posts, so no interval.",
    ]
