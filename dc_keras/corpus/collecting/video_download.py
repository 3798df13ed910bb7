"""The video of each post, fetched once into media/ID.mp4."""

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
    """What became of the media of some posts.

    Attributes:
        fetched: files that were written now.
        present: files that were there.
        slideshows: posts that are pictures and have no video.
        missing: `video id: reason` of each video that could not be had.
    """

    fetched: int = 0
    present: int = 0
    slideshows: int = 0
    missing: list[str] = field(default_factory=list)


async def fetch_media(
    posts: Iterable[dict[str, Any]], directory: Path, session: Session
) -> MediaCounts:
    """Fetches the video of every post that has one and lies not there yet.

    Args:
        posts: as the platform told them.
        directory: where the files go; made if missing.
        session: fetches, at its own pace.
    """
    directory.mkdir(parents=True, exist_ok=True)
    counts = MediaCounts()
    for post in posts:
        path = directory / f"{post['id']}.mp4"
        if post.get("imagePost"):
            counts.slideshows += 1
        elif not re.fullmatch("[0-9]+", str(post["id"])):
            counts.missing.append(f"{post['id']!r}: an id that is no number")
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
    """Returns the video: as played if possible, else as offered for download."""
    video = post.get("video") or {}
    refused = RefusedError("no address in the post")
    # The download has the platform's mark burned into its pixels.
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
    # ISO base media: a size of four bytes, then the type of the first box.
    if content[4:8] != b"ftyp":
        raise RefusedError("not an mp4 file")
    return content


def _write(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.partial")
    temporary.write_bytes(content)
    temporary.replace(path)
