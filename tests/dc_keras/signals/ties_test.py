import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from dc_keras.corpus.challenge import Challenge
from dc_keras.corpus.grid import resolve_grid
from dc_keras.corpus.records import Video
from dc_keras.corpus.store import table_of
from dc_keras.corpus.study import Study
from dc_keras.corpus.temporal import join_cutoffs
from dc_keras.errors import DataError
from dc_keras.evaluation.splits import make_folds
from dc_keras.signals import ties
from dc_keras.signals.evidence import Evidence
from dc_keras.signals.facts import read_facts
from dc_keras.signals.folds import plan_steps
from dc_keras.signals.rates import popularity
from dc_keras.signals.table import SignalTable, add_ties
from dc_keras.signals.ties import known_joins, tie_counts, tie_users, tied_joins

pytest.importorskip("igraph", reason="the extra `social` is not installed")

_TWO_PAIRS = [["a"], ["a"], ["b"], ["b"]]


def _tagged(*tags_of_users):
    """A post with all tags of each user."""
    return [[{"hashtags": tuple(tags)}] for tags in tags_of_users]


def _sounding(*sounds):
    return [[{"music_id": name, "music_title": title}] for name, title in sounds]


def _pairs_tied(evidence):
    left, right = np.triu(tie_users(evidence).weights.toarray()).nonzero()
    return set(zip(left.tolist(), right.tolist(), strict=True))


_LABELS = [[1, 0], [0, 1], [1, 1], [0, 0]]


def test_users_are_tied_by_the_cosine_of_what_they_share(make_evidence):
    # idf: a and b ln 2 (two of four users), so u01 = (1, 1)/√2 and u00 = (1, 0).
    evidence = make_evidence(
        _LABELS, histories=_tagged(["a"], ["a", "b"], ["b"], ["c"])
    )
    weights = tie_users(evidence).weights.toarray()
    half = np.sqrt(0.5)
    expected = [[0, half, 0, 0], [half, 0, half, 0], [0, half, 0, 0], [0] * 4]
    np.testing.assert_allclose(weights, expected)


def test_sounds_tie_but_not_those_of_their_own_authors(make_evidence):
    histories = _sounding(
        ("1", "Song"), ("1", "Song"), ("2", "original sound"), ("2", "original sound")
    )
    assert _pairs_tied(make_evidence(_LABELS, histories=histories)) == {(0, 1)}


def test_words_and_what_everybody_adds_tie_nobody(make_evidence):
    posts = [{"caption": "same words", "hashtags": ("fyp", "foryou")}]
    assert _pairs_tied(make_evidence(_LABELS, histories=[posts] * 4)) == set()


def test_users_of_the_pool_are_nodes_behind_the_others(make_evidence):
    evidence = make_evidence(
        _LABELS,
        histories=_tagged(["a"], [], ["b"], []),
        pool={"p": [{"hashtags": ("a",)}], "q": [{"hashtags": ("b",)}]},
    )
    assert _pairs_tied(evidence) == {(0, 4), (2, 5)}


def test_communities_are_those_of_leiden(make_evidence):
    evidence = make_evidence(_LABELS, histories=_tagged(*_TWO_PAIRS))
    found = tie_users(evidence)
    assert found.community.tolist() == [0, 0, 1, 1]
    counts = tie_counts(evidence, found)
    for name, value in (("degree", 1), ("strength", 1), ("community_size", 2)):
        np.testing.assert_allclose(counts[name], np.full(4, np.log1p(value)))


def test_without_posts_nobody_is_tied(make_evidence):
    evidence = make_evidence(_LABELS)
    found = tie_users(evidence)
    assert found.weights.nnz == 0
    assert found.community.tolist() == [0, 1, 2, 3]
    train = np.arange(8)
    rate = popularity(evidence, train)
    tables = tied_joins(evidence, train, found)
    for name in ("share", "weighted_share", "community_rate"):
        np.testing.assert_allclose(
            tables[name], np.tile(np.log(rate / (1 - rate)), 4).reshape(4, 2)
        )
    for name in set(tables) - {"share", "weighted_share", "community_rate"}:
        assert not tables[name].any(), name


