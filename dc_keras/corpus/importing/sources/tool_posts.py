"""The formats of posts that tools and services write, and how to recognise them.

A format is recognised by its keys, also where a record is damaged.
"""

from __future__ import annotations

from typing import Any

from dc_keras.corpus.importing.sources.addresses import URL_KEYS
from dc_keras.corpus.importing.sources.fields import Fields
from dc_keras.corpus.importing.sources.mapped import has_keys, mapped_source
from dc_keras.corpus.importing.sources.post import (
    Post,
    RawEdge,
    RawRecord,
    Source,
    UnreadablePostError,
)
from dc_keras.corpus.records import find_hashtags

# tiktok-scraper, and the Apify actors that use its format.
TIKTOK_SCRAPER = mapped_source(
    "tiktok_scraper",
    matches=lambda record: (
        has_keys(record, "authorMeta", "musicMeta", "videoMeta")
        or has_keys(record, "author_meta", "music_meta", "video_meta")
        or (
            has_keys(record, "webVideoUrl", "web_video_url")
            and not has_keys(record, "cid", "desc", "stats", "statsV2", "stats_v2")
        )
    ),
    paths="""
        video_id=id user_id=authorMeta.id handle=authorMeta.name
        sec_uid=authorMeta.secUid caption=text create_time=createTime,createTimeISO
        tags=hashtags mentions=mentions music_id=musicMeta.musicId
        music_title=musicMeta.musicName music_is_original=musicMeta.musicOriginal
        names=authorMeta.nickName,musicMeta.musicAuthor duration_s=videoMeta.duration
        views=play_count likes=digg_count comments=comment_count shares=share_count
        saves=collect_count region=locationCreated language=textLanguage
        effects=effectStickers images=isSlideshow followers=authorMeta.fans
        total_likes=authorMeta.heart total_posts=authorMeta.video
    """,
)

# tikwm.com, and RapidAPI services with the same format. `aweme_id` is the name of a
# file; durations are in seconds, unlike in the answers of the app.
TIKWM = mapped_source(
    "tikwm",
    matches=lambda record: (
        "statistics" not in record
        and (
            has_keys(record, "music_info", "wmplay", "origin_cover", "play", "wm_size",
                 "musicInfo", "originCover", "wmSize", least=2)
            or has_keys(record, "music_info", "play_count", least=2)
        )
    ),
    paths="""
        video_id=video_id,id user_id=author.id,author.uid handle=author.unique_id
        sec_uid=author.sec_uid caption=title create_time=create_time
        music_id=music_info.id music_title=music_info.title
        music_is_original=music_info.original names=author.nickname,music_info.author
        duration_s=duration views=play_count likes=digg_count comments=comment_count
        shares=share_count saves=collect_count region=region images=images
        followers=author.follower_count total_likes=author.total_favorited
        total_posts=author.aweme_count
    """,
)  # fmt: skip

# Bright Data's dataset of posts.
BRIGHT_DATA = mapped_source(
    "bright_data",
    matches=lambda record: (
        "cid" not in record
        and (
            "profile_username" in record
            or ("post_id" in record and has_keys(record, "digg_count", "play_count"))
        )
    ),
    paths="""
        video_id=post_id user_id=profile_id handle=profile_username,account_id
        caption=description create_time=create_time tags=hashtags mentions=tagged_user
        music_id=music.id,music_id music_title=music.title,original_sound
        music_is_original=music.original names=music.authorname
        duration_s=video_duration views=play_count likes=digg_count
        comments=comment_count shares=share_count saves=collect_count region=region
        images=carousel_images followers=profile_followers
    """,
)

# TikTok-Content-Scraper's file of a post: five blocks of metadata. Its times have no
# zone, its mentions are ids of users, and its lists may lack hashtags of the caption.
CONTENT_SCRAPER = mapped_source(
    "content_scraper",
    matches=lambda record: (
        "video_metadata" in record
        and has_keys(record, "file_metadata", "author_metadata", "music_metadata")
    ),
    paths="""
        video_id=video_metadata.id,file_metadata.id
        user_id=author_metadata.id,video_metadata.author_id
        handle=author_metadata.username caption=video_metadata.description
        create_time=video_metadata.time_created
        tags=video_metadata.hashtags,hashtags_metadata
        music_id=music_metadata.id,video_metadata.music_id
        music_title=music_metadata.title music_is_original=music_metadata.original
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
    """,
    change=lambda fields, post: {
        "hashtags": post.hashtags or find_hashtags(post.caption)
    },
)

