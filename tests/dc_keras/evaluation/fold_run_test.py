from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from dc_keras.errors import DataError
from dc_keras.evaluation.fold_runner import run_experiment
from dc_keras.evaluation.result_tables import BAYES
from dc_keras.evaluation.results import (
    fold_metrics,
    judge_split,
    participation_table,
)
from dc_keras.evaluation.simple_baselines import SIMPLE_BASELINES
from dc_keras.features import Features
from dc_keras.options import TrainingOptions
from dc_keras.study.pairs import grid_pairs
from dc_keras.training import fold_fitting
from tfrecords.storage.checksums import add_to_sums

# Earlier joins are known for several cutoffs, and for a known past.
_SIMPLE = [name for name in SIMPLE_BASELINES if not name.startswith("earlier joins")]

_SPLITS = ("random_pair", "cold_user")


def _predictions(directory, name):
    return pl.read_parquet(directory / "predictions" / f"{name}.parquet")


def _without_captions(table):
    return replace(table, captions=None, caption_spec=None)


def _silent(line):
    pass


@pytest.mark.parametrize("split", _SPLITS)
def test_all_validation_and_test_pairs_are_saved_for_all_models(
    run, experiment, split, folds_of
):
    pairs, grid = grid_pairs(experiment.grid), experiment.grid
    for name, fold in folds_of(experiment, split).items():
        saved = _predictions(run.directory, name)
        assert saved["model"].unique(maintain_order=True).to_list() == [
            *_SIMPLE,
            BAYES,
            "VGG16",
            "VGG16+BERT",
            "deepChallenger",
        ]
        expected = {
            (
                part,
                grid.users[pairs.user[row]],
                grid.challenges[pairs.challenge[row]],
                pairs.label[row],
            )
            for part in ("valid", "test")
            for row in getattr(fold, part)
        }
        for _, rows in saved.group_by("model"):
            keys = rows.select("part", "user_id", "challenge", "label").rows()
            assert len(keys) == len(set(keys))
            assert set(keys) == expected
        assert saved["score"].is_between(0, 1).all()


def test_bayes_row_is_the_truth_of_each_pair(run, experiment):
    grid = experiment.grid
    saved = _predictions(run.directory, "cold_user-seed0-fold1")
    for user, challenge, score in (
        saved.filter(model=BAYES).select("user_id", "challenge", "score").iter_rows()
    ):
        place = grid.users.index(user), grid.challenges.index(challenge)
        assert score == experiment.truth[place]


def _trained_videos(experiment, fit):
    rows = np.concatenate([fit["train"], fit["valid"]])
    return [experiment.table.video_ids[row] for row in fit["task"].rows[rows]]


def test_videos_of_held_out_users_do_not_train_a_proxy(run, experiment, folds_of):
    grid = experiment.grid
    for name, fold in folds_of(experiment, "cold_user").items():
        fits = run.fits_of(name, "fit_proxy")
        assert [fit["task"].kind for fit in fits] == ["challenge", "user"]
        challenge, user = (set(_trained_videos(experiment, fit)) for fit in fits)
        support = {video for videos in grid.support for video in videos}
        hidden = {v for v in support if grid.video_users[v] in fold.hidden_users}
        assert len(hidden) >= 3
        assert challenge == support - hidden
        pairs = grid_pairs(grid)
        users = np.unique(pairs.user[fold.train])
        assert user == {video for row in users for video in grid.histories[row]}
        assert fits[1]["task"].classes == tuple(grid.users[row] for row in users)
        assert not set(fits[1]["task"].classes) & fold.hidden_users


def test_videos_of_held_out_users_do_not_describe_a_challenge(
    run, experiment, folds_of
):
    grid = experiment.grid
    for name, fold in folds_of(experiment, "cold_user").items():
        (fit,) = run.fits_of(name, "fit_deep_challenger")
        shown = fit["examples"].tables["challenge_valid"].numpy().sum(axis=1)
        visible = [
            sum(grid.video_users[video] not in fold.hidden_users for video in videos)
            for videos in grid.support
        ]
        assert shown.tolist() == visible
        assert sum(visible) < sum(len(videos) for videos in grid.support)


@pytest.mark.parametrize("split", _SPLITS)
def test_pair_models_are_fitted_on_the_training_pairs_of_their_fold(
    run, experiment, split, folds_of
):
    pairs = grid_pairs(experiment.grid)
    for name, fold in folds_of(experiment, split).items():
        fits = run.fits_of(name, "fit_deep_challenger")
        fits += run.fits_of(name, "fit_baseline")
        [fitted] = run.fits_of(name, "fit_context")
        features = fitted["features"]
        np.testing.assert_array_equal(features.train, fold.train)
        found = features.data.evidence.pairs
        np.testing.assert_array_equal(found.label, pairs.label)
        learned = np.concatenate([step.fitted for step in features.steps])
        assert not np.isin(fold.test, learned).any()
        assert len(fits) == 3
        for fit in fits:
            np.testing.assert_array_equal(fit["train"], fold.train)
            np.testing.assert_array_equal(fit["valid"], fold.valid)
            np.testing.assert_array_equal(fit["examples"].labels, pairs.label)
            np.testing.assert_array_equal(fit["examples"].index["user"], pairs.user)


