import pytest

from dc_keras.corpus.importing.sources.platform_posts import WEB_ITEM
from dc_keras.corpus.importing.sources.post import UnreadablePostError


def test_a_complete_item_is_mapped_field_by_field(make_item, video_id):
    post = WEB_ITEM.read(make_item())
    assert (post.video_id, post.create_time) == (video_id(0), 1_600_000_000)
    assert (post.author.user_id, post.author.handle) == ("6655162062744181174", "Ann")
    assert post.author.sec_uid == "MS4x"
    assert post.caption == "hello @Some.One #Fun"
    assert post.hashtags == ("fun",)
    assert (post.music_id, post.music_title) == ("6740249209892505602", "BOP")
    assert post.duration_s == 13.0
    counts = (post.views, post.likes, post.comments, post.shares, post.saves)
    assert counts == (100, 10, 3, 2, 1)
    assert (post.region, post.language, post.duet_of) == ("SG", "en", None)
    assert (post.is_slideshow, post.effects, post.notes) == (False, (), ())


def test_an_old_embed_has_the_handle_as_author(make_item):
    post = WEB_ITEM.read(make_item(author="ann", authorId="5", authorSecId="MS"))
    assert (post.author.user_id, post.author.handle, post.author.sec_uid) == (
        "5",
        "ann",
        "MS",
    )


def test_a_handle_is_sufficient_for_an_author(make_item):
    post = WEB_ITEM.read(make_item(author="ann"))
    assert (post.author.user_id, post.author.handle) == (None, "ann")


def test_exact_counts_are_preferred_field_by_field(make_item):
    post = WEB_ITEM.read(make_item(statsV2={"playCount": "101", "diggCount": "x"}))
    assert (post.views, post.likes) == (101, 10)


def test_a_time_in_a_text_a_duet_a_slideshow_effects(make_item):
    post = WEB_ITEM.read(
        make_item(
            createTime="1600000000",
            duetInfo={"duetFromId": "6871947673600000001"},
            imagePost={"images": []},
            effectStickers=[{"ID": "1", "name": "blur"}],
            textExtra=[{"userUniqueId": "bob"}],
        )
    )
    assert post.create_time == 1_600_000_000
    assert post.duet_of == "6871947673600000001"
    assert post.is_slideshow
    assert (post.effects, post.mentions) == (("blur",), ("bob",))


def test_without_links_the_tags_come_from_the_caption(make_item):
    post = WEB_ITEM.read(make_item(textExtra=None, challenges=None))
    assert post.hashtags == ("fun",)


def test_missing_keys_are_none_and_noted(make_item):
    item = make_item(desc=None, createTime=None, stats=None, music=None, video=None)
    post = WEB_ITEM.read(item)
    assert (post.caption, post.create_time, post.views) == ("", None, None)
    counts = {"views", "likes", "comments", "shares", "saves"}
    others = {"caption", "create_time", "music_id", "music_title", "duration_s"}
    assert set(post.notes) == {f"missing.{name}" for name in counts | others}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"author": None}, "a post without an author"),
        ({"author": {}}, "a post without an author"),
        ({"author": {"id": "REDACTED", "uniqueId": "REDACTED"}}, "without an author"),
        (
            {"author": {"id": 6655162062744181174.0}},
            "`author_id` passed through a float",
        ),
        ({"id": 7158770364560491178.0}, "`video_id` passed through a float"),
        ({"id": None}, "no video id"),
    ],
)
def test_invalid_items_are_rejected(make_item, changes, reason):
    item = make_item(**changes)
    assert WEB_ITEM.matches(item)
    with pytest.raises(UnreadablePostError, match=reason):
        WEB_ITEM.read(item)


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"id": "1", "title": "BOP"},
        {"aweme_id": "1", "desc": "", "author": {}, "video": {}},
        {"id": "1", "createTime": 1, "authorMeta": {}},
    ],
)
def test_other_formats_do_not_match(record):
    assert not WEB_ITEM.matches(record)


@pytest.mark.parametrize("junk", [[], "x", 3, {"id": []}])
@pytest.mark.parametrize(
    "key", ["stats", "music", "video", "challenges", "textExtra", "duetInfo", "desc"]
)
def test_wrong_types_do_not_crash(make_item, key, junk):
    assert WEB_ITEM.read(make_item(**{key: junk})).video_id
