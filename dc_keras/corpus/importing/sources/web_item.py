"""The web item struct: TikTok-Api, Zeeschuimer, pytok, bellingcat, saved pages."""

from __future__ import annotations

from dc_keras.corpus.importing.sources.fields import Fields
from dc_keras.corpus.importing.sources.mention_spans import show_handles
from dc_keras.corpus.importing.sources.post import Post, RawRecord, Source, UnreadablePostError
from dc_keras.corpus.importing.sources.web_item_line import read_lines

# Two of these make a web item: an error must not hide one that lacks its id.
_TELLING = frozenset(
    {"id", "desc", "createTime", "author", "authorId", "video", "stats", "statsV2"}
)
# A challenge has an id, a title and a description, too.
_OF_A_POST = frozenset({"author", "authorId", "createTime", "stats", "statsV2"})
_ANYBODYS = frozenset({"id", "author"})
# Other formats share some of these keys; each of them has a key of its own.
_FOREIGN = frozenset({"aweme_id", "awemeId", "authorMeta", "author_meta"})


def matches(record: RawRecord) -> bool:
    """Whether the record looks like a web item, whole or damaged."""
    keys = record.keys()
    if _FOREIGN & keys or ("title" in keys and not _OF_A_POST & keys):
        return False
    # Anything on any platform has an id and an author.
    found = _TELLING & keys
    return len(found - _ANYBODYS) >= 1 and len(found) >= 2


def read(record: RawRecord) -> Post:
    """Maps a web item to a `Post`.

    Raises:
        UnreadablePostError: a live room, no usable id, or no author.
    """
    if record.get("liveRoomInfo"):
        raise UnreadablePostError("a live room, not a post")
    fields = Fields(record)
    video_id = fields.video_id("id")
    caption = fields.text("caption", "desc")
    author = fields.author(
        user_id=("author.id", "authorId"),
        handle=("author.uniqueId", "author"),  # a text in old embeds, page state
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
        # statsV2 has exact numbers where stats has rounded ones.
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
