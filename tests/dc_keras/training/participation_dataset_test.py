"""Splits, inputs and leaks of `ParticipationDataset`."""

import numpy as np
import pytest
import simulated_corpus

from dc_keras.errors import DataError
from dc_keras.features import Features
from dc_keras.models.deep_challenger import DeepChallenger
from dc_keras.options import ProtocolOptions, TrainingOptions
from dc_keras.study.split_manifest import make_manifest
from dc_keras.study.study import Study
from dc_keras.training.participation_dataset import ParticipationDataset

_SPLITS = ("random_pair", "cold_user", "cold_challenge", "cold_both")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return simulated_corpus.write_corpus(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def features(world):
    corpus, _ = world
    return Features.from_arrays(
        corpus.videos["video_id"].to_list(),
        frames={"CLIP": simulated_corpus.frame_vectors(corpus)},
        captions=simulated_corpus.caption_vectors(corpus),
    )


@pytest.fixture(scope="module")
def study(world):
    return Study.load(world[1])


@pytest.fixture(scope="module")
def data(world, study, features):
    return ParticipationDataset(world[0], study, features)


def _epoch(dataset):
    """All batches of one pass: inputs by name, then the rest."""
    batches = list(dataset.as_numpy_iterator())
    inputs = {k: np.concatenate([b[0][k] for b in batches]) for k in batches[0][0]}
    rest = (
        np.concatenate(column) for column in zip(*(b[1:] for b in batches), strict=True)
    )
    return inputs, *rest


@pytest.mark.parametrize("split", _SPLITS)
@pytest.mark.parametrize("seed", [0, 1])
def test_folds_are_those_of_evaluate(data, split, seed):
    protocol, training = ProtocolOptions(num_folds=2), TrainingOptions()
    manifest = make_manifest(data.grid, split, 2, protocol, training)
    for index in (0, 1):
        fold = manifest.folds[f"{split}-seed{seed}-fold{index}"]
        parts = data.split(split, fold=index, seed=seed, num_folds=2)
        assert [part.name for part in parts] == ["train", "valid", "test"]
        for part in parts:
            np.testing.assert_array_equal(part.rows, getattr(fold, part.name))
            assert part.data.fold.hidden_users == fold.hidden_users


def test_every_pair_has_its_inputs_and_its_label(data):
    *_, test = data.split("cold_user")
    inputs, labels = _epoch(test.to_tf(7))
    grid, table = data.grid, test.pairs
    assert labels.tolist() == table["label"].to_list() == test.labels.tolist()
    users = {name: row for row, name in enumerate(grid.users)}
    for row in (0, len(test) // 2, len(test) - 1):
        user, challenge, label = table.row(row)
        history = grid.histories[users[user]]
        vectors = data.vectors["user"][data.features.rows(history)]
        np.testing.assert_allclose(inputs["user"][row][: len(history)], vectors)
        assert not inputs["user"][row][len(history) :].any()
        assert inputs["user_valid"][row].sum() == len(history)
        column = grid.challenges.index(challenge)
        assert label == grid.labels[users[user], column]
    assert inputs["user"].shape[1:] == (test.sizes["history_max"], 6 + 64)


def test_no_video_of_a_hidden_user_describes_a_challenge(world, study, features):
    """With everyone's videos in the support, so that there is something to hide."""
    everyone = ParticipationDataset(world[0], study, features, support="included")
    grid = everyone.grid
    for part in everyone.split("cold_user"):
        hidden = part.data.fold.hidden_users
        authors = [[grid.video_users[v] for v in videos] for videos in grid.support]
        visible = [sum(a not in hidden for a in names) for names in authors]
        assert sum(visible) < sum(map(len, authors))
        _, valid = part.challenge_table
        assert valid.sum(axis=1).tolist() == visible
        inputs, _ = _epoch(part.to_tf(64))
        columns = [grid.challenges.index(name) for name in part.pairs["challenge"]]
        found = inputs["challenge_valid"].sum(axis=1)
        # The training part is shuffled.
        expected = [visible[column] for column in columns]
        assert sorted(found.tolist()) == sorted(expected)
        assert part.name == "train" or found.tolist() == expected
        videos = part.challenge_videos()
        shown = {everyone.features.video_ids[row] for row in videos.task.rows}
        assert not {grid.video_users[video] for video in shown} & hidden
        users = part.user_videos()
        assert not set(users.classes) & hidden


def test_training_pairs_are_shuffled_by_their_seed(data):
    train, valid, _ = data.split("cold_user")

    def orders(part):
        dataset = part.to_tf(16)
        return [_epoch(dataset)[0]["user"].sum(axis=(1, 2)) for _ in range(2)]

    first, second = orders(train)
    again = orders(train)
    np.testing.assert_array_equal(first, again[0])
    np.testing.assert_array_equal(second, again[1])
    assert (first != second).any()
    np.testing.assert_allclose(np.sort(first), np.sort(second))
    one, other = orders(valid)
    np.testing.assert_array_equal(one, other)


def test_a_model_takes_one_step_on_each_preset(data):
    train, *_ = data.split("random_pair", num_folds=1)
    for preset in ("default", "paper"):
        model = DeepChallenger.from_preset(preset, data=train, hidden_dim=4)
        model.compile("sgd", "binary_crossentropy")
        before = model.get_weights()
        inputs, labels = next(iter(train.to_tf(8)))
        model.train_on_batch(inputs, labels)
        changed = zip(before, model.get_weights(), strict=True)
        assert any((old != new).any() for old, new in changed)


def test_videos_of_proxies_are_divided_as_evaluate_divides_them(data):
    parts = data.split("random_pair", num_folds=1)
    for kind in ("challenge_videos", "user_videos"):
        videos = [getattr(part, kind)() for part in parts]
        rows = np.concatenate([part.rows for part in videos])
        assert sorted(rows) == list(range(len(videos[0].task.labels)))
        assert len(videos[2]) == round(len(rows) / 5)
        inputs, classes = _epoch(videos[1].to_tf(9))
        assert set(inputs) == {"frames", "frame_mask", "caption"}
        assert classes.max() < len(videos[1].classes)
    _, _, test = data.split("cold_user")
    with pytest.raises(
        DataError, match="the test part of cold_user must have at least"
    ):
        test.user_videos().to_tf()


def test_several_cutoffs_are_judged_by_time(world, study, features):
    times = world[0].videos["create_time"].drop_nulls()
    cutoff = int(times.quantile(0.75))
    later = ParticipationDataset(
        world[0],
        study,
        features,
        horizon_days=3,
        num_past=1,
        cutoff=cutoff,
        min_participations=0,
    )
    train, _, test = later.split("temporal")
    cutoffs = np.array(later.grid.user_cutoffs)[later.pairs.user]
    assert set(cutoffs[test.rows]) == {cutoff}
    assert (cutoffs[train.rows] < cutoff).all()
    assert later.facts.pasts


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        (("cold_users",), "`split` must be one of"),
        (("cold_user", 3), "`fold` of cold_user must be 0 to 2. Received: fold=3"),
        (("temporal",), "temporal needs a grid of at least two cutoffs"),
        (("cold_user", "0"), "must be 0 to 2. Received: fold='0'"),
    ],
)
def test_splits_that_are_not_there_are_refused(data, arguments, rule):
    with pytest.raises(DataError, match=rule):
        data.split(*arguments)


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        ({"num_folds": "3"}, "`num_folds` must be of type int, not str"),
        ({"validation_fraction": 1.5}, "`validation_fraction` must be below 1"),
        ({"seed": -1}, "`seed` must be at least 0"),
        ({"seed": 2147483}, "`seed` of a split must be 0 to 2147482"),
    ],
)
def test_numbers_of_a_split_have_ranges(data, arguments, rule):
    with pytest.raises(DataError, match=rule):
        data.split("cold_user", **arguments)


@pytest.mark.parametrize("batch_size", [0, -1, 2.5, "8", None])
def test_batches_have_a_whole_number_of_examples(data, batch_size):
    train, _, _ = data.split("cold_user")
    for part in (train, train.challenge_videos()):
        with pytest.raises(DataError, match="`batch_size` must be"):
            part.to_tf(batch_size)
    assert len(train.to_tf(np.int64(len(train)))) == 1
    # Without captions of people, which its fold has.
    assert len(repr(train.challenge_videos())) < 100


def test_a_video_without_features_is_refused(world, study, features):
    # Which posts the study needs depends on the random key.
    few = slice(len(features.video_ids) // 2)
    fewer = Features.from_arrays(
        features.video_ids[few], captions=features.captions[few]
    )
    with pytest.raises(DataError, match="videos of the study have no features"):
        ParticipationDataset(world[0], study, fewer)


def test_parts_and_datasets_tell_what_they_are(data):
    assert repr(data).startswith(f"<ParticipationDataset: {len(data.grid.users)} users")
    train, *_ = data.split("cold_user")
    assert repr(train).startswith("<train part of cold_user, fold 0: ")
