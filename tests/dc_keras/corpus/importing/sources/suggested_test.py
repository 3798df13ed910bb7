import pytest

from dc_keras.corpus.importing.sources.post import (
    Person,
    RawEdge,
    RequestContext,
    UnreadablePostError,
)
from dc_keras.corpus.importing.sources.relations import SUGGESTED

_SEED = Person("9", "seed")


@pytest.mark.parametrize(
    ("info", "target", "target_type"),
    [
        ({"userId": "5", "secUid": "MS"}, Person("5", "ann", "MS"), "user"),
        ({"challengeId": "1", "challengeName": "fun"}, "fun", "hashtag"),
        ({"musicId": "6775051517926852609"}, "6775051517926852609", "sound"),
    ],
)
def test_a_suggestion_is_an_edge_from_its_seed(info, target, target_type):
    record = {"extraInfo": info, "subTitle": "@ann", "title": "Ann", "type": 2}
    edges = SUGGESTED.read_edges(record, RequestContext(seed=_SEED))
    assert edges.edges == (RawEdge("suggested", _SEED, target, target_type),)
    assert edges.notes == ()


def test_a_missing_seed_is_noted():
    edges = SUGGESTED.read_edges(
        {"extraInfo": {"challengeName": "fun"}}, RequestContext()
    )
    assert (edges.edges[0].actor, edges.notes) == (None, ("missing.seed",))


@pytest.mark.parametrize(
    "info", [None, {}, [], {"musicId": "x"}, {"challengeId": "1"}, {"userId": ""}]
)
def test_an_empty_suggestion_is_rejected(info):
    with pytest.raises(UnreadablePostError, match="without an id or a name"):
        SUGGESTED.read_edges({"extraInfo": info}, RequestContext())
