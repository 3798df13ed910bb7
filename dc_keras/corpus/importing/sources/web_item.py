"""The web item struct: TikTok-Api, Zeeschuimer, pytok, bellingcat, saved pages."""

from __future__ import annotations

from dc_keras.corpus.importing.sources.fields import Fields
from dc_keras.corpus.importing.sources.mention_spans import show_handles
from dc_keras.corpus.importing.sources.post import (
    Post,
    RawRecord,
    Source,
    UnreadablePostError,
)
from dc_keras.corpus.importing.sources.web_item_line import read_lines

# A web item has at least two of these keys. The id is not required, so that items
# without an id are reported as such.
_DISTINCTIVE = frozenset(
    {"id", "desc", "createTime", "author", "authorId", "video", "stats", "statsV2"}
)
# Keys that a challenge, which has an id, a title and a description too, does not have.
_POST_KEYS = frozenset({"author", "authorId", "createTime", "stats", "statsV2"})
_UNSPECIFIC = frozenset({"id", "author"})
# Keys of other formats that have some of the same keys.
_OTHER_FORMATS = frozenset({"aweme_id", "awemeId", "authorMeta", "author_meta"})


def matches(record: RawRecord) -> bool:
    """Whether the record is a web item, complete or damaged."""
    keys = record.keys()
    if _OTHER_FORMATS & keys or ("title" in keys and not _POST_KEYS & keys):
        return False
    # An id and an author are not specific to posts of TikTok.
    found = _DISTINCTIVE & keys
    return len(found - _UNSPECIFIC) >= 1 and len(found) >= 2


def read(record: RawRecord) -> Post:
    """Maps a web item to a `Post`.

    Raises:
        UnreadablePostError: it is a live room, or there is no valid id, or no author.
    """
    if record.get("liveRoomInfo"):
        raise UnreadablePostError("a live room, not a post")
    fields = Fields(record)
    video_id = fields.video_id("id")
    caption = fields.text("caption", "desc")
    author = fields.author(
        user_id=("author.id", "authorId"),
        handle=("author.uniqueId", "author"),  # a text in old embeds and page states
        sec_uid=("author.secUid", "authorSecId"),
    )
    return Post(
        video_id=video_id,
        author=author,
        caption=show_handles(caption or "", fields.entries("textExtra")),
        create_time=fields.time("create_time", "createTime"),
        hashtags=fields.hashtags(
            caption,
            links=("textExtra", "hashtagName"),
            listed=("challenges", "title"),
        ),
        mentions=tuple(fields.texts("textExtra", "userUniqueId")),
        music_id=fields.optional_identifier("music_id", "music.id"),
        music_title=fields.text("music_title", "music.title"),
        music_is_original=fields.flag("music.original"),
        private_names=fields.private_names(
            "author.nickname", "nickname", "music.authorName"
        ),
        duration_s=fields.seconds("duration_s", "video.duration"),
        # statsV2 has exact numbers, stats may have rounded ones.
        views=fields.count("views", "statsV2.playCount", "stats.playCount"),
        likes=fields.count("likes", "statsV2.diggCount", "stats.diggCount"),
        comments=fields.count("comments", "statsV2.commentCount", "stats.commentCount"),
        shares=fields.count("shares", "statsV2.shareCount", "stats.shareCount"),
        saves=fields.count("saves", "statsV2.collectCount", "stats.collectCount"),
        duet_of=fields.optional_identifier("duet_of", "duetInfo.duetFromId"),
        effects=tuple(fields.texts("effectStickers", "name")),
        region=fields.text("region", "locationCreated"),
        language=fields.text("language", "textLanguage"),
        is_slideshow=fields.has("imagePost"),
        account=fields.account(
            "authorStats.followerCount",
            ("authorStats.heartCount", "authorStats.heart"),
            "authorStats.videoCount",
        ),
        notes=fields.notes,
    )


SOURCE = Source(name="web_item", matches=matches, read=read, read_lines=read_lines)
