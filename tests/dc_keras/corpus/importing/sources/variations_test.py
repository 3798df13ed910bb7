"""Variations of the same post by tools and people."""

import copy
import json
import re

import pytest

from dc_keras.corpus.importing.posting_time import posting_time
from dc_keras.corpus.importing.sources.post import Row
from dc_keras.corpus.records import normalize_hashtags

_ID, _TIME = "6871947673600000077", 1_600_000_000
_URL = f"https://www.tiktok.com/@ann/video/{_ID}"
_COUNTS = {"playCount": 40, "diggCount": 4, "commentCount": 3, "shareCount": 2}
_POSTS = {
    "web_item": {
        "id": _ID,
        "desc": "hello #fun",
        "createTime": _TIME,
        "author": {"id": "5", "uniqueId": "ann", "secUid": "MS"},
        "stats": _COUNTS,
        "music": {"id": "7", "title": "BOP"},
        "textExtra": [{"hashtagName": "fun"}],
        "video": {"duration": 9},
    },
    "aweme": {
        "aweme_id": _ID,
        "desc": "hello #fun",
        "create_time": _TIME,
        "author": {"uid": "5", "unique_id": "ann", "sec_uid": "MS"},
        "statistics": {"play_count": 40, "digg_count": 4},
        "text_extra": [{"hashtag_name": "fun"}],
        "video": {"duration": 9000},
    },
    "tiktok_scraper": {
        "id": _ID,
        "text": "hello #fun",
        "createTime": _TIME,
        "authorMeta": {"id": "5", "name": "ann"},
        "videoMeta": {"duration": 9},
        "hashtags": [{"name": "fun"}],
        "webVideoUrl": _URL,
        **_COUNTS,
    },
    "research_api": {
        "id": int(_ID),
        "video_description": "hello #fun",
        "create_time": _TIME,
        "region_code": "US",
        "username": "ann",
        "hashtag_names": ["fun"],
        "view_count": 40,
        "like_count": 4,
        "video_duration": 9,
    },
    "yt_dlp": {
        "id": _ID,
        "description": "hello #fun",
        "timestamp": _TIME,
        "uploader": "ann",
        "uploader_id": "5",
        "extractor_key": "TikTok",
        "view_count": 40,
        "like_count": 4,
        "duration": 9,
    },
}


@pytest.fixture(scope="module")
def posts(tool_records):
    """A post of each source, as an object."""
    others = {
        name: dict(record) if isinstance(record, Row) else record
        for name, record in tool_records.items()
        if name not in ("comment", "own_data", "hand_made")
    }
    return _POSTS | others


_SOURCES = (
    *("web_item", "aweme", "tiktok_scraper", "research_api", "yt_dlp", "tikwm"),
    *("bright_data", "display_api", "minet", "content_scraper", "douk"),
    *("simple_dict", "tiktok_10m"),
)


@pytest.fixture
def read_one(read_file):
    """Reads a document with one post by ann; returns the source and the post."""

    def run(document):
        read = read_file(document)
        assert read.reasons == []
        [(source, post)] = read.posts
        assert (post.video_id, post.author.handle) == (_ID, "ann")
        return source, post

    return run


def _mapped(value, change, keys=False):
    if isinstance(value, dict):
        return {
            change(key) if keys else key: _mapped(child, change, keys)
            for key, child in value.items()
        }
    if isinstance(value, list):
        return [_mapped(child, change, keys) for child in value]
    return value if keys else change(value)


def test_every_source_has_variations(posts):
    assert set(posts) == set(_SOURCES)


@pytest.mark.parametrize("name", _SOURCES)
@pytest.mark.parametrize(
    "wrap",
    [
        lambda post: {"data": post},
        lambda post: {"code": 0, "data": {"items": [post]}},
        lambda post: {"result": {"posts": [post], "cursor": 1}},
        lambda post: {"itemInfo": {"itemStruct": post}},
        lambda post: {"aweme_detail": post},
        lambda post: [[post]],
        lambda post: {"0": post},
        lambda post: {"fun": {"videos": [post]}},
        lambda post: {"id": "5", "name": "my query", "results": [{"video": post}]},
        lambda post: {"raw": json.dumps(post)},
        lambda post: json.dumps(json.dumps([post])).encode(),
    ],
)
def test_posts_are_found_in_any_container(posts, read_one, name, wrap):
    source, post = read_one(wrap(posts[name]))
    assert (source, post.views, post.likes) == (name, 40, 4)


