import json
import logging
import sys

import pytest
from fake_platform import CAPTCHA, MP4, TOKEN, make_pages, make_post, post_id

from dc_keras.corpus.collecting.collector import collect
from dc_keras.corpus.collecting.plan import Target, make_plan
from dc_keras.corpus.collecting.raw_pages import PostPages
from dc_keras.errors import DataError

_BLOCKED = "an empty answer: probably blocked"


def _raw(directory):
    return [
        json.loads(line)
        for path in sorted((directory / "raw").iterdir())
        for line in path.read_text("utf-8").splitlines()
    ]


def _num_collected(outcomes):
    return {name: outcome.collected for name, outcome in outcomes.items()}


def test_lists_are_collected_to_the_count_then_to_their_end_and_not_again(
    run, platform, tmp_path
):
    platform.lists = {
        "dance": make_pages(7),
        "ann": make_pages(2, 10),
        "42": make_pages(4, 20),
    }
    # The Video class of the library would fail on a post with only an id.
    platform.lists["42"][0]["itemList"][0] = {"id": 20, "odd": 0.1}
    targets = {"hashtags": ["#dance"], "users": ["@ann"], "sounds": ["42"]}
    assert _num_collected(run(**targets, count=3)) == {"dance": 3, "ann": 2, "42": 3}
    assert platform.requests == [
        ("hashtag_detail", "dance", None),
        ("hashtag", "dance", "0"),
        ("user_detail", "ann", None),
        ("user", "ann", "0"),
        ("sound", "42", "0"),
    ]
    platform.requests.clear()
    outcomes = run(**targets)
    assert _num_collected(outcomes) == {"dance": 7, "ann": 2, "42": 4}
    assert all(outcome.is_complete for outcome in outcomes.values())
    assert platform.requests == [
        ("hashtag", "dance", "1"),
        ("hashtag", "dance", "2"),
        ("sound", "42", "1"),
    ]
    pages = [page for name in ("dance", "42", "ann") for page in platform.lists[name]]
    assert [line["data"] for line in _raw(tmp_path)] == pages
    platform.requests.clear()
    assert run(**targets) == outcomes
    assert platform.requests == []


def test_interrupted_collection_continues_after_the_last_complete_page(
    run, platform, tmp_path
):
    platform.lists = {"dance": make_pages(12)}

    def stop(line):
        if line == "hashtag dance: 6 of 100 posts":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(hashtags=["dance"], report=stop)
    platform.requests.clear()
    assert run(hashtags=["dance"])["dance"].collected == 12
    assert platform.requests == [("hashtag", "dance", "2"), ("hashtag", "dance", "3")]
    # As if the power failed while the last page was written.
    [path] = (tmp_path / "raw").iterdir()
    path.write_bytes(path.read_bytes()[:-10])
    platform.requests.clear()
    assert run(hashtags=["dance"])["dance"].is_complete
    assert platform.requests == [("hashtag", "dance", "3")]
    assert [line["data"] for line in _raw(tmp_path)] == platform.lists["dance"]


def test_only_incomplete_targets_have_a_refusal(run, platform, tmp_path):
    drifted = make_pages(1)[0]
    drifted["items"] = drifted.pop("itemList")
    first = make_pages(6)[0]
    platform.lists = {
        "1": [""],
        "2": [drifted],
        "3": [CAPTCHA],
        "4": [first, first | {"cursor": "2"}],
        "5": [{"statusCode": 10201}],
        "6": [first | {"itemList": []}],
        "7": [""],
        "8": [""],
        "9": [first],
        "10": make_pages(1),
    }
    whole = PostPages(tmp_path, Target("sound", "10"))
    whole.add_answer("sound", 0, platform.lists["10"][0])
    outcomes = run(sounds=list(platform.lists))
    assert {name: str(o.refusal) for name, o in outcomes.items()} == {
        "1": _BLOCKED,
        "2": "no `itemList` in the answer; its keys: "
        "cursor, hasMore, items, statusCode",
        "3": "a captcha page instead of JSON",
        "4": "only posts that were sent before, although `hasMore` is true",
        "5": "the platform refused the request: statusCode 10201",
        "6": "no posts, although `hasMore` is true: probably blocked",
        "7": _BLOCKED,
        "8": _BLOCKED,
        "9": "not requested: the previous 3 targets were blocked",
        "10": "None",
    }
    assert [name for name, o in outcomes.items() if o.is_complete] == ["10"]
    # Four tries if a retry may help, otherwise one.
    tries = [
        sum(other == name for _, other, _ in platform.requests) for name in outcomes
    ]
    assert tries == [4, 1, 4, 2, 1, 4, 4, 4, 0, 0]
    assert [line["data"] for line in _raw(tmp_path)[:4]] == ["", "", "", ""]


