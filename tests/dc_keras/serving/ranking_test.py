import itertools

import numpy as np
import polars as pl
import pytest

from dc_keras.errors import DataError
from dc_keras.serving.ranking import (
    USER_COLUMNS,
    Ranker,
    choose_seeds,
    keep_best,
    read_users,
)


def test_without_communities_the_likeliest_are_chosen():
    p = np.array([0.1, 0.9, 0.5, 0.9])
    np.testing.assert_array_equal(choose_seeds(p, 3), [1, 3, 2])
    np.testing.assert_array_equal(choose_seeds(p, 10), [1, 3, 2, 0])


def test_communities_share_the_budget():
    p = np.array([0.9, 0.8, 0.7, 0.3])
    np.testing.assert_array_equal(choose_seeds(p, 2, ["a", "a", "a", "b"]), [0, 3])
    # Those of no community stand alone.
    np.testing.assert_array_equal(choose_seeds(p, 4, ["", "", "", ""]), [0, 1, 2, 3])


def test_greedy_is_nearly_the_best_there_is():
    rng = np.random.default_rng(0)
    for _ in range(20):
        p, groups = rng.random(8), [str(g) for g in rng.integers(0, 3, 8)]

        def worth(chosen, p=p, groups=groups):
            total = {}
            for i in chosen:
                total[groups[i]] = total.get(groups[i], 0) + p[i]
            return sum(np.sqrt(list(total.values())))

        best = max(worth(s) for s in itertools.combinations(range(8), 4))
        assert worth(choose_seeds(p, 4, groups)) >= 0.95 * best


@pytest.mark.parametrize(
    ("budget", "communities", "message"),
    [(0, None, "budget=0"), (1, ["a"], "users=2, communities=1")],
)
def test_invalid_budgets_are_refused(budget, communities, message):
    with pytest.raises(DataError, match=message):
        choose_seeds(np.array([0.1, 0.2]), budget, communities)


@pytest.mark.parametrize("num_users", [1, 7, 40])
def test_chunks_are_concatenated(num_users, monkeypatch):
    class Sum:
        def predict(self, name, inputs):
            assert name == "rank_users"
            products = inputs["prepared"] * inputs["challenge"]
            return {"probability": products.sum(axis=1)}

    monkeypatch.setattr("dc_keras.serving.ranking._CHUNK", 8)
    prepared = np.random.default_rng(0).random((num_users, 3)).astype(np.float32)
    ranker = Ranker(prepared, Sum())
    challenge = np.array([1, 2, 3], np.float32)
    np.testing.assert_allclose(ranker.score(challenge), prepared @ challenge, rtol=1e-6)


@pytest.mark.parametrize("num_users", [0, 3])
def test_prepared_users_are_read_as_written(tmp_path, num_users):
    path, users = tmp_path / "users.parquet", ["a", "b", "c"][:num_users]
    prepared = np.arange(2 * num_users, dtype=np.float32).reshape(num_users, 2)
    columns = {"user_id": users, "prepared": prepared.tolist()}
    pl.DataFrame(columns, USER_COLUMNS).write_parquet(path)
    kept, read = read_users(path)
    assert kept == tuple(users)
    assert read.dtype == np.float32
    assert read.tolist() == prepared.tolist()
    path.write_bytes(b"no table")
    with pytest.raises(DataError, match="must be users that `rank` has prepared"):
        read_users(path)


@pytest.mark.parametrize("num_groups", [None, 3])
def test_seeds_of_shards_are_those_of_all_users(num_groups):
    rng = np.random.default_rng(0)
    for budget in range(1, 9):
        p = rng.integers(1, 12, 60).astype(np.float32) / 16  # many are equal
        groups = [""] * 60 if num_groups is None else rng.choice(["", "a", "b"], 60)
        users = [f"u{n:02d}" for n in range(60)]
        table = pl.DataFrame({"user_id": users, "community": groups, "probability": p})
        kept = table.clear()
        for start in range(0, 60, 7):
            kept = keep_best(pl.concat([kept, table[start : start + 7]]), budget)
        assert len(kept) <= budget * (num_groups or 1)

        def choose(some, budget=budget):
            of = None if num_groups is None else some["community"].to_list()
            rows = choose_seeds(some["probability"].to_numpy(), budget, of)
            return some["user_id"].gather(rows).to_list()

        assert choose(kept) == choose(table)
