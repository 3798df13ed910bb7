import numpy as np
import pytest

from dc_keras.context.cross_fit_plan import plan_steps
from dc_keras.study.splits import SPLITS, make_folds


@pytest.fixture(scope="module")
def plan(make_world):
    """Returns a grid, its evidence, a fold of it, and the fold's steps."""

    def make(split):
        cutoffs = (100, 200, 300) if split == "temporal" else ()
        grid, data = make_world(cutoffs=cutoffs)
        evidence = data.evidence
        fold = make_folds(grid, evidence.pairs, split, 3, 0.2, 0)[0]
        steps = plan_steps(evidence, grid, split, fold.train, fold.valid, 0)
        return evidence, fold, steps

    return make


@pytest.mark.parametrize("split", SPLITS)
def test_every_pair_is_scored_once_out_of_fold(plan, split):
    evidence, fold, steps = plan(split)
    scored = np.concatenate([step.scored for step in steps])
    assert len(scored) == len(np.unique(scored))
    if split != "temporal":
        # With several cutoffs, no labels are known before the first.
        assert len(scored) == len(evidence.pairs)
    for step in steps:
        assert not np.isin(step.fitted, step.scored).any()
        assert not np.isin(step.fitted, fold.test).any()


@pytest.mark.parametrize("split", SPLITS)
def test_first_step_is_fitted_on_training_and_validation_pairs(plan, split):
    _, fold, steps = plan(split)
    known = np.sort(np.concatenate([fold.train, fold.valid]))
    np.testing.assert_array_equal(steps[0].fitted, known)
    assert set(fold.test) <= set(steps[0].scored)
    assert not steps[0].is_inner


@pytest.mark.parametrize("num_valid", [0, 20])
def test_final_model_is_fitted_on_all_pairs_without_test_pairs(make_world, num_valid):
    grid, data = make_world()
    everything = np.arange(len(data.evidence.pairs))
    valid, train = everything[:num_valid], everything[num_valid:]
    steps = plan_steps(data.evidence, grid, "cold_user", train, valid, 0)
    np.testing.assert_array_equal(steps[0].fitted, everything)
    assert len(steps[0].scored) == 0


@pytest.mark.parametrize("split", SPLITS)
def test_training_pairs_are_held_out_as_the_split_does(plan, split):
    evidence, _, steps = plan(split)
    person, topic = evidence.pair_person, evidence.pair_topic
    time = evidence.user_cutoffs[evidence.pairs.user]
    for step in steps:
        if not step.is_inner:
            continue
        shared_users = np.isin(person[step.fitted], person[step.scored]).any()
        shared_topics = np.isin(topic[step.fitted], topic[step.scored]).any()
        if split in ("cold_user", "cold_both"):
            assert not shared_users
        if split in ("cold_challenge", "cold_both"):
            assert not shared_topics
        if split == "temporal":
            assert time[step.fitted].max() < time[step.scored].min()
