import numpy as np
import polars as pl
import pytest

from dc_keras.errors import DataError
from dc_keras.social.representations import read_representations
from dc_keras.social.sharing import build_similarity_layer

_USERS = ("u_a", "u_b", "u_c", "u_d")


@pytest.fixture
def path(tmp_path):
    vectors = np.array([[0.0, 2.0], [1.0, 0.1], [3.0, 0.0], [9.0, 9.0]], np.float32)
    table = pl.DataFrame(
        {
            "user_id": ["u_d", "u_c", "u_a", "u_of_another_corpus"],
            "bundle_sha256": ["0"] * 4,
            "prepared": pl.Series(vectors),
        }
    )
    table.write_parquet(tmp_path / "users.parquet")
    return tmp_path / "users.parquet"


def test_vectors_stand_where_their_users_do(path):
    found = read_representations(path, _USERS)
    np.testing.assert_allclose(
        found, [[3, 0], [np.nan] * 2, [1, np.float32(0.1)], [0, 2]]
    )


def test_shards_are_read_as_one_table(path, tmp_path):
    table, shards = pl.read_parquet(path), tmp_path / "users"
    shards.mkdir()
    for number, part in enumerate((table[:2], table[2:])):
        part.write_parquet(shards / f"{number}.parquet")
    # Of a shard of users without posts.
    empty = pl.DataFrame(schema={"user_id": pl.String, "prepared": pl.List(pl.Float32)})
    empty.write_parquet(shards / "2.parquet")
    np.testing.assert_array_equal(
        read_representations(shards, _USERS), read_representations(path, _USERS)
    )


def test_the_nearest_users_are_connected_by_cosine(path):
    layer = build_similarity_layer("similar", read_representations(path, _USERS), 1)
    edges = layer.weights.toarray()
    assert layer.name == "similar"
    cosine = 1 / np.sqrt(1 + 0.01)
    np.testing.assert_allclose(edges[0], [0, 0, cosine, 0], atol=1e-6)
    assert not edges[1].any()
    np.testing.assert_allclose(edges, edges.T)


def test_invalid_representations_are_refused(path, tmp_path):
    with pytest.raises(DataError, match="none of them"):
        read_representations(path, ("u_x",))
    pl.DataFrame({"user_id": ["u_a"]}).write_parquet(tmp_path / "other.parquet")
    ragged = pl.DataFrame({"user_id": ["u_a", "u_b"], "vector": [[1.0], []]})
    ragged.write_parquet(tmp_path / "ragged.parquet")
    for name in ("other.parquet", "missing.parquet", "ragged.parquet"):
        with pytest.raises(DataError, match="user_id and one column of vectors"):
            read_representations(tmp_path / name, _USERS)
