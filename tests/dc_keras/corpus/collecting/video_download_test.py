import asyncio

import pytest
from fake_platform import MP4

from dc_keras.corpus.collecting.video_download import fetch_media


class _Stopping:
    """A session that is interrupted while it downloads the second file."""

    def __init__(self):
        self.left = 1

    async def fetch_media(self, address):
        if not self.left:
            raise KeyboardInterrupt
        self.left -= 1
        return MP4


def test_interruption_leaves_only_complete_files(tmp_path):
    posts = [{"id": n, "video": {"playAddr": "http://a.test"}} for n in ("1", "2")]
    with pytest.raises(KeyboardInterrupt):
        asyncio.run(fetch_media(posts, tmp_path / "media", _Stopping()))
    assert [path.name for path in (tmp_path / "media").iterdir()] == ["1.mp4"]
