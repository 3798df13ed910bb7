"""The posts of a simulated world in the formats of tools that write tables."""

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


def _fourcat_csv(items: Sequence[Item]) -> Files:
    return _csv(
        "4cat.csv",
        [
            {
                "id": item["id"],
                "thread_id": item["id"],
                "author": item["author"]["uniqueId"],
                "author_full": item["author"]["nickname"],
                "body": item["desc"],
                "timestamp": f"{_time(item, UTC):%Y-%m-%d %H:%M:%S}",
                "unix_timestamp": item["createTime"],
                "is_duet": "yes" if item["duetInfo"]["duetFromId"] != "0" else "no",
                "music_name": item["music"]["title"],
                "music_id": item["music"]["id"],
                "music_author": item["music"]["authorName"],
                "likes": item["stats"]["diggCount"],
                "comments": item["stats"]["commentCount"],
                "shares": item["stats"]["shareCount"],
                "plays": item["stats"]["playCount"],
                "hashtags": ",".join(tags_of(item)),
                "challenges": ",".join(tags_of(item)),
                "location_created": item["locationCreated"],
            }
            for item in items
        ],
    )


def _pyktok(items: Sequence[Item]) -> Files:
    return _csv(
        "pyktok.csv",
        [
            {
                "video_id": item["id"],
                "video_timestamp": _time(item, _LOCAL_ZONE)
                .replace(tzinfo=None)
                .isoformat(),
                "video_duration": item["video"]["duration"],
                "video_locationcreated": item["locationCreated"],
                "video_diggcount": item["stats"]["diggCount"],
                "video_sharecount": item["stats"]["shareCount"],
                "video_commentcount": item["stats"]["commentCount"],
                "video_playcount": item["stats"]["playCount"],
                "video_description": item["desc"],
                "author_username": item["author"]["uniqueId"],
                "author_name": item["author"]["nickname"],
                # Newer versions overwrite the flag with the whole author.
                "author_verified": str(item["author"]),
            }
            for item in items
        ],
    )


def _traktok(items: Sequence[Item]) -> Files:
    return _csv(
        "traktok.csv",
        [
            {
                "video_id": item["id"],
                "video_timestamp": _time(item, UTC).isoformat(),
                "video_length": item["video"]["duration"],
                "video_title": item["desc"],
                "video_diggcount": item["stats"]["diggCount"],
                "video_sharecount": item["stats"]["shareCount"],
                "video_commentcount": item["stats"]["commentCount"],
                "video_playcount": item["stats"]["playCount"],
                "author_name": item["author"]["uniqueId"],
                "music": item["music"]["title"],
                "challenges": ", ".join(tags_of(item)) or "NA",
            }
            for item in items
        ],
    )


def _pytok(items: Sequence[Item]) -> Files:
    return _csv(
        "pytok.csv",
        [
            {
                "video_id": item["id"],
                "createtime": item["createTime"],
                "author_name": item["author"]["uniqueId"],
                "author_id": item["author"]["id"],
                "desc": item["desc"],
                "hashtags": str(tags_of(item)),
                "share_video_id": _duet(item),
                "share_video_user_id": "",
                "share_type": "duet" if _duet(item) else "",
                "mentions": str(
                    [e["userUniqueId"] for e in item["textExtra"] if e["userUniqueId"]]
                ),
                "digg_count": item["stats"]["diggCount"],
                "share_count": item["stats"]["shareCount"],
                "comment_count": item["stats"]["commentCount"],
                "view_count": item["stats"]["playCount"],
            }
            for item in items
        ],
    )


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
                "sugg_hashtags": [],
                "sugg_sounds": [],
                "videos": [],
                "used_hashtags": [],
                "used_sounds": [],
            },
        )
        user["videos"].append(item["id"])
        user["used_hashtags"] += tags_of(item)
        user["used_sounds"].append(item["music"]["title"])
    rows = (
        {
            "": number,
            "id": item["id"],
            "desc": item["desc"],
            "music_id": item["music"]["id"],
            "music_title": item["music"]["title"],
            "stats_diggCount": item["stats"]["diggCount"],
            "stats_shareCount": item["stats"]["shareCount"],
            "stats_commentCount": item["stats"]["commentCount"],
            "stats_playCount": item["stats"]["playCount"],
            "hashtags": str(tags_of(item)),
        }
        for number, item in enumerate(items)
    )
    return {"users.json": json.dumps(users)} | _csv("videos.csv", rows, delimiter="\t")


def tags_of(item: Item) -> list[str]:
    """Returns the names of a post's hashtags."""
    return [entry["title"] for entry in item["challenges"]]


def _duet(item: Item) -> str:
    video_id = str(item["duetInfo"]["duetFromId"])
    return "" if video_id == "0" else video_id


def _time(item: Item, zone: timezone) -> datetime:
    return datetime.fromtimestamp(item["createTime"], zone)


def _csv(
    name: str, rows: Iterable[Mapping[str, Any]], *, delimiter: str = ","
) -> Files:
    rows = list(rows)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else [], delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return {name: text.getvalue()}


TABLE_WRITERS: dict[str, Callable[[Sequence[Item]], Files]] = {
    "fourcat_csv": _fourcat_csv,
    "pyktok": _pyktok,
    "traktok": _traktok,
    "pytok": _pytok,
    "whichtok": _whichtok,
}
