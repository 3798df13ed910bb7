"""The "aweme" struct of the mobile app: TikHub and similar services, yt-dlp."""

from __future__ import annotations

from dc_keras.corpus.importing.sources.fields import Fields
from dc_keras.corpus.importing.sources.mapped import Paths, with_changes
from dc_keras.corpus.importing.sources.post import Post, RawRecord, Source

_MILLISECONDS = 1000
_PATHS = Paths.of(
    """
    video_id=aweme_id user_id=author.uid,author_user_id handle=author.unique_id
    sec_uid=author.sec_uid caption=desc create_time=create_time links=text_extra
    challenges=cha_list music_id=music.mid,music.id_str,music.id music_title=music.title
    music_is_original=music.is_original_sound,music.is_original
    names=author.nickname,music.author,music.owner_nickname,music.owner_handle
    duration_s=video.duration,duration views=statistics.play_count
    likes=statistics.digg_count comments=statistics.comment_count
    shares=statistics.share_count saves=statistics.collect_count
    duet_of=duet_info.original_item_id effects=effect_stickers region=region
    language=desc_language images=images,image_post_info followers=author.follower_count
    total_likes=author.total_favorited total_posts=author.aweme_count
    """
)


def matches(record: RawRecord) -> bool:
    """Whether the record is an aweme, complete or damaged."""
    return ("aweme_id" in record or "awemeId" in record) and "cid" not in record


def read(record: RawRecord) -> Post:
    """Maps an aweme to a `Post`.

    Raises:
        UnreadablePostError: there is no valid id, or no author.
    """
    fields = Fields(record)
    post = _PATHS.read_fields(fields)
    views, duration = post.views, post.duration_s
    # The app reports zero plays if it hides them.
    if views == 0 and post.likes:
        fields.note("hidden.views")
        views = None
    return with_changes(
        post,
        fields,
        music_id=post.music_id or _music_id_of_file(fields),
        duration_s=None if duration is None else duration / _MILLISECONDS,
        views=views,
    )


def _music_id_of_file(fields: Fields) -> str | None:
    """Returns the id of a sound that was rounded to a float.

    The file of the sound is named after the exact id. If the rounded number equals that
    id rounded to a float, the id is taken from the file name.
    """
    if not fields.has("music.id"):
        return None
    named = fields.optional_identifier("music_file", "music.play_url.url_key")
    rounded = fields.seconds("music_id", "music.id")
    if named is None or rounded is None or float(named) != rounded:
        return None
    fields.note("repaired.music_id")
    return named


SOURCE = Source(name="aweme", matches=matches, read=read)