def test_rows_of_different_cutoffs_are_never_tied(make_study):
    # What everybody has ties nobody, so there is a third.
    histories = _tagged(["a"], ["a"], ["b"])
    early, videos = make_study([[1], [0], [0]], histories=histories)
    late, _ = make_study([[0], [1], [0]], histories=histories)
    grid = join_cutoffs([early, late], [1, 2])
    evidence = Evidence.of(grid, read_facts(videos, grid))
    assert _pairs_tied(evidence) == {(0, 1), (3, 4)}
    assert tie_users(evidence).community.tolist() == [0, 0, 1, 2, 2, 3]


def test_the_marks_of_a_challenge_tie_nobody_even_where_a_history_has_them(
    make_evidence,
):
    histories = [
        *_tagged(["dance", "a"], ["dance", "a"]),
        *_sounding(("7", "Song"), ("7", "Song")),
    ]
    loose = make_evidence(_LABELS, histories=histories)
    assert _pairs_tied(loose) == {(0, 1), (2, 3)}
    marks = {"c0": {"hashtags": ["dance"], "sounds": ["7"]}}
    # The whole post is left out: its other tags come with the challenge.
    strict = make_evidence(_LABELS, histories=histories, challenges=marks)
    assert _pairs_tied(strict) == set()


def test_a_post_that_describes_a_challenge_ties_nobody(make_study):
    grid, videos = make_study(_LABELS, histories=_tagged(*_TWO_PAIRS))
    leaky = replace(grid, support=(("u00-00",), ()))
    evidence = Evidence.of(leaky, read_facts(videos, leaky))
    assert _pairs_tied(evidence) == {(2, 3)}


def _world_of_posts():
    """Four users, each with a post of their own and one in the challenge `#dance`."""
    return [
        replace(Video(f"{user}{kind}", user, "test"), hashtags=tags, create_time=time)
        for user, own in (("u0", "a"), ("u1", "a"), ("u2", "b"), ("u3", "b"))
        for kind, tags, time in (("x", (own,), 5), ("y", ("dance", "with", own), 9))
        if kind == "x" or user != "u3"
    ]


def test_removing_the_posts_of_challenges_changes_no_tie():
    dance = Challenge("dance", hashtags=("dance",))
    study = Study(
        "s", (dance, Challenge("sing", hashtags=("sing",))), history_min=1
    ).with_settings(min_participations=0)
    posts = _world_of_posts()
    found = []
    for shown in (posts, [v for v in posts if "dance" not in v.hashtags]):
        videos = table_of(Video, shown)
        grid = resolve_grid(study, videos, "included")
        labels = np.array([[1, 0], [0, 1], [1, 1], [0, 0]], np.int8)
        evidence = Evidence.of(replace(grid, labels=labels), read_facts(videos, grid))
        found.append(tie_users(evidence))
    np.testing.assert_array_equal(*(f.weights.toarray() for f in found))
    assert found[0].weights.nnz == 4


def test_joins_are_those_of_training_pairs_and_of_the_pool(make_evidence):
    evidence = make_evidence(
        [[1, 0], [0, None], [1, 1]],
        support=[[("p", "")], []],
        pool={"p": [], "q": []},
    )
    # Pairs: u00 with both, u01 with c0, u02 with both; the last two do not train.
    joins = known_joins(evidence, np.arange(3))
    assert joins.known.tolist() == [[1, 1], [1, 0], [0, 0], [1, 1], [1, 1]]
    assert joins.joined.tolist() == [[1, 0], [0, 0], [0, 0], [1, 0], [0, 0]]


def _described_by_panel(make_study, **given):
    grid, videos = make_study([[None, 0], [1, 0], [0, 1]], support=[[("u00", "")], []])
    grid = replace(grid, settings={"cutoff": 50})
    return Evidence.of(grid, read_facts(videos, grid), None, **given), grid, videos


def test_who_described_a_challenge_before_the_cutoff_has_joined(make_study):
    evidence, *_ = _described_by_panel(make_study)
    joins = known_joins(evidence, np.array([], int))
    assert joins.joined.tolist() == [[1, 0], [0, 0], [0, 0]]
    np.testing.assert_array_equal(joins.known, joins.joined)


def test_hidden_users_and_grids_without_a_cutoff_tell_no_past_joins(make_study):
    hidden, grid, videos = _described_by_panel(make_study, hidden_users={"u00"})
    assert not hidden.past_joined.any()
    # Without a cutoff the post that describes may be the very join that is asked for.
    grid = replace(grid, settings={"cutoff": None})
    assert not Evidence.of(grid, read_facts(videos, grid)).past_joined.any()


