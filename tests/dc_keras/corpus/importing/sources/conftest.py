"""Invented records of tools that the simulated world does not write."""

import json
from dataclasses import dataclass, field

import pytest

from dc_keras.corpus.importing.sources.containers import unwrap
from dc_keras.corpus.importing.sources.pieces import Piece
from dc_keras.corpus.importing.sources.post import (
    Post,
    RawEdge,
    Row,
    UnreadablePostError,
)
from dc_keras.corpus.importing.sources.reading import read_documents
from dc_keras.corpus.importing.sources.sniffing import choose_sources, sniff

_ID, _TIME = "6871947673600000077", 1_600_000_000
_URL = f"https://www.tiktok.com/@ann/video/{_ID}"
_APP_COUNTS = {
    "play_count": 40,
    "digg_count": 4,
    "comment_count": 3,
    "share_count": 2,
    "collect_count": 1,
}


@pytest.fixture(scope="session")
def tool_records():
    """A complete record of each tool, by source name."""
    return {
        "tikwm": {
            "aweme_id": "v0204fake",
            "video_id": _ID,
            "title": "hello #fun",
            "duration": 9,
            "wmplay": "https://example.invalid/w",
            "music_info": {"id": "6871947673600000011", "title": "la", "author": "B"},
            "create_time": _TIME,
            "author": {"id": "5", "unique_id": "ann", "nickname": "Ann"},
            **_APP_COUNTS,
        },
        "bright_data": {
            "url": _URL,
            "post_id": _ID,
            "description": "hello #fun",
            "create_time": "2020-09-13T12:26:40.000Z",
            "hashtags": ["#fun"],
            "profile_username": "ann",
            "profile_followers": 7,
            "video_duration": 9,
            **_APP_COUNTS,
        },
        "display_api": {
            "id": _ID,
            "create_time": _TIME,
            "cover_image_url": "https://example.invalid/c",
            "share_url": f"{_URL}?utm_source=x",
            "video_description": "hello #fun",
            "duration": 9,
            "like_count": 4,
            "comment_count": 3,
            "share_count": 2,
            "view_count": 40,
        },
        "minet": Row(
            id=_ID,
            description="hello",
            timestamp=str(_TIME),
            video_duration="9",
            author_id="5",
            author_unique_id="ann",
            author_follower_count="7",
            author_heart_count="8",
            author_video_count="9",
            music_id="6871947673600000011",
            challenges_titles="fun|day",
            **{name: str(count) for name, count in _APP_COUNTS.items()},
        ),
        "content_scraper": {
            "video_metadata": {
                "id": 6871947673600000077,
                "time_created": "2020-09-13T12:26:40",
                "author_id": 6871947673600000033,
                "description": "hello #fun",
                "hashtags": ["fun"],
                "playcount": 40,
                "diggcount": 4,
            },
            "file_metadata": {"duration": 9, "is_slide": False},
            "author_metadata": {"id": 6871947673600000033, "username": "ann"},
        },
        "douk": Row(
            {
                "作品类型": "视频",
                "UID": "5",
                "SEC_UID": "MS4w",
                "ID": "ann",
                "作品ID": _ID,
                "作品描述": "hello #fun",
                "作品话题": "fun day",
                "视频时长": "00:00:09",
                "作品链接": _URL,
                "播放数量": "40",
                "点赞数量": "4",
            }
        ),
        "simple_dict": Row(
            user_name="ann",
            user_id="5",
            video_id=_ID,
            video_desc="hello #fun",
            video_time=str(_TIME),
            video_length="9",
            n_plays="40",
            n_likes="4",
        ),
        "tiktok_10m": Row(
            id=_ID,
            url=_URL,
            desc="hello",
            challenges="fun,day",
            create_time=str(_TIME),
            duration="9",
            **{name: str(count) for name, count in _APP_COUNTS.items()},
        ),
        "hand_made": Row(
            {
                "Video ID": _ID,
                "User": "ann",
                "Description": "hello #fun",
                "Date posted": str(_TIME),
                "# of likes": "4",
                "Views": "40",
                "Length (s)": "9",
            }
        ),
        "comment": Row(
            id="6871947673600000099",
            author="bob",
            body="nice",
            post_id=_ID,
            unix_timestamp=str(_TIME),
            is_comment_on_comment="no",
            comment_url="https://m.tiktok.com/v/1.html",
        ),
        "own_data": {
            "Profile And Settings": {
                "Profile Info": {"ProfileMap": {"userName": "ann"}},
                "Follower": {
                    "FansList": [{"Date": "2020-09-13 12:26:40", "UserName": "bob"}]
                },
                "Following": {"Following": [{"UserName": "eve"}]},
            },
            "Your Activity": {"Watch History": {"VideoList": [{"Link": _URL}]}},
        },
    }


@dataclass
class Read:
    """Posts and edges by source, and reasons, read from one file without a corpus."""

    posts: list[tuple[str, Post]] = field(default_factory=list)
    edges: list[tuple[str, RawEdge]] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)


@pytest.fixture
def read_file(tmp_path):
    """Reads a file of these bytes, or of a document as JSON."""
    sources = choose_sources("auto")

    def run(content):
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        (tmp_path / "export").write_bytes(data)
        read = Read()
        for document in read_documents(Piece(tmp_path / "export")):
            if document.reason is not None:
                read.reasons.append(document.reason)
                continue
            for found in unwrap(document.value, lambda r: sniff(r, sources)):
                _read(found, read)
        return read

    return run


def _read(found, read):
    try:
        if found.source is None:
            raise UnreadablePostError(found.reason)
        name = found.source.name
        if found.source.read is not None:
            read.posts.append((name, found.source.read(found.record)))
        else:
            edges = found.source.read_edges(found.record, found.context)
            read.edges += [(name, edge) for edge in edges.edges]
    except UnreadablePostError as error:
        read.reasons.append(str(error))
