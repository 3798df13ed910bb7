import json
import re
import shutil

import numpy as np
import polars as pl
import pytest

from tfrecords.storage.checksums import seal_directory

pytest.importorskip("jinja2", reason="the extra `report` is not installed")


@pytest.fixture(scope="module")
def flags(bundle, corpus):
    return [f"--bundle={bundle.output}", f"--corpus={corpus.output}"]


@pytest.fixture(scope="module")
def asked(bundle, model, corpus):
    """A user with posts, and the challenge that most posts describe."""
    config = json.loads((bundle.output / "1" / "config.json").read_text("utf-8"))
    with np.load(model.output / "challenges.npz", allow_pickle=False) as support:
        most = int(support["valid"].sum(axis=1).argmax())
    videos = pl.read_parquet(corpus.output / "videos.parquet")
    counts = videos["user_id"].value_counts().sort("count", "user_id")
    return counts["user_id"][-1], config["challenges"][most]


@pytest.fixture(scope="module")
def explained(chain, flags, asked):
    user, challenge = asked
    names = f"--user={user}", f"--challenge={challenge}"
    ran = chain("explain", *flags, *names, "--posts=1", output="explanation")
    content = json.loads((ran.output / "explanation.json").read_text("utf-8"))
    return ran, content


def test_the_prediction_is_that_of_predict(explained, run_script, flags, asked):
    ran, content = explained
    user, challenge = asked
    told = run_script("predict", *flags, f"--user={user}", f"--challenge={challenge}")
    assert told.stdout.split() == [user, challenge, f"{content['probability']:.3f}"]
    counts = [len(content[f"{side}_posts"]) for side in ("user", "challenge")]
    assert (
        f"{user}  {challenge}  {content['probability']:.3f}, {counts[0]} posts of the "
        f"user, {counts[1]} that describe the challenge\n"
    ) in ran.stdout


def test_posts_of_both_sides_are_listed_and_one_of_each_explained(explained, corpus):
    _, content = explained
    videos = pl.read_parquet(corpus.output / "videos.parquet")
    owner = dict(videos.select("video_id", "user_id").iter_rows())
    for side in ("user_posts", "challenge_posts"):
        posts = content[side]
        assert all(owner[p["video_id"]] == p["user_id"] for p in posts)
        moved = [abs(p["log_odds"]) for p in posts]
        assert moved == sorted(moved, reverse=True)
        first, *others = posts
        assert len(first["frames"]) == 2
        assert [w["word"] for w in first["words"]] == first["caption"].split()
        assert not any(p["words"] or p["frames"] for p in others)
    assert {p["user_id"] for p in content["user_posts"]} == {content["user_id"]}


def test_each_kind_of_fact_is_left_out(explained):
    ran, content = explained
    names = {fact["name"] for fact in content["facts"]}
    assert names == {
        *("sounds", "dates", "durations", "counts", "account", "earlier joins")
    }
    assert all(0 <= fact["probability"] <= 1 for fact in content["facts"])
    assert any(abs(fact["log_odds"]) > 1e-4 for fact in content["facts"])
    page = (ran.output / "explanation.html").read_text("utf-8")
    assert "which challenges the user joined before" in page


def test_the_page_shows_it_and_asks_for_nothing(explained):
    ran, content = explained
    page = (ran.output / "explanation.html").read_text("utf-8")
    assert page.startswith("<!DOCTYPE html>")
    first = content["user_posts"][0]
    assert first["video_id"] in page
    assert f"{first['log_odds']:+.2f}" in page
    assert page.count("data:image/jpeg;base64,/9j/") == 4
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert "<script" not in page


def test_the_answer_has_its_base_rate_and_says_synthetic(explained, corpus, asked):
    ran, content = explained
    assert content["is_synthetic"] is True
    assert '<span class="badge">synthetic</span>' in (
        ran.output / "explanation.html"
    ).read_text("utf-8")
    videos = pl.read_parquet(corpus.output / "videos.parquet")
    tagged = videos.filter(pl.col("hashtags").list.contains(asked[1]))
    base = content["base_rate"]
    assert tagged["user_id"].n_unique() <= base["joined"] < base["users"]
    assert base["users"] == videos["user_id"].n_unique()
    times = dict(videos.select("video_id", "create_time").iter_rows())
    for post in (*content["user_posts"], *content["challenge_posts"]):
        assert post["create_time"] == times[post["video_id"]]


def test_a_post_that_the_corpus_lost_has_a_number_and_the_others_names(
    chain, flags, asked, explained, corpus, tmp_path
):
    changed = tmp_path / "corpus"
    shutil.copytree(corpus.output, changed)
    videos = pl.read_parquet(changed / "videos.parquet")
    before = explained[1]["challenge_posts"]
    gone = before[0]["video_id"]
    videos.filter(pl.col("video_id") != gone).write_parquet(changed / "videos.parquet")
    seal_directory(changed)
    user, challenge = asked
    ran = chain(
        "explain",
        flags[0],
        f"--corpus={changed}",
        f"--user={user}",
        f"--challenge={challenge}",
        "--posts=1",
        output="of_changed",
    )
    assert f"{len(before) - 1} of the posts that describe" in ran.stderr
    content = json.loads((ran.output / "explanation.json").read_text("utf-8"))
    first, *others = content["challenge_posts"]
    # Nothing of it can be left out but the whole.
    assert (first["video_id"], first["words"], first["frames"]) == (None, [], [])
    names = [post["video_id"] for post in before[1:]]
    assert [post["video_id"] for post in others] == names
    was = [post["log_odds"] for post in before]
    now = [post["log_odds"] for post in content["challenge_posts"]]
    assert now == pytest.approx(was, abs=1e-4)


def test_no_bundle_contains_the_id_of_a_post(bundle, corpus):
    ids = pl.read_parquet(corpus.output / "videos.parquet")["video_id"].to_list()
    text = (bundle.output / "1" / "config.json").read_text("utf-8")
    assert len(json.loads(text)["describing_posts"]) == 3
    assert not [video_id for video_id in ids if video_id in text]


@pytest.mark.parametrize(
    ("asked_for", "wanted"),
    [
        (["--user=nobody"], "'nobody' is no user"),
        (["--challenge=chess"], "chess"),
    ],
)
def test_what_cannot_be_explained_is_one_line(
    fails_in_one_line, flags, asked, tmp_path, asked_for, wanted
):
    user, challenge = asked
    names = [f"--user={user}", f"--challenge={challenge}", f"--output={tmp_path}/no"]
    assert wanted in fails_in_one_line("explain", *flags, *names, *asked_for)
    assert not (tmp_path / "no").exists()
