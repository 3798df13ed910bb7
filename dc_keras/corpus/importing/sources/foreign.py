"""Recognises records other than posts of TikTok: other platforms, rooms, playlists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dc_keras.corpus.importing.sources import addresses

_PLATFORM_KEYS = ("source_platform", "extractor_key", "extractor", "ie_key")
# These keys may also contain the platform of the device.
_VAGUE_KEYS = ("platform", "network", "social_network", "site")
_LIVE_AWEME = 101
_LIVE = frozenset({"is_live", "was_live", "is_upcoming", "post_live"})
# Counts that posts of other platforms have, and those of TikTok do not.
_OTHER_COUNTS = frozenset(
    {"retweet_count", "quote_count", "reposts_count", "retweetCount", "quoteCount"}
    | {"reblogs_count", "edge_media_to_comment", "favourites_url", "num_crossposts"}
)
_POST_KEYS = (
    *("text", "desc", "description", "createTime", "create_time", "createTimeISO"),
    *("diggCount", "digg_count", "playCount", "play_count", "stats", "statistics"),
    *("data", "itemList", "aweme_list", "items"),
)
_OTHER = "a record of another platform than TikTok"


def rejection_reason(record: Mapping[str, Any]) -> str | None:
    """Returns why a record, with all its content, is not a post of TikTok, or None.

    The reason may name the platform, which is not personal data.
    """
    return _collector_error(record) or _platform(record) or _other_content(record)


def _platform(record: Mapping[str, Any]) -> str | None:
    for platform in _platforms(record):
        if not addresses.is_tiktok_name(platform):
            return f"{_OTHER}{_in_parentheses(platform)}"
    site = addresses.find_other_platform(record)
    if site is None and _is_from_douyin(record):
        site = "douyin.com"
    if site is not None:
        return f"{_OTHER} ({site})"
    return _OTHER if _OTHER_COUNTS & record.keys() else None


def _other_content(record: Mapping[str, Any]) -> str | None:
    if _is_live(record):
        return "a live room, not a post"
    if record.get("_type") in ("playlist", "multi_video") and not _has_entries(record):
        return "a playlist and not a post: its posts have files of their own"
    keys = record.keys()
    if {"parent_comment_id", "video_id"} <= keys and "cid" not in keys:
        return "a comment without an author: the Research API does not return it"
    if {"title", "subTitle"} <= keys and {"views", "posts"} & keys:
        # A row of whichtok's hashtags.csv or sounds.csv.
        return (
            "a row about a hashtag or a sound, without a post or a relation; "
            "users.json has the relations"
        )
    return None


def _platforms(record: Mapping[str, Any]) -> Iterator[str]:
    """Yields the platforms in a record; for vague keys, only known platforms."""
    meta = record.get("__import_meta")
    values = [record.get(key) for key in _PLATFORM_KEYS]
    values.append(meta.get("source_platform") if isinstance(meta, dict) else None)
    for value in values:
        # yt-dlp writes "generic" for unknown sites.
        if isinstance(value, str) and value.strip() and len(value) < 40:
            yield value
    for key in _VAGUE_KEYS:
        value = record.get(key)
        if isinstance(value, str) and addresses.is_other_platform_name(value):
            yield value


def _collector_error(record: Mapping[str, Any]) -> str | None:
    """Returns the reason for rejecting an error that a collector saved for a post."""
    if any(record.get(key) not in (None, "") for key in _POST_KEYS):
        return None  # it is a post: it has a text, a time or counts
    given = [record.get(key) for key in ("errorCode", "error_code", "error")]
    codes = [code for code in given if isinstance(code, str) and code]
    if not codes:
        return None
    code = f" ({codes[0]})" if codes[0].isidentifier() else ""
    return f"an error of the collector in place of a post{code}"


def _in_parentheses(platform: str) -> str:
    name = platform.partition(":")[0].strip().casefold()
    return f" ({name})" if name.replace(".", "").replace("-", "").isalnum() else ""


def _is_from_douyin(record: Mapping[str, Any]) -> bool:
    """Whether a record of the app links to Douyin, whose app has the same format."""
    if "aweme_id" not in record:
        return False
    share, video = record.get("share_info"), record.get("video")
    found: list[Any] = [share.get("share_url") if isinstance(share, dict) else None]
    if isinstance(video, dict):
        for name in ("play_addr", "download_addr"):
            address = video.get(name)
            urls = address.get("url_list") if isinstance(address, dict) else None
            found += urls if isinstance(urls, list) else ()
    texts = [text for text in found if isinstance(text, str)]
    is_own = any("tiktok" in text for text in texts)
    return not is_own and any("douyin" in text for text in texts)


def _is_live(record: Mapping[str, Any]) -> bool:
    status = record.get("live_status")
    key = record.get("extractor_key") or record.get("extractor")
    return bool(
        record.get("liveRoomInfo")
        or record.get("live_room")
        or (isinstance(status, str) and status in _LIVE)
        or record.get("is_live") is True
        or (isinstance(key, str) and key.casefold().endswith("live"))
        or record.get("aweme_type") == _LIVE_AWEME
        or addresses.has_live_url(record)
    )


def _has_entries(record: Mapping[str, Any]) -> bool:
    return isinstance(record.get("entries"), list)
