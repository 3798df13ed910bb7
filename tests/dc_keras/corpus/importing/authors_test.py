import pytest

from dc_keras.corpus.importing.authors import AuthorTable
from dc_keras.corpus.records import User


def _add(table, user_id, alias, username=None):
    return table.add(user_id=user_id, alias=alias, sec_uid=None, username=username)


def test_an_author_without_an_id_is_known_by_handle():
    table = AuthorTable()
    assert _add(table, None, "h") == "h"
    assert table.handle_only == {"h"}


def test_a_handle_is_merged_with_its_owner():
    table = AuthorTable([User("h", ("h",), usernames=("ann",), first_seen=1)])
    assert table.handle_only == {"h"}
    _add(table, "id", "h")
    assert table.resolve() == {"h": "id"}
    table.add_times("id", 4, None)
    # 1 is the time of the handle's post, 4 that of the merged post.
    assert list(table.users()) == [
        User("id", ("h",), usernames=("ann",), first_seen=1, last_seen=4)
    ]


def test_a_changed_handle_does_not_split_a_user():
    table = AuthorTable()
    _add(table, "id", "old", "ann")
    _add(table, "id", "new", "anne")
    assert list(table.users()) == [
        User("id", ("new", "old"), usernames=("ann", "anne"))
    ]


def test_an_ambiguous_handle_is_not_merged():
    table = AuthorTable()
    for user_id in ("a", "b", None):
        _add(table, user_id, "h")
    assert table.resolve() == {}
    assert table.handle_only == {"h"}


def test_an_author_needs_an_id_or_a_handle():
    with pytest.raises(ValueError, match="must have `user_id` or `alias`"):
        _add(AuthorTable(), None, None)