def test_joins_after_a_cutoff_are_unknown_to_it(make_study):
    grids, videos = zip(
        *(make_study(labels) for labels in ([[1], [0]], [[0], [1]], [[0], [0]])),
        strict=True,
    )
    grid = join_cutoffs(grids, [10, 20, 30])
    evidence = Evidence.of(grid, read_facts(videos[0], grid))
    joins = known_joins(evidence, np.arange(6))
    # Columns are the challenge at each cutoff: one topic.
    assert joins.known[:, 0].tolist() == [0, 0, 1, 1, 1, 1]
    assert joins.joined[:, 0].tolist() == [0, 0, 1, 0, 1, 1]


def test_what_neighbours_joined_by_hand(make_evidence):
    # u00, u01 and u02 are tied; u03 is alone. All train but u00.
    evidence = make_evidence(
        [[0, 0], [1, 0], [1, 1], [0, 1]],
        histories=_tagged(["a", "b"], ["a"], ["b"], ["c"]),
    )
    train = np.arange(2, 8)
    rate = popularity(evidence, train)
    # Two joins of three pairs each; shrunk by four pairs to their mean, 2/3.
    np.testing.assert_allclose(rate, [2 / 3, 2 / 3])
    found = tie_users(evidence)
    tables = {k: v[0] for k, v in tied_joins(evidence, train, found).items()}
    near = np.array([2, 1])
    share = (near + 20 * 2 / 3) / (2 + 20)
    np.testing.assert_allclose(tables["share"], np.log(share / (1 - share)))
    # Both ties weigh the same, and all three are one community.
    np.testing.assert_allclose(tables["weighted_share"], tables["share"])
    np.testing.assert_allclose(tables["community_rate"], tables["share"])
    np.testing.assert_allclose(tables["joined"], np.log1p(near))
    # Three joins where four pairs of rate 2/3 were expected to have 8/3.
    ratio = np.log((3 + 3) / (8 / 3 + 3))
    for name in ("neighbours_propensity", "community_propensity"):
        np.testing.assert_allclose(tables[name], [ratio, ratio])
    # Each walk from u00 is halved a tie: at odd steps among u01 and u02, whose mean
    # surprise is 1/3 and −1/6; at even ones back at u00, of whom nothing is known.
    total = 0.5 + 0.5**3 + 0.5**5
    np.testing.assert_allclose(tables["propagated"], np.array([1 / 3, -1 / 6]) * total)


def test_stronger_ties_count_more(make_evidence):
    # u01 shares both tags with u00, u02 one of three.
    evidence = make_evidence(
        [[0, 0], [1, 0], [0, 1], [0, 0]],
        histories=_tagged(["a", "b"], ["a", "b"], ["b", "x", "y"], ["x", "y"]),
    )
    tables = tied_joins(evidence, np.arange(2, 8), tie_users(evidence))
    plain, weighted = tables["share"][0], tables["weighted_share"][0]
    assert plain[0] == pytest.approx(plain[1])
    assert weighted[0] > plain[0] > weighted[1]


@given(
    labels=st.lists(
        st.lists(st.sampled_from([0, 1, None]), min_size=3, max_size=3),
        min_size=5,
        max_size=5,
    ).filter(lambda rows: {0, 1} <= {cell for row in rows for cell in row}),
    tags=st.lists(
        st.lists(st.sampled_from("abcd"), max_size=3), min_size=5, max_size=5
    ),
    cut=st.integers(1, 14),
)
@settings(max_examples=40, deadline=None)
def test_no_label_outside_training_and_none_of_ones_own_is_seen(
    make_evidence, labels, tags, cut
):
    evidence = make_evidence(labels, histories=_tagged(*tags))
    train = np.arange(min(cut, len(evidence.pairs)))
    found = tie_users(evidence)
    weights = found.weights.toarray()
    np.testing.assert_array_equal(weights, weights.T)
    assert not weights.diagonal().any()

    def flipped(rows):
        label = evidence.pairs.label.copy()
        label[rows] = 1 - label[rows]
        return replace(evidence, pairs=replace(evidence.pairs, label=label))

    before = tied_joins(evidence, train, found)
    after = tied_joins(
        flipped(np.arange(len(train), len(evidence.pairs))), train, found
    )
    for name, values in before.items():
        assert np.isfinite(values).all(), name
        np.testing.assert_array_equal(values, after[name])


