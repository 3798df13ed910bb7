"""Measures community detection: speed, recovery of planted communities, and scale.

    python -m benchmarks.communities

Needs the extra `social`. Compares Leiden with networkx's Louvain in alternating turns
on the same graph; seconds are the best of the turns. Planted communities and cascades
come from the simulated world. They are detected in its true friendships and in its
posts, and compared with two classifiers trained on the communities of nine users in
ten, which show how much can be recovered: one uses the true tastes, one the hashtags
and sounds. Then measures Leiden and the names of communities with 100,000 users.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import networkx as nx
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
from dc_keras.social.naming import describe_communities

_TURNS = 3
_WORLD_SEEDS = 5
_Result = TypeVar("_Result")


def main() -> None:
    """Prints one line per figure."""
    compare_with_louvain()
    find_planted()
    find_planted_in_posts()
    name_many()


def compare_with_louvain(num_users: int = 5_000) -> None:
    """Compares Leiden, including the conversion to igraph, with Louvain."""
    layer, _ = planted(num_users, num_groups=25, num_within=16.0, num_between=4.0)
    graph = nx.from_scipy_sparse_array(layer.weights)
    leiden_s, louvain_s = [], []
    for turn in range(_TURNS):
        communities, seconds = _timed(partial(find_communities, layer, seed=turn))
        leiden_s.append(seconds)
        parts, seconds = _timed(
            partial(nx.community.louvain_communities, graph, seed=turn)
        )
        louvain_s.append(seconds)
        print(
            f"turn {turn}: modularity of Leiden {communities.modularity:.4f}, "
            f"of Louvain {nx.community.modularity(graph, parts):.4f}"
        )
    print(
        f"{num_users:,} users, {layer.num_edges:,} ties: Leiden {min(leiden_s):.3f} s, "
        f"Louvain {min(louvain_s):.3f} s, ratio {min(louvain_s) / min(leiden_s):.1f}"
    )


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
        graph = build_graph(corpus, GraphPlan(), with_times=False)
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


def name_many(num_users: int = 100_000) -> None:
    """Measures Leiden and naming for many users with 30 things each."""
    layer, groups = planted(num_users, num_groups=100, num_within=16.0, num_between=4.0)
    generator = np.random.default_rng(0)
    # Half of a user's things are common to all users, half are those of the group.
    own = groups[:, None] * 50 + generator.integers(0, 50, (num_users, 15))
    common = 5_000 + np.minimum(generator.zipf(1.3, (num_users, 15)), 20_000) - 1
    things = np.concatenate([own, common], axis=1)
    rows = np.repeat(np.arange(num_users), 30)
    incidence = sparse.csr_array(
        (np.ones(things.size), (rows, things.ravel())), shape=(num_users, 25_000)
    )
    names = [f"#{thing}" for thing in range(25_000)]
    communities, leiden_s = _timed(lambda: find_communities(layer))
    membership = communities.membership
    profiles, naming_s = _timed(
        lambda: describe_communities(layer, membership, incidence, names)
    )
    named = sum(bool(profile.traits) for profile in profiles)
    print(
        f"{num_users:,} users, {layer.num_edges:,} ties: Leiden {leiden_s:.1f} s, "
        f"ARI {adjusted_rand_score(groups, membership):.3f}, names "
        f"{naming_s:.1f} s, {named} of {len(communities)} communities named"
    )


def planted(
    num_users: int, num_groups: int, num_within: float, num_between: float
) -> tuple[Layer, np.ndarray]:
    """Returns a random graph with planted groups, and the group of each user."""
    generator = np.random.default_rng(0)
    groups = np.sort(generator.integers(0, num_groups, num_users))
    starts = np.searchsorted(groups, np.arange(num_groups + 1))
    first = generator.integers(0, num_users, int(num_users * num_within / 2))
    low, high = starts[groups[first]], starts[groups[first] + 1]
    second = generator.integers(low, high)
    others = generator.integers(0, num_users, (2, int(num_users * num_between / 2)))
    rows = np.concatenate([first, others[0]])
    columns = np.concatenate([second, others[1]])
    ties = sparse.csr_array(
        (np.ones(len(rows)), (rows, columns)), shape=(num_users, num_users)
    )
    return Layer("planted", to_canonical(ties + ties.T)), groups


def _p_values(friends: Layer, truth: Truth) -> list[float]:
    p_values = []
    for joined, days in zip(truth.joined.T, truth.join_days.T, strict=True):
        rows = np.flatnonzero(joined)
        if len(rows):
            times = (days[rows] * 86_400).astype(np.int64)
            p_values.append(measure_along_edges(friends, Adoption(rows, times)).p_value)
    return p_values


def _timed(work: Callable[[], _Result]) -> tuple[_Result, float]:
    begin = time.perf_counter()
    result = work()
    return result, time.perf_counter() - begin


if __name__ == "__main__":
    main()