# minet's table of posts, with lists separated by |.
MINET = mapped_source(
    "minet",
    matches=lambda record: (
        "author_unique_id" in record
        and has_keys(record, "challenges_titles", "digg_count", "effect_stickers_names")
    ),
    paths="""
        video_id=id,video_id user_id=author_id handle=author_unique_id
        caption=description create_time=timestamp tags=challenges_titles
        music_id=music_id music_title=music_title music_is_original=music_original
        names=author_nickname,music_author_name duration_s=video_duration
        views=play_count likes=digg_count comments=comment_count shares=share_count
        saves=collect_count duet_of=duet_from_video_id effects=effect_stickers_names
        followers=author_follower_count total_likes=author_heart_count
        total_posts=author_video_count
    """,
)

# The `simple_dict` of the TikTok-Api tutorials.
SIMPLE_DICT = mapped_source(
    "simple_dict",
    matches=lambda record: (
        "video_id" in record
        and has_keys(record, "n_plays", "n_likes", "video_time", "video_length")
        and has_keys(record, "n_plays", "video_desc")
    ),
    paths="""
        video_id=video_id user_id=user_id handle=user_name caption=video_desc
        create_time=video_time duration_s=video_length views=n_plays likes=n_likes
        comments=n_comments shares=n_shares
    """,
)

# The table of TikTok-10M.
TIKTOK_10M = mapped_source(
    "tiktok_10m",
    matches=lambda record: (
        has_keys(record, "id", "desc", "play_count", least=3)
        and "aweme_id" not in record
    ),
    paths="""
        video_id=id user_id=user_id,author_id handle=username,user_name,author
        caption=desc create_time=create_time tags=challenges music_title=music_name
        duration_s=duration views=play_count likes=digg_count comments=comment_count
        shares=share_count saves=collect_count
    """,
)


def _note_duet(fields: Fields, post: Post) -> dict[str, Any]:
    if fields.flag("is_duet"):
        fields.note("missing.duet_of")  # the table does not contain the other post
    return {}


# 4CAT's table of posts; those of other platforms have mostly the same columns. Its
# NDJSON files contain web items. The author may be a pseudonym, which is used like a
# handle.
FOURCAT_CSV = mapped_source(
    "fourcat_csv",
    matches=lambda record: (
        "body" in record
        and has_keys(record, "tiktok_url", "plays", "is_duet", "challenges", "music_id",
                 "diversification_labels", "location_created", "stickers",
                 "is_photosensitive", "author_videos", least=2)
    ),
    paths="""
        video_id=id handle=author caption=body create_time=unix_timestamp
        tags=hashtags,challenges music_id=music_id music_title=music_name
        names=author_full,music_author views=plays likes=likes comments=comments
        shares=shares effects=effects region=location_created
        followers=author_followers total_likes=author_likes total_posts=author_videos
    """,
    change=_note_duet,
)  # fmt: skip

# Newer versions of pyktok write the whole author into `author_verified`.
_PYKTOK = """
    video_id=video_id handle=author_username,author_name
    caption=video_description,video_title challenges=challenges music_title=music
    names=author_nickname,author_name duration_s=video_duration,video_length
    views=video_playcount likes=video_diggcount comments=video_commentcount
    shares=video_sharecount region=video_locationcreated followers=author_followercount
    total_likes=author_heartcount total_posts=author_videocount
    """
# Names that hand-made tables do not have.
_OF_PYKTOK = (
    *("video_diggcount", "video_playcount", "video_sharecount", "video_commentcount"),
    *("video_locationcreated", "video_is_ad", "video_length", "author_followercount"),
)


def _note_local_time(fields: Fields, post: Post) -> dict[str, Any]:
    """Times may be local and without a zone, so the time is taken from the id."""
    if fields.has("video_timestamp"):
        fields.note("local.create_time")
    return {}


def _pyktok_table(name: str, *own_names: str) -> Source:
    return mapped_source(
        name,
        matches=lambda record: (
            has_keys(record, *own_names, least=2) and has_keys(record, *_OF_PYKTOK)
        ),
        paths=_PYKTOK,
        change=_note_local_time,
    )


PYKTOK = _pyktok_table("pyktok", "video_timestamp", "video_description")
TRAKTOK = _pyktok_table("traktok", "video_id", "video_title")