@pytest.mark.parametrize("name", _SOURCES)
@pytest.mark.parametrize(
    "time",
    [
        *(_TIME * 1000, _TIME * 10**6, str(_TIME), str(_TIME * 1000), float(_TIME)),
        *("2020-09-13T12:26:40Z", "2020-09-13T14:26:40.000+02:00", None, 0, ""),
        *("2020-09-13 12:26:40", "Sun Sep 13 12:26:40 +0000 2020", "13.09.2020"),
    ],
)
def test_times_are_read_in_any_notation(posts, read_one, name, time):
    given = _mapped(posts[name], lambda v: time if v in (_TIME, str(_TIME)) else v)
    _, post = read_one([given])
    assert posting_time(_ID, post.create_time, []) == _TIME


@pytest.mark.parametrize("name", _SOURCES)
def test_numbers_may_be_texts(posts, read_one, name):
    def as_text(value):
        return value if isinstance(value, bool | str | None) else str(value)

    _, post = read_one([_mapped(posts[name], as_text)])
    assert (post.views, post.likes, post.duration_s) == (40, 4, 9)


@pytest.mark.parametrize("name", _SOURCES)
def test_null_equals_a_missing_key(posts, read_one, name):
    kept = {
        *("id", "aweme_id", "video_id", "post_id", "author", "authorMeta", "username"),
        *("uploader", "extractor_key", "profile_username", "share_url", "url"),
        *("author_unique_id", "作品ID", "ID", "作品链接", "user_name", "webVideoUrl"),
        *("video_metadata", "author_metadata"),
    }
    record = {
        key: value if key in kept else None
        for key, value in copy.deepcopy(posts[name]).items()
    }
    source, post = read_one([record])
    assert (source, post.create_time) == (name, None)
    is_in_blocks = name == "content_scraper"
    assert (post.views is None) == (not is_in_blocks)


def _to_snake(key):
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key).lower()


def _to_camel(key):
    return re.sub(r"_([a-z0-9])", lambda match: match[1].upper(), key)


@pytest.mark.parametrize(
    ("name", "spell"),
    [
        *((name, _to_snake) for name in ("web_item", "tiktok_scraper")),
        *((n, _to_camel) for n in ("aweme", "research_api", "yt_dlp", "tikwm")),
        *((n, _to_camel) for n in ("bright_data", "display_api", "simple_dict")),
    ],
)
def test_keys_may_have_the_other_spelling(posts, read_one, name, spell):
    _, post = read_one([_mapped(posts[name], spell, keys=True)])
    assert (post.views, post.likes, post.duration_s) == (40, 4, 9)
    assert post.caption == "hello #fun"
    assert normalize_hashtags(post.hashtags) == ("fun",)


@pytest.mark.parametrize("name", ["web_item", "aweme", "tiktok_scraper", "tikwm"])
def test_an_object_may_be_in_a_list_of_one(posts, read_one, name):
    record = {k: [v] if isinstance(v, dict) else v for k, v in posts[name].items()}
    _, post = read_one([record])
    assert (post.views, post.likes) == (40, 4)


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"itemInfo": {}, "statusCode": 10204}, "(statusCode 10204)"),
        ({"itemInfo": {"itemStruct": {}}, "statusCode": 10222}, "(statusCode 10222)"),
        ({"aweme_list": [], "status_code": 5}, "(status_code 5)"),
        ({"data": {"videos": []}, "error": {"code": "x_y"}}, "(error x_y)"),
        ([_POSTS["aweme"] | {"aweme_type": 101}], "a live room, not a post"),
        ([_POSTS["web_item"] | {"author": {"nickname": "Ann"}}], "without an author"),
        ([_POSTS["web_item"] | {"id": "7" * 20}], "`video_id` must be digits"),
        # A sound, a challenge, an account.
        (
            [{"id": _ID, "title": "x", "play": "u", "author": "Bo", "duration": 5}],
            "unk",
        ),
        ([{"id": "123", "title": "fun", "desc": "", "isCommerce": False}], "unknown"),
        ([{"id": "5", "uniqueId": "ann", "createTime": 5, "stats": {}}], "without an"),
    ],
)
def test_records_other_than_posts_are_rejected(read_file, document, reason):
    read = read_file(document)
    assert (read.posts, len(read.reasons)) == ([], 1)
    assert reason in read.reasons[0]


