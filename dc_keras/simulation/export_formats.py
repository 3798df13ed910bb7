"""The posts of a simulated world in each export format.

The files let users try the importer, and tests compare the corpora imported from all of
them. Each writer omits the fields that its format does not have.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from dc_keras.simulation.export_tables import TABLE_WRITERS, Files, Item, tags_of


def export_files(items: Sequence[Item], format_name: str) -> Files:
    """Returns the files of an export: name → content.

    Args:
        items: web items (`web_items.iter_items`), oldest first.
        format_name: one of `FORMATS`.
    """
    return _WRITERS[format_name](items)


def _web_items(items: Sequence[Item]) -> Files:
    return {"items.ndjson": _lines(items)}


def _zeeschuimer(items: Sequence[Item]) -> Files:
    return {
        "zeeschuimer.ndjson": _lines(
            {
                "nav_index": f"1:{number}",
                "item_id": item["id"],
                "source_platform": "tiktok.com",
                "data": item,
            }
            for number, item in enumerate(items)
        )
    }


def _share_items(items: Sequence[Item]) -> Files:
    records = [
        {
            "itemInfos": {
                "id": item["id"],
                "text": item["desc"],
                "createTime": str(item["createTime"]),
                "authorId": item["author"]["id"],
                "musicId": item["music"]["id"],
                "video": {"videoMeta": {"duration": item["video"]["duration"]}},
                **_picked(item["stats"], "playCount", "diggCount"),
                **_picked(item["stats"], "commentCount", "shareCount"),
            },
            "authorInfos": {
                "userId": item["author"]["id"],
                "uniqueId": item["author"]["uniqueId"],
                "secUid": item["author"]["secUid"],
                "nickName": item["author"]["nickname"],
            },
            "musicInfos": {
                "musicId": item["music"]["id"],
                "musicName": item["music"]["title"],
                "authorName": item["music"]["authorName"],
                "original": item["music"]["original"],
            },
            "challengeInfoList": [
                {"challengeId": entry["id"], "challengeName": entry["title"]}
                for entry in item["challenges"]
            ],
            "textExtra": [
                {"HashtagName": entry["hashtagName"], "UserId": entry["userId"]}
                for entry in item["textExtra"]
            ],
            "duetInfo": item["duetInfo"]["duetFromId"],
        }
        for item in items
    ]
    return _json("share_items.json", {"body": {"itemListData": records}})


def _awemes(items: Sequence[Item]) -> Files:
    records = [
        {
            "aweme_id": item["id"],
            "desc": item["desc"],
            "create_time": item["createTime"],
            "region": item["locationCreated"],
            "author": {
                "uid": item["author"]["id"],
                "unique_id": item["author"]["uniqueId"],
                "nickname": item["author"]["nickname"],
                "sec_uid": item["author"]["secUid"],
            },
            "statistics": {
                "play_count": item["stats"]["playCount"],
                "digg_count": item["stats"]["diggCount"],
                "comment_count": item["stats"]["commentCount"],
                "share_count": item["stats"]["shareCount"],
                "collect_count": item["stats"]["collectCount"],
            },
            "music": {
                # JavaScript rounds numbers of this length.
                "id": float(item["music"]["id"]),
                "mid": item["music"]["id"],
                "title": item["music"]["title"],
                "author": item["music"]["authorName"],
                "is_original_sound": item["music"]["original"],
            },
            "video": {"duration": 1000 * item["video"]["duration"]},
            "text_extra": [
                {
                    "hashtag_name": entry["hashtagName"],
                    "hashtag_id": entry["hashtagId"],
                    "user_id": entry["userId"],
                }
                for entry in item["textExtra"]
            ],
            "duet_info": {"original_item_id": item["duetInfo"]["duetFromId"]},
        }
        for item in items
    ]
    return _json("awemes.json", {"aweme_list": records, "status_code": 0})


def _yt_dlp(items: Sequence[Item]) -> Files:
    entries = [
        {
            "id": item["id"],
            "extractor_key": "TikTok",
            "title": item["desc"][:72],
            "description": item["desc"],
            "timestamp": item["createTime"],
            "uploader": item["author"]["uniqueId"],
            "uploader_id": item["author"]["id"],
            "channel": item["author"]["nickname"],
            "channel_id": item["author"]["secUid"],
            "track": item["music"]["title"],
            "artists": [item["music"]["authorName"]],
            "duration": item["video"]["duration"],
            "view_count": item["stats"]["playCount"],
            "like_count": item["stats"]["diggCount"],
            "comment_count": item["stats"]["commentCount"],
            "repost_count": item["stats"]["shareCount"],
            "save_count": item["stats"]["collectCount"],
        }
        for item in items
    ]
    playlist = {"_type": "playlist", "extractor_key": "TikTokUser", "entries": entries}
    return _json("playlist.info.json", playlist)


def _research_api(items: Sequence[Item]) -> Files:
    videos = [
        {
            "id": int(item["id"]),
            "video_description": item["desc"],
            "create_time": item["createTime"],
            "region_code": item["locationCreated"],
            "username": item["author"]["uniqueId"],
            "music_id": int(item["music"]["id"]),
            "hashtag_names": tags_of(item),
            "video_duration": item["video"]["duration"],
            "view_count": item["stats"]["playCount"],
            "like_count": item["stats"]["diggCount"],
            "comment_count": item["stats"]["commentCount"],
            "share_count": item["stats"]["shareCount"],
            "favorites_count": item["stats"]["collectCount"],
        }
        for item in items
    ]
    answer = {"data": {"videos": videos, "has_more": False}, "error": {"code": "ok"}}
    return _json("research_api.json", answer)


def _tiktok_scraper(items: Sequence[Item]) -> Files:
    posts = [
        {
            "id": item["id"],
            "text": item["desc"],
            "createTime": item["createTime"],
            "authorMeta": {
                "id": item["author"]["id"],
                "secUid": item["author"]["secUid"],
                "name": item["author"]["uniqueId"],
                "nickName": item["author"]["nickname"],
            },
            "musicMeta": {
                "musicId": item["music"]["id"],
                "musicName": item["music"]["title"],
                "musicAuthor": item["music"]["authorName"],
                "musicOriginal": item["music"]["original"],
            },
            "videoMeta": {"duration": item["video"]["duration"]},
            **_picked(item["stats"], "playCount", "diggCount"),
            **_picked(item["stats"], "commentCount", "shareCount"),
            "hashtags": [
                {"id": entry["id"], "name": entry["title"]}
                for entry in item["challenges"]
            ],
            "mentions": [
                f"@{entry['userUniqueId']}"
                for entry in item["textExtra"]
                if entry["userUniqueId"]
            ],
        }
        for item in items
    ]
    return _json("tiktok_scraper.json", {"collector": posts, "zip": "world"})


def _picked(values: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: values[name] for name in names}


def _lines(records: Iterable[Item]) -> str:
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


def _json(name: str, document: object) -> Files:
    return {name: json.dumps(document, ensure_ascii=False, indent=1) + "\n"}


_WRITERS: dict[str, Callable[[Sequence[Item]], Files]] = {
    "web_item": _web_items,
    "zeeschuimer": _zeeschuimer,
    "share_item": _share_items,
    "aweme": _awemes,
    "yt_dlp": _yt_dlp,
    "research_api": _research_api,
    "tiktok_scraper": _tiktok_scraper,
    **TABLE_WRITERS,
}

FORMATS = tuple(_WRITERS)

FILE_NAMES = frozenset(name for write in _WRITERS.values() for name in write(()))
