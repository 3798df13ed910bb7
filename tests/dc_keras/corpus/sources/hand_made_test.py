"""Tables that people make themselves, through the whole import."""

import json

import pytest

from dc_keras.corpus.store import Corpus

_ID, _TIME = "6871947673600000077", 1_600_000_000
_URL = f"https://www.tiktok.com/@ann/video/{_ID}?lang=en"


def _table(rows, delimiter=";"):
    return "\r\n".join(delimiter.join(row) for row in rows).encode()


@pytest.fixture
def read(give, corpus_dir):
    """Imports one file and returns the summary and the posts."""

    def run(data):
        summary = give(a=data, keep_handles=True)
        return summary, list(Corpus.open(corpus_dir).iter_videos())

    return run


@pytest.mark.parametrize(
    "header",
    [
        ["Video ID", "Description", "Username", "Views", "# of likes", "Length"],
        [
            "post_id",
            "Caption",
            "author name",
            "View Count",
            "Number of Likes",
            "duration",
        ],
        ["\ufeffPOST ID", "TEXT", "USER", "PLAYS", "LIKES", "DURATION (S)"],
        ["id", "Content", "Creator handle", "playCount", "heartCount", "Video Length"],
        ["ID", "Beschreibung", "Nutzername", "Aufrufe", "Gefällt mir", "Dauer"],
        ["ID del vídeo", "Descripción", "Usuario", "Vistas", "Me gusta", "Duración"],
        ["ID vidéo", "Légende", "Utilisateur", "N° de vues", "J'aime", "Durée (s)"],
        [
            "TikTok ID",
            "Post text",
            "Account",
            "Total views",
            "like_count",
            "video length",
        ],
    ],
)
@pytest.mark.parametrize("delimiter", [";", ",", "\t", "|"])
def test_headers_of_anybodys_own_tell_what_a_column_is(read, header, delimiter):
    rows = [header, [_ID, "hello #fun", "ann", "1400", "30", "9"]]
    summary, [post] = read(_table(rows, delimiter))
    assert (post.video_id, post.username) == (_ID, "ann")
    assert (post.caption, post.hashtags) == ("hello #fun", ("fun",))
    assert (post.views, post.likes, post.duration_s) == (1400, 30, 9)
    assert post.create_time == _TIME  # of the id
    assert summary.total.quarantined == 0


@pytest.mark.parametrize(
    "header", ["post url", "Link", "TikTok URL", "Video link", "Permalink", "Enlace"]
)
def test_an_address_is_enough(read, header):
    rows = [["Likes", header, "Date posted"], ["30", _URL, "13.09.2020"]]
    _, [post] = read(_table(rows))
    assert (post.video_id, post.username, post.likes) == (_ID, "ann", 30)
    assert post.create_time == _TIME


def test_the_number_of_a_row_is_no_id(read):
    rows = [["ID", "Link", "Views"], ["1", _URL, "30"], ["2", "https://x.y/z", "5"]]
    summary, [post] = read(_table(rows))
    assert (post.video_id, post.views) == (_ID, 30)
    assert summary.files[0].reasons == {"no video id": 1}


def test_of_two_columns_for_one_thing_the_more_telling_counts(read):
    other = "6871947673600000099"
    header = ["ID", "Video ID", "Title", "Caption", "Name", "Username"]
    _, [post] = read(_table([header, [other, _ID, "t", "c", "Ann A", "ann"]]))
    assert (post.video_id, post.caption, post.username) == (_ID, "c", "ann")


def test_a_profile_in_place_of_a_handle_names_the_handle(read):
    header = ["Video ID", "Author", "Likes"]
    _, [post] = read(_table([header, [_ID, "https://www.tiktok.com/@ann", "4"]]))
    assert post.username == "ann"


@pytest.mark.parametrize(
    ("cell", "number"),
    [
        ("1,234", 1234),
        ("1.234.567", 1_234_567),
        ("12 345", 12_345),
        ("7.0", 7),
        ("1.2K", None),  # which of a hundred numbers it was is lost
        ("3.5 Mio.", None),
        ("n/a", None),
    ],
)
def test_numbers_as_people_group_them(read, cell, number):
    _, [post] = read(_table([["Video ID", "User", "Views"], [_ID, "ann", f'"{cell}"']]))
    assert post.views == number


def test_no_tool_takes_a_table_and_leaves_half_of_it(read):
    # Each of these looks like the table of a tool, which has no such further column.
    for header in (
        ["id", "desc", "author", "likes"],
        ["video_id", "video_description", "username", "Likes"],
        ["video_id", "video_title", "author_name", "likes"],
        ["video_id", "video_desc", "user_name", "Likes"],
    ):
        _, [post] = read(_table([header, [_ID, "hello", "ann", "30"]]))
        assert (post.source, post.caption, post.likes) == ("hand_made", "hello", 30)


@pytest.mark.parametrize(
    ("header", "named"),
    [
        (["Username", "Likes", "Notes"], "Username, Likes and 1 others"),
        (["Titel", "Aufrufe"], "Titel, Aufrufe"),
        (["views", "caption", "author name", "x", "y"], "and 2 others"),
    ],
)
def test_a_table_without_ids_is_refused_by_its_headers(read, header, named):
    summary, posts = read(_table([header, ["7"] * len(header)]))
    assert posts == []
    [reason] = summary.files[0].reasons
    assert reason.startswith("a table without a column for the ids or the addresses of")
    assert reason.endswith(named)


@pytest.mark.parametrize("line", ["I like it, she said", "hello, user", "a,b,c"])
def test_what_is_no_header_is_not_named(read, line):
    summary, _ = read(line.encode())
    assert next(iter(summary.files[0].reasons)).startswith("neither JSON nor a table")


def test_objects_of_ones_own_are_read_too(read):
    post = {"id": _ID, "author": "ann", "desc": "hello", "likes": 30, "views": 1400}
    _, [found] = read([post])
    assert (found.username, found.likes, found.views) == ("ann", 30, 1400)


@pytest.mark.parametrize(
    "record",
    [
        {"id": _ID, "title": "fun", "desc": ""},  # a challenge
        {
            "id": _ID,
            "uniqueId": "ann",
            "createTime": 5,
            "heartCount": 7,
        },  # a user? no text
        {
            "id": "1712345678901234567",
            "text": "a",
            "username": "ann",
            "likes": 5,
        },  # of X
        {"id": 5, "user": "ann", "text": "a", "likes": 5},
    ],
)
def test_objects_that_may_be_anything_are_no_posts(read, record):
    summary, posts = read(json.dumps([record]).encode())
    assert posts == []
    assert summary.total.quarantined == 1


def test_remarks_and_comments_are_not_confused(read):
    header = ["Video URL", "Username", "Comment"]
    summary, posts = read(_table([header, [_URL, "bob", "nice"]]))
    assert posts == []
    assert "call it `comment_text` or `remarks`" in next(iter(summary.files[0].reasons))
    remarks = [*header, "Description"]
    _, [post] = read(_table([remarks, [_URL, "ann", "check this", "hello"]]))
    assert (post.caption, post.comments) == ("hello", None)
    summary, _ = read(
        _table([["Video URL", "Username", "Comment text"], [_URL, "b", "x"]])
    )
    assert summary.num_ties == 1
