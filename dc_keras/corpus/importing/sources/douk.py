"""DouK-Downloader's table of TikTok posts, whose columns are Chinese.

The program writes posts of Douyin with the same columns; only the URL distinguishes
them. Its times are local, so the posting time is taken from the id.
"""

from __future__ import annotations

import msgspec

from dc_keras.corpus.importing.sources import mapped
from dc_keras.corpus.importing.sources.addresses import URL_KEYS
from dc_keras.corpus.importing.sources.post import (
    Post,
    RawRecord,
    Source,
    UnreadablePostError,
)

_PATHS = mapped.Paths(
    video_id=("作品ID",),
    user_id=("UID",),
    handle=("ID",),
    sec_uid=("SEC_UID",),
    caption=("作品描述",),
    tags=("作品话题",),
    music_title=("音乐标题",),
    names=("账号昵称", "音乐作者"),
    duration_s=("视频时长",),
    views=("播放数量",),
    likes=("点赞数量",),
    comments=("评论数量",),
    shares=("分享数量",),
    saves=("收藏数量",),
)


def matches(record: RawRecord) -> bool:
    """Whether the record is a row of the table."""
    return "作品ID" in record and "作品描述" in record


def read(record: RawRecord) -> Post:
    """Maps a row to a `Post`.

    Raises:
        UnreadablePostError: there is no URL of TikTok, no valid id, or no author.
    """
    if not any("tiktok" in str(record.get(key)) for key in URL_KEYS):
        raise UnreadablePostError(
            "a row without a URL of TikTok: it may be of another platform (Douyin)"
        )
    post = _PATHS.read(record)
    kind = record.get("作品类型")
    is_slideshow = isinstance(kind, str) and "图" in kind
    return msgspec.structs.replace(post, is_slideshow=is_slideshow)


SOURCE = Source(name="douk", matches=matches, read=read)
