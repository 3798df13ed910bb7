import pytest

from dc_keras.corpus.importing.sources import suggested
from dc_keras.corpus.importing.sources.post import (
    Person,
    RawEdge,
    RequestContext,
    UnreadablePostError,
)

_SEED = Person("9", "seed")


@pytest.mark.parametrize(
    ("info", "target", "target_type"),
    [
        ({"userId": "5", "secUid": "MS"}, Person("5", "ann", "MS"), "user"),
        ({"challengeId": "1", "challengeName": "fun"}, "fun", "hashtag"),
        ({"musicId": "6775051517926852609"}, "6775051517926852609", "sound"),
    ],
)
def test_a_suggestion_is_a_tie_from_whom_it_was_given_to(info, target, target_type):
    record = {"extraInfo": info, "subTitle": "@ann", "title": "Ann", "type": 2}
    edges = suggested.read(record, RequestContext(seed=_SEED))
    assert edges.edges == (RawEdge("suggested", _SEED, target, target_type),)
    assert edges.notes == ()


def test_an_answer_that_does_not_say_for_whom_is_noted():
    edges = suggested.read({"extraInfo": {"challengeName": "fun"}}, RequestContext())
    assert (edges.edges[0].actor, edges.notes) == (None, ("missing.seed",))


@pytest.mark.parametrize(
    "info", [None, {}, [], {"musicId": "x"}, {"challengeId": "1"}, {"userId": ""}]
)
def test_a_suggestion_of_nothing_is_told(info):
    with pytest.raises(UnreadablePostError, match="nothing that has an id or a name"):
        suggested.read({"extraInfo": info}, RequestContext())
