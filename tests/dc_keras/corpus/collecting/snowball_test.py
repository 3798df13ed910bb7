from dc_keras.corpus.collecting.answers import Member
from dc_keras.corpus.collecting.plan import Target
from dc_keras.corpus.collecting.snowball import Snowball

_SEED = {"userInfo": {"user": {"id": "0", "secUid": "s0", "uniqueId": "seed"}}}
# Suggestions: a cycle back to the seed, a cycle of two, and a dead end.
_SUGGESTED = {"0": "12", "1": "023", "2": "1", "3": "4", "4": ""}


def _suggestion(numbers):
    cards = [
        {"subTitle": f"@u{n}", "extraInfo": {"userId": n, "secUid": f"s{n}"}}
        for n in numbers
    ]
    return {"body": [{"exploreList": [{"cardItem": card} for card in cards]}]}


def _collect_group(directory, group_size, most=99):
    """Fills a group with up to `most` answers; returns it and the requested users."""
    snowball = Snowball(directory, Target("suggested", "seed"), group_size)
    if snowball.seed is None:
        snowball.add_answer("user_detail", None, _SEED)
    requested = ""
    while (
        len(requested) < most
        and not snowball.is_full
        and (user := snowball.next_user())
    ):
        requested += user.user_id
        snowball.add_answer("suggested", None, _suggestion(_SUGGESTED[user.user_id]))
    return snowball, requested


def _ids(snowball):
    return "".join(member.user_id for member in snowball.members)


def test_group_grows_breadth_first_and_stops_at_its_size(tmp_path):
    snowball, requested = _collect_group(tmp_path, group_size=3)
    assert (_ids(snowball), requested) == ("123", "01")
    assert snowball.members[0] == Member("1", "u1", "s1")


def test_suggestions_beyond_the_size_are_not_members(tmp_path):
    assert _ids(_collect_group(tmp_path, group_size=1)[0]) == "1"


def test_cycles_end_and_the_seed_is_not_a_member(tmp_path):
    snowball, requested = _collect_group(tmp_path, group_size=9)
    assert (_ids(snowball), requested, snowball.is_full) == ("1234", "01234", False)


def test_group_continues_from_its_file(tmp_path):
    assert _collect_group(tmp_path, group_size=9, most=2)[1] == "01"
    snowball, requested = _collect_group(tmp_path, group_size=9)
    assert (_ids(snowball), requested) == ("1234", "234")
    assert _collect_group(tmp_path, group_size=9)[1] == ""