@pytest.mark.parametrize(
    ("changes", "field", "value"),
    [
        ({"isAd": True, "privateItem": True}, "views", 40),
        ({"imagePost": {"images": [{}]}}, "is_slideshow", True),
        ({"imagePost": None}, "is_slideshow", False),
        ({"duetInfo": {"duetFromId": "6871947673600000011"}}, "duet_of", 11),
        ({"duetInfo": {"duetFromId": "0"}}, "duet_of", None),
        ({"stats": {"playCount": "1,234"}}, "views", 1234),
        ({"stats": {"playCount": "1.2M"}}, "views", None),
        ({"stats": {"playCount": -1}}, "views", None),
        ({"stats": {"playCount": 40.0}}, "views", 40),
        ({"stats": None, "statsV2": {"playCount": "7"}}, "views", 7),
        ({"video": {"duration": "00:09"}}, "duration_s", 9),
        ({"music": None}, "music_id", None),
        ({"music": {"id": 6740249209892505602}}, "music_id", "6740249209892505602"),
        ({"webVideoUrl": _URL}, "views", 40),
        ({"id": _URL}, "views", 40),
        ({"textExtra": None, "challenges": ["fun", "day"]}, "hashtags", ("fun", "day")),
        ({"textExtra": []}, "hashtags", ()),
    ],
)
def test_changed_web_items_are_read(read_one, changes, field, value):
    _, post = read_one([_POSTS["web_item"] | changes])
    found = getattr(post, field)
    found = normalize_hashtags(found) if field == "hashtags" else found
    assert (int(found[-2:]) if value == 11 else found) == value


@pytest.mark.parametrize("key", ["images", "image_post_info"])
def test_a_slideshow_of_the_app_has_images(read_one, key):
    for images, is_slideshow in (([{}], True), ([], False), (None, False)):
        _, post = read_one([_POSTS["aweme"] | {key: images}])
        assert post.is_slideshow == is_slideshow


def test_replies_to_comments_are_replies_too(read_file):
    answers = [{"cid": "2", "user": {"unique_id": "eve"}}, {"cid": "3"}]
    comment = {"cid": "1", "aweme_id": _ID, "user": "bob", "reply_comment": answers}
    read = read_file({"comments": [comment]})
    assert [edge.actor.handle for _, edge in read.edges] == ["bob", "eve"]


def test_mentions_by_id_are_not_handles_and_the_caption_adds_tags(posts, read_one):
    record = copy.deepcopy(posts["content_scraper"])
    record["video_metadata"] |= {"mentions": ["6655162062744181174"], "hashtags": []}
    record["file_metadata"] = {"duration": 0, "picture_formats": [{"imageWidth": 4}]}
    _, post = read_one(record)
    assert (post.mentions, post.hashtags, post.is_slideshow) == ((), ("fun",), True)


def test_a_comment_row_has_its_own_time_and_the_id_of_the_post(read_file):
    header = "id;author;body;timestamp;unix_timestamp;post_url;is_comment_on_comment"
    row = f"6871947673600000099;bob;nice;2020-09-13 12:00:00;{_TIME};{_URL};no"
    [(_, edge)] = read_file(f"{header}\n{row}\n".encode()).edges
    assert (edge.actor.handle, edge.target, edge.time) == ("bob", _ID, _TIME)
