"""The formats of services and tools that write JSON: names of fields, and recognition.

A format is recognised by its keys, also where a record is damaged.
"""

from __future__ import annotations

import msgspec

from dc_keras.corpus.importing.sources.mapped import COUNTS_OF_THE_APP, Paths, has_keys
from dc_keras.corpus.importing.sources.post import Post, RawRecord, Source
from dc_keras.corpus.records import find_hashtags

# The "share item" of web pages of 2019 and 2020, which preceded the item struct. It
# contains only the ids of mentioned users, no saves, no region and no language.
SHARE_ITEM = Source(
    name="share_item",
    matches=lambda record: isinstance(record.get("itemInfos"), dict),
    read=Paths(
        video_id=("itemInfos.id",),
        user_id=("authorInfos.userId", "itemInfos.authorId"),
        handle=("authorInfos.uniqueId",),
        sec_uid=("authorInfos.secUid",),
        caption=("itemInfos.text",),
        create_time=("itemInfos.createTime",),
        links="textExtra",
        challenges="challengeInfoList",
        music_id=("musicInfos.musicId", "itemInfos.musicId"),
        music_title=("musicInfos.musicName",),
        music_is_original=("musicInfos.original",),
        names=("authorInfos.nickName", "musicInfos.authorName"),
        duration_s=("itemInfos.video.videoMeta.duration",),
        views=("itemInfos.playCount",),
        likes=("itemInfos.diggCount",),
        comments=("itemInfos.commentCount",),
        shares=("itemInfos.shareCount",),
        duet_of=("duetInfo",),
        followers="authorStats.followerCount",
        total_likes=("authorStats.heartCount",),
        total_posts="authorStats.videoCount",
    ).read,
)

# tiktok-scraper, and the Apify actors that use its format.
TIKTOK_SCRAPER = Source(
    name="tiktok_scraper",
    matches=lambda record: (
        has_keys(record, "authorMeta", "musicMeta", "videoMeta")
        or has_keys(record, "author_meta", "music_meta", "video_meta")
        or (
            has_keys(record, "webVideoUrl", "web_video_url")
            and not has_keys(record, "cid", "desc", "stats", "statsV2", "stats_v2")
        )
    ),
    read=Paths(
        video_id=("id",),
        user_id=("authorMeta.id",),
        handle=("authorMeta.name",),
        sec_uid=("authorMeta.secUid",),
        caption=("text",),
        create_time=("createTime", "createTimeISO"),
        tags=("hashtags",),
        mentions=("mentions",),
        music_id=("musicMeta.musicId",),
        music_title=("musicMeta.musicName",),
        music_is_original=("musicMeta.musicOriginal",),
        names=("authorMeta.nickName", "musicMeta.musicAuthor"),
        duration_s=("videoMeta.duration",),
        **COUNTS_OF_THE_APP,
        region=("locationCreated",),
        language=("textLanguage",),
        effects=("effectStickers",),
        images=("isSlideshow",),
        followers="authorMeta.fans",
        total_likes=("authorMeta.heart",),
        total_posts="authorMeta.video",
    ).read,
)

# tikwm.com, and RapidAPI services with the same format. `aweme_id` is the name of a
# file; durations are in seconds, unlike in the answers of the app.
TIKWM = Source(
    name="tikwm",
    matches=lambda record: (
        "statistics" not in record
        and (
            has_keys(record, "music_info", "wmplay", "origin_cover", "play", "wm_size",
                 "musicInfo", "originCover", "wmSize", least=2)
            or has_keys(record, "music_info", "play_count", least=2)
        )
    ),
    read=Paths(
        video_id=("video_id", "id"),
        user_id=("author.id", "author.uid"),
        handle=("author.unique_id",),
        sec_uid=("author.sec_uid",),
        caption=("title",),
        create_time=("create_time",),
        music_id=("music_info.id",),
        music_title=("music_info.title",),
        music_is_original=("music_info.original",),
        names=("author.nickname", "music_info.author"),
        duration_s=("duration",),
        **COUNTS_OF_THE_APP,
        region=("region",),
        images=("images",),
        followers="author.follower_count",
        total_likes=("author.total_favorited",),
        total_posts="author.aweme_count",
    ).read,
)  # fmt: skip

