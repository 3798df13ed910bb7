import numpy as np

from dc_keras.simulation.cast import IdSource
from dc_keras.simulation.ground_truth import START_TIME
from dc_keras.simulation.world import WorldConfig, simulate_world

_CAST = simulate_world(WorldConfig(num_users=50, num_challenges=12)).cast


def test_ids_contain_their_time_and_are_unique():
    class Stuck:
        """Draws the same number twice, then another."""

        def __init__(self):
            self.values = [7, 7, 8]

        def integers(self, _high):
            return self.values.pop(0)

    ids = IdSource(Stuck())
    assert [ids.draw(1), ids.draw(1)] == [str((1 << 32) + 7), str((1 << 32) + 8)]


def test_ids_of_all_kinds_are_unique():
    sounds = [*_CAST.topic_sounds.values(), *_CAST.own_sounds]
    sounds += [challenge.sound for challenge in _CAST.challenges]
    ids = [sound.music_id for sound in sounds]
    ids += [account.user_id for account in _CAST.accounts]
    assert len(set(ids)) == len(ids)


def test_accounts_are_older_than_the_world():
    start = START_TIME
    assert all(int(account.user_id) >> 32 < start for account in _CAST.accounts)


def test_challenge_is_named_after_its_first_hashtag():
    assert all(c.name == c.hashtags[0] for c in _CAST.challenges)
    assert len({c.name for c in _CAST.challenges}) == 12


def test_both_languages_occur():
    shares = np.unique([account.language for account in _CAST.accounts])
    assert shares.tolist() == ["en", "es"]
