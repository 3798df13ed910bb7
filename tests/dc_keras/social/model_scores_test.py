import numpy as np
import pytest

from dc_keras.errors import DataError
from dc_keras.social.graph_view import OTHER
from dc_keras.social.model_scores import (
    mean_probabilities,
    probability_colours,
    read_probabilities,
)

_USERS = ("a", "b", "c")
_PREDICTED = "user_id,challenge,probability\na,dance,.5\na,sing,.1\nz,dance,.9\n"


@pytest.fixture
def write(tmp_path):
    def to(text):
        path = tmp_path / "probabilities.csv"
        path.write_text(text, encoding="utf-8")
        return path

    return to


def test_one_challenge_of_several_is_chosen(write):
    path = write(_PREDICTED)
    probabilities = read_probabilities(path, _USERS, "dance")
    np.testing.assert_array_equal(probabilities, [0.5, np.nan, np.nan])
    probabilities = read_probabilities(path, _USERS, "sing")
    np.testing.assert_array_equal(probabilities, [0.1, np.nan, np.nan])


def test_the_list_of_rank_is_about_one_challenge(write):
    path = write("rank,user_id,community,probability\n1,c,,.25\n2,b,0,0\n")
    probabilities = read_probabilities(path, _USERS)
    np.testing.assert_array_equal(probabilities, [np.nan, 0.0, 0.25])


def test_a_file_about_one_challenge_needs_no_choice(write):
    path = write("user_id,challenge,probability\nb,dance,1\n")
    np.testing.assert_array_equal(
        read_probabilities(path, _USERS), [np.nan, 1.0, np.nan]
    )


@pytest.mark.parametrize(
    ("text", "challenge", "message"),
    [
        (_PREDICTED, None, "one of dance, sing. Received: challenge=None"),
        (_PREDICTED, "hum", "one of dance, sing. Received: challenge=hum"),
        ("user_id,probability\na,.5\n", "sing", "Received: challenge=sing"),
        ("user_id,probability\na,.5\na,.5\n", None, "rows=2, users=1"),
        ("user_id,probability\na,1.5\n", None, "Received: probability=1.5"),
        ("user_id,probability\na,-0.1\n", None, "Received: probability=-0.1"),
        ("user_id,probability\na,\n", None, "Received: probability=None"),
        ("user_id,probability\na,nan\n", None, r"must be in \[0, 1\]"),
        ("user_id,probability\na,much\n", None, "must be a CSV file"),
        ("user_id,score\na,.5\n", None, "with user_id and probability"),
        ("probability\n.5\n", None, "with user_id and probability"),
        ("", None, "must be a CSV file"),
        ("user_id,probability\nz,.5\n", None, "of the graph=3, in both=0"),
    ],
)
def test_invalid_probabilities_are_refused(write, text, challenge, message):
    with pytest.raises(DataError, match=message):
        read_probabilities(write(text), _USERS, challenge)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(DataError, match="must be a CSV file"):
        read_probabilities(tmp_path / "none.csv", _USERS)


def test_the_largest_probability_is_darkest_and_unknown_is_grey():
    colours = probability_colours(np.array([0.0, 0.02, np.nan, 0.04]))
    # The third of five anchors lies halfway.
    assert colours == ["#DEEBF7", "#4292C6", OTHER, "#08306B"]


def test_all_zero_probabilities_are_light():
    assert probability_colours(np.zeros(2)) == ["#DEEBF7"] * 2
    assert probability_colours(np.full(2, np.nan)) == [OTHER] * 2
    assert probability_colours(np.array([])) == []


def test_means_ignore_unknown_values():
    means = mean_probabilities(
        np.array([0.2, 0.4, np.nan, np.nan]), np.array([0, 0, 0, 1])
    )
    np.testing.assert_allclose(means, [0.3, np.nan])
