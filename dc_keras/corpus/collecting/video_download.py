"""Downloads the video of each post to media/ID.mp4, once."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dc_keras.corpus.collecting.answers import RefusedError

if TYPE_CHECKING:
    from dc_keras.corpus.collecting.session import Session


@dataclass
class MediaCounts:
    """Counts of the media files of posts.

    Attributes:
        fetched: files that were downloaded.
        present: files that already existed.
        slideshows: posts that consist of images and have no video.
        missing: `video id: reason` for each video that could not be downloaded.
    """

    fetched: int = 0
    present: int = 0
    slideshows: int = 0
    missing: list[str] = field(default_factory=list)


async def fetch_media(
    posts: Iterable[dict[str, Any]], directory: Path, session: Session
) -> MediaCounts:
    """Downloads the missing videos of posts to a directory, at the session's rate."""
    directory.mkdir(parents=True, exist_ok=True)
    counts = MediaCounts()
    for post in posts:
        path = directory / f"{post['id']}.mp4"
        if post.get("imagePost"):
            counts.slideshows += 1
        elif not re.fullmatch("[0-9]+", str(post["id"])):
            counts.missing.append(f"{post['id']!r}: the id is not a number")
        elif path.exists():
            counts.present += 1
        else:
            try:
                _write(path, await _fetch(post, session))
                counts.fetched += 1
            except RefusedError as refused:
                counts.missing.append(f"{post['id']}: {refused}")
    return counts


async def _fetch(post: dict[str, Any], session: Session) -> bytes:
    """Returns the video: the played version if possible, else the offered download."""
    video = post.get("video") or {}
    refused = RefusedError("no URL in the post")
    # The video offered for download has a watermark.
    for address in (video.get("playAddr"), video.get("downloadAddr")):
        if address:
            try:
                return _checked(await session.fetch_media(address))
            except RefusedError as error:
                refused = error
    raise refused


def _checked(content: bytes) -> bytes:
    if not content:
        raise RefusedError("an empty answer")
    # ISO base media: the size of the first box in four bytes, then its type.
    if content[4:8] != b"ftyp":
        raise RefusedError("not an mp4 file")
    return content


def _write(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.partial")
    temporary.write_bytes(content)
    temporary.replace(path)
