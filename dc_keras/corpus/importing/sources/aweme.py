"""The "aweme" struct of the mobile app: TikHub and similar services, yt-dlp."""

from __future__ import annotations

from dc_keras.corpus.importing.sources.fields import Fields
from dc_keras.corpus.importing.sources.mention_spans import show_handles
from dc_keras.corpus.importing.sources.post import Post, RawRecord, Source

_MILLISECONDS = 1000


def matches(record: RawRecord) -> bool:
    """Whether the record is an aweme, complete or damaged."""
    return ("aweme_id" in record or "awemeId" in record) and "cid" not in record


def read(record: RawRecord) -> Post:
    """Maps an aweme to a `Post`.

    Raises:
        UnreadablePostError: there is no valid id, or no author.
    """
    fields = Fields(record)
    video_id = fields.video_id("aweme_id")
    caption = fields.text("caption", "desc")
    author = fields.author(
        user_id=("author.uid", "author_user_id"),
        handle=("author.unique_id",),
        sec_uid=("author.sec_uid",),
    )
    likes = fields.count("likes", "statistics.digg_count")
    return Post(
        video_id=video_id,
        author=author,
        caption=show_handles(caption or "", fields.entries("text_extra")),
        create_time=fields.time("create_time", "create_time"),
        hashtags=fields.hashtags(
            caption,
            links=("text_extra", "hashtag_name"),
            listed=("cha_list", "cha_name"),
        ),
        mentions=tuple(fields.texts("text_extra", "user_unique_id")),
        music_id=_music_id(fields),
        music_title=fields.text("music_title", "music.title"),
        music_is_original=fields.flag("music.is_original_sound", "music.is_original"),
        private_names=fields.private_names(
            *("author.nickname", "music.author", "music.owner_nickname"),
            "music.owner_handle",
        ),
        duration_s=_duration(fields),
        views=_views(fields, likes),
        likes=likes,
        comments=fields.count("comments", "statistics.comment_count"),
        shares=fields.count("shares", "statistics.share_count"),
        saves=fields.count("saves", "statistics.collect_count"),
        duet_of=fields.optional_identifier("duet_of", "duet_info.original_item_id"),
        effects=tuple(fields.texts("effect_stickers", "name")),
        region=fields.text("region", "region"),
        language=fields.text("language", "desc_language"),
        is_slideshow=any(map(fields.has_images, ("images", "image_post_info"))),
        account=fields.account(
            "author.follower_count", ("author.total_favorited",), "author.aweme_count"
        ),
        notes=fields.notes,
    )


def _music_id(fields: Fields) -> str | None:
    """Returns the id of the sound, repaired if it was rounded to a float.

    The file of the sound is named after the exact id. If the rounded number equals that
    id rounded to a float, the id is taken from the file name.
    """
    found = fields.optional_identifier(
        "music_id", "music.mid", "music.id_str", "music.id"
    )
    if found is not None or not fields.has("music.id"):
        return found
    named = fields.optional_identifier("music_file", "music.play_url.url_key")
    rounded = fields.seconds("music_id", "music.id")
    if named is None or rounded is None or float(named) != rounded:
        return None
    fields.note("repaired.music_id")
    return named


def _duration(fields: Fields) -> float | None:
    milliseconds = fields.seconds("duration_s", "video.duration", "duration")
    return None if milliseconds is None else milliseconds / _MILLISECONDS


def _views(fields: Fields, likes: int | None) -> int | None:
    """Returns the plays; None if the app reports zero plays but some likes."""
    views = fields.count("views", "statistics.play_count")
    if views == 0 and likes:
        fields.note("hidden.views")
        return None
    return views


SOURCE = Source(name="aweme", matches=matches, read=read)
