"""Reads the URLs of posts: the author, the id of the post, and the platform."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

# Keys of exports that contain the URL of a post, in the order in which they are tried.
URL_KEYS = (
    *("webVideoUrl", "videoWebUrl", "share_url", "shareUrl", "webpage_url", "url"),
    *("tiktok_url", "post_url", "video_link", "video_url", "videoUrl", "link"),
    *("original_url", "submittedVideoUrl", "embed_link", "作品链接"),
)
# Keys of further URLs that identify the platform but not the post.
_FURTHER_URL_KEYS = (
    *("collected_from_url", "source_url", "source_platform_url", "permalink"),
    *("uploader_url", "channel_url", "profile_url"),
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_POST = re.compile(
    r"tiktok(?:v|cdn)?\.com/(?:[^?#]*/)?(?:@(?P<handle>[^/?#]*)/)?"
    r"(?:video|photo|v|embed(?:/v\d)?|player/v\d)/(?P<id>\d{5,19})(?!\d)",
    re.IGNORECASE,
)
_HANDLE = re.compile(r"tiktok\.com/@(?P<handle>[^/?#]+)", re.IGNORECASE)
_LIVE = re.compile(r"tiktok\.com/(?:@[^/?#]*/live|live/)", re.IGNORECASE)
_TIKTOK_DOMAINS = (
    *("tiktok.com", "tiktokv.com", "tiktokv.us", "tiktokv.eu", "musical.ly"),
    *("tiktokw.eu", "tiktokw.us", "tiktokcdn.com", "byteoversea.com"),
)
# Platforms whose exports have columns or keys similar to TikTok's.
_OTHER_DOMAINS = (
    *("x.com", "twitter.com", "instagram.com", "threads.net", "threads.com"),
    *("douyin.com", "iesdouyin.com", "facebook.com", "fb.watch", "youtube.com"),
    *("youtu.be", "reddit.com", "redd.it", "linkedin.com", "pinterest.com", "vk.com"),
    *("xiaohongshu.com", "xhslink.com", "kuaishou.com", "bilibili.com", "weibo.com"),
    *("weibo.cn", "snapchat.com", "truthsocial.com", "gab.com", "9gag.com"),
    *("imgur.com", "bsky.app", "tumblr.com", "telegram.org", "t.me", "likee.video"),
    *("vimeo.com", "dailymotion.com", "twitch.tv", "rumble.com", "mastodon.social"),
    *("triller.co", "ok.ru", "rednote.com", "lemon8-app.com"),
)


@lru_cache(maxsize=2**10)
def other_spelling(key: str) -> str:
    """Returns `playCount` for `play_count` and vice versa, "" if there is neither."""
    if "_" in key:
        first, *others = key.split("_")
        camel = first + "".join(word[:1].upper() + word[1:] for word in others)
        return camel if key.islower() and first else ""
    snake = _CAMEL.sub("_", key)
    return snake.lower() if snake != key else ""


def find_post(record: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Returns handle and id of the post that the URLs of a record lead to."""
    for address in _texts(record, URL_KEYS):
        handle, video_id = parse_post_url(address)
        if video_id is not None:
            return handle, video_id
    return None, None


def parse_post_url(address: str) -> tuple[str | None, str | None]:
    """Returns handle and id of the post that a URL leads to."""
    found = _POST.search(address)
    return (_clean(found["handle"]), found["id"]) if found else (None, None)


def find_handle(record: Mapping[str, Any]) -> str | None:
    """Returns the handle in the URLs of a record, of a post or of a profile."""
    handle, _ = find_post(record)
    if handle is not None:
        return handle
    for address in _texts(
        record, (*URL_KEYS, "profile_url", "uploader_url", "user_url")
    ):
        found = _HANDLE.search(address)
        if found and not found["handle"].startswith("MS4w"):  # MS4w begins a secUid
            return _clean(found["handle"])
    return None


def has_live_url(record: Mapping[str, Any]) -> bool:
    """Whether a URL of a record is that of a live room."""
    return any(_LIVE.search(address) for address in _texts(record, URL_KEYS))


def find_other_platform(record: Mapping[str, Any]) -> str | None:
    """Returns the other platform that the URLs of a record lead to, or None.

    Posts may link to any site, so a record with a URL of TikTok counts as TikTok's.
    """
    sites = [
        _host(address) for address in _texts(record, (*URL_KEYS, *_FURTHER_URL_KEYS))
    ]
    if any(_has_domain(site, _TIKTOK_DOMAINS) for site in sites):
        return None
    for site in sites:
        for other in _OTHER_DOMAINS:
            if _has_domain(site, (other,)):
                return other
    return None


def is_tiktok_url(address: str) -> bool:
    """Whether a URL has one of TikTok's own hosts."""
    return has_domain(address, _TIKTOK_DOMAINS)


def has_domain(address: str, domains: tuple[str, ...]) -> bool:
    """Whether the host of a URL is one of some domains, or a subdomain."""
    return _has_domain(_host(address), domains)


def is_tiktok_name(site: str) -> bool:
    """Whether the name of a platform, as written in exports, is TikTok's."""
    name = site.strip().casefold().removeprefix("https://").removeprefix("www.")
    return name.startswith(("tiktok", "tik tok", "tik-tok", "musical.ly"))


def is_other_platform_name(site: str) -> bool:
    """Whether the name of a platform is that of a known one other than TikTok."""
    name = site.strip().casefold()
    return name in _OTHER_DOMAINS or name in {
        other.partition(".")[0] for other in _OTHER_DOMAINS
    }


def _texts(record: Mapping[str, Any], keys: tuple[str, ...]) -> Iterator[str]:
    for key in keys:
        value = record.get(key) or record.get(other_spelling(key))
        if isinstance(value, str) and "." in value and len(value) < 4096:
            yield value


def _host(address: str) -> str:
    text = address if "://" in address else f"//{address}"
    try:
        return (urlsplit(text).hostname or "").casefold()
    except ValueError:
        return ""


def _has_domain(site: str, domains: tuple[str, ...]) -> bool:
    return any(site == domain or site.endswith(f".{domain}") for domain in domains)


def _clean(handle: str | None) -> str | None:
    return handle.strip() or None if handle else None


@lru_cache(maxsize=2**10)
def split_path(path: str) -> tuple[tuple[str, str], ...]:
    """Returns the keys of a path, each with its other spelling or ""."""
    return tuple((key, other_spelling(key)) for key in path.split("."))


@lru_cache(maxsize=2**10)
def with_other_spellings(keys: tuple[str, ...]) -> tuple[str, ...]:
    """Returns the keys, followed by their other with_other_spellings."""
    return (*keys, *filter(None, map(other_spelling, keys)))
