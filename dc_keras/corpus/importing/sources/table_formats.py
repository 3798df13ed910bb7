"""The tables of posts that tools write: names of columns, and recognition."""

from __future__ import annotations

import msgspec

from dc_keras.corpus.importing.sources.addresses import URL_KEYS
from dc_keras.corpus.importing.sources.fields import Fields
from dc_keras.corpus.importing.sources.mapped import (
    COUNTS_OF_THE_APP,
    Paths,
    has_keys,
    with_changes,
)
from dc_keras.corpus.importing.sources.post import (
    Post,
    RawRecord,
    Source,
    UnreadablePostError,
)

# minet's table of posts, with lists separated by |.
MINET = Source(
    name="minet",
    matches=lambda record: (
        "author_unique_id" in record
        and has_keys(record, "challenges_titles", "digg_count", "effect_stickers_names")
    ),
    read=Paths(
        video_id=("id", "video_id"),
        user_id=("author_id",),
        handle=("author_unique_id",),
        caption=("description",),
        create_time=("timestamp",),
        tags=("challenges_titles",),
        music_id=("music_id",),
        music_title=("music_title",),
        music_is_original=("music_original",),
        names=("author_nickname", "music_author_name"),
        duration_s=("video_duration",),
        **COUNTS_OF_THE_APP,
        duet_of=("duet_from_video_id",),
        effects=("effect_stickers_names",),
        followers="author_follower_count",
        total_likes=("author_heart_count",),
        total_posts="author_video_count",
    ).read,
)

# The `simple_dict` of the TikTok-Api tutorials.
SIMPLE_DICT = Source(
    name="simple_dict",
    matches=lambda record: (
        "video_id" in record
        and has_keys(record, "n_plays", "n_likes", "video_time", "video_length")
        and has_keys(record, "n_plays", "video_desc")
    ),
    read=Paths(
        video_id=("video_id",),
        user_id=("user_id",),
        handle=("user_name",),
        caption=("video_desc",),
        create_time=("video_time",),
        duration_s=("video_length",),
        views=("n_plays",),
        likes=("n_likes",),
        comments=("n_comments",),
        shares=("n_shares",),
    ).read,
)

# The table of TikTok-10M.
TIKTOK_10M = Source(
    name="tiktok_10m",
    matches=lambda record: (
        has_keys(record, "id", "desc", "play_count", least=3)
        and "aweme_id" not in record
    ),
    read=Paths(
        video_id=("id",),
        user_id=("user_id", "author_id"),
        handle=("username", "user_name", "author"),
        caption=("desc",),
        create_time=("create_time",),
        tags=("challenges",),
        music_title=("music_name",),
        duration_s=("duration",),
        **COUNTS_OF_THE_APP,
    ).read,
)

_FOURCAT = Paths(
    video_id=("id",),
    handle=("author",),  # or a pseudonym, which is used like a handle
    caption=("body",),
    create_time=("unix_timestamp",),
    tags=("hashtags", "challenges"),
    music_id=("music_id",),
    music_title=("music_name",),
    names=("author_full", "music_author"),
    views=("plays",),
    likes=("likes",),
    comments=("comments",),
    shares=("shares",),
    effects=("effects",),
    region=("location_created",),
    followers="author_followers",
    total_likes=("author_likes",),
    total_posts="author_videos",
)


def _read_fourcat(record: RawRecord) -> Post:
    fields = Fields(record)
    post = _FOURCAT.read_fields(fields)
    if fields.flag("is_duet"):
        fields.note("missing.duet_of")  # the table does not contain the other post
    return with_changes(post, fields)


# 4CAT's table of posts; those of other platforms have mostly the same columns. Its
# NDJSON files contain web items.
FOURCAT_CSV = Source(
    name="fourcat_csv",
    matches=lambda record: (
        "body" in record
        and has_keys(record, "tiktok_url", "plays", "is_duet", "challenges", "music_id",
                 "diversification_labels", "location_created", "stickers",
                 "is_photosensitive", "author_videos", least=2)
    ),
    read=_read_fourcat,
)  # fmt: skip

_PYKTOK = Paths(
    video_id=("video_id",),
    handle=("author_username", "author_name"),
    caption=("video_description", "video_title"),
    challenges="challenges",
    music_title=("music",),
    # Newer versions of pyktok write the whole author into `author_verified`.
    names=("author_nickname", "author_name"),
    duration_s=("video_duration", "video_length"),
    views=("video_playcount",),
    likes=("video_diggcount",),
    comments=("video_commentcount",),
    shares=("video_sharecount",),
    region=("video_locationcreated",),
    followers="author_followercount",
    total_likes=("author_heartcount",),
    total_posts="author_videocount",
)
# Names that hand-made tables do not have.
_OF_PYKTOK = (
    *("video_diggcount", "video_playcount", "video_sharecount", "video_commentcount"),
    *("video_locationcreated", "video_is_ad", "video_length", "author_followercount"),
)


def _read_pyktok(record: RawRecord) -> Post:
    """Takes the posting time from the id: times may be local and without a zone."""
    fields = Fields(record)
    post = _PYKTOK.read_fields(fields)
    if fields.has("video_timestamp"):
        fields.note("local.create_time")
    return with_changes(post, fields)


PYKTOK = Source(
    name="pyktok",
    matches=lambda record: (
        has_keys(record, "video_timestamp", "video_description", least=2)
        and has_keys(record, *_OF_PYKTOK)
    ),
    read=_read_pyktok,
)
TRAKTOK = Source(
    name="traktok",
    matches=lambda record: (
        has_keys(record, "video_id", "video_title", least=2)
        and has_keys(record, *_OF_PYKTOK)
    ),
    read=_read_pyktok,
)

_DOUK = Paths(
    video_id=("作品ID",),
    user_id=("UID",),
    handle=("ID",),
    sec_uid=("SEC_UID",),
    caption=("作品描述",),
    tags=("作品话题",),
    music_title=("音乐标题",),
    names=("账号昵称", "音乐作者"),
    duration_s=("视频时长",),
    views=("播放数量",),
    likes=("点赞数量",),
    comments=("评论数量",),
    shares=("分享数量",),
    saves=("收藏数量",),
)


def _read_douk(record: RawRecord) -> Post:
    """Refuses posts of Douyin, which have the same columns and another URL."""
    if not any("tiktok" in str(record.get(key)) for key in URL_KEYS):
        raise UnreadablePostError(
            "a row without a URL of TikTok: it may be of another platform (Douyin)"
        )
    kind = record.get("作品类型")
    is_slideshow = isinstance(kind, str) and "图" in kind
    return msgspec.structs.replace(_DOUK.read(record), is_slideshow=is_slideshow)


# DouK-Downloader's table, whose times are local.
DOUK = Source(
    name="douk",
    matches=lambda record: has_keys(record, "作品ID", "作品描述", least=2),
    read=_read_douk,
)