_NUM_USERS, _NUM_CHALLENGES, _NUM_GROUPS = 240, 20, 6


@pytest.fixture(scope="module")
def communities(make_study):
    """A world where communities share tags, and each joins challenges of its own."""
    rng = np.random.default_rng(0)
    group = np.arange(_NUM_USERS) % _NUM_GROUPS
    likes = np.arange(_NUM_CHALLENGES) % _NUM_GROUPS
    chance = np.where(group[:, None] == likes, 0.6, 0.2)
    labels = (rng.random(chance.shape) < chance).astype(int)
    tags = [[f"g{g}t{n}" for n in rng.choice(12, 4)] for g in group]
    return make_study(labels.tolist(), histories=_tagged(*tags))


def _judged(grid, videos, split):
    """Label and tie signals of the test pairs of a fold."""
    evidence = Evidence.of(grid, read_facts(videos, grid))
    fold = make_folds(grid, evidence.pairs, split, 3, 0.2, 0)[0]
    steps = plan_steps(evidence, grid, split, fold.train, fold.valid, 0)
    nothing = SignalTable((), np.zeros((len(evidence.pairs), 0), np.float32))
    table = add_ties(nothing, evidence, steps)
    return evidence.pairs.label, table, fold


@pytest.mark.parametrize("split", ["random_pair", "cold_user"])
def test_planted_communities_are_seen(communities, split):
    label, table, fold = _judged(*communities, split)
    for name in ("share", "weighted_share", "community_rate", "propagated", "joined"):
        score = table[f"ties/{name}"]
        for rows in (fold.train, fold.test):
            assert roc_auc_score(label[rows], score[rows]) > 0.62, name


def _shuffled(labels, rng):
    """All labels, so that popularity tells nothing either."""
    return rng.permutation(labels.ravel()).reshape(labels.shape)


def _mean_areas(worlds, split):
    """Mean AUC of each signal among training and among test pairs, (num_signals, 2).

    One shuffle alone has a standard error of .017 where 7 challenges are judged.
    """
    areas = []
    for grid, videos in worlds:
        label, table, fold = _judged(grid, videos, split)
        areas.append(
            {
                name: [
                    roc_auc_score(label[rows], table[name][rows])
                    for rows in (fold.train, fold.test)
                ]
                for name in table.names
            }
        )
    return {n: np.mean([found[n] for found in areas], axis=0) for n in areas[0]}


@pytest.mark.parametrize("split", ["random_pair", "cold_user", "cold_challenge"])
def test_shuffled_labels_teach_nothing(communities, split):
    grid, videos = communities
    rng = np.random.default_rng(0)
    worlds = [
        (replace(grid, labels=_shuffled(grid.labels, rng)), videos) for _ in range(5)
    ]
    for name, areas in _mean_areas(worlds, split).items():
        assert np.all((areas > 0.47) & (areas < 0.53)), (name, areas)


@pytest.mark.parametrize("is_guarded", [False, True])
def test_a_tag_that_comes_with_joining_is_found_out(
    communities, make_study, is_guarded
):
    grid, _ = communities
    names = [f"mark{column}" for column in range(_NUM_CHALLENGES)]
    marks = {n: {"hashtags": [n], "sounds": []} for n in names} if is_guarded else {}
    rng, worlds = np.random.default_rng(1), []
    for _ in range(5):
        labels = _shuffled(grid.labels, rng)
        histories = [
            [
                *({"hashtags": (names[column],)} for column in np.flatnonzero(row)),
                {"hashtags": (f"t{rng.integers(20)}",)},
            ]
            for row in labels
        ]
        worlds.append(
            make_study(labels.tolist(), histories=histories, challenges=marks)
        )
    train, test = _mean_areas(worlds, "cold_user")["ties/share"]
    if is_guarded:
        assert 0.47 < train < 0.53
        assert 0.47 < test < 0.53
    else:
        assert min(train, test) > 0.55


def test_the_extra_is_named_where_it_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "igraph", None)
    with pytest.raises(
        DataError, match=r"`ties` needs the extra `social`.* Received: ties=True"
    ):
        ties.require_extra()
