import numpy as np
from mentions import find_mentions

from dc_keras.corpus.importing.posting_time import time_of_id
from dc_keras.corpus.records import find_hashtags
from dc_keras.simulation.web_items import hashtag_id, iter_items
from dc_keras.simulation.world import WorldConfig, simulate_world

_WORLD = simulate_world(WorldConfig(num_users=30, num_challenges=4))
_ITEMS = list(iter_items(_WORLD.posts, _WORLD.cast.accounts))


def test_ids_have_19_digits_and_contain_the_posting_time():
    for item in _ITEMS:
        assert time_of_id(item["id"]) == item["createTime"]
        for value in (item["id"], item["author"]["id"], item["music"]["id"]):
            assert isinstance(value, str)
            assert len(value) == 19


def test_text_extra_matches_the_caption_at_utf16_offsets():
    for item in _ITEMS:
        units = item["desc"].encode("utf-16-le")
        for extra in item["textExtra"]:
            text = units[2 * extra["start"] : 2 * extra["end"]].decode("utf-16-le")
            if extra["hashtagName"]:
                assert text.lower() == f"#{extra['hashtagName']}"
                assert extra["hashtagId"] == hashtag_id(text[1:])
            else:
                assert text == f"@{extra['userUniqueId']}"
        names = [extra["hashtagName"] for extra in item["textExtra"]]
        assert tuple(dict.fromkeys(filter(None, names))) == find_hashtags(item["desc"])
        handles = [extra["userUniqueId"] for extra in item["textExtra"]]
        assert tuple(filter(None, handles)) == find_mentions(item["desc"])


def test_mentions_name_friends_with_their_ids():
    position = {
        account.user_id: user for user, account in enumerate(_WORLD.cast.accounts)
    }
    found = [
        (position[item["author"]["id"]], position[extra["userId"]])
        for item in _ITEMS
        for extra in item["textExtra"]
        if extra["userId"]
    ]
    assert found
    assert all(_WORLD.truth.friends[pair] for pair in found)


def test_author_stats_count_the_posts_of_the_world():
    counts = {
        item["author"]["id"]: item["authorStats"]["videoCount"] for item in _ITEMS
    }
    authors = [item["author"]["id"] for item in _ITEMS]
    assert counts == {author: authors.count(author) for author in authors}


def test_duets_point_at_an_older_post_of_the_same_challenge():
    by_id = {post.video_id: post for post in _WORLD.posts}
    duets = [item for item in _ITEMS if item["duetInfo"]["duetFromId"] != "0"]
    assert duets
    for item in duets:
        original = by_id[item["duetInfo"]["duetFromId"]]
        assert original.challenge == by_id[item["id"]].challenge
        assert original.create_time <= item["createTime"]


def test_both_kinds_of_counts_agree():
    for item in _ITEMS:
        assert {k: int(v) for k, v in item["statsV2"].items()} == item["stats"]
        assert np.all(np.array(list(item["stats"].values())) >= 0)
