"""MODEL_CARD.md: what a model directory holds, and what it must not be used for.

Made from the files of the directory, after training: a card says what the files say.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
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

from dc_keras.study.participation import Grid
from dc_keras.corpus.store import VIDEOS_FILE, Corpus, write_sealed
from dc_keras.training.model_directory import CONFIG_FILE

CARD_FILE = "MODEL_CARD.md"
PROXIES = ("challenge_proxy", "user_proxy")
BOOTSTRAP_DRAWS = 1000
BOOTSTRAP_SEED = 0
# What lies beside the media of a simulated world.
_TRUTH_FILE = "truth.json"

_PARTICIPATION = (
    "The probability that a user joins a challenge, from the user's earlier posts "
    "and from posts of the challenge by others."
)
_FUSION = "IV-C, eqs. (1) and (2)"
# Per proxy: title, what it predicts, section of the paper.
_PROXIES = {
    "challenge": (
        "challenge proxy",
        "Which challenge a post belongs to. The embedding before its answer describes "
        "posts of challenges to deepChallenger.",
        "IV-A, Fig. 1 (a)",
    ),
    "user": (
        "user proxy",
        "Whose post it is. The embedding before its answer describes posts of users to "
        "deepChallenger; the names of its classes are pseudonyms.",
        "IV-B, Fig. 1 (b)",
    ),
}
_NOT_FOR = (
    "decisions about a person: whom to hire, insure, admit, rank or sanction;",
    "guessing who somebody is, or what somebody did not publish;",
    "minors, health, politics, religion or other sensitive traits as a target;",
    "causes: it says who would join, not that asking makes anybody join.",
)
_LIMITS = (
    "It knows one collection of posts. Hashtag collections are cut off, so who counts "
    "as not having joined may have joined unseen.",
    "Challenges, sounds and people change within weeks; judge it on later data before "
    "it is used on them (`evaluate --split=temporal`).",
    "`evaluate` judges the same recipe on rows that chose nothing, beside simple "
    "baselines.",
    "A model does not unlearn: after `forget`, train anew.",
)
_STOPPED = (
    "The validation rows also chose the epoch at which training stopped, so they "
    "flatter it."
)


@dataclass(frozen=True)
class CorpusFacts:
    """What a card says of the data.

    Attributes:
        sha256: of the posts; equal posts have equal ones.
        counts: posts and authors.
        sources: number of posts a format.
        is_synthetic: True where the truth of a simulated world lies beside the media;
            None where that cannot be told.
    """

    sha256: str
    counts: Mapping[str, int]
    sources: Mapping[str, int]
    is_synthetic: bool | None

    @classmethod
    def of(cls, corpus: Corpus) -> CorpusFacts:
        """Reads the facts of a corpus."""
        with (corpus.directory / VIDEOS_FILE).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        media = corpus.media_root
        is_world = media is not None and (media.parent / _TRUTH_FILE).exists()
        counts = {name: corpus.info["counts"][name] for name in ("videos", "users")}
        return cls(digest, counts, corpus.info["sources"], True if is_world else None)


def write_model_cards(directory: Path, corpus: CorpusFacts, grid: Grid) -> list[Path]:
    """Writes the card of a finished model directory, and of the proxies inside it.

    Args:
        directory: of a finished model.
        corpus: what it was trained on.
        grid: the very pairs.

    Returns:
        The cards.
    """
    places = [directory, *(directory / name for name in PROXIES)]
    cards = []
    for place in places:
        if (place / CONFIG_FILE).exists():
            write_sealed(place / CARD_FILE, _render(place, corpus, grid))
            cards.append(place / CARD_FILE)
    return cards


def _render(directory: Path, corpus: CorpusFacts, grid: Grid) -> str:
    config = json.loads((directory / CONFIG_FILE).read_text(encoding="utf-8"))
    title, *told = _describe(config)
    synthetic = {True: "yes: a simulated world", None: "not known"}
    num_pairs = int(grid.observed.sum())
    data = {
        "corpus (sha256 of its posts)": corpus.sha256,
        "posts, authors": ", ".join(f"{n:,}" for n in corpus.counts.values()),
        "formats": ", ".join(f"{k} {n:,}" for k, n in sorted(corpus.sources.items())),
        "synthetic": synthetic[corpus.is_synthetic],
        "study": config["study"].get("name", "–"),
        "grid (sha256)": config["grid_sha256"],
        "users, challenges": f"{len(grid.users):,}, {len(grid.challenges):,}",
        "pairs": f"{num_pairs:,}, of which {int(grid.labels.sum()):,} joined",
        **dict(_encoders(config["sides"])),
    }
    options = {
        f"{kind}.{name}": value
        for kind in ("model", "training", "protocol", "context")
        for name, value in config.get(kind, {}).items()
    }
    parts = [
        f"# Model card: {title}",
        *told,
        "## Data",
        _table("what", "value", data),
        "## Training",
        f"{_epochs(directory)}, seed {config['training']['seed']}; every choice:",
        _table("option", "value", options),
        "## On its validation rows",
        *_metrics(pl.read_parquet(directory / "predictions.parquet")),
        "## Not for",
        "\n".join(f"- {line}" for line in _NOT_FOR),
        "## Limits",
        "\n".join(f"- {line}" for line in _limits(config)),
        "## Versions",
        _table("package", "version", config["versions"]),
    ]
    return "\n\n".join(parts) + "\n"


def _describe(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Returns the title of a model, what it predicts, and how."""
    if config["task"] != "participation":
        title, predicts, section = _PROXIES[config["task"]]
        return title, predicts, _after(section)
    groups, has_videos = config["context"]["context"], config["context"]["videos"]
    told = []
    if has_videos:
        senses = {"text": "captions", "vision": "frames"}
        seen = [
            word
            for kind, word in senses.items()
            if any(side[kind] for side in config["sides"].values())
        ]
        told.append(f"A fusion of videos sees {' and '.join(seen)}. {_after(_FUSION)}")
    if groups == "none":
        return "videos only", _PARTICIPATION, *told
    told.append(
        f"A logistic regression weighs context features (groups: {groups}) of "
        "captions, frames, sounds, dates, durations, counts, accounts and earlier "
        f"joins, as far as a request tells them{', and the fusion' * has_videos}."
    )
    title = "deepChallenger" if has_videos else "context only"
    return title, _PARTICIPATION, *told


