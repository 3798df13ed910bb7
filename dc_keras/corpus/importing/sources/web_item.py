"""The web item struct: TikTok-Api, Zeeschuimer, pytok, bellingcat, saved pages."""

from __future__ import annotations

from dc_keras.corpus.importing.sources.mapped import Paths
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


# The author is a text in old embeds and page states. statsV2 has exact numbers, stats
# may have rounded ones.
_PATHS = Paths.of(
    """
    video_id=id user_id=author.id,authorId handle=author.uniqueId,author
    sec_uid=author.secUid,authorSecId caption=desc create_time=createTime
    links=textExtra challenges=challenges music_id=music.id music_title=music.title
    music_is_original=music.original names=author.nickname,nickname,music.authorName
    duration_s=video.duration views=statsV2.playCount,stats.playCount
    likes=statsV2.diggCount,stats.diggCount
    comments=statsV2.commentCount,stats.commentCount
    shares=statsV2.shareCount,stats.shareCount
    saves=statsV2.collectCount,stats.collectCount duet_of=duetInfo.duetFromId
    effects=effectStickers region=locationCreated language=textLanguage images=imagePost
    followers=authorStats.followerCount
    total_likes=authorStats.heartCount,authorStats.heart
    total_posts=authorStats.videoCount
    """
)


def read(record: RawRecord) -> Post:
    """Maps a web item to a `Post`.

    Raises:
        UnreadablePostError: it is a live room, or there is no valid id, or no author.
    """
    if record.get("liveRoomInfo"):
        raise UnreadablePostError("a live room, not a post")
    return _PATHS.read(record)


SOURCE = Source(name="web_item", matches=matches, read=read, read_lines=read_lines)
