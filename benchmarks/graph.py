"""Measures the construction of the social graph, compared with whichtok.

    python -m benchmarks.graph

Synthetic users with 20 hashtags and 10 sounds each, drawn by Zipf's law (exponent 1.1,
50,000 names), seed 0. Prints CPU seconds of one process as medians of three interleaved
runs: whichtok 0.0.3 from PyPI and our exact graph with the same weights (which must be
equal to 1e-9) for 1,000 and 3,000 users; and the pruned graph (TF-IDF, 20 strongest
ties per user, no thing of more than 1,000 users) for up to 100,000 users, with the peak
memory of its process.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
import tempfile
import time
import types
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from benchmarks.turns import interleaved, own_memory, run_alone
from dc_keras import __version__
from dc_keras.social.affiliations import Affiliations
from dc_keras.social.sharing import build_shared_layer

_NUM_RUNS = 3
_NUM_NAMES = 50_000
_EXPONENT = 1.1
_HAS = {"hashtag": 20, "sound": 10}
_TOP_K = 20
_MOST_USERS = 1000
_ALONE = """
import sys
from benchmarks.graph import build_alone
build_alone(int(sys.argv[1]))
"""


def make_users(num_users: int, seed: int = 0) -> list[Affiliations]:
    """Returns the affiliations of users with hashtags and with sounds."""
    rng = np.random.default_rng(seed)
    share = 1 / np.arange(1, _NUM_NAMES + 1) ** _EXPONENT
    share /= share.sum()
    users = tuple(f"u{number:07d}" for number in range(num_users))
    names = tuple(f"n{number:05d}" for number in range(_NUM_NAMES))
    affiliations = []
    for kind, count in _HAS.items():
        thing = rng.choice(_NUM_NAMES, (num_users, count), p=share).ravel()
        user = np.repeat(np.arange(num_users), count)
        shape = (num_users, _NUM_NAMES)
        counts = sparse.coo_array((np.ones(len(user)), (user, thing)), shape).tocsr()
        counts.sum_duplicates()
        affiliations.append(Affiliations(kind, users, names, counts))
    return affiliations


def fetch_whichtok(directory: Path) -> Any:
    """Returns the class `UserGraph` of whichtok 0.0.3, from PyPI.

    Replaces its module for scraping, which needs a browser when it is imported and does
    not affect the weights.
    """
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    subprocess.run([*install, "--target", directory, "whichtok==0.0.3"], check=True)
    sys.path.insert(0, str(directory))
    scrape = types.ModuleType("whichtok.scrape")
    scrape.UserGroup = object  # type: ignore[attr-defined]
    sys.modules["whichtok.scrape"] = scrape
    return importlib.import_module("whichtok.graph").UserGraph


def whichtoks_graph(user_graph: Any, group: Any) -> Any:
    """Returns whichtok's graph, with the weights of all pairs."""
    # These are class attributes, which would otherwise grow with each graph.
    user_graph.user_list, user_graph.username_to_index = [], {}
    return user_graph(group).graph


def ties_of(graph: Any) -> sparse.csr_array:
    """Returns the ties of a complete graph with a weight above 0."""
    weights = np.array(graph.es["weight"], float)
    pairs = np.array(graph.get_edgelist())[weights > 0]
    size = graph.vcount()
    ties = sparse.csr_array((weights[weights > 0], tuple(pairs.T)), (size, size))
    return sparse.csr_array(ties + ties.T)


def exact_ties(users: list[Affiliations]) -> sparse.csr_array:
    """Builds all ties with whichtok's weights."""
    layers = [build_shared_layer(has, "whichtok") for has in users]
    return sparse.csr_array(layers[0].weights + layers[1].weights)


def pruned_ties(users: list[Affiliations]) -> int:
    """Builds the strongest ties of each user by TF-IDF; returns their number."""
    rare = (has.without_common(_MOST_USERS) for has in users)
    return sum(build_shared_layer(has, "tfidf", top_k=_TOP_K).num_edges for has in rare)


def build_alone(num_users: int) -> None:
    """Prints only the CPU seconds and the peak memory (MiB) of a pruned graph."""
    users = make_users(num_users)
    start = time.process_time()
    pruned_ties(users)
    seconds = time.process_time() - start
    print(seconds, own_memory())


def main() -> None:
    """Prints the tables."""
    print(f"dc_keras {__version__}")
    with tempfile.TemporaryDirectory() as scratch:
        user_graph = fetch_whichtok(Path(scratch))
    print("| users | whichtok, s | exact, s | ratio | pruned, s | ratio |")
    print("|---|---|---|---|---|---|")
    for num_users in (1000, 3000):
        theirs, exact, pruned = _compare(num_users, user_graph)
        print(
            f"| {num_users:,} | {theirs:.2f} | {exact:.3f} | {theirs / exact:.0f} "
            f"| {pruned:.3f} | {theirs / pruned:.0f} |"
        )
    print("\n| users, pruned | CPU s | peak, MiB |")
    print("|---|---|---|")
    for num_users in (10_000, 100_000):
        seconds, peak = run_alone(_ALONE, num_users)
        print(f"| {num_users:,} | {seconds:.2f} | {peak:.0f} |")


def _compare(num_users: int, user_graph: Any) -> list[float]:
    """Returns CPU seconds of whichtok, of the exact and of the pruned graph."""
    users = make_users(num_users)
    criteria = ("used_hashtags", "used_sounds")
    named = {
        user: {
            criterion: [has.things[thing] for thing in has.counts[[row]].indices]
            for criterion, has in zip(criteria, users, strict=True)
        }
        for row, user in enumerate(users[0].users)
    }
    group = types.SimpleNamespace(users_dict=named)
    apart = ties_of(whichtoks_graph(user_graph, group)) - exact_ties(users)
    if abs(apart).max() > 1e-9:
        sys.exit("the weights of the exact graph differ from whichtok's")
    return interleaved(
        lambda: whichtoks_graph(user_graph, group),
        lambda: exact_ties(users),
        lambda: pruned_ties(users),
        num_rounds=_NUM_RUNS,
        num_warm_up=0,
        clock=time.process_time,
    )


if __name__ == "__main__":
    main()
