"""Real posts as a graph: 1,794 creators of 2020 and the tags that they share."""

from pathlib import Path

import polars as pl
import pytest

from benchmarks.famous import Famous
from dc_keras.social.belongings import STOP_TAGS, count_belongings
from dc_keras.social.graph import SocialGraph
from dc_keras.social.sharing import share_ties
from dc_keras.social.survey import survey

_DATA = Path(__file__).parents[4] / "shared" / "data" / "famous"

pytestmark = pytest.mark.skipif(
    not _DATA.is_dir(), reason="shared/data/famous, real posts, is absent"
)


def test_creators_fall_into_communities_with_names():
    famous = Famous(_DATA)
    tags = famous.videos.select("user_id", pl.col("hashtags").alias("thing"))
    tags = tags.explode("thing").drop_nulls()
    tags = tags.filter(~pl.col("thing").is_in(sorted(STOP_TAGS)))
    has = count_belongings("hashtag", famous.videos["user_id"], tags)
    assert len(has.users) == 1794
    layer = share_ties(has.without_common(300).without_rare(2), "tfidf", top_k=20)
    found = survey(
        SocialGraph(has.users, (layer,)), layer, has.counts, has.things, num_runs=3
    )
    large = found.table().filter(pl.col("users") >= 50)
    assert 3 <= large.height <= 30
    assert large["users"].sum() > 1200
    assert found.communities.modularity > 0.3
    # A name is made of what sets a community apart, not of its number.
    assert not large["name"].str.starts_with("community ").any()
