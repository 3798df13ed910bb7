import pytest
from saved_runs import CHALLENGES, write_run

from dc_keras.evaluation.result_tables import BAYES
from dc_keras.evaluation.results import judge_split

figures = pytest.importorskip(
    "dc_keras.reporting.figures", reason="the extra `report` is not installed"
)


def test_main_models_are_visible_and_others_can_be_shown(result):
    figure = figures.precision_recall_figure(result)
    shown = {trace.name: trace.visible for trace in figure.data}
    assert shown == {
        "deepChallenger": True,
        "propensity × popularity": True,
        "VGG16+BERT": "legendonly",
        "deepChallenger without text": "legendonly",
        "prevalence": None,
    }
    assert figure.data[-1].y == pytest.approx((0.25, 0.25))


def test_every_model_has_an_interval_round_its_value(result):
    [points] = figures.interval_figure(result).data
    assert len(points.x) == len(result.models)
    assert list(points.x) == sorted(points.x)
    ours = points.y.index("deepChallenger")
    low, high = result.interval("deepChallenger")
    assert points.x[ours] + points.error_x.array[ours] == pytest.approx(high, abs=1e-4)
    assert points.x[ours] - points.error_x.arrayminus[ours] == pytest.approx(
        low, abs=1e-4
    )


def test_reliability_and_gain_have_a_line_to_be_compared_with(result):
    assert figures.reliability_figure(result).data[-1].name == "perfect"
    assert figures.gain_figure(result).data[-1].name == "chance"


def test_challenges_have_a_bar_of_each_model_and_no_markup(result):
    simple, ours = figures.challenge_figure(result).data
    assert (ours.name, simple.name) == ("deepChallenger", "propensity × popularity")
    assert len(ours.y) == len(CHALLENGES)
    assert list(ours.x) == sorted(ours.x)
    assert "&lt;script&gt;alert(1)&lt;/s" in "".join(ours.y)
    assert "<script" not in "".join(ours.y)


def test_without_baselines_the_best_model_is_shown(tmp_path):
    run = write_run(tmp_path, models={"VGG16": 0.1, "a lone one": 0.8})
    result = judge_split(run, "cold_user")
    assert figures.main_models(result) == ["a lone one"]
    [bars] = figures.challenge_figure(result).data
    assert bars.name == "a lone one"


@pytest.mark.parametrize(
    ("models", "main", "bars"),
    [
        ({BAYES: 0.9, "VGG16": 0.1}, ["VGG16", BAYES], 1),
        ({BAYES: 0.9}, [BAYES], 1),
        (
            {"popularity": 0.2, BAYES: 0.9, "deepChallenger": 0.4},
            ["deepChallenger", "popularity", BAYES],
            2,
        ),
    ],
)
def test_the_known_truth_comes_last_and_has_no_bars(tmp_path, models, main, bars):
    result = judge_split(write_run(tmp_path, models=models), "cold_user")
    assert figures.main_models(result) == main
    assert len(figures.challenge_figure(result).data) == bars
