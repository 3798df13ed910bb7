"""The posts of a simulated world in each export format.

The files let users try the importer, and tests compare the corpora imported from all of
them. Each format omits the fields that it does not have.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, TypeAlias

Item: TypeAlias = Mapping[str, Any]
Files: TypeAlias = dict[str, str]

# pyktok writes local times without a time zone.
_LOCAL_ZONE = timezone(timedelta(hours=-7))
# What a format has: NAME=SOURCE, both with dots for nested objects. The source is a
# value of the web item (by default that of the same name), or one of `_VALUES`;
# LIST:NAME=SOURCE,… makes a list of objects from another list.
_FIELDS = {
    "share_item": (
        "itemInfos.id=id itemInfos.text=desc itemInfos.createTime=time_text "
        "itemInfos.authorId=author.id itemInfos.musicId=music.id "
        "itemInfos.video.videoMeta.duration=video.duration "
        "itemInfos.playCount=stats.playCount itemInfos.diggCount=stats.diggCount "
        "itemInfos.commentCount=stats.commentCount "
        "itemInfos.shareCount=stats.shareCount authorInfos.userId=author.id "
        "authorInfos.uniqueId=author.uniqueId authorInfos.secUid=author.secUid "
        "authorInfos.nickName=author.nickname musicInfos.musicId=music.id "
        "musicInfos.musicName=music.title musicInfos.authorName=music.authorName "
        "musicInfos.original=music.original "
        "challengeInfoList=challenges:challengeId=id,challengeName=title "
        "textExtra=textExtra:HashtagName=hashtagName,UserId=userId "
        "duetInfo=duetInfo.duetFromId"
    ),
    "aweme": (
        "aweme_id=id desc create_time=createTime region=locationCreated "
        "author.uid=author.id author.unique_id=author.uniqueId author.nickname "
        "author.sec_uid=author.secUid statistics.play_count=stats.playCount "
        "statistics.digg_count=stats.diggCount "
        "statistics.comment_count=stats.commentCount "
        "statistics.share_count=stats.shareCount "
        "statistics.collect_count=stats.collectCount music.id=rounded_music_id "
        "music.mid=music.id music.title music.author=music.authorName "
        "music.is_original_sound=music.original video.duration=milliseconds "
        "text_extra=textExtra:hashtag_name=hashtagName,hashtag_id=hashtagId,"
        "user_id=userId duet_info.original_item_id=duetInfo.duetFromId"
    ),
    "yt_dlp": (
        "id extractor_key=tiktok title=short_caption description=desc "
        "timestamp=createTime uploader=author.uniqueId uploader_id=author.id "
        "channel=author.nickname channel_id=author.secUid track=music.title "
        "artists duration=video.duration view_count=stats.playCount "
        "like_count=stats.diggCount comment_count=stats.commentCount "
        "repost_count=stats.shareCount save_count=stats.collectCount"
    ),
    "research_api": (
        "id=number video_description=desc create_time=createTime "
        "region_code=locationCreated username=author.uniqueId "
        "music_id=music_number hashtag_names=tags video_duration=video.duration "
        "view_count=stats.playCount like_count=stats.diggCount "
        "comment_count=stats.commentCount share_count=stats.shareCount "
        "favorites_count=stats.collectCount"
    ),
    "tiktok_scraper": (
        "id text=desc createTime authorMeta.id=author.id "
        "authorMeta.secUid=author.secUid authorMeta.name=author.uniqueId "
        "authorMeta.nickName=author.nickname musicMeta.musicId=music.id "
        "musicMeta.musicName=music.title musicMeta.musicAuthor=music.authorName "
        "musicMeta.musicOriginal=music.original "
        "videoMeta.duration=video.duration playCount=stats.playCount "
        "diggCount=stats.diggCount commentCount=stats.commentCount "
        "shareCount=stats.shareCount hashtags=challenges:id=id,name=title "
        "mentions=at_mentions"
    ),
    "fourcat_csv": (
        "id thread_id=id author=author.uniqueId author_full=author.nickname "
        "body=desc timestamp=time_of_day unix_timestamp=createTime is_duet "
        "music_name=music.title music_id=music.id music_author=music.authorName "
        "likes=stats.diggCount comments=stats.commentCount "
        "shares=stats.shareCount plays=stats.playCount hashtags=joined_tags "
        "challenges=joined_tags location_created=locationCreated"
    ),
    # Newer versions of pyktok overwrite the flag `verified` with the whole author.
    "pyktok": (
        "video_id=id video_timestamp=local_time video_duration=video.duration "
        "video_locationcreated=locationCreated video_diggcount=stats.diggCount "
        "video_sharecount=stats.shareCount video_commentcount=stats.commentCount "
        "video_playcount=stats.playCount video_description=desc "
        "author_username=author.uniqueId author_name=author.nickname "
        "author_verified=author"
    ),
    "traktok": (
        "video_id=id video_timestamp=zoned_time video_length=video.duration "
        "video_title=desc video_diggcount=stats.diggCount "
        "video_sharecount=stats.shareCount video_commentcount=stats.commentCount "
        "video_playcount=stats.playCount author_name=author.uniqueId "
        "music=music.title challenges=spaced_tags"
    ),
    "pytok": (
        "video_id=id createtime=createTime author_name=author.uniqueId "
        "author_id=author.id desc hashtags=tags share_video_id=duet "
        "share_video_user_id=nothing share_type=duet_type mentions "
        "digg_count=stats.diggCount share_count=stats.shareCount "
        "comment_count=stats.commentCount view_count=stats.playCount"
    ),
    "whichtok": (
        "id desc music_id=music.id music_title=music.title "
        "stats_diggCount=stats.diggCount stats_shareCount=stats.shareCount "
        "stats_commentCount=stats.commentCount stats_playCount=stats.playCount "
        "hashtags=tags"
    ),
}


def tags_of(item: Item) -> list[str]:
    """Returns the names of a post's hashtags."""
    return [entry["title"] for entry in item["challenges"]]


