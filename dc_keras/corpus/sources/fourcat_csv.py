"""The table that 4CAT makes of TikTok posts.

Its ndjson holds web items and is read as such.
"""

from __future__ import annotations

from dc_keras.corpus.sources.fields import Fields
from dc_keras.corpus.sources.post import Post, RawRecord, Source


def matches(record: RawRecord) -> bool:
    """Whether the record is a row of the table."""
    keys = record.keys()
    return "body" in keys and ("unix_timestamp" in keys or "tiktok_url" in keys)


def read(record: RawRecord) -> Post:
    """Maps a row to a `Post`; a pseudonymised author is taken as it is.

    Raises:
        UnreadablePostError: no usable id, or no author.
    """
    fields = Fields(record)
    video_id = fields.video_id("id")
    caption = fields.text("caption", "body")
    author = fields.author(handle=("author",))
    if fields.flag("is_duet"):
        fields.note("missing.duet_of")  # the table says that it is one, not of what
    return Post(
        video_id=video_id,
        author=author,
        caption="" if caption is None else caption,
        create_time=fields.count("create_time", "unix_timestamp"),
        hashtags=(*fields.split("hashtags"), *fields.split("challenges")),
        music_id=fields.optional_identifier("music_id", "music_id"),
        music_title=fields.text("music_title", "music_name"),
        private_names=fields.private_names("author_full", "music_author"),
        views=fields.count("views", "plays"),
        likes=fields.count("likes", "likes"),
        comments=fields.count("comments", "comments"),
        shares=fields.count("shares", "shares"),
        effects=tuple(fields.split("effects")),
        region=fields.text("region", "location_created"),
        notes=fields.notes,
    )


SOURCE = Source(name="fourcat_csv", matches=matches, read=read)
