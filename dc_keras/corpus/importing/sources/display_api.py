"""Posts of the Display API, which lists the posts of the logged-in user.

Only `share_url` contains the handle.
"""

from __future__ import annotations

from dc_keras.corpus.importing.sources import mapped
from dc_keras.corpus.importing.sources.post import RawRecord, Source

_PATHS = mapped.Paths(
    video_id=("id",),
    handle=("username",),
    caption=("video_description", "title"),
    create_time=("create_time",),
    duration_s=("duration",),
    views=("view_count",),
    likes=("like_count",),
    comments=("comment_count",),
    shares=("share_count",),
)
_DISTINCTIVE = frozenset({"embed_html", "embed_link", "cover_image_url", "share_url"})


def matches(record: RawRecord) -> bool:
    """Whether the record is a post of this format, complete or damaged."""
    keys = record.keys()
    return len(_DISTINCTIVE & keys) >= 2 and bool(
        {"video_description", "view_count", "like_count"} & keys
    )


SOURCE = Source(name="display_api", matches=matches, read=_PATHS.read)