def _mentions(item: Item) -> list[str]:
    return [e["userUniqueId"] for e in item["textExtra"] if e["userUniqueId"]]


def _duet(item: Item) -> str:
    video_id = str(item["duetInfo"]["duetFromId"])
    return "" if video_id == "0" else video_id


def _time(item: Item, zone: timezone) -> datetime:
    return datetime.fromtimestamp(item["createTime"], zone)


_VALUES: dict[str, Callable[[Item], Any]] = {
    "artists": lambda item: [item["music"]["authorName"]],
    "at_mentions": lambda item: [f"@{name}" for name in _mentions(item)],
    "duet": _duet,
    "duet_type": lambda item: "duet" if _duet(item) else "",
    "is_duet": lambda item: "yes" if _duet(item) else "no",
    "joined_tags": lambda item: ",".join(tags_of(item)),
    "local_time": lambda item: (
        _time(item, _LOCAL_ZONE).replace(tzinfo=None).isoformat()
    ),
    "mentions": _mentions,
    "milliseconds": lambda item: 1000 * item["video"]["duration"],
    "music_number": lambda item: int(item["music"]["id"]),
    "nothing": lambda _: "",
    "number": lambda item: int(item["id"]),
    # JavaScript rounds numbers of this length.
    "rounded_music_id": lambda item: float(item["music"]["id"]),
    "short_caption": lambda item: item["desc"][:72],
    "spaced_tags": lambda item: ", ".join(tags_of(item)) or "NA",
    "tags": tags_of,
    "tiktok": lambda _: "TikTok",
    "time_of_day": lambda item: f"{_time(item, UTC):%Y-%m-%d %H:%M:%S}",
    "time_text": lambda item: str(item["createTime"]),
    "zoned_time": lambda item: _time(item, UTC).isoformat(),
}