def test_proxies_of_random_pair_are_tested_on_a_held_out_fifth(
    run, experiment, folds_of
):
    grid = experiment.grid
    for name in folds_of(experiment, "random_pair"):
        judged = pl.read_parquet(run.directory / "proxies" / f"{name}.parquet")
        fits = run.fits_of(name, "fit_proxy")
        kinds = judged.select("kind", "variant").unique(maintain_order=True).rows()
        assert [kind for kind, _ in kinds] == [fit["task"].kind for fit in fits]
        assert [variant for _, variant in kinds] == 2 * ["VGG16", "VGG16+BERT"]
        for (kind, variant), fit in zip(kinds, fits, strict=True):
            mine = judged.filter(kind=kind, variant=variant)
            task = fit["task"]
            videos = {experiment.table.video_ids[row] for row in task.rows}
            trained, tested = _trained_videos(experiment, fit), mine["video_id"]
            assert set(trained) | set(tested) == videos
            assert len(trained) + len(tested) == len(videos)
            assert len(tested) == round(len(videos) / 5)
            assert set(mine["num_classes"]) == {len(task.classes)}
            assert mine["predicted"].is_between(0, len(task.classes) - 1).all()
            for video, label in mine.select("video_id", "label").iter_rows():
                if kind == "challenge":
                    assert video in grid.support[label]
                else:
                    assert grid.video_users[video] == task.classes[label]


@pytest.mark.parametrize("split", _SPLITS)
@pytest.mark.parametrize("is_known", [True, False])
def test_simple_rows_alone_fit_nothing(experiment, tmp_path, split, is_known, folds_of):
    truth = experiment.truth if is_known else None
    simple, messages = replace(experiment, models=("simple",), truth=truth), []
    run_experiment(simple, [split], 1, tmp_path, messages.append)
    assert messages == []
    for name in folds_of(experiment, split):
        models = _predictions(tmp_path, name)["model"].unique(maintain_order=True)
        assert models.to_list() == [*_SIMPLE, *([BAYES] if is_known else [])]
    assert not (tmp_path / "proxies").exists()


def test_simple_rows_do_not_depend_on_the_others(run, experiment, tmp_path, folds_of):
    simple = replace(experiment, models=("simple",))
    run_experiment(simple, ["cold_user"], 1, tmp_path, _silent)
    for name in folds_of(experiment, "cold_user"):
        alone = _predictions(tmp_path, name)
        whole = _predictions(run.directory, name)
        assert_frame_equal(
            alone,
            whole.filter(pl.col("model").is_in(alone["model"].unique().implode())),
        )


def test_run_of_proxies_only_has_no_pairs(experiment, tmp_path):
    proxies, messages = replace(experiment, models=("proxies",), truth=None), []
    run_experiment(proxies, ["cold_user"], 1, tmp_path, messages.append)
    run_experiment(proxies, ["cold_user"], 1, tmp_path, messages.append)
    # Only random_pair holds videos out, so there is nothing to fit or evaluate.
    assert messages == [
        f"cold_user-seed0-fold{index}: already done" for index in (0, 1)
    ]
    with pytest.raises(DataError, match="predictions of proxies only"):
        participation_table(judge_split(tmp_path, "cold_user"), "made up")


@pytest.mark.parametrize("split", _SPLITS)
def test_a_run_without_validation_pairs_judges_at_a_half(
    experiment, tmp_path, split, folds_of
):
    training = replace(experiment.training, validation_fraction=0.0)
    simple = replace(experiment, models=("simple",), training=training)
    run_experiment(simple, [split], 1, tmp_path, _silent)
    folds = [_predictions(tmp_path, name) for name in folds_of(simple, split)]
    assert all(set(fold["part"]) == {"test"} for fold in folds)
    assert fold_metrics(folds, "popularity")["threshold"] == 0.5


class _StopError(Exception):
    pass


@pytest.fixture
def first_fit(monkeypatch, tmp_path):
    """Runs until the given fit; returns its inputs, training rows and options."""

    def run_until(experiment, split, function, kind=None, num_seeds=1):
        given = []

        def take(first, train, *rest):
            if kind in (None, getattr(first, "kind", None)):
                options = next(o for o in rest if isinstance(o, TrainingOptions))
                given.extend((first, train, options))
                raise _StopError

        monkeypatch.setattr(fold_fitting, function, take)
        with pytest.raises(_StopError):
            run_experiment(experiment, [split], num_seeds, tmp_path, _silent)
        return given

    return run_until


@pytest.mark.parametrize(
    ("split", "user_classes", "is_everyone"),
    [
        ("random_pair", "train", False),
        ("random_pair", "panel", True),
        ("cold_user", "panel", False),
    ],
)
def test_user_proxy_classes_are_training_users_or_the_panel(
    experiment, first_fit, split, user_classes, is_everyone, folds_of
):
    protocol = replace(experiment.protocol, user_classes=user_classes)
    selected = replace(experiment, models=("deepChallenger",), protocol=protocol)
    task, *_ = first_fit(selected, split, "fit_proxy", "user")
    fold = folds_of(experiment, split)[f"{split}-seed0-fold0"]
    users = np.unique(grid_pairs(experiment.grid).user[fold.train])
    assert len(users) < len(experiment.grid.users)
    if is_everyone:
        users = range(len(experiment.grid.users))
    assert task.classes == tuple(experiment.grid.users[user] for user in users)


