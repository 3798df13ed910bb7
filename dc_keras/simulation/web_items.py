"""Posts of the simulated world in the format of the platform's web API."""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from dc_keras.simulation.cast import Account, Sound
from dc_keras.simulation.scenes import HEIGHT, WIDTH
from dc_keras.simulation.simulated_posts import SimulatedPost

# In captions of this world, every tag and mention has a space on either side.
_ENTITY = re.compile(r"(?<!\S)[#@]\S+")
_REGIONS = {"en": "US", "es": "MX"}


def iter_items(
    posts: Sequence[SimulatedPost], accounts: Sequence[Account]
) -> Iterator[dict[str, Any]]:
    """Yields one web item per post; `SimulatedPost.user` is an index of `accounts`."""
    num_videos = Counter(post.user for post in posts)
    for post in posts:
        author = accounts[post.user]
        tags = [text[1:].lower() for _, text in _entities(post.caption) if "#" in text]
        item: dict[str, Any] = {
            "id": post.video_id,
            "desc": post.caption,
            "createTime": post.create_time,
            "author": _author(author),
            "authorStats": _author_stats(author, num_videos[post.user]),
            "music": _music(post.sound),
            "challenges": [
                {"id": hashtag_id(tag), "title": tag, "desc": ""}
                for tag in dict.fromkeys(tags)
            ],
            "textExtra": _text_extra(post, accounts),
            "duetInfo": {"duetFromId": "0" if post.duet_of is None else post.duet_of},
            "locationCreated": _REGIONS[author.language],
            "isAd": False,
        }
        item["video"] = _video(post)
        stats = _stats(post)
        item["stats"] = stats
        item["statsV2"] = {name: str(count) for name, count in stats.items()}
        yield item


def hashtag_id(tag: str) -> str:
    """Returns an id of 1 to 16 digits, equal for all letter cases of a hashtag."""
    digest = hashlib.sha256(tag.lower().encode()).digest()
    return str(int.from_bytes(digest[:8], "big") % 10**16)


def _entities(caption: str) -> list[tuple[int, str]]:
    """Returns tags and mentions with their offsets, in UTF-16 code units."""
    return [
        (_utf16_length(caption[: found.start()]), found.group())
        for found in _ENTITY.finditer(caption)
    ]


def _utf16_length(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def _text_extra(
    post: SimulatedPost, accounts: Sequence[Account]
) -> list[dict[str, Any]]:
    mentioned = {accounts[user].handle: accounts[user] for user in post.mentions}
    extra = []
    for start, text in _entities(post.caption):
        is_tag = text.startswith("#")
        account = mentioned.get(text[1:])
        extra.append(
            {
                "awemeId": "",
                "start": start,
                "end": start + _utf16_length(text),
                "hashtagId": hashtag_id(text[1:]) if is_tag else "",
                "hashtagName": text[1:].lower() if is_tag else "",
                "type": 1 if is_tag else 0,
                "userId": "" if account is None else account.user_id,
                "userUniqueId": "" if account is None else account.handle,
            }
        )
    return extra


def _author(account: Account) -> dict[str, Any]:
    digest = hashlib.sha256(account.user_id.encode()).hexdigest()
    return {
        "id": account.user_id,
        "uniqueId": account.handle,
        "nickname": account.handle.title(),
        "secUid": f"MS4wLjABAAAA{digest[:52]}",
        "verified": False,
        "signature": "",
        "avatarThumb": f"https://example.invalid/avatar/{account.user_id}.jpeg",
    }


def _author_stats(account: Account, num_videos: int) -> dict[str, int]:
    hearts = 12 * account.num_followers
    return {
        "followerCount": account.num_followers,
        "followingCount": account.num_following,
        "heart": hearts,
        "heartCount": hearts,
        "videoCount": num_videos,
        "diggCount": 0,
    }


def _stats(post: SimulatedPost) -> dict[str, int]:
    views = post.num_views
    return {
        "playCount": views,
        "diggCount": views // 12,
        "commentCount": views // 300,
        "shareCount": views // 500,
        "collectCount": views // 250,
    }


def _music(sound: Sound) -> dict[str, Any]:
    return {
        "id": sound.music_id,
        "title": sound.title,
        "authorName": sound.author,
        "original": sound.is_original,
        "duration": 15,
        "album": "",
        "playUrl": f"https://example.invalid/music/{sound.music_id}.mp3",
    }


def _video(post: SimulatedPost) -> dict[str, Any]:
    address = f"https://example.invalid/video/{post.video_id}"
    return {
        "id": post.video_id,
        # The API returns whole seconds.
        "duration": math.ceil(post.duration_s),
        "width": WIDTH,
        "height": HEIGHT,
        "format": "mp4",
        "cover": f"{address}.jpeg",
        "playAddr": f"{address}.mp4",
        "downloadAddr": f"{address}.mp4",
    }