def _after(section: str) -> str:
    return f"After section {section} of the paper (arXiv 2112.13384)."


def _limits(config: Mapping[str, Any]) -> list[str]:
    is_stopped = config["task"] != "participation" or config["context"]["videos"]
    return [*_LIMITS, *([_STOPPED] if is_stopped else ())]


def _epochs(directory: Path) -> str:
    """Says how many epochs ran; a model of context alone has none."""
    path = directory / "history.csv"
    if not path.exists():
        return "No network was trained"
    with path.open(encoding="utf-8", newline="") as file:
        return f"{sum(1 for _ in csv.DictReader(file))} epochs ran"


def _encoders(sides: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Names what each side sees a post with."""
    for side, encoders in sides.items():
        for kind in ("vision", "text"):
            spec = encoders[kind]
            if spec:
                name = spec.get("name", spec.get("handle", ""))
                yield f"{side} {kind}", f"{name} {spec['fingerprint']}".strip()


def _table(name: str, value: str, rows: Mapping[str, Any]) -> str:
    lines = [f"| {name} | {value} |", "|---|---|"]
    for key, cell in rows.items():
        text = str(cell).replace("|", r"\|").replace("\n", " ")
        lines.append(f"| {key} | {text} |")
    return "\n".join(lines)


def _metrics(predictions: pl.DataFrame) -> list[str]:
    if predictions.is_empty() or predictions["label"].n_unique() < 2:
        return ["There are none, or all have one label: nothing can be said."]
    if "score" in predictions.columns:
        return _pair_metrics(predictions)
    return _class_metrics(predictions)


def _pair_metrics(predictions: pl.DataFrame) -> list[str]:
    labels, scores = (predictions[name].to_numpy() for name in ("label", "score"))
    users, user = np.unique(predictions["user_id"].to_numpy(), return_inverse=True)
    low, high = _interval(labels, scores, user)
    precision = average_precision_score(labels, scores)
    values = {
        "average precision": f"{precision:.3f}, 95 % [{low:.3f} {high:.3f}]",
        "ROC-AUC": f"{roc_auc_score(labels, scores):.3f}",
        "Brier score": f"{brier_score_loss(labels, scores):.3f}",
        "prevalence": f"{labels.mean():.3f}",
    }
    return [
        f"{len(labels):,} pairs of {len(users):,} users, who trained nothing.",
        _table("metric", "value", values),
        "Average precision: area under precision–recall without interpolation; chance "
        "has the prevalence. Brier score: mean squared distance of probability and "
        f"label, low is good. 95 %: percentiles of {BOOTSTRAP_DRAWS} bootstrap draws "
        f"over users, seed {BOOTSTRAP_SEED}.",
    ]


def _interval(
    labels: np.ndarray, scores: np.ndarray, user: np.ndarray
) -> tuple[float, float]:
    """Average precision in draws of users; those without a joiner are left out."""
    num_users = int(user.max()) + 1
    rng = np.random.default_rng(BOOTSTRAP_SEED)
    shares = np.full(num_users, 1 / num_users)
    values = []
    for counts in rng.multinomial(num_users, shares, BOOTSTRAP_DRAWS):
        weights = counts[user]
        if labels @ weights > 0:
            values.append(
                average_precision_score(labels, scores, sample_weight=weights)
            )
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def _class_metrics(predictions: pl.DataFrame) -> list[str]:
    labels, predicted = (predictions[n].to_list() for n in ("label", "predicted"))
    names = ("macro precision", "macro recall", "macro F1")
    numbers = precision_recall_fscore_support(
        labels, predicted, average="macro", zero_division=0.0
    )
    values = {n: f"{v:.3f}" for n, v in zip(names, numbers[:3], strict=True)}
    values["accuracy"] = f"{accuracy_score(labels, predicted):.3f}"
    return [
        f"{len(labels):,} posts that trained nothing, {len(set(labels)):,} classes.",
        _table("metric", "value", values),
        "Macro: unweighted mean over the classes that occur or are predicted; a class "
        "never predicted has precision 0. One division: without an interval.",
    ]
