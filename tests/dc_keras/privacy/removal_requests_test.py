import dataclasses

import pytest

from dc_keras.corpus.records import User, Video
from dc_keras.corpus.store import table_of
from dc_keras.errors import DataError
from dc_keras.privacy.removal_requests import (
    find_gone,
    find_requested,
    read_lines,
    require_few,
)


def _of_ann(people, posts, code):
    """Returns all codes of Ann, if her user id is known."""
    handles = ("ann", "ann.b")
    return {
        people.ann,
        code.sec_uid("MS4-a_1"),
        *(c for name in handles for c in (code.handle(name), code.mention(name))),
        *(posts.ann1, posts.ann2),
    }


def test_lines_are_read_without_comments_and_by_number(tmp_path):
    path = tmp_path / "ids.txt"
    path.write_bytes(b"\xef\xbb\xbf# asked in May\r\n\r\n 123 # a post\r\n@Ann.b\n")
    assert read_lines(path) == {3: "123", 4: "@Ann.b"}


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("123\nann b\n", "an id, or a handle after an @. Received: line=2"),
        ("123,456", "an id, or a handle after an @. Received: line=1"),
        ("# nobody\n", "at least one line must be an id. Received: none"),
    ],
)
def test_lines_that_are_no_ids_are_refused_without_repeating_them(tmp_path, text, rule):
    path = tmp_path / "ids.txt"
    path.write_text(text, "utf-8")
    with pytest.raises(DataError, match=rule):
        read_lines(path)


@pytest.mark.parametrize("line", ["10000001", "@ann", "@Ann.B", "MS4-a_1"])
def test_a_person_is_found_by_any_name(corpus, people, posts, pseudonymizer, line):
    requested = find_requested({1: line}, [corpus], pseudonymizer)
    assert requested.codes >= _of_ann(people, posts, pseudonymizer)
    assert not requested.codes & {
        people.bob,
        people.cat_mention,
        posts.bob1,
        posts.bob2,
    }
    assert requested.requests == {pseudonymizer.forgotten(line.lower()): True}
    assert requested.missing == {}


def test_a_post_is_found_and_leaves_its_author_alone(corpus, posts, pseudonymizer):
    requested = find_requested({1: posts.ann1}, [corpus], pseudonymizer)
    assert requested.codes == {posts.ann1, pseudonymizer.user(posts.ann1)}
    assert requested.missing == {}


def test_lines_that_no_corpus_has_are_reported_and_kept(corpus, pseudonymizer):
    requested = find_requested(
        {2: "999999", 5: "@ann", 7: "@zed"}, [corpus], pseudonymizer
    )
    assert list(requested.missing) == [2, 7]
    assert list(requested.requests.values()) == [False, True, False]
    assert requested.codes >= {"999999", pseudonymizer.mention("zed")}


def test_who_is_only_mentioned_or_referred_to_is_found(
    make_corpus, tmp_path, people, pseudonymizer
):
    video = Video("1", people.bob, "web_item", duet_of="777777")
    video = dataclasses.replace(video, mentions=(pseudonymizer.mention("zed"),))
    corpus = make_corpus(tmp_path / "other", [video])
    requested = find_requested({1: "777777", 2: "@zed"}, [corpus], pseudonymizer)
    assert requested.missing == {}


def test_handles_of_one_corpus_count_for_all(
    corpus, make_corpus, tmp_path, people, pseudonymizer
):
    other = make_corpus(tmp_path / "other", [Video("99", people.ann, "web_item")])
    requested = find_requested({1: "@ann"}, [corpus, other], pseudonymizer)
    assert "99" in requested.codes


def test_a_handle_of_two_people_is_refused(corpus, people, pseudonymizer):
    users = [*corpus.iter_users(), User("e" * 32, (pseudonymizer.handle("ann"),))]
    corpus.users = table_of(User, users)
    with pytest.raises(DataError, match="line=1, a handle of 2 people"):
        find_requested({1: "@ann"}, [corpus], pseudonymizer)
    requested = find_requested({1: "10000001"}, [corpus], pseudonymizer)
    assert pseudonymizer.handle("ann.b") in requested.codes
    assert pseudonymizer.handle("ann") not in requested.codes
    assert people.ann_mention not in requested.codes


def test_posts_that_are_no_longer_valid_are_removed(corpus, posts, pseudonymizer):
    lines = [posts.ann1, posts.bob1, posts.bob2, posts.cat1, "123456"]
    requested = find_gone(lines, [corpus], pseudonymizer, "video")
    assert requested.codes == {posts.ann2, posts.bob3}
    assert requested.requests == dict.fromkeys(
        map(pseudonymizer.forgotten, sorted(requested.codes)), True
    )


def test_people_who_are_no_longer_valid_are_removed_with_their_posts(
    corpus, people, posts, pseudonymizer
):
    lines = ["10000002", "@cat", "10000004"]
    requested = find_gone(lines, [corpus], pseudonymizer, "user")
    assert requested.codes == _of_ann(people, posts, pseudonymizer)
    assert requested.requests == {pseudonymizer.forgotten(people.ann): True}


def test_more_than_half_is_refused(corpus, people, posts, pseudonymizer):
    requested = find_requested({1: "@ann", 2: "@cat"}, [corpus], pseudonymizer)
    require_few(requested, [corpus])  # 3 of 6
    more = dataclasses.replace(requested, codes=requested.codes | {posts.bob1})
    with pytest.raises(DataError, match=r"--allow_most .* Received: 4 of 6 posts"):
        require_few(more, [corpus])
