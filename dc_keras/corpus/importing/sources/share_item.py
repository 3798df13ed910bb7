"""The "share item" of web pages of 2019 and 2020, which preceded the item struct."""

from __future__ import annotations

from dc_keras.corpus.importing.sources.fields import Fields
from dc_keras.corpus.importing.sources.mention_spans import show_handles
from dc_keras.corpus.importing.sources.post import Post, RawRecord, Source


def matches(record: RawRecord) -> bool:
    """Whether the record is a share item, complete or damaged."""
    return isinstance(record.get("itemInfos"), dict)


def read(record: RawRecord) -> Post:
    """Maps a share item to a `Post`.

    Raises:
        UnreadablePostError: there is no valid id, or no author.
    """
    fields = Fields(record)
    video_id = fields.video_id("itemInfos.id")
    caption = fields.text("caption", "itemInfos.text")
    author = fields.author(
        user_id=("authorInfos.userId", "itemInfos.authorId"),
        handle=("authorInfos.uniqueId",),
        sec_uid=("authorInfos.secUid",),
    )
    return Post(
        video_id=video_id,
        author=author,
        caption=show_handles(caption or "", fields.entries("textExtra")),
        create_time=fields.time("create_time", "itemInfos.createTime"),
        hashtags=fields.hashtags(
            caption,
            links=("textExtra", "HashtagName"),
            listed=("challengeInfoList", "challengeName"),
        ),
        mentions=(),  # the format contains only the ids of mentioned users
        music_id=fields.optional_identifier(
            "music_id", "musicInfos.musicId", "itemInfos.musicId"
        ),
        music_title=fields.text("music_title", "musicInfos.musicName"),
        music_is_original=fields.flag("musicInfos.original"),
        private_names=fields.private_names(
            "authorInfos.nickName", "musicInfos.authorName"
        ),
        duration_s=fields.seconds("duration_s", "itemInfos.video.videoMeta.duration"),
        views=fields.count("views", "itemInfos.playCount"),
        likes=fields.count("likes", "itemInfos.diggCount"),
        comments=fields.count("comments", "itemInfos.commentCount"),
        shares=fields.count("shares", "itemInfos.shareCount"),
        saves=None,  # did not exist yet
        duet_of=fields.optional_identifier("duet_of", "duetInfo"),
        effects=(),
        region=None,
        language=None,
        is_slideshow=False,
        account=fields.account(
            "authorStats.followerCount",
            ("authorStats.heartCount",),
            "authorStats.videoCount",
        ),
        notes=fields.notes,
    )


SOURCE = Source(name="share_item", matches=matches, read=read)
