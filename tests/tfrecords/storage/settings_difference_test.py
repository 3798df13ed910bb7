from tfrecords.storage.resumable import describe_difference


def test_equal_settings_differ_in_nothing():
    assert describe_difference({"a": (1, 2), "b": {}}, {"b": {}, "a": [1, 2]}) is None


def test_both_values_of_the_first_differences_are_listed():
    before = {"frames": {"num": 2, "px": 32}, "text": None, "old": 1, "x": 1}
    after = {"frames": {"num": 4, "px": 32}, "text": "bert", "x": 2}
    assert describe_difference(before, after) == (
        "frames.num=4 instead of 2, text=bert instead of None, old=None instead of 1 "
        "and 1 more"
    )
