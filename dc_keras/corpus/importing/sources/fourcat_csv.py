"""The table that 4CAT makes of TikTok posts.

Its ndjson files contain web items and are read as such.
"""

from __future__ import annotations

from dc_keras.corpus.importing.sources.fields import Fields
from dc_keras.corpus.importing.sources.post import Post, RawRecord, Source

_DISTINCTIVE = frozenset(
    {"tiktok_url", "plays", "is_duet", "challenges", "diversification_labels"}
    | {"music_id", "location_created", "stickers", "is_photosensitive", "author_videos"}
)


def matches(record: RawRecord) -> bool:
    """Whether the record is a row of the table."""
    keys = record.keys()
    # 4CAT's tables of other platforms have mostly the same columns.
    return "body" in keys and len(_DISTINCTIVE & keys) >= 2


def read(record: RawRecord) -> Post:
    """Maps a row to a `Post`; a pseudonymised author is used like a handle.

    Raises:
        UnreadablePostError: there is no valid id, or no author.
    """
    fields = Fields(record)
    video_id = fields.video_id("id")
    caption = fields.text("caption", "body")
    author = fields.author(handle=("author",))
    if fields.flag("is_duet"):
        fields.note("missing.duet_of")  # the table does not contain the other post
    return Post(
        video_id=video_id,
        author=author,
        caption="" if caption is None else caption,
        create_time=fields.time("create_time", "unix_timestamp"),
        hashtags=fields.tags(caption, "hashtags", "challenges"),
        music_id=fields.optional_identifier("music_id", "music_id"),
        music_title=fields.text("music_title", "music_name"),
        private_names=fields.private_names("author_full", "music_author"),
        views=fields.count("views", "plays"),
        likes=fields.count("likes", "likes"),
        comments=fields.count("comments", "comments"),
        shares=fields.count("shares", "shares"),
        effects=tuple(fields.texts("effects")),
        region=fields.text("region", "location_created"),
        account=fields.account("author_followers", ("author_likes",), "author_videos"),
        notes=fields.notes,
    )


SOURCE = Source(name="fourcat_csv", matches=matches, read=read)