def _add_original(fields: Fields, post: Post) -> dict[str, Any]:
    """Adds the original of a duet or a stitch, and the edge to its author."""
    shared = fields.optional_identifier("shared_video", "share_video_id")
    if shared is None:
        return {}
    kind = (fields.text("share_type", "share_type") or "").casefold()
    if kind not in ("duet", "stitch"):
        fields.note("malformed.share_type")
        return {}
    try:
        # The corpus may lack the original.
        other = fields.person(user_id=("share_video_user_id",))
    except UnreadablePostError:
        fields.note("rounded.share_video_user_id")
        other = None
    edges: tuple[RawEdge, ...] = ()
    if other is not None:
        edges = (RawEdge(kind, post.author, other, video_id=post.video_id),)
    return {f"{kind}_of": shared, "edges": edges}


PYTOK = mapped_source(
    "pytok",
    matches=lambda record: has_keys(record, "createtime", "video_id", least=2),
    paths="""
        video_id=video_id user_id=author_id handle=author_name caption=desc
        create_time=createtime tags=hashtags mentions=mentions views=view_count
        likes=digg_count comments=comment_count shares=share_count
    """,
    change=_add_original,
)


def _change_douk(fields: Fields, post: Post) -> dict[str, Any]:
    # Posts of Douyin have the same columns and another URL.
    if not any("tiktok" in str(fields.record.get(key)) for key in URL_KEYS):
        raise UnreadablePostError(
            "a row without a URL of TikTok: it may be of another platform (Douyin)"
        )
    return {}


# DouK-Downloader's table, whose times are local.
DOUK = mapped_source(
    "douk",
    matches=lambda record: has_keys(record, "作品ID", "作品描述", least=2),
    paths="""
        video_id=作品ID user_id=UID handle=ID sec_uid=SEC_UID caption=作品描述
        tags=作品话题 music_title=音乐标题 names=账号昵称,音乐作者 duration_s=视频时长
        views=播放数量 likes=点赞数量 comments=评论数量 shares=分享数量
        saves=收藏数量 images=作品类型
    """,
    change=_change_douk,
)


def _change_yt_dlp(fields: Fields, post: Post) -> dict[str, Any]:
    site = fields.text("extractor", "extractor_key", "extractor", "ie_key") or ""
    if not site.casefold().startswith("tiktok"):
        raise UnreadablePostError("downloaded from another site than TikTok")
    # The formats of a series of images have audio only.
    codecs = set(fields.texts("formats", "vcodec"))
    return {
        "is_slideshow": codecs == {"none"},
        "edges": _replies(fields, post.video_id),
    }


def _replies(fields: Fields, video_id: str) -> tuple[RawEdge, ...]:
    edges = []
    for entry in fields.entries("comments"):
        comment = Fields(entry if isinstance(entry, dict) else {})
        try:
            actor = comment.person(user_id=("author_id",), handle=("author",))
        except UnreadablePostError:
            actor = None
        if actor is None:
            fields.note("malformed.comment")
            continue
        time = comment.count("time", "timestamp")
        edges.append(
            RawEdge("reply", actor, video_id, "video", video_id=video_id, time=time)
        )
    return tuple(edges)


# yt-dlp's `.info.json`, one file per video or per playlist. The title is the
# description, truncated. Entries of flat playlists have the key `ie_key`.
YT_DLP = mapped_source(
    "yt_dlp",
    matches=lambda record: (
        has_keys(record, "extractor_key", "extractor", "ie_key")
        and not isinstance(record.get("entries"), list)
    ),
    paths="""
        video_id=id user_id=uploader_id handle=uploader sec_uid=channel_id
        caption=description,title create_time=timestamp music_title=track
        names=artists,artist,channel,creator duration_s=duration views=view_count
        likes=like_count comments=comment_count shares=repost_count saves=save_count
        followers=channel_follower_count
    """,
    change=_change_yt_dlp,
)


def _read_whichtok(record: RawRecord) -> Post:
    fields = Fields(record)
    video_id = fields.video_id("id")
    return Post(
        video_id=video_id,
        author=None,
        caption=fields.text("caption", "desc") or "",
        create_time=None,
        hashtags=tuple(fields.texts("hashtags", "title", "name")),
        music_id=fields.optional_identifier("music_id", "music_id"),
        music_title=fields.text("music_title", "music_title"),
        views=fields.count("views", "stats_playCount"),
        likes=fields.count("likes", "stats_diggCount"),
        comments=fields.count("comments", "stats_commentCount"),
        shares=fields.count("shares", "stats_shareCount"),
        notes=fields.notes,
    )


# whichtok's videos.csv, whose authors are in its users.json.
WHICHTOK_VIDEOS = Source(
    name="whichtok_videos",
    matches=lambda record: has_keys(record, "stats_playCount", "stats_diggCount"),
    read=_read_whichtok,
)
