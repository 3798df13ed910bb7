"""The table of pyktok, and the very similar one of traktok.

Their times may be local times without a time zone, so the posting time is taken from
the id. pyktok's table has no column of hashtags.
"""

from __future__ import annotations

from dc_keras.corpus.importing.sources.fields import Fields
from dc_keras.corpus.importing.sources.post import Post, RawRecord, Source
from dc_keras.corpus.records import find_hashtags

# Names that hand-made tables do not have.
_DISTINCTIVE = frozenset(
    {"video_diggcount", "video_playcount", "video_sharecount", "video_commentcount"}
    | {"video_locationcreated", "video_is_ad", "video_length", "author_followercount"}
)


def matches_pyktok(record: RawRecord) -> bool:
    """Whether the record is a row of pyktok's table."""
    keys = record.keys()
    return {"video_timestamp", "video_description"} <= keys and bool(
        _DISTINCTIVE & keys
    )


def matches_traktok(record: RawRecord) -> bool:
    """Whether the record is a row of traktok's table."""
    keys = record.keys()
    return {"video_id", "video_title"} <= keys and bool(_DISTINCTIVE & keys)


def read(record: RawRecord) -> Post:
    """Maps a row to a `Post`.

    Raises:
        UnreadablePostError: there is no valid id, or no author.
    """
    fields = Fields(record)
    video_id = fields.video_id("video_id")
    caption = fields.text("caption", "video_description", "video_title") or ""
    author = fields.author(handle=("author_username", "author_name"))
    if fields.has("video_timestamp"):
        fields.note("local.create_time")
    return Post(
        video_id=video_id,
        author=author,
        caption=caption,
        create_time=None,
        hashtags=(*find_hashtags(caption), *_challenges(fields)),
        music_title=fields.text("music_title", "music"),
        # Newer versions of pyktok write the whole author into `author_verified`.
        private_names=fields.private_names("author_nickname", "author_name"),
        duration_s=fields.seconds("duration_s", "video_duration", "video_length"),
        views=fields.count("views", "video_playcount"),
        likes=fields.count("likes", "video_diggcount"),
        comments=fields.count("comments", "video_commentcount"),
        shares=fields.count("shares", "video_sharecount"),
        region=fields.text("region", "video_locationcreated"),
        account=fields.account(
            "author_followercount", ("author_heartcount",), "author_videocount"
        ),
        notes=fields.notes,
    )


def _challenges(fields: Fields) -> tuple[str, ...]:
    return tuple(fields.texts("challenges", "title", "name", are_words=True))


PYKTOK = Source(name="pyktok", matches=matches_pyktok, read=read)
TRAKTOK = Source(name="traktok", matches=matches_traktok, read=read)
