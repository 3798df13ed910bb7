import pytest

from dc_keras.corpus.challenge import Challenge
from dc_keras.corpus.records import Video
from dc_keras.evaluation.audit.focal_marks import (
    check_captions,
    check_histories,
    find_marks,
    focal_challenges,
)

_DANCE = Challenge.of(
    "dance", {"hashtags": ["dance dance", "ダンス"], "sounds": ["77"]}
)


@pytest.mark.parametrize(
    ("fields", "marks"),
    [
        ({"caption": "look #DanceDance!"}, {"#dancedance"}),
        ({"caption": "look ＃ｄａｎｃｅｄａｎｃｅ"}, {"#dancedance"}),
        ({"caption": "look #Dance  Dance now"}, {"#dance dance"}),
        ({"caption": "look #ﾀﾞﾝｽ"}, {"#ダンス"}),
        ({"hashtags": ("dancedance",)}, {"#dancedance"}),
        ({"music_id": "77"}, {"sound 77"}),
        ({"caption": "#dancedance", "music_id": "77"}, {"#dancedance", "sound 77"}),
        ({"caption": "#dancer #dance dancer, dancedance, 77"}, set()),
    ],
)
def test_marks_are_found_in_every_spelling(fields, marks):
    video = Video(video_id="1", user_id="u", source="s", **fields)
    assert find_marks(video, [_DANCE]) == ({"dance": marks} if marks else {})


def test_the_studys_spellings_join_what_the_grid_remembers(grid, study):
    challenges = focal_challenges(grid, study.challenges)
    assert {spelling for c in challenges for spelling in c.spellings} >= {"dance dance"}
    assert {c.name for c in focal_challenges(grid)} == {"dance", "cat", "cook"}


@pytest.mark.parametrize(
    ("fields", "mark", "challenge"),
    [
        ({"caption": "oh #CatCat"}, "#catcat", "cat"),
        ({"caption": "oh #dance dance"}, "#dance dance", "dance"),
        ({"music_id": "77"}, "sound 77", "cat"),
    ],
)
def test_a_history_that_shows_a_mark_leaks(
    grid, study, videos, changed, posts_of, fields, mark, challenge
):
    video = grid.histories[1][0]
    posts = posts_of(changed(videos, {video: fields}))
    challenges = focal_challenges(grid, study.challenges)
    check = check_histories("s", grid, posts, challenges)
    [finding] = check.findings
    assert finding.severity == "leak"
    assert finding.what == f"post {video} in the history of user01 shows {mark}"
    assert finding.where == {
        "users": ("user01",),
        "challenges": (challenge,),
        "videos": (video,),
    }
    # 23 users of the panel and 5 of the pool, three posts each.
    assert check.num_checked == 84


def test_histories_of_the_pool_are_looked_at_too(grid, videos, changed, posts_of):
    video = grid.pool_histories[0][0]
    posts = posts_of(changed(videos, {video: {"caption": "#cookcook"}}))
    [finding] = check_histories("s", grid, posts, focal_challenges(grid)).findings
    assert finding.where["users"] == (grid.pool_users[0],)


def test_an_untouched_corpus_shows_none(grid, study, videos, posts_of):
    challenges = focal_challenges(grid, study.challenges)
    assert check_histories("s", grid, posts_of(videos), challenges).findings == ()


_ALL_TAGS = ["dance dance", "CATCAT", "cookcook"]


@pytest.mark.parametrize(
    ("encoders", "severities"),
    [
        (None, ["warning"]),
        ({"f": None}, []),
        ({"f": {"hashtags": "drop", "focal_hashtags": []}}, []),
        ({"f": {"hashtags": "mask_focal", "focal_hashtags": _ALL_TAGS}}, []),
        ({"f": {"hashtags": "keep", "focal_hashtags": []}}, ["leak"]),
        ({"f": None, "g": {"hashtags": "keep", "focal_hashtags": []}}, ["leak"]),
    ],
)
def test_captions_leak_where_an_encoder_reads_their_hashtags(
    grid, videos, posts_of, encoders, severities
):
    posts = posts_of(videos)
    check = check_captions("s", grid, posts, focal_challenges(grid), encoders)
    assert [finding.severity for finding in check.findings] == severities
    assert check.num_checked == 7
    assert all("--hashtags=mask_focal" in f.advice for f in check.findings)


def test_a_hashtag_that_was_not_masked_is_named(grid, videos, posts_of):
    masked = {"hashtags": "mask_focal", "focal_hashtags": ["catcat", "dancedance"]}
    check = check_captions(
        "s", grid, posts_of(videos), focal_challenges(grid), {"run/vgg16": masked}
    )
    [finding] = check.findings
    assert finding.what == (
        "run/vgg16 encodes #cookcook in 1 captions that describe challenges"
    )
    assert finding.where["videos"] == grid.support[2]
