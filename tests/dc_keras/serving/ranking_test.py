import itertools

import numpy as np
import pytest

from dc_keras.errors import DataError
from dc_keras.serving.ranking import Ranker, UserTable, choose_seeds


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
    import tensorflow as tf

    monkeypatch.setattr("dc_keras.serving.ranking._CHUNK", 8)
    prepared = np.random.default_rng(0).random((num_users, 3)).astype(np.float32)
    ranker = Ranker(
        prepared,
        lambda prepared, challenge: {
            "probability": tf.reduce_sum(prepared * challenge, axis=1)
        },
    )
    challenge = np.array([1, 2, 3], np.float32)
    np.testing.assert_allclose(ranker.score(challenge), prepared @ challenge, rtol=1e-6)


def test_prepared_users_belong_to_one_bundle(tmp_path):
    path = tmp_path / "users.parquet"
    prepared = np.arange(6, dtype=np.float32).reshape(3, 2)
    UserTable(("a", "b", "c"), prepared, "of one", "then").save(path)
    kept = UserTable.load(path, "of one", "then")
    assert kept.users == ("a", "b", "c")
    np.testing.assert_array_equal(kept.prepared, prepared)
    names = {"users.parquet", "users.parquet.sha256"}
    assert {p.name for p in tmp_path.iterdir()} == names
    with pytest.raises(DataError, match="with the same bundle"):
        UserTable.load(path, "of another", "then")
    with pytest.raises(DataError, match="without users who were removed since"):
        UserTable.load(path, "of one", "now")
    path.write_bytes(b"no table")
    with pytest.raises(DataError, match=r"users.parquet: damaged: .*pipelines.rank`"):
        UserTable.load(path, "of one", "then")
    (tmp_path / "users.parquet.sha256").unlink()
    with pytest.raises(DataError, match="a file that `rank` wrote"):
        UserTable.load(path, "of one", "then")
