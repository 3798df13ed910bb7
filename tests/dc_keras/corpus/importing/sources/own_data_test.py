import pytest

from dc_keras.corpus.importing.sources import own_data
from dc_keras.corpus.importing.sources.post import (
    Person,
    RequestContext,
    UnreadablePostError,
)

_TIME = 1_600_000_000


def _edges(record):
    return own_data.SOURCE.read_edges(record, RequestContext()).edges


def test_own_data_gives_follows(tool_records):
    fan, followed = _edges(tool_records["own_data"])
    assert (fan.actor, fan.target) == (Person(None, "bob"), Person(None, "ann"))
    assert (followed.actor, followed.target) == (
        Person(None, "ann"),
        Person(None, "eve"),
    )
    assert (fan.time, followed.time) == (_TIME, None)


def test_own_data_without_follows_is_rejected(tool_records):
    record = {"Profile": {"ProfileMap": {"userName": "ann"}}, "Activity": {}}
    with pytest.raises(
        UnreadablePostError, match="own data download: it has neither posts"
    ):
        _edges(record)


def test_own_data_without_an_owner_is_rejected(tool_records):
    record = dict(tool_records["own_data"])
    follows = record["Profile And Settings"]
    record["Profile And Settings"] = {"Follower": follows["Follower"]}
    with pytest.raises(UnreadablePostError, match="without its owner's handle"):
        _edges(record)
