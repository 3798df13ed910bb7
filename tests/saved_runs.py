"""Writes what `evaluate` leaves behind, with made-up scores and without training."""

import json

import numpy as np
import polars as pl

CHALLENGES = ("dance", "cats", "<script>alert(1)</script>")
# How much of the label a score holds.
MODELS = {
    "always yes": None,
    "popularity": 0.1,
    "propensity × popularity": 0.4,
    "VGG16+BERT": 0.5,
    "deepChallenger": 0.9,
    "deepChallenger without text": 0.6,
}
_EVERY = 4


def write_run(
    directory,
    splits=("cold_user",),
    *,
    challenges=CHALLENGES,
    models=MODELS,
    num_users=60,
    num_seeds=2,
    num_folds=2,
    truth=None,
    proxies=True,
    study="made up",
):
    """Writes predictions of every fold, `config.json`, manifests and proxies.

    Of four users that follow each other one joined a challenge, and three joined one of
    three challenges. Four after four they are judged in one fold of each seed, and
    validate in the fold before it.
    """
    for name in ("predictions", "proxies", "manifests"):
        (directory / name).mkdir(parents=True, exist_ok=True)
    for split in splits:
        for seed in range(num_seeds):
            for number in range(num_folds):
                rng = np.random.default_rng([seed, number])
                fold = _fold(rng, number, num_folds, num_users, challenges, models)
                name = f"{split}-seed{seed}-fold{number}.parquet"
                fold.write_parquet(directory / "predictions" / name)
                if proxies:
                    _proxies(rng).write_parquet(directory / "proxies" / name)
        posts = {f"v_{user:04}": f"u_{user:04}" for user in range(num_users)}
        manifest = {"grid": {"settings": {"name": study}, "video_users": posts}}
        (directory / "manifests" / f"{split}.json").write_text(json.dumps(manifest))
    config = {
        "models": ["all"],
        "truth_sha256": truth,
        "is_synthetic": truth is not None,
        "training": {"epochs": 7},
        "grid_sha256": "0" * 64,
    }
    (directory / "config.json").write_text(json.dumps(config), "utf-8")
    return directory


def _fold(rng, number, num_folds, num_users, challenges, models):
    users = np.arange(num_users)
    fold = users // _EVERY % num_folds
    parts = {
        "test": users[fold == number],
        "valid": users[fold == (number + 1) % num_folds],
    }
    pairs = [(part, u, c) for part, us in parts.items() for u in us for c in challenges]
    labels = np.array(
        [(user + challenges.index(c)) % _EVERY == 0 for _, user, c in pairs], np.int32
    )
    frames = []
    for model, signal in models.items():
        scores = np.ones(len(labels))
        if signal is not None:
            scores = signal * 0.5 * labels + 0.5 * rng.random(len(labels))
        frames.append(
            pl.DataFrame(
                {
                    "model": [model] * len(pairs),
                    "part": [part for part, *_ in pairs],
                    "user_id": [f"u_{user:04}" for _, user, _ in pairs],
                    "challenge": [challenge for *_, challenge in pairs],
                    "label": labels,
                    "score": scores,
                }
            )
        )
    return pl.concat(frames)


def _proxies(rng):
    labels = rng.integers(0, 3, 30)
    return pl.DataFrame(
        {
            "kind": ["challenge"] * 30,
            "variant": ["VGG16+BERT"] * 30,
            "num_classes": [3] * 30,
            "video_id": [str(number) for number in range(30)],
            "label": labels,
            "predicted": np.where(rng.random(30) < 0.5, labels, 0),
        }
    )