def export_files(items: Sequence[Item], format_name: str) -> Files:
    """Returns the files of an export: name → content.

    Args:
        items: web items (`web_items.iter_items`), oldest first.
        format_name: one of `FORMATS`.
    """
    if format_name in _OWN_WRITERS:
        return _OWN_WRITERS[format_name](items)
    posts = [_record(item, format_name) for item in items]
    if format_name in _TABLES:
        return {_TABLES[format_name]: _table(posts)}
    name, document = _DOCUMENTS[format_name]
    text = json.dumps(_filled(document, posts), ensure_ascii=False, indent=1)
    return {name: text + "\n"}


def _filled(document: Item, posts: Sequence[Item]) -> Item:
    """Returns a document with the posts in place of `_POSTS`."""
    return {
        name: _filled(value, posts)
        if isinstance(value, dict)
        else posts
        if value is _POSTS
        else value
        for name, value in document.items()
    }


def _record(item: Item, format_name: str) -> dict[str, Any]:
    record: dict[str, Any] = {}
    for field in _FIELDS[format_name].split():
        name, _, source = field.partition("=")
        *parents, last = name.split(".")
        place = record
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = _value(item, source or name)
    return record


def _value(item: Item, source: str) -> Any:
    if source in _VALUES:
        return _VALUES[source](item)
    source, _, inner = source.partition(":")
    value: Any = item
    for key in source.split("."):
        value = value[key]
    if not inner:
        return value
    names = dict(pair.split("=") for pair in inner.split(","))
    return [{name: entry[key] for name, key in names.items()} for entry in value]


def _lines(name: str, records: Iterable[Item]) -> Files:
    lines = (json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    return {name: "".join(lines)}


def _zeeschuimer(items: Sequence[Item]) -> Files:
    records = (
        {
            "nav_index": f"1:{number}",
            "item_id": item["id"],
            "source_platform": "tiktok.com",
            "data": item,
        }
        for number, item in enumerate(items)
    )
    return _lines("zeeschuimer.ndjson", records)


def _table(rows: Sequence[Item], delimiter: str = ",") -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else [], delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _whichtok(items: Sequence[Item]) -> Files:
    users: dict[str, dict[str, Any]] = {}
    for item in items:
        author = item["author"]
        user = users.setdefault(
            author["uniqueId"],
            {
                "id": author["id"],
                "secUid": author["secUid"],
                "username": author["uniqueId"],
                **{name: [] for name in ("sugg_hashtags", "sugg_sounds", "videos")},
                **{name: [] for name in ("used_hashtags", "used_sounds")},
            },
        )
        user["videos"].append(item["id"])
        user["used_hashtags"] += tags_of(item)
        user["used_sounds"].append(item["music"]["title"])
    rows = [{"": n, **_record(item, "whichtok")} for n, item in enumerate(items)]
    return {"users.json": json.dumps(users), "videos.csv": _table(rows, "\t")}


# The place of the posts in a document.
_POSTS = object()
_DOCUMENTS: dict[str, tuple[str, Item]] = {
    "share_item": ("share_items.json", {"body": {"itemListData": _POSTS}}),
    "aweme": ("awemes.json", {"aweme_list": _POSTS, "status_code": 0}),
    "yt_dlp": (
        "playlist.info.json",
        {"_type": "playlist", "extractor_key": "TikTokUser", "entries": _POSTS},
    ),
    "research_api": (
        "research_api.json",
        {"data": {"videos": _POSTS, "has_more": False}, "error": {"code": "ok"}},
    ),
    "tiktok_scraper": ("tiktok_scraper.json", {"collector": _POSTS, "zip": "world"}),
}
_TABLES = {"fourcat_csv": "4cat.csv"}
_TABLES |= {name: f"{name}.csv" for name in ("pyktok", "traktok", "pytok")}
_OWN_WRITERS: dict[str, Callable[[Sequence[Item]], Files]] = {
    "web_item": lambda items: _lines("items.ndjson", items),
    "zeeschuimer": _zeeschuimer,
    "whichtok": _whichtok,
}

FORMATS = (*_OWN_WRITERS, *_DOCUMENTS, *_TABLES)

FILE_NAMES = frozenset(name for known in FORMATS for name in export_files((), known))
