"""The posts of tiktok-scraper, and of the Apify actors that use its format."""

from __future__ import annotations

from dc_keras.corpus.importing.sources.fields import Fields
from dc_keras.corpus.importing.sources.post import Post, RawRecord, Source

_METAS = frozenset(
    {"authorMeta", "musicMeta", "videoMeta", "author_meta", "music_meta", "video_meta"}
)


_OTHER_FORMATS = frozenset({"cid", "desc", "stats", "statsV2", "stats_v2"})


def matches(record: RawRecord) -> bool:
    """Whether the record is a post of this format, complete or damaged."""
    keys = record.keys()
    return bool(_METAS & keys) or (
        bool({"webVideoUrl", "web_video_url"} & keys) and not _OTHER_FORMATS & keys
    )


def read(record: RawRecord) -> Post:
    """Maps a record to a `Post`.

    Raises:
        UnreadablePostError: there is no valid id, or no author.
    """
    fields = Fields(record)
    video_id = fields.video_id("id")
    caption = fields.text("caption", "text") or ""
    author = fields.author(
        user_id=("authorMeta.id",),
        handle=("authorMeta.name",),
        sec_uid=("authorMeta.secUid",),
    )
    return Post(
        video_id=video_id,
        author=author,
        caption=caption,
        create_time=fields.time("create_time", "createTime", "createTimeISO"),
        hashtags=fields.tags(caption, "hashtags"),
        mentions=tuple(name.lstrip("@") for name in fields.texts("mentions")),
        music_id=fields.optional_identifier("music_id", "musicMeta.musicId"),
        music_title=fields.text("music_title", "musicMeta.musicName"),
        music_is_original=fields.flag("musicMeta.musicOriginal"),
        private_names=fields.private_names(
            "authorMeta.nickName", "musicMeta.musicAuthor"
        ),
        duration_s=fields.seconds("duration_s", "videoMeta.duration"),
        views=fields.count("views", "playCount"),
        likes=fields.count("likes", "diggCount"),
        comments=fields.count("comments", "commentCount"),
        shares=fields.count("shares", "shareCount"),
        saves=fields.count("saves", "collectCount"),
        effects=tuple(fields.texts("effectStickers", "name")),
        region=fields.text("region", "locationCreated"),
        language=fields.text("language", "textLanguage"),
        is_slideshow=bool(fields.flag("isSlideshow")),
        account=fields.account(
            "authorMeta.fans", ("authorMeta.heart",), "authorMeta.video"
        ),
        notes=fields.notes,
    )


SOURCE = Source(name="tiktok_scraper", matches=matches, read=read)
