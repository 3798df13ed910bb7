import json
from dataclasses import replace

import numpy as np
import pytest

from dc_keras.corpus.importing.importer import import_files
from dc_keras.corpus.pseudonyms import Pseudonymizer
from dc_keras.corpus.store import Corpus
from dc_keras.errors import DataError
from dc_keras.evaluation.known_truth import load_truth
from dc_keras.simulation.world import WorldConfig, simulate_world, write_world
from dc_keras.study.resolution import resolve_study
from dc_keras.study.study import Study

_KEY = Pseudonymizer(b"k" * 32)
_TRUTH = {
    "users": ["1", "2", "3"],
    "challenges": ["cats", "dance"],
    "probabilities": [[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]],
}


@pytest.fixture
def small_grid(grid):
    """A grid of users 3 and 1 of the truth, with its challenges in reverse order."""
    users = (_KEY.user("3"), _KEY.user("1"))
    return replace(grid, users=users, challenges=("dance", "cats"))


@pytest.fixture
def truth_file(tmp_path):
    def write(**changes):
        path = tmp_path / "truth.json"
        path.write_text(json.dumps(_TRUTH | changes), encoding="utf-8")
        return path

    return write


def test_probabilities_are_in_the_order_of_the_grid(truth_file, small_grid):
    truth = load_truth(truth_file(), small_grid, _KEY)
    assert truth.dtype == np.float64
    np.testing.assert_array_equal(truth, [[0.6, 0.5], [0.2, 0.1]])


def test_labels_of_a_world_follow_its_truth(tmp_path):
    config = WorldConfig(num_users=12, num_challenges=3, text_only_share=1.0)
    world = simulate_world(config)
    write_world(world, tmp_path / "world")
    import_files(
        [str(tmp_path / "world" / "items.ndjson")],
        tmp_path / "corpus",
        pseudonymizer=_KEY,
    )
    study = Study.load(tmp_path / "world" / "study.toml")
    grid = resolve_study(study, Corpus.open(tmp_path / "corpus"))
    truth = load_truth(tmp_path / "world" / "truth.json", grid, _KEY)
    # All probabilities are different, so each identifies its pair.
    assert len(np.unique(world.truth.probabilities)) == 12 * 3
    assert truth.shape == (len(grid.users), 3)
    drawn = (world.truth.probabilities.ravel(), world.truth.joined.ravel())
    joined = dict(zip(*drawn, strict=True))
    assert [joined[p] for p in truth.flat] == grid.labels.ravel().tolist()


def test_another_key_gives_unknown_users(truth_file, small_grid):
    with pytest.raises(DataError, match=r"the key in --key_file\. Received: 2 missing"):
        load_truth(truth_file(), small_grid, Pseudonymizer(b"x" * 32))


def test_an_unknown_challenge_is_named(truth_file, small_grid):
    strange = replace(small_grid, challenges=("dance", "juggling"))
    with pytest.raises(DataError, match=r"1 missing, the first is juggling$"):
        load_truth(truth_file(), strange, _KEY)


@pytest.mark.parametrize(
    "content",
    ["{", "[]", "null", '{"users": []}', json.dumps(_TRUTH | {"probabilities": ["x"]})],
)
def test_other_files_are_refused_as_truth(tmp_path, small_grid, content):
    path = tmp_path / "other.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(
        DataError, match=r"other\.json must be the truth\.json of a sim"
    ):
        load_truth(path, small_grid, _KEY)


def test_a_pair_without_a_probability_is_refused(truth_file, small_grid):
    path = truth_file(probabilities=_TRUTH["probabilities"][:2])
    with pytest.raises(DataError, match=r"each of 3 users and 2 .*: shape=\(2, 2\)"):
        load_truth(path, small_grid, _KEY)


def test_missing_truth_file_is_refused(tmp_path, small_grid):
    with pytest.raises(FileNotFoundError, match=r"truth\.json"):
        load_truth(tmp_path / "truth.json", small_grid, _KEY)
