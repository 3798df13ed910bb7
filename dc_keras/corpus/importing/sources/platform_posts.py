"""The formats of posts that the platform itself has: of its web pages, app and APIs.

A format is recognised by its keys, also where a record is damaged.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from dc_keras.corpus.importing.sources.fields import Fields
from dc_keras.corpus.importing.sources.mapped import has_keys, mapped_source
from dc_keras.corpus.importing.sources.post import Post, RawRecord
from dc_keras.corpus.importing.sources.web_item_line import read_lines

# A web item has at least two of these keys. The id is not required, so that items
# without an id are reported as such.
_OF_WEB_ITEMS = frozenset(
    {"id", "desc", "createTime", "author", "authorId", "video", "stats", "statsV2"}
)
# Keys that a challenge, which has an id, a title and a description too, does not have.
_NOT_OF_CHALLENGES = frozenset({"author", "authorId", "createTime", "stats", "statsV2"})
_UNSPECIFIC = frozenset({"id", "author"})
# Keys of other formats that have some of the same keys.
_OTHER_FORMATS = frozenset({"aweme_id", "awemeId", "authorMeta", "author_meta"})


def _is_web_item(record: RawRecord) -> bool:
    keys = record.keys()
    if _OTHER_FORMATS & keys or ("title" in keys and not _NOT_OF_CHALLENGES & keys):
        return False
    # An id and an author are not specific to posts of TikTok.
    found = _OF_WEB_ITEMS & keys
    return len(found - _UNSPECIFIC) >= 1 and len(found) >= 2


# The web item struct: TikTok-Api, Zeeschuimer, pytok, bellingcat, saved pages. The
# author is a text in old embeds and page states. statsV2 has exact numbers, stats may
# have rounded ones.
WEB_ITEM = replace(
    mapped_source(
        "web_item",
        matches=_is_web_item,
        paths="""
        video_id=id user_id=author.id,authorId handle=author.uniqueId,author
        sec_uid=author.secUid,authorSecId caption=desc create_time=createTime
        links=textExtra challenges=challenges music_id=music.id music_title=music.title
        music_is_original=music.original names=author.nickname,nickname,music.authorName
        duration_s=video.duration views=statsV2.playCount,stats.playCount
        likes=statsV2.diggCount,stats.diggCount
        comments=statsV2.commentCount,stats.commentCount
        shares=statsV2.shareCount,stats.shareCount
        saves=statsV2.collectCount,stats.collectCount duet_of=duetInfo.duetFromId
        effects=effectStickers region=locationCreated language=textLanguage
        images=imagePost followers=authorStats.followerCount
        total_likes=authorStats.heartCount,authorStats.heart
        total_posts=authorStats.videoCount
        """,
    ),
    read_lines=read_lines,
)

# The "share item" of web pages of 2019 and 2020, which preceded the item struct. It
# contains only the ids of mentioned users, no saves, no region and no language.
SHARE_ITEM = mapped_source(
    "share_item",
    matches=lambda record: isinstance(record.get("itemInfos"), dict),
    paths="""
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
    """,
)


def _change_aweme(fields: Fields, post: Post) -> dict[str, Any]:
    changes: dict[str, Any] = {
        "music_id": post.music_id or _music_id_of_file(fields),
        "duration_s": None if post.duration_s is None else post.duration_s / 1000,
    }
    # The app reports zero plays if it hides them.
    if post.views == 0 and post.likes:
        fields.note("hidden.views")
        changes["views"] = None
    return changes


def _music_id_of_file(fields: Fields) -> str | None:
    """Returns the id of a sound that was rounded to a float.

    The file of the sound is named after the exact id. If the rounded number equals that
    id rounded to a float, the id is taken from the file name.
    """
    if not fields.has("music.id"):
        return None
    named = fields.optional_identifier("music_file", "music.play_url.url_key")
    rounded = fields.seconds("music_id", "music.id")
    if named is None or rounded is None or float(named) != rounded:
        return None
    fields.note("repaired.music_id")
    return named


# The "aweme" struct of the mobile app: TikHub and similar services, yt-dlp. Durations
# are in milliseconds.
AWEME = mapped_source(
    "aweme",
    matches=lambda record: (
        has_keys(record, "aweme_id", "awemeId") and "cid" not in record
    ),
    paths="""
        video_id=aweme_id user_id=author.uid,author_user_id handle=author.unique_id
        sec_uid=author.sec_uid caption=desc create_time=create_time links=text_extra
        challenges=cha_list music_id=music.mid,music.id_str,music.id
        music_title=music.title
        music_is_original=music.is_original_sound,music.is_original
        names=author.nickname,music.author,music.owner_nickname,music.owner_handle
        duration_s=video.duration,duration views=statistics.play_count
        likes=statistics.digg_count comments=statistics.comment_count
        shares=statistics.share_count saves=statistics.collect_count
        duet_of=duet_info.original_item_id effects=effect_stickers region=region
        language=desc_language images=images,image_post_info
        followers=author.follower_count total_likes=author.total_favorited
        total_posts=author.aweme_count
    """,
    change=_change_aweme,
)

# A video of the Research API has at least two of these keys. The id is not required, so
# that videos without an id are reported as such.
_OF_RESEARCH = (
    *("video_description", "region_code", "country_code", "view_count", "music_id"),
    *("hashtag_names", "voice_to_text", "effect_ids", "video_duration", "username"),
    *("is_stem_verified", "stem_verified", "favorites_count", "favourites_count"),
)


def _change_research(fields: Fields, post: Post) -> dict[str, Any]:
    names = tuple(fields.texts("effect_info_list", "effect_name"))
    return {"effects": names or tuple(map(str, fields.entries("effect_ids")))}


# Also the tables of its clients (ResearchTikPy, traktok). Users are identified only by
# their handle, which can change. The virtual compute environment renames some fields.
RESEARCH_API = mapped_source(
    "research_api",
    matches=lambda record: (
        has_keys(record, *_OF_RESEARCH, least=2) and "parent_comment_id" not in record
    ),
    paths="""
        video_id=id,video_id handle=username,author_name,display_name
        caption=video_description create_time=create_time,create_date
        tags=hashtag_names mentions=video_mention_list music_id=music_id
        duration_s=video_duration views=view_count likes=like_count
        comments=comment_count shares=share_count saves=favorites_count,favourites_count
        region=region_code,country_code transcript=voice_to_text
        witnesses=id,video_id,music_id
    """,
    change=_change_research,
)

# The Display API, which lists the posts of the logged-in user.
DISPLAY_API = mapped_source(
    "display_api",
    matches=lambda record: (
        has_keys(
            record, "embed_html", "embed_link", "cover_image_url", "share_url", least=2
        )
        and has_keys(record, "video_description", "view_count", "like_count")
    ),
    paths="""
        video_id=id handle=username caption=video_description,title
        create_time=create_time duration_s=duration views=view_count likes=like_count
        comments=comment_count shares=share_count
    """,
)
