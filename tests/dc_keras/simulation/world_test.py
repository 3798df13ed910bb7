import hashlib
import json
import tomllib
from pathlib import Path

import cv2
import numpy as np
import pytest

from dc_keras.errors import DataError
from dc_keras.simulation.world import (
    WorldConfig,
    draw_frames,
    simulate_world,
    write_video,
    write_world,
)

_SMALL = WorldConfig(num_users=6, num_challenges=2, videos_per_user=2, duration_s=0.4)


def _digests(directory: Path) -> dict[str, str]:
    return {
        path.relative_to(directory).as_posix(): hashlib.sha256(
            path.read_bytes()
        ).hexdigest()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    directory = tmp_path_factory.mktemp("worlds") / "world"
    world = simulate_world(_SMALL)
    write_world(world, directory, workers=1)
    return world, directory


def test_directory_has_an_item_and_a_video_per_post(written):
    world, directory = written
    ids = [post.video_id for post in world.posts]
    lines = (directory / "items.ndjson").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["id"] for line in lines] == ids
    assert sorted(path.stem for path in (directory / "media").iterdir()) == sorted(ids)
    assert {path.name for path in directory.iterdir()} == {
        *("README", "items.ndjson", "media", "study.toml", "truth.json")
    }
    assert [path.name for path in directory.parent.iterdir()] == ["world"]


def test_same_config_gives_the_same_bytes_with_any_number_of_workers(written, tmp_path):
    _, directory = written
    write_world(simulate_world(_SMALL), tmp_path / "again", workers=2)
    assert _digests(tmp_path / "again") == _digests(directory)


def test_other_seed_gives_another_world():
    one, other = (simulate_world(WorldConfig(seed=seed)) for seed in (0, 1))
    assert not np.array_equal(one.truth.probabilities, other.truth.probabilities)
    assert not {post.video_id for post in one.posts} & {p.video_id for p in other.posts}


def test_truth_file_has_the_parameters_and_is_marked_synthetic(written):
    world, directory = written
    truth = json.loads((directory / "truth.json").read_text(encoding="utf-8"))
    assert truth["synthetic"] is True
    assert WorldConfig(**truth["config"]) == world.config
    assert truth["users"] == [account.user_id for account in world.cast.accounts]
    assert truth["challenges"] == [c.name for c in world.cast.challenges]
    # Shortest decimals that read back as the same doubles: nothing is rounded.
    assert np.array_equal(truth["probabilities"], world.truth.probabilities)
    assert np.array_equal(truth["participations"], world.truth.joined)
    assert np.array_equal(truth["communities"], world.truth.communities)
    assert all(world.truth.friends[one, other] for one, other in truth["friends"])
    assert 2 * len(truth["friends"]) == world.truth.friends.sum()
    assert "synthetic" in (directory / "README").read_text(encoding="utf-8")


def test_study_names_every_challenge_with_its_tags_and_sound(written):
    world, directory = written
    study = tomllib.loads((directory / "study.toml").read_text(encoding="utf-8"))
    assert study["study"] == {
        "name": "simulated",
        "history_max": 8,
        "history_min": 1,
        "min_participations": 1,
        "pool_fraction": 0.25,
    }
    assert study["challenges"] == {
        c.name: {"hashtags": list(c.hashtags), "sounds": [c.sound.music_id]}
        for c in world.cast.challenges
    }


def test_post_without_media_has_an_item_and_no_file(tmp_path):
    config = WorldConfig(num_users=3, videos_per_user=1, text_only_share=1.0)
    world = simulate_world(config)
    write_world(world, tmp_path / "world")
    lines = (tmp_path / "world" / "items.ndjson").read_text().splitlines()
    assert len(lines) == len(world.posts)
    assert not list((tmp_path / "world" / "media").iterdir())


def test_bayes_optimal_ranking_leaves_room_above_chance_and_below_one():
    world = simulate_world(WorldConfig(num_users=600))
    assert world.prevalence == pytest.approx(0.3, abs=0.03)
    assert 0.55 < world.bayes_average_precision() < 0.85


def test_equal_probabilities_rank_no_better_than_prevalence():
    world = simulate_world(
        WorldConfig(taste_strength=0, popularity_std=0, propensity_std=0)
    )
    # All scores tie: average precision is the share of positives.
    assert world.bayes_average_precision() == pytest.approx(world.prevalence)


def test_world_without_joins_can_be_simulated():
    world = simulate_world(WorldConfig(num_users=5, prevalence=1e-6))
    assert world.prevalence == 0
    assert world.bayes_average_precision() == 0


def test_existing_world_is_replaced_completely(written, tmp_path):
    world, directory = written
    target = tmp_path / "world"
    write_world(simulate_world(WorldConfig(num_users=4, videos_per_user=1)), target)
    (tmp_path / ".world.partial").mkdir()
    (tmp_path / ".world.partial" / "leftover").touch()
    write_world(world, target)
    assert _digests(target) == _digests(directory)
    assert [path.name for path in tmp_path.iterdir()] == ["world"]


@pytest.mark.parametrize(
    ("files", "named"),
    [
        (["notes.txt"], "notes.txt"),
        (["items.ndjson"], "items.ndjson"),
        (["truth.json", "thesis.docx"], "thesis.docx"),
    ],
)
def test_directory_with_other_files_is_refused(written, tmp_path, files, named):
    world, _ = written
    for name in files:
        (tmp_path / name).write_text("mine")
    with pytest.raises(DataError, match=f"new or empty.*contains {named}"):
        write_world(world, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(files)


def _draw(look=(0.0, 0.0, 0.0, 0.0), seed=0, num_frames=6):
    return draw_frames(
        np.array(look),
        num_frames=num_frames,
        rng=np.random.default_rng(seed),
    )


def _read(path):
    capture = cv2.VideoCapture(str(path))
    frames = []
    while True:
        is_read, frame = capture.read()
        if not is_read:
            return frames
        frames.append(frame)


def test_decoded_frames_are_those_drawn(tmp_path):
    path = tmp_path / "1.mp4"
    drawn = list(_draw())
    write_video(path, iter(drawn))
    frames = _read(path)
    assert [frame.shape for frame in frames] == [(128, 72, 3)] * 6
    # Within the error of the codec.
    assert np.abs(np.array(frames, float) - drawn).mean() < 12


def test_a_strong_taste_shows_its_scene():
    # The night of the city is dark, and the beach is light: both ends of a component.
    beach, city = (
        np.mean([list(_draw([end, 0.0, 0.0, 0.0], seed)) for seed in range(5)])
        for end in (4.0, -4.0)
    )
    assert beach > city + 40


def test_shots_move_and_differ():
    first, second, third, *_, last = _draw()
    assert not np.array_equal(first, second)
    cut, pan = (np.abs(second - other.astype(float)).mean() for other in (third, first))
    assert cut > pan
    assert not np.array_equal(second, last)


@pytest.mark.parametrize("num_frames", [1, 2, 7])
def test_videos_have_the_requested_length(num_frames):
    assert len(list(_draw(num_frames=num_frames))) == num_frames


def test_unwritable_path_is_named(tmp_path):
    with pytest.raises(OSError, match=r"cannot write an mp4 file.*nowhere"):
        write_video(tmp_path / "nowhere" / "1.mp4", _draw())
