from collections import Counter

import numpy as np

from dc_keras.corpus.records import find_hashtags
from dc_keras.simulation.ground_truth import END_TIME, START_TIME
from dc_keras.simulation.world import WorldConfig, simulate_world

_WORLD = simulate_world(WorldConfig(num_users=60, num_challenges=6, seed=2))


def test_exactly_the_joined_users_post_under_the_challenge():
    participations = [
        (post.user, post.challenge)
        for post in _WORLD.posts
        if post.challenge is not None
    ]
    expected = [tuple(pair) for pair in np.argwhere(_WORLD.truth.joined).tolist()]
    assert sorted(participations) == expected


def test_challenge_tags_are_on_challenge_posts_only():
    focal = {
        tag: index
        for index, challenge in enumerate(_WORLD.cast.challenges)
        for tag in challenge.hashtags
    }
    for post in _WORLD.posts:
        found = {focal[tag] for tag in find_hashtags(post.caption) if tag in focal}
        assert found == ({post.challenge} - {None})


def test_challenge_sounds_are_on_their_own_posts_only():
    sounds = {challenge.sound: i for i, challenge in enumerate(_WORLD.cast.challenges)}
    used = [post for post in _WORLD.posts if post.sound in sounds]
    assert all(sounds[post.sound] == post.challenge for post in used)
    # 80 % of the participations; four standard deviations of a Bernoulli mean.
    num_joined = int(_WORLD.truth.joined.sum())
    spread = 4 * (0.8 * 0.2 / num_joined) ** 0.5
    assert abs(len(used) / num_joined - 0.8) < spread


def test_every_user_has_the_requested_history():
    own = Counter(post.user for post in _WORLD.posts if post.challenge is None)
    assert min(own[user] for user in range(60)) >= _WORLD.config.videos_per_user


def test_posts_are_within_the_world_and_sorted_by_time():
    times = [post.create_time for post in _WORLD.posts]
    assert times == sorted(times)
    assert times[0] >= START_TIME
    assert times[-1] < END_TIME


def test_posts_have_the_taste_of_their_author():
    # 8 posts or more with noise of half the spread of tastes: the mean is close.
    mean_look = [
        np.mean(
            [p.look for p in _WORLD.posts if p.user == u and p.challenge is None],
            axis=0,
        )
        for u in range(60)
    ]
    error = np.array(mean_look) - _WORLD.truth.user_tastes[:, :4]
    assert np.sqrt((error**2).mean()) < 0.25


def test_challenge_posts_are_closer_to_the_challenge():
    looks = np.array([p.look for p in _WORLD.posts if p.challenge is not None])
    mixed = np.array(
        [
            0.6 * _WORLD.truth.challenge_tastes[p.challenge]
            + 0.4 * _WORLD.truth.user_tastes[p.user]
            for p in _WORLD.posts
            if p.challenge is not None
        ]
    )[:, :4]
    assert np.abs((looks - mixed).mean(axis=0)).max() < 0.25


def test_captions_are_in_both_languages_or_empty():
    captions = [post.caption for post in _WORLD.posts]
    assert any(" today" in caption for caption in captions)
    assert any(" hoy" in caption for caption in captions)
    assert captions.count("") > 0


def test_share_without_media_is_kept():
    world = simulate_world(WorldConfig(num_users=60, text_only_share=0.5))
    share = np.mean([post.has_media for post in world.posts])
    assert abs(share - 0.5) < 4 * 0.5 / len(world.posts) ** 0.5
