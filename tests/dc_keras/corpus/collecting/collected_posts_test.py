import pytest

from dc_keras.corpus.collecting.answers import RefusedError
from dc_keras.corpus.collecting.plan import Target
from dc_keras.corpus.collecting.raw_pages import PostPages

_TARGET = Target("hashtag", "dance")
_DETAIL = {"challengeInfo": {"challenge": {"id": "9", "title": "dance"}}}


def _page(*ids, cursor=None):
    page = {
        "itemList": [{"id": number} for number in ids],
        "hasMore": cursor is not None,
    }
    return page if cursor is None else page | {"cursor": cursor}


def _state(pages):
    return pages.cursor, pages.has_more, pages.post_ids, pages.detail


@pytest.fixture
def pages(tmp_path):
    return PostPages(tmp_path, _TARGET)


def test_new_collection_starts_at_the_first_page(pages):
    assert _state(pages) == (0, True, set(), None)


def test_state_is_that_of_the_last_usable_page_also_after_reopening(pages, tmp_path):
    pages.add_answer("hashtag_detail", None, _DETAIL)
    # Ids are numbers in some answers and texts in others.
    pages.add_answer("hashtag", 0, _page("1", "2", cursor="30"))
    pages.add_answer("hashtag", "30", _page(2, 3, cursor="60"))
    for refused in ("", "<html>captcha", {"statusCode": 5}):
        with pytest.raises(RefusedError):
            pages.add_answer("hashtag", "60", refused)
    state = ("60", True, {"1", "2", "3"}, _DETAIL)
    assert _state(pages) == state
    again = PostPages(tmp_path, _TARGET)
    assert _state(again) == state
    assert [post["id"] for post in again] == ["1", "2", 3]
    again.add_answer("hashtag", "60", _page())
    assert not PostPages(tmp_path, _TARGET).has_more


def test_page_without_new_posts_is_final_and_advances_the_cursor(pages):
    pages.add_answer("hashtag", 0, _page("1", cursor="30"))
    with pytest.raises(RefusedError, match="only posts that were sent before"):
        pages.add_answer("hashtag", "30", _page("1", cursor="60"))
    assert (pages.cursor, pages.has_more) == ("60", True)
