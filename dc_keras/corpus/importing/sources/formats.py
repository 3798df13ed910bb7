"""The formats that differ in the names of their fields, and how to recognise them.

A format is recognised by its keys, also where a record is damaged.
"""

from __future__ import annotations

import msgspec

from dc_keras.corpus.importing.sources.addresses import URL_KEYS
from dc_keras.corpus.importing.sources.fields import Fields
from dc_keras.corpus.importing.sources.mapped import Paths, has_keys, with_changes
from dc_keras.corpus.importing.sources.post import (
    Post,
    RawRecord,
    Source,
    UnreadablePostError,
)
from dc_keras.corpus.records import find_hashtags

# The "share item" of web pages of 2019 and 2020, which preceded the item struct. It
# contains only the ids of mentioned users, no saves, no region and no language.
SHARE_ITEM = Source(
    name="share_item",
    matches=lambda record: isinstance(record.get("itemInfos"), dict),
    read=Paths.of(
        """
        video_id=itemInfos.id user_id=authorInfos.userId,itemInfos.authorId
        handle=authorInfos.uniqueId sec_uid=authorInfos.secUid caption=itemInfos.text
        create_time=itemInfos.createTime links=textExtra challenges=challengeInfoList
        music_id=musicInfos.musicId,itemInfos.musicId music_title=musicInfos.musicName
        music_is_original=musicInfos.original
        names=authorInfos.nickName,musicInfos.authorName
        duration_s=itemInfos.video.videoMeta.duration views=itemInfos.playCount
        likes=itemInfos.diggCount comments=itemInfos.commentCount
        shares=itemInfos.shareCount duet_of=duetInfo followers=authorStats.followerCount
        total_likes=authorStats.heartCount total_posts=authorStats.videoCount
        """
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
    read=Paths.of(
        """
        video_id=id user_id=authorMeta.id handle=authorMeta.name
        sec_uid=authorMeta.secUid caption=text create_time=createTime,createTimeISO
        tags=hashtags mentions=mentions music_id=musicMeta.musicId
        music_title=musicMeta.musicName music_is_original=musicMeta.musicOriginal
        names=authorMeta.nickName,musicMeta.musicAuthor duration_s=videoMeta.duration
        views=play_count likes=digg_count comments=comment_count shares=share_count
        saves=collect_count region=locationCreated language=textLanguage
        effects=effectStickers images=isSlideshow followers=authorMeta.fans
        total_likes=authorMeta.heart total_posts=authorMeta.video
        """
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
    read=Paths.of(
        """
        video_id=video_id,id user_id=author.id,author.uid handle=author.unique_id
        sec_uid=author.sec_uid caption=title create_time=create_time
        music_id=music_info.id music_title=music_info.title
        music_is_original=music_info.original names=author.nickname,music_info.author
        duration_s=duration views=play_count likes=digg_count comments=comment_count
        shares=share_count saves=collect_count region=region images=images
        followers=author.follower_count total_likes=author.total_favorited
        total_posts=author.aweme_count
        """
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
    read=Paths.of(
        """
        video_id=post_id user_id=profile_id handle=profile_username,account_id
        caption=description create_time=create_time tags=hashtags mentions=tagged_user
        music_id=music.id,music_id music_title=music.title,original_sound
        music_is_original=music.original names=music.authorname
        duration_s=video_duration views=play_count likes=digg_count
        comments=comment_count shares=share_count saves=collect_count region=region
        images=carousel_images followers=profile_followers
        """
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
    read=Paths.of(
        """
        video_id=id handle=username caption=video_description,title
        create_time=create_time duration_s=duration views=view_count likes=like_count
        comments=comment_count shares=share_count
        """
    ).read,
)

_CONTENT_SCRAPER = Paths.of(
    """
    video_id=video_metadata.id,file_metadata.id
    user_id=author_metadata.id,video_metadata.author_id handle=author_metadata.username
    caption=video_metadata.description create_time=video_metadata.time_created
    tags=video_metadata.hashtags,hashtags_metadata
    music_id=music_metadata.id,video_metadata.music_id music_title=music_metadata.title
    music_is_original=music_metadata.original
    names=author_metadata.name,music_metadata.author_name
    duration_s=file_metadata.duration views=video_metadata.playcount
    likes=video_metadata.diggcount comments=video_metadata.commentcount
    shares=video_metadata.sharecount saves=video_metadata.collectcount
    region=video_metadata.location_created effects=video_metadata.effect_stickers
    language=video_metadata.text_language
    images=file_metadata.is_slide,file_metadata.picture_formats
    followers=author_metadata.followercount total_likes=author_metadata.heartcount
    total_posts=author_metadata.videocount
    witnesses=video_metadata.id,video_metadata.author_id,video_metadata.music_id,music_metadata.id,author_metadata.id
    """
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

# minet's table of posts, with lists separated by |.
MINET = Source(
    name="minet",
    matches=lambda record: (
        "author_unique_id" in record
        and has_keys(record, "challenges_titles", "digg_count", "effect_stickers_names")
    ),
    read=Paths.of(
        """
        video_id=id,video_id user_id=author_id handle=author_unique_id
        caption=description create_time=timestamp tags=challenges_titles
        music_id=music_id music_title=music_title music_is_original=music_original
        names=author_nickname,music_author_name duration_s=video_duration
        views=play_count likes=digg_count comments=comment_count shares=share_count
        saves=collect_count duet_of=duet_from_video_id effects=effect_stickers_names
        followers=author_follower_count total_likes=author_heart_count
        total_posts=author_video_count
        """
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
    read=Paths.of(
        """
        video_id=video_id user_id=user_id handle=user_name caption=video_desc
        create_time=video_time duration_s=video_length views=n_plays likes=n_likes
        comments=n_comments shares=n_shares
        """
    ).read,
)

# The table of TikTok-10M.
TIKTOK_10M = Source(
    name="tiktok_10m",
    matches=lambda record: (
        has_keys(record, "id", "desc", "play_count", least=3)
        and "aweme_id" not in record
    ),
    read=Paths.of(
        """
        video_id=id user_id=user_id,author_id handle=username,user_name,author
        caption=desc create_time=create_time tags=challenges music_title=music_name
        duration_s=duration views=play_count likes=digg_count comments=comment_count
        shares=share_count saves=collect_count
        """
    ).read,
)

# The author may be a pseudonym, which is used like a handle.
_FOURCAT = Paths.of(
    """
    video_id=id handle=author caption=body create_time=unix_timestamp
    tags=hashtags,challenges music_id=music_id music_title=music_name
    names=author_full,music_author views=plays likes=likes comments=comments
    shares=shares effects=effects region=location_created followers=author_followers
    total_likes=author_likes total_posts=author_videos
    """
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

# Newer versions of pyktok write the whole author into `author_verified`.
_PYKTOK = Paths.of(
    """
    video_id=video_id handle=author_username,author_name
    caption=video_description,video_title challenges=challenges music_title=music
    names=author_nickname,author_name duration_s=video_duration,video_length
    views=video_playcount likes=video_diggcount comments=video_commentcount
    shares=video_sharecount region=video_locationcreated followers=author_followercount
    total_likes=author_heartcount total_posts=author_videocount
    """
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

_DOUK = Paths.of(
    """
    video_id=作品ID user_id=UID handle=ID sec_uid=SEC_UID caption=作品描述 tags=作品话题
    music_title=音乐标题 names=账号昵称,音乐作者 duration_s=视频时长 views=播放数量
    likes=点赞数量 comments=评论数量 shares=分享数量 saves=收藏数量
    """
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
