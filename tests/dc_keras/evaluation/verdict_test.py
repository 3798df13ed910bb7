from dataclasses import dataclass, field

import pytest

from dc_keras.evaluation.result_tables import BAYES, WITHOUT_FRAMES
from dc_keras.evaluation.results import Difference
from dc_keras.evaluation.verdict import short_list, verdict


@dataclass
class _Predictions:
    split: str = "cold_user"


@dataclass
class _Result:
    """What a verdict needs of a `SplitResult`."""

    values: dict
    difference_from_simple: tuple = (-0.1, 0.1)
    strongest: str | None = "popularity"
    predictions: _Predictions = field(default_factory=_Predictions)

    @property
    def models(self):
        return tuple(self.values)

    def average_precision(self, model):
        return self.values[model]

    def interval(self, model):
        return self.values[model] - 0.05, self.values[model] + 0.05

    def difference(self, model, other):
        return Difference(
            self.values[model] - self.values[other], *self.difference_from_simple
        )


@pytest.mark.parametrize(
    ("bounds", "conclusion"),
    [
        ((0.01, 0.2), "more than differences between users explain"),
        ((-0.2, -0.01), "so the simple baseline is better"),
        ((-0.1, 0.1), "so neither is shown to be better"),
    ],
)
def test_the_interval_decides(bounds, conclusion):
    result = _Result({"popularity": 0.3, "deepChallenger": 0.4}, bounds)
    assert verdict(result) == (
        "For new users, deepChallenger has an average precision of 0.400 [0.350 to "
        "0.450]; the strongest simple baseline, popularity, has 0.300: a difference of "
        f"+0.100 [{bounds[0]:+.3f} to {bounds[1]:+.3f}], {conclusion}."
    )


def test_another_form_that_is_ahead_is_named():
    values = {"popularity": 0.3, "deepChallenger": 0.4, "context only": 0.5, BAYES: 0.7}
    text = verdict(_Result(values))
    assert "Another variant is better: context only, with 0.500." in text
    assert text.endswith("The best possible is 0.700.")


@pytest.mark.parametrize(
    ("bounds", "conclusion"),
    [
        ((0.01, 0.2), "more than differences between users explain"),
        ((-0.2, -0.01), "so it is better without them"),
        ((-0.1, 0.1), "so they are not shown to help"),
    ],
)
def test_the_share_of_frames_is_told(bounds, conclusion):
    values = {"popularity": 0.3, "deepChallenger": 0.4, WITHOUT_FRAMES: 0.35}
    assert verdict(_Result(values, bounds)).endswith(
        "Without frames, from captions only, it has 0.350: frames add +0.050 "
        f"[{bounds[0]:+.3f} to {bounds[1]:+.3f}], {conclusion}."
    )


@pytest.mark.parametrize("missing", ["popularity", "deepChallenger"])
def test_nothing_is_said_of_a_run_without_both_sides(missing):
    values = {"popularity": 0.3, "deepChallenger": 0.4}
    del values[missing]
    strongest = "popularity" if "popularity" in values else None
    assert verdict(_Result(values, strongest=strongest)) is None


def test_a_short_list_keeps_our_forms_and_the_best_of_the_others():
    values = {
        "always yes": 0.1,
        "popularity": 0.3,
        "VGG16": 0.31,
        "ResNet50": 0.2,
        "deepChallenger": 0.4,
        "deepChallenger (paper)": 0.15,
        "context only": 0.39,
        BAYES: 0.7,
    }
    result = _Result(values)
    assert short_list(result, 6) == [
        *(BAYES, "deepChallenger", "context only", "VGG16", "popularity"),
        "deepChallenger (paper)",
    ]
    assert len(short_list(result)) == len(values)
