from pathlib import Path

import numpy as np
import polars as pl
import pytest
from drawn_graphs import TWO_GROUPS
from scipy import sparse

from dc_keras.social.affiliations import STOP_TAGS, count_affiliations
from dc_keras.social.graph import SocialGraph
from dc_keras.social.graph_view import PALETTE
from dc_keras.social.sharing import build_shared_layer

pytest.importorskip("igraph", reason="the extra `social` is not installed")
from dc_keras.social.survey import survey

_USERS = tuple(f"u_{row}" for row in range(8))
_NAMES = ("dance", "books")


@pytest.fixture(scope="module")
def found():
    has = np.zeros((8, 2))
    has[:4, 0] = 1
    has[4:7, 1] = 1
    graph = SocialGraph(_USERS, (TWO_GROUPS,))
    return survey(graph, TWO_GROUPS, sparse.csr_array(has), _NAMES, num_runs=3)


def test_users_have_their_community_beside_their_measures(found):
    users = found.users()
    assert users["user_id"].to_list() == list(_USERS)
    assert users["community"].to_list() == [0, 0, 0, 0, 1, 1, 1, 2]
    assert users["community_name"].to_list()[-1] == "community 2"
    assert users["degree"].to_list()[3] == 4


def test_the_table_excludes_single_users(found):
    table = found.table()
    assert table["users"].to_list() == [4, 3]
    assert table["ei_index"].to_list() == pytest.approx([-11.9 / 12.1, -5.9 / 6.1])
    assert table["central"].to_list()[1] == ["u_4", "u_5", "u_6"]
    assert found.stability.ari == 1.0


def test_the_view_is_ready_for_files(found):
    view = found.view()
    assert view.edges.height == TWO_GROUPS.num_edges
    assert view.colours[0] == PALETTE[0]
    assert view.sizes.max() == 40
    assert view.sizes[7] == 4
    assert np.abs(view.positions).max() <= 1000
    again = found.view()
    assert np.array_equal(again.positions, view.positions)


_FAMOUS = Path(__file__).parents[4] / "shared" / "data" / "famous"


@pytest.mark.skipif(
    not _FAMOUS.is_dir(), reason="shared/data/famous, real posts, is absent"
)
def test_creators_fall_into_communities_with_names():
    from benchmarks.famous import Famous

    famous = Famous(_FAMOUS)
    tags = famous.videos.select("user_id", pl.col("hashtags").alias("thing"))
    tags = tags.explode("thing").drop_nulls()
    tags = tags.filter(~pl.col("thing").is_in(sorted(STOP_TAGS)))
    has = count_affiliations("hashtag", famous.videos["user_id"], tags)
    assert len(has.users) == 1794
    layer = build_shared_layer(
        has.without_common(300).without_rare(2), "tfidf", top_k=20
    )
    found = survey(
        SocialGraph(has.users, (layer,)), layer, has.counts, has.things, num_runs=3
    )
    large = found.table().filter(pl.col("users") >= 50)
    assert 3 <= large.height <= 30
    assert large["users"].sum() > 1200
    assert found.communities.modularity > 0.3
    # A name is made of what sets a community apart, not of its number.
    assert not large["name"].str.starts_with("community ").any()