# Bright Data's dataset of posts.
BRIGHT_DATA = Source(
    name="bright_data",
    matches=lambda record: (
        "cid" not in record
        and (
            "profile_username" in record
            or ("post_id" in record and has_keys(record, "digg_count", "play_count"))
        )
    ),
    read=Paths(
        video_id=("post_id",),
        user_id=("profile_id",),
        handle=("profile_username", "account_id"),
        caption=("description",),
        create_time=("create_time",),
        tags=("hashtags",),
        mentions=("tagged_user",),
        music_id=("music.id", "music_id"),
        music_title=("music.title", "original_sound"),
        music_is_original=("music.original",),
        names=("music.authorname",),
        duration_s=("video_duration",),
        **COUNTS_OF_THE_APP,
        region=("region",),
        images=("carousel_images",),
        followers="profile_followers",
    ).read,
)

# The Display API, which lists the posts of the logged-in user.
DISPLAY_API = Source(
    name="display_api",
    matches=lambda record: (
        has_keys(
            record, "embed_html", "embed_link", "cover_image_url", "share_url", least=2
        )
        and has_keys(record, "video_description", "view_count", "like_count")
    ),
    read=Paths(
        video_id=("id",),
        handle=("username",),  # mostly only in `share_url`
        caption=("video_description", "title"),
        create_time=("create_time",),
        duration_s=("duration",),
        views=("view_count",),
        likes=("like_count",),
        comments=("comment_count",),
        shares=("share_count",),
    ).read,
)

_CONTENT_SCRAPER = Paths(
    video_id=("video_metadata.id", "file_metadata.id"),
    user_id=("author_metadata.id", "video_metadata.author_id"),
    handle=("author_metadata.username",),
    caption=("video_metadata.description",),
    create_time=("video_metadata.time_created",),
    tags=("video_metadata.hashtags", "hashtags_metadata"),
    music_id=("music_metadata.id", "video_metadata.music_id"),
    music_title=("music_metadata.title",),
    music_is_original=("music_metadata.original",),
    names=("author_metadata.name", "music_metadata.author_name"),
    duration_s=("file_metadata.duration",),
    views=("video_metadata.playcount",),
    likes=("video_metadata.diggcount",),
    comments=("video_metadata.commentcount",),
    shares=("video_metadata.sharecount",),
    saves=("video_metadata.collectcount",),
    region=("video_metadata.location_created",),
    effects=("video_metadata.effect_stickers",),
    language=("video_metadata.text_language",),
    images=("file_metadata.is_slide", "file_metadata.picture_formats"),
    followers="author_metadata.followercount",
    total_likes=("author_metadata.heartcount",),
    total_posts="author_metadata.videocount",
    witnesses=(
        *("video_metadata.id", "video_metadata.author_id", "video_metadata.music_id"),
        *("music_metadata.id", "author_metadata.id"),
    ),
)


def _read_content_scraper(record: RawRecord) -> Post:
    """Adds the hashtags of the caption, which the lists may lack."""
    post = _CONTENT_SCRAPER.read(record)
    if post.hashtags:
        return post
    return msgspec.structs.replace(post, hashtags=find_hashtags(post.caption))


# TikTok-Content-Scraper's file of a post: five blocks of metadata. Its times have no
# zone, and its mentions are ids of users.
CONTENT_SCRAPER = Source(
    name="content_scraper",
    matches=lambda record: (
        "video_metadata" in record
        and has_keys(record, "file_metadata", "author_metadata", "music_metadata")
    ),
    read=_read_content_scraper,
)
