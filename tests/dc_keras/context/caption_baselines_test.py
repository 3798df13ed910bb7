import numpy as np

from dc_keras.context import caption_baselines
from dc_keras.context.caption_baselines import caption_cosine, caption_neighbours
from dc_keras.context.fold_data import Evidence
from dc_keras.context.post_features import read_facts
from dc_keras.study.temporal import join_cutoffs


def _embeddings(*angles):
    """Unit vectors of users u00, u01, … at some degrees."""
    return {
        f"u{row:02d}-00": np.array(
            [np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))], np.float32
        )
        for row, angle in enumerate(angles)
    }


def _one_post_each(count):
    return [[""]] * count


def test_share_of_the_nearest_training_users(make_evidence, monkeypatch):
    monkeypatch.setattr(caption_baselines, "NUM_NEIGHBOURS", 2)
    evidence = make_evidence(
        [[1, 0], [1, 1], [0, 0], [0, None], [1, 1]],
        histories=_one_post_each(5),
        captions=_embeddings(0, 10, 50, 60, 20),
    )
    # u04 is no training user. u00: u01 and u02; u01: u00 and u02; u02: u03 and u01;
    # u03: u02 and u01; u04: u01 and u00. u03 counts as 1/3 for c1, the challenge's mean.
    np.testing.assert_allclose(
        caption_neighbours(evidence, np.arange(7)),
        [[0.5, 0.5], [0.5, 0], [0.5, 2 / 3], [0.5, 0.5], [1, 0.5]],
    )


def test_users_are_not_their_own_neighbours(make_evidence):
    evidence = make_evidence(
        [[1, 0], [1, 1], [0, 0], [0, 1]],
        histories=_one_post_each(4),
        captions=_embeddings(0, 10, 50, 60),
    )
    # Three training users: the two others for each of them, and all three for a new user.
    np.testing.assert_allclose(
        caption_neighbours(evidence, np.arange(6)),
        [[0.5, 0.5], [0.5, 0], [1, 0.5], [2 / 3, 1 / 3]],
    )


def test_user_without_neighbours_has_the_mean_of_the_challenge(make_evidence):
    evidence = make_evidence(
        [[1, 0], [0, 1]], histories=_one_post_each(2), captions=_embeddings(0, 10)
    )
    # u00 is the only training user: nobody for u00, u00 for u01.
    np.testing.assert_array_equal(
        caption_neighbours(evidence, np.arange(2)), [[1, 0], [1, 0]]
    )


def test_person_is_no_neighbour_at_another_cutoff(make_study):
    early, videos = make_study([[1], [0]], histories=_one_post_each(2))
    late, _ = make_study([[0], [1]], histories=_one_post_each(2))
    grid = join_cutoffs([early, late], [1, 2])
    captions = _embeddings(0, 10)
    evidence = Evidence.of(grid, read_facts(videos, grid), captions)
    # Rows u00, u01, u00, u01, the first three with a training label: 1, 0, 0. For u00
    # there is the row of u01 alone, for u01 the two of u00.
    shares = caption_neighbours(evidence, np.arange(3))
    np.testing.assert_array_equal(shares[:, 0], [0, 0.5, 0, 0.5])


def test_without_captions_there_are_no_neighbours(make_evidence):
    evidence = make_evidence([[1, 0], [0, 1]])
    assert not caption_neighbours(evidence, np.arange(4)).any()
    np.testing.assert_array_equal(caption_cosine(evidence), np.zeros((2, 2)))


def test_caption_cosine_by_hand(make_evidence):
    captions = _embeddings(0, 90)
    captions |= {
        "c0-00": np.array([3.0, 4.0], np.float32),
        "c1-00": np.array([-2.0, 0.0], np.float32),
    }
    evidence = make_evidence(
        [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
        histories=[[""], [""], []],
        support=[[("p", "")], [("p", "")], []],
        captions=captions,
    )
    np.testing.assert_allclose(
        caption_cosine(evidence), [[0.6, -1, 0], [0.8, 0, 0], [0, 0, 0]], atol=1e-7
    )
