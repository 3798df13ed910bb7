"""Records of further tools, all of the same post."""

import pytest

from dc_keras.corpus.importing.sources.post import AccountCounts, UnreadablePostError
from dc_keras.corpus.importing.sources.sniffing import choose_sources

_ID, _TIME = "6871947673600000077", 1_600_000_000
_POSTS = (
    *("tikwm", "bright_data", "display_api", "minet", "content_scraper", "douk"),
    *("simple_dict", "tiktok_10m", "hand_made"),
)
_LISTED = {"minet", "douk", "tiktok_10m"}  # those with a list of two tags
_WITHOUT_TIME = {"content_scraper", "douk"}  # of no zone
_WITHOUT_ID = {"bright_data", "display_api", "tiktok_10m", "hand_made"}


def _read(name, record):
    [source] = choose_sources(name)
    return source.read(record)


@pytest.mark.parametrize("name", _POSTS)
def test_a_post_of_each_tool_is_mapped(tool_records, name):
    post = _read(name, tool_records[name])
    assert post.video_id == _ID
    assert post.author.handle == "ann"
    assert (post.author.user_id is None) == (name in _WITHOUT_ID)
    assert post.caption.startswith("hello")
    assert post.hashtags[0].removeprefix("#") == "fun"
    assert len(post.hashtags) == 1 + (name in _LISTED)
    assert (post.views, post.likes, post.duration_s) == (40, 4, 9)
    assert post.create_time == (None if name in _WITHOUT_TIME else _TIME)


@pytest.mark.parametrize("name", _POSTS)
def test_without_an_author_there_is_no_post(tool_records, name):
    keys = ("author", "profile_username", "url", "share_url", "author_metadata")
    keys += ("author_id", "author_unique_id", "UID", "ID", "user_name", "user_id")
    keys += ("User",)
    record = {k: v for k, v in tool_records[name].items() if k not in keys}
    if name == "content_scraper":
        record["video_metadata"] = record["video_metadata"] | {"author_id": None}
    if name == "douk":
        record["作品链接"] = f"https://www.tiktok.com/video/{_ID}"
    with pytest.raises(UnreadablePostError, match="without an author"):
        _read(name, record)


def test_accounts_come_with_the_post(tool_records):
    assert _read("minet", tool_records["minet"]).account == AccountCounts(7, 8, 9)
    assert _read("bright_data", tool_records["bright_data"]).account == AccountCounts(7)
    assert _read("tikwm", tool_records["tikwm"]).account is None


def test_a_row_of_douyin_is_rejected(tool_records):
    row = tool_records["douk"] | {"作品链接": f"https://www.douyin.com/video/{_ID}"}
    with pytest.raises(UnreadablePostError, match="another platform"):
        _read("douk", row)
