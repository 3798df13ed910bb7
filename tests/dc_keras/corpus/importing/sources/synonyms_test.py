import re
from pathlib import Path

import pytest

from dc_keras.corpus.importing.sources.synonyms import SYNONYMS, find_field


@pytest.mark.parametrize(
    ("header", "field"),
    [
        ("Video ID", "video_id"),
        ("videoId", "video_id"),
        ("post url", "url"),
        ("URL du post", "url"),
        ("author name", "handle"),
        ("Author's username", "handle"),
        ("# of likes", "likes"),
        ("Number of Comments", "comments"),
        ("likesCount", "likes"),
        ("Shares (total)", "shares"),
        ("Date posted", "create_time"),
        ("Veröffentlicht am", "create_time"),
        ("Fecha de publicación", "create_time"),
        ("N° de vues", "views"),
        ("Gefällt-mir-Angaben", "likes"),
        # Not likes but their share; not the URL of a post but of an image.
        ("Likes (%)", None),
        ("Engagement rate", None),
        ("Cover URL", None),
        ("Date collected", None),
        ("", None),
        ("video", None),
    ],
)
def test_headers_are_mapped_to_fields(header, field):
    assert find_field(header)[0] == field


def test_no_header_is_ambiguous():
    for field, headers in SYNONYMS.items():
        assert {find_field(header)[0] for header in headers} == {field}


def test_the_docs_show_headers_that_are_known():
    page = (Path(__file__).parents[5] / "docs/importing.md").read_text("utf-8")
    [examples] = re.findall(r"Recognised headers are(.*?)\n\n", page, re.DOTALL)
    headers = re.findall(r"`(.*?)`", examples)
    assert len(headers) > 10
    assert [header for header in headers if find_field(header)[0] is None] == []