def test_media_are_complete_files_or_listed_as_missing(run, platform, tmp_path):
    page = make_pages(1)[0]
    download = "http://media.tiktok.test/download.mp4"
    page["itemList"] = [
        make_post(0),
        make_post(1),
        make_post(2),
        make_post(3, imagePost={"images": [{}]}),
        make_post(4, video={}),
        make_post(5, video={"playAddr": download + "x", "downloadAddr": download}),
        make_post(6) | {"id": "../../x"},
        make_post(7, video={"playAddr": "nowhere"}),
    ]
    platform.lists = {"42": [page]}
    platform.media = {
        f"{post_id(1)}.mp4": (403, b""),
        f"{post_id(2)}.mp4": (200, b""),
        "download.mp4x": (200, CAPTCHA.encode()),
    }
    outcome = run(sounds=["42"], with_media=True)["42"]
    assert not outcome.is_complete
    media = outcome.media
    assert (media.fetched, media.present, media.slideshows) == (2, 0, 1)
    assert media.missing == [
        f"{post_id(1)}: HTTP 403",
        f"{post_id(2)}: an empty answer",
        f"{post_id(4)}: no URL in the post",
        "'../../x': the id is not a number",
        f"{post_id(7)}: APIRequestContext.get: Invalid URL",
    ]
    files = {path.name: path.read_bytes() for path in (tmp_path / "media").iterdir()}
    assert files == {f"{post_id(0)}.mp4": MP4, f"{post_id(5)}.mp4": MP4}
    platform.media.clear()
    media = run(sounds=["42"], with_media=True)["42"].media
    assert (media.fetched, media.present) == (2, 2)


def test_group_is_filled_despite_cycles_and_a_refusal(run, platform, tmp_path):
    platform.suggested = {
        "seed": ["ann", "bob"],
        "ann": {"statusCode": 10202},
        "bob": ["seed", "ann", "cleo"],
        "cleo": ["bob", "dan", "eve"],
    }
    members = ["ann", "bob", "cleo", "dan"]
    platform.lists = {name: make_pages(1, n) for n, name in enumerate(members)}
    outcomes = run(seed_user="seed", group_size=4)
    assert list(outcomes) == ["seed", *members]
    assert all(
        outcome.collected == 1 for name, outcome in outcomes.items() if name in members
    )
    assert platform.requests == [
        ("user_detail", "seed", None),
        *[("suggested", f"id-{name}", None) for name in ("seed", *members[:3])],
        *[("user", name, "0") for name in members],
    ]
    metas = [line["__collect_meta"] for line in _raw(tmp_path)]
    suggested = [meta for meta in metas if meta["request"] == "suggested"]
    assert [(meta["target"], meta["seed"]) for meta in suggested] == [
        ("seed", {"user_id": f"id-{name}", "handle": name})
        for name in ("seed", *members[:3])
    ]
    platform.requests.clear()
    assert run(seed_user="seed", group_size=4) == outcomes
    assert platform.requests == []


def test_token_is_not_in_files_or_logs(run, platform, tmp_path, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    core = TOKEN.rstrip("=")
    page = make_pages(1)[0] | {"echo": f"msToken={core}%3D%3D"}
    platform.lists = {"1": [page], "2": [f"<html>{TOKEN}</html>"]}
    platform.media = {f"{post_id(0)}.mp4": (403, b"")}
    outcomes = run(sounds=["1", "2"], with_media=True)
    said = f"{outcomes}{caplog.text}{''.join(capfd.readouterr())}"
    saved = "".join(path.read_text("utf-8") for path in tmp_path.rglob("*.*"))
    assert "REDACTED" in saved
    assert core not in said + saved


def test_missing_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "TikTokApi", None)
    monkeypatch.delitem(
        sys.modules, "dc_keras.corpus.collecting.session", raising=False
    )
    with pytest.raises(DataError, match=r"pip install 'dc_keras\[collect\]'"):
        _collect_nothing(tmp_path, ms_token=None)


def test_truncated_token_is_refused(platform, tmp_path):
    with pytest.raises(DataError, match=r"cookie `msToken`\. Received: 0"):
        _collect_nothing(tmp_path, ms_token="")


def _collect_nothing(directory, *, ms_token):
    plan = make_plan(
        hashtags=["dance"],
        users=[],
        sounds=[],
        seed_user=None,
        group_size=None,
        count=1,
        with_media=False,
    )
    collect(
        plan,
        directory,
        interval_s=0.0,
        ms_token=ms_token,
        browser=None,
        report=lambda line: None,
    )
