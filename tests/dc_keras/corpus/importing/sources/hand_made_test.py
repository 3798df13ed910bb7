"""Hand-made tables."""

import json

import pytest

_ID = "6871947673600000077"
_URL = f"https://www.tiktok.com/@ann/video/{_ID}?lang=en"


def _table(rows, delimiter=";"):
    return "\r\n".join(delimiter.join(row) for row in rows).encode()


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
        ["Beitrag-ID", "Text", "Nutzer", "Aufrufe", "Likes", "Dauer (Sek.)"],
        ["Video ID", "Text", "User", "No. of views", "Likes", "Length [sec.]"],
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
def test_columns_are_recognised_by_hand_made_headers(read_file, header, delimiter):
    rows = [header, [_ID, "hello #fun", "ann", "1400", "30", "9"]]
    read = read_file(_table(rows, delimiter))
    [(_, post)] = read.posts
    assert (post.video_id, post.author.handle) == (_ID, "ann")
    assert (post.caption, post.hashtags) == ("hello #fun", ("fun",))
    assert (post.views, post.likes, post.duration_s) == (1400, 30, 9)
    assert read.reasons == []


@pytest.mark.parametrize("header", ["Date/Time", "Notes/Remarks", "Checked by (init.)"])
def test_a_slash_or_point_in_a_header_does_not_make_a_path(read_file, header):
    rows = [["Video ID", "User", "Likes", header], [_ID, "ann", "30", "x"]]
    [(name, post)] = read_file(_table(rows)).posts
    assert (name, post.likes) == ("hand_made", 30)


@pytest.mark.parametrize(("cell", "seconds"), [("12,5", 12.5), ("1,234", None)])
def test_a_duration_may_have_a_decimal_comma(read_file, cell, seconds):
    rows = [["Video-ID", "Nutzer", "Dauer", "Ton-ID"], [_ID, "ann", cell, "6871"]]
    [(_, post)] = read_file(_table(rows)).posts
    assert (post.duration_s, post.music_id) == (seconds, "6871")


@pytest.mark.parametrize(
    "header", ["post url", "Link", "TikTok URL", "Video link", "Permalink", "Enlace"]
)
def test_a_url_is_sufficient(read_file, header):
    rows = [["Likes", header, "Date posted"], ["30", _URL, "13.09.2020"]]
    [(_, post)] = read_file(_table(rows)).posts
    assert (post.video_id, post.author.handle, post.likes) == (_ID, "ann", 30)
    assert post.create_time is None  # the id tells


def test_the_number_of_a_row_is_not_an_id(read_file):
    rows = [["ID", "Link", "Views"], ["1", _URL, "30"], ["2", "https://x.y/z", "5"]]
    read = read_file(_table(rows))
    [(_, post)] = read.posts
    assert (post.video_id, post.views) == (_ID, 30)
    assert read.reasons == ["no video id"]


def test_the_most_specific_of_two_columns_is_used(read_file):
    other = "6871947673600000099"
    header = ["ID", "Video ID", "Title", "Caption", "Name", "Username"]
    [(_, post)] = read_file(
        _table([header, [other, _ID, "t", "c", "Ann A", "ann"]])
    ).posts
    assert (post.video_id, post.caption, post.author.handle) == (_ID, "c", "ann")


def test_a_profile_url_in_place_of_a_handle_gives_the_handle(read_file):
    header = ["Video ID", "Author", "Likes"]
    [(_, post)] = read_file(
        _table([header, [_ID, "https://www.tiktok.com/@ann", "4"]])
    ).posts
    assert post.author.handle == "ann"


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
def test_numbers_with_grouped_digits_are_read(read_file, cell, number):
    [(_, post)] = read_file(
        _table([["Video ID", "User", "Views"], [_ID, "ann", f'"{cell}"']])
    ).posts
    assert post.views == number


def test_no_source_of_a_tool_takes_a_table_it_reads_partially(read_file):
    # Each of these resembles the table of a tool but has an additional column.
    for header in (
        ["id", "desc", "author", "likes"],
        ["video_id", "video_description", "username", "Likes"],
        ["video_id", "video_title", "author_name", "likes"],
        ["video_id", "video_desc", "user_name", "Likes"],
    ):
        [(name, post)] = read_file(_table([header, [_ID, "hello", "ann", "30"]])).posts
        assert (name, post.caption, post.likes) == ("hand_made", "hello", 30)


@pytest.mark.parametrize(
    ("header", "named"),
    [
        (["Username", "Likes", "Notes"], "(recognised: Username, Likes; other: 1)"),
        (["Titel", "Aufrufe"], "(recognised: Titel, Aufrufe; other: 0)"),
        (["views", "caption", "author name", "x", "y"], "author name; other: 2)"),
    ],
)
def test_a_table_without_ids_is_rejected_by_its_header(read_file, header, named):
    [reason] = read_file(_table([header, ["7"] * len(header)])).reasons
    assert reason.startswith("a table without a column for the ids or the addresses of")
    assert reason.endswith(named)


@pytest.mark.parametrize("line", ["I like it, she said", "hello, user", "a,b,c"])
def test_unknown_headers_are_not_named(read_file, line):
    [reason] = read_file(line.encode()).reasons
    assert reason.startswith("neither JSON nor a table")


def test_hand_made_objects_are_read_too(read_file):
    post = {"id": _ID, "author": "ann", "desc": "hello", "likes": 30, "views": 1400}
    [(_, found)] = read_file([post]).posts
    assert (found.author.handle, found.likes, found.views) == ("ann", 30, 1400)


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
def test_ambiguous_objects_are_not_posts(read_file, record):
    read = read_file(json.dumps([record]).encode())
    assert (read.posts, len(read.reasons)) == ([], 1)


def test_remarks_and_comments_are_not_confused(read_file):
    header = ["Video URL", "Username", "Comment"]
    read = read_file(_table([header, [_URL, "bob", "nice"]]))
    assert (read.posts, read.edges) == ([], [])
    assert "call it `comment_text` or `remarks`" in read.reasons[0]
    remarks = [*header, "Description"]
    [(_, post)] = read_file(
        _table([remarks, [_URL, "ann", "check this", "hello"]])
    ).posts
    assert (post.caption, post.comments) == ("hello", None)
    header = ["Video URL", "Username", "Comment text"]
    [(_, edge)] = read_file(_table([header, [_URL, "bob", "x"]])).edges
    assert (edge.actor.handle, edge.target) == ("bob", _ID)
