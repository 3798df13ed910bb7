from dc_keras.corpus.collecting.answers import Member
from dc_keras.corpus.collecting.plan import Target
from dc_keras.corpus.collecting.snowball import Snowball

_SEED = {"userInfo": {"user": {"id": "0", "secUid": "s0", "uniqueId": "seed"}}}
# Whom is suggested beside whom: a cycle back to the seed, one of two, and a dead end.
_SUGGESTED = {"0": "12", "1": "023", "2": "1", "3": "4", "4": ""}


def _suggestion(numbers):
    cards = [
        {"subTitle": f"@u{n}", "extraInfo": {"userId": n, "secUid": f"s{n}"}}
        for n in numbers
    ]
    return {"body": [{"exploreList": [{"cardItem": card} for card in cards]}]}


def _collect_group(directory, group_size, most=99):
    """Grows a group as far as `most` answers go; returns it, and who was asked."""
    snowball = Snowball(directory, Target("suggested", "seed"), group_size)
    if snowball.seed is None:
        snowball.add_answer("user_detail", None, _SEED)
    asked = ""
    while len(asked) < most and not snowball.is_full and (user := snowball.next_user()):
        asked += user.user_id
        snowball.add_answer("suggested", None, _suggestion(_SUGGESTED[user.user_id]))
    return snowball, asked


def _ids(snowball):
    return "".join(member.user_id for member in snowball.members)


def test_group_grows_breadth_first_and_stops_at_its_size(tmp_path):
    snowball, asked = _collect_group(tmp_path, group_size=3)
    assert (_ids(snowball), asked) == ("123", "01")
    assert snowball.members[0] == Member("1", "u1", "s1")


def test_suggestions_beyond_the_size_are_no_members(tmp_path):
    assert _ids(_collect_group(tmp_path, group_size=1)[0]) == "1"


def test_cycles_end_and_the_seed_is_no_member(tmp_path):
    snowball, asked = _collect_group(tmp_path, group_size=9)
    assert (_ids(snowball), asked, snowball.is_full) == ("1234", "01234", False)


def test_group_goes_on_from_its_file(tmp_path):
    assert _collect_group(tmp_path, group_size=9, most=2)[1] == "01"
    snowball, asked = _collect_group(tmp_path, group_size=9)
    assert (_ids(snowball), asked) == ("1234", "234")
    assert _collect_group(tmp_path, group_size=9)[1] == ""
