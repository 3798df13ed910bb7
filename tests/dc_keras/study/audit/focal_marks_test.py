import re

import polars as pl
import pytest

from dc_keras.corpus.records import Video, hashtag_pattern
from dc_keras.study.audit.focal_marks import (
    check_captions,
    check_histories,
    find_marks,
    focal_challenges,
)
from dc_keras.study.challenge import Challenge

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


def test_spellings_of_the_study_are_added_to_marks_of_the_grid(grid, study):
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
def test_history_with_a_mark_leaks(
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


def test_histories_of_the_pool_are_checked(grid, videos, changed, posts_of):
    video = grid.pool_histories[0][0]
    posts = posts_of(changed(videos, {video: {"caption": "#cookcook"}}))
    [finding] = check_histories("s", grid, posts, focal_challenges(grid)).findings
    assert finding.where["users"] == (grid.pool_users[0],)


def test_an_untouched_corpus_shows_none(grid, study, videos, posts_of):
    challenges = focal_challenges(grid, study.challenges)
    assert check_histories("s", grid, posts_of(videos), challenges).findings == ()


def _keep(captions):
    return captions


def _drop(captions):
    return [re.sub(hashtag_pattern(), " ", caption) for caption in captions]


def _mask(focal):
    def clean(captions):
        return [" ".join(w for w in c.split() if w[1:] not in focal) for c in captions]

    return clean


_ALL_TAGS = ["dancedance", "catcat", "cookcook"]


def _check(grid, videos, cleanings, mask=_mask, study=()):
    challenges = focal_challenges(grid, study)
    return check_captions("s", grid, videos, challenges, cleanings, mask)


@pytest.mark.parametrize(
    ("cleanings", "severities"),
    [
        (None, ["warning"]),
        ({"f": None}, []),
        ({"f": _drop}, []),
        ({"f": _mask(_ALL_TAGS)}, []),
        ({"f": _keep}, ["leak"]),
        ({"f": None, "g": _keep}, ["leak"]),
    ],
)
def test_captions_leak_where_an_encoder_reads_their_hashtags(
    grid, videos, cleanings, severities
):
    check = _check(grid, videos, cleanings)
    assert [finding.severity for finding in check.findings] == severities
    # All posts that join, be they shown or not: two or three a user.
    assert check.num_checked == 14 * 3 + 14
    assert all("--hashtags=mask_focal" in f.advice for f in check.findings)


def test_a_hashtag_that_was_not_masked_is_named(grid, videos):
    masked = {"run/vgg16": _mask(["catcat", "dancedance"])}
    [finding] = _check(grid, videos, masked).findings
    marked = videos.filter(pl.col("caption").str.contains("#cookcook"))
    assert finding.what == (
        f"run/vgg16 encodes #cookcook in {marked.height} captions of challenge posts"
    )
    assert finding.where["videos"] == tuple(marked["video_id"].sort())


def test_without_features_the_masking_is_run_on_the_captions(
    grid, study, videos, changed
):
    masked = []

    def broken(focal):
        masked.extend(focal)
        return _keep

    video = grid.support[0][0]
    posts = changed(videos, {video: {"caption": "oh #dance  dance"}})
    check = _check(grid, posts, None, broken, study.challenges)
    assert masked == ["catcat", "cookcook", "dance dance", "dancedance"]
    assert [finding.severity for finding in check.findings] == ["warning", "leak"]
    assert "--hashtags=mask_focal encodes #catcat, #cookcook, #dance dance" in (
        check.findings[1].what
    )
    assert _check(grid, posts, {"f": None}, broken).findings == ()


@pytest.mark.parametrize("tag", ["မြန်မာ", "ខ្មែរ", "مَرْحَبًا", "नमस्ते", "straße", "ΐ"])
def test_the_real_cleaner_leaves_no_tag_of_any_script(grid, videos, changed, tag):
    from dc_keras.encoders.captions import CaptionCleaner

    challenge = Challenge.of("greeting", {"hashtags": [tag]})
    captions = (f"look #{tag}!", f"＃{tag.upper()}#other", f"#{tag}1")
    ids = [video for ids in grid.support for video in ids][:3]
    posts = changed(
        videos,
        {
            video: {"caption": caption, "hashtags": challenge.hashtags}
            for video, caption in zip(ids, captions, strict=True)
        },
    )
    clean = CaptionCleaner("mask_focal", challenge.hashtags).clean
    check = check_captions("s", grid, posts, [challenge], {"f": clean}, _mask)
    assert check.findings == ()
    kept = check_captions("s", grid, posts, [challenge], {"f": _keep}, _mask)
    assert len(kept.findings[0].where["videos"]) == 2
