"""Measures how well community detection recovers planted communities.

    python -m benchmarks.communities

Needs the extra `social`. Planted communities and cascades come from the simulated
world. They are detected in its true friendships and in its posts, and compared with two
classifiers trained on the communities of nine users in ten, which show how much can be
recovered: one uses the true tastes, one the hashtags and sounds.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import adjusted_rand_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.naive_bayes import MultinomialNB

from benchmarks.worlds import KEY, import_world
from dc_keras.corpus.store import Corpus
from dc_keras.simulation.ground_truth import LOOK_DIM, Truth, WorldConfig, draw_truth
from dc_keras.simulation.world import World, simulate_world
from dc_keras.social.adoption import Adoption, measure_along_edges
from dc_keras.social.affiliations import count_affiliations, find_moments
from dc_keras.social.building import GraphPlan, build_graph
from dc_keras.social.communities import find_communities
from dc_keras.social.graph import Layer, to_canonical

_WORLD_SEEDS = 5


def main() -> None:
    """Prints one line per figure."""
    find_planted()
    find_planted_in_posts()


def find_planted(num_users: int = 600) -> None:
    """Detects the communities and cascades in the simulated world's friendships."""
    for seed in range(_WORLD_SEEDS):
        truth = draw_truth(
            WorldConfig(num_users=num_users), np.random.default_rng(seed)
        )
        friends = Layer("friends", to_canonical(sparse.csr_array(truth.friends)))
        communities = find_communities(friends)
        p_values = _p_values(friends, truth)
        print(
            f"world {seed}, {num_users} users: ARI "
            f"{adjusted_rand_score(truth.communities, communities.membership):.3f}, "
            f"{len(communities)} communities; cascades along friends: p <= 0.05 in "
            f"{sum(p <= 0.05 for p in p_values)} of {len(p_values)} challenges"
        )


def find_planted_in_posts(num_users: int = 600) -> None:
    """Detects communities in posts of three kinds of worlds."""
    clear = {"taste_noise": 0.05, "video_noise": 0.2}
    worlds: dict[str, dict[str, Any]] = {
        "default": {},
        "30 posts a user": {"videos_per_user": 30},
        "100 posts a user": {"videos_per_user": 100},
        "30 posts, clear tastes": {"videos_per_user": 30, **clear},
    }
    print("| world | seed | ARI of layers | mentions alone | tastes | tags, sounds |")
    print("|---|---|---|---|---|---|")
    for name, options in worlds.items():
        for seed in range(3):
            world = simulate_world(
                WorldConfig(
                    num_users=num_users, seed=seed, text_only_share=1.0, **options
                )
            )
            scores = " | ".join(f"{score:.3f}" for score in score_world(world))
            print(f"| {name} | {seed} | {scores} |", flush=True)


def score_world(world: World) -> tuple[float, float, float, float]:
    """Returns the ARI of layers, of mentions, and of the two trained classifiers."""
    with tempfile.TemporaryDirectory() as directory:
        corpus, truth_rows = corpus_of(world, Path(directory))
        planted_groups = world.truth.communities[truth_rows]
        graph = build_graph(corpus, GraphPlan())
        layers = (graph.combined(), graph.layer("mention").undirected())
        detected = [find_communities(layer).membership for layer in layers]
        things = sparse.hstack(
            [
                count_affiliations(
                    kind, corpus.users["user_id"], find_moments(corpus, kind)
                )
                .without_rare(2)
                .counts
                for kind in ("hashtag", "sound")
            ]
        ).tocsr()
    tastes = world.truth.user_tastes[truth_rows][:, LOOK_DIM:]
    folds = StratifiedKFold(10, shuffle=True, random_state=0)
    detected += [
        cross_val_predict(model, inputs, planted_groups, cv=folds)
        for model, inputs in (
            (LinearDiscriminantAnalysis(), tastes),
            (MultinomialNB(), things),
        )
    ]
    scores = [adjusted_rand_score(planted_groups, groups) for groups in detected]
    return scores[0], scores[1], scores[2], scores[3]


def corpus_of(world: World, directory: Path) -> tuple[Corpus, list[int]]:
    """Imports the posts of a world.

    Returns:
        The corpus, and for each of its users, sorted, the row in the truth.
    """
    corpus, _ = import_world(world, directory)
    accounts = enumerate(world.cast.accounts)
    row_of = {KEY.user(account.user_id): row for row, account in accounts}
    return corpus, [row_of[user] for user in sorted(corpus.users["user_id"])]


def _p_values(friends: Layer, truth: Truth) -> list[float]:
    p_values = []
    for joined, days in zip(truth.joined.T, truth.join_days.T, strict=True):
        rows = np.flatnonzero(joined)
        if len(rows):
            times = (days[rows] * 86_400).astype(np.int64)
            p_values.append(measure_along_edges(friends, Adoption(rows, times)).p_value)
    return p_values


if __name__ == "__main__":
    main()