def test_negatives_of_one_to_one_balance_the_training_pairs(
    experiment, first_fit, folds_of
):
    protocol = replace(experiment.protocol, negatives="1:1")
    selected = replace(experiment, models=("paper",), protocol=protocol)
    examples, train, _ = first_fit(selected, "cold_user", "fit_baseline")
    fold = folds_of(experiment, "cold_user")["cold_user-seed0-fold0"]
    assert set(train) < set(fold.train)
    labels = examples.labels
    assert labels[train].sum() == labels[fold.train].sum() == len(train) / 2


def test_every_fold_of_every_seed_starts_from_other_weights(
    experiment, first_fit, tmp_path
):
    paper, seeds = replace(experiment, models=("paper",)), set()
    (tmp_path / "predictions").mkdir()
    for name in [f"seed{seed}-fold{index}" for seed in (0, 1) for index in (0, 1)]:
        *_, options = first_fit(paper, "cold_user", "fit_baseline", num_seeds=2)
        seeds.add(options.seed)
        # The next run treats these folds as done.
        (tmp_path / "predictions" / f"cold_user-{name}.parquet").touch()
        add_to_sums(tmp_path, [f"predictions/cold_user-{name}.parquet"])
    assert len(seeds) == 4


def test_test_pairs_are_scored_by_the_final_model(
    experiment, tmp_path, monkeypatch, run_first_fold
):
    selected = replace(experiment, models=("deepChallenger",), truth=None)
    kept = []
    real = fold_fitting.TrainedParticipation
    monkeypatch.setattr(
        fold_fitting,
        "TrainedParticipation",
        lambda *given: kept.append(real(*given)) or kept[0],
    )
    run_first_fold(selected, tmp_path)
    fold = _predictions(tmp_path, "cold_user-seed0-fold0").filter(part="test")
    users, challenges = selected.grid.users, selected.grid.challenges
    found = kept[0].model.predict(
        kept[0].users,
        kept[0].challenges,
        np.array([users.index(name) for name in fold["user_id"]]),
        np.array([challenges.index(name) for name in fold["challenge"]]),
    )
    np.testing.assert_allclose(fold["score"], found, atol=1e-6)


def test_shuffled_labels_cannot_be_predicted(
    make_grid, make_facts, experiment, tmp_path, run_first_fold
):
    rng, tastes = np.random.default_rng(0), np.arange(460) % 20
    grid = make_grid(
        tuple(f"challenge{number}" for number in range(20)),
        tastes,
        ("pool0", "pool1"),
        seed=0,
        exceptions=0.3,
        unseen=([], []),
        history_length=lambda row: 2,
        history_max=2,
        support_max=8,
    )
    videos = tuple(sorted(grid.video_users))
    likes = dict(zip(grid.users, tastes, strict=True))
    topics = np.eye(20)[[likes.get(grid.video_users[v], 0) for v in videos]]
    captions = topics + rng.normal(scale=0.3, size=topics.shape)
    shuffled = replace(
        experiment,
        grid=replace(grid, labels=rng.permuted(grid.labels.ravel()).reshape(460, 20)),
        table=Features(videos, {}, captions.astype(np.float32), {"fingerprint": "t"}),
        facts=make_facts(
            {
                video: f"#likes{topic} so"
                for video, topic in zip(videos, topics.argmax(axis=1), strict=True)
            }
        ),
        models=("deepChallenger", "videos_only", "simple"),
        truth=None,
    )
    run_first_fold(shuffled, tmp_path)
    fold = _predictions(tmp_path, "cold_user-seed0-fold0")
    for model in fold["model"].unique():
        # Of 4,600 pairs 1,490 joined: the AUC of a guess spreads by
        # √(4,601 / (12 · 1,490 · 3,110)) = .009.
        auc = fold_metrics([fold], model)["roc_auc"]
        assert 0.47 <= auc <= 0.53, model


def test_test_labels_do_not_change_predictions(
    run, experiment, tmp_path, folds_of, run_first_fold
):
    grid, name = experiment.grid, "cold_user-seed0-fold0"
    pairs, fold = grid_pairs(grid), folds_of(experiment, "cold_user")[name]
    labels = grid.labels.copy()
    judged = pairs.user[fold.test], pairs.challenge[fold.test]
    labels[judged] = 1 - labels[judged]
    flipped = replace(
        experiment,
        grid=replace(grid, labels=labels),
        table=_without_captions(experiment.table),
        models=("paper",),
    )
    run_first_fold(flipped, tmp_path)
    before, after = (
        _predictions(directory, name).filter(model="VGG16", part="test")
        for directory in (run.directory, tmp_path)
    )
    assert after["label"].to_list() == (1 - before["label"]).to_list()
    np.testing.assert_allclose(after["score"], before["score"], atol=1e-5)
