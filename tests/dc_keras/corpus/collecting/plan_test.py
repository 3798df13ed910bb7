import pytest

from dc_keras.corpus.collecting.plan import Target, make_plan
from dc_keras.errors import DataError

_NOTHING = {"hashtags": [], "users": [], "sounds": [], "count": 5, "with_media": False}
_NO_GROUP = {"seed_user": None, "group_size": None}


@pytest.mark.parametrize(
    "name", ["dance", "../../x", "/etc/passwd", "..", "a\nb\0", "✓" * 999, "CON", " "]
)
def test_file_name_stays_in_its_directory(name, tmp_path):
    path = tmp_path / Target("hashtag", name).file_name
    path.touch()
    assert list(tmp_path.iterdir()) == [path]
    assert path.name.isascii()


def test_each_target_has_its_own_file():
    targets = [
        Target(request, name)
        for request in ("hashtag", "user", "suggested")
        for name in ("a.b", "a_b", "a/b")
    ]
    assert len({target.file_name for target in targets}) == 9


def test_prefixes_are_removed_and_targets_are_unique():
    changes = {"hashtags": ["#dance", "dance"], "users": ["@ann"], "sounds": ["42"]}
    plan = make_plan(**_NOTHING | changes, seed_user="@bob", group_size=3)
    assert [str(target) for target in plan.targets] == [
        "hashtag dance",
        "user ann",
        "sound 42",
    ]
    assert (str(plan.seed), plan.group_size) == ("suggested bob", 3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "must be given. Received: none"),
        ({"hashtags": ["#"]}, "`hashtag` must have a name. Received: hashtag="),
        ({"users": [" "]}, "`user` must have a name. Received: user="),
        ({"sounds": ["x-42"]}, "`sound` must be the number .* Received: sound=x-42"),
        ({"seed_user": "ann"}, "Received: seed_user=ann, group_size=None"),
        ({"group_size": 3}, "Received: seed_user=None, group_size=3"),
    ],
)
def test_invalid_plan_is_refused(changes, message):
    with pytest.raises(DataError, match=message):
        make_plan(**_NOTHING | _NO_GROUP | changes)
