import base64
import json
import re

import cv2
import numpy as np
import pytest

pytest.importorskip("jinja2", reason="the extra `report` is not installed")
from dc_keras.reporting.explanation_page import render_explanation

_HOSTILE = "<script>alert(1)</script>"
_OBEYED = "\x1b[2J\x9b0m\u202e"


def _part(log_odds, **more):
    probability = None if log_odds is None else 0.25
    return {"log_odds": log_odds, "probability": probability, **more}


@pytest.fixture(scope="module")
def content():
    jpeg = cv2.imencode(".jpg", np.full((90, 50, 3), 90, np.uint8))[1].tobytes()
    shown = base64.b64encode(jpeg).decode()
    looked_into = {
        **_part(0.8, number=2, video_id="7000000000000000001", user_id="u_1"),
        "create_time": 1_600_000_000,
        "caption": f"so good {_HOSTILE}",
        "words": [
            _part(e, word=w) for w, e in (("so", 0.5), (_HOSTILE + _OBEYED, -0.25))
        ],
        "frames": [_part(0.001, jpeg=shown), _part(-0.3, jpeg="")],
    }
    bare = {"video_id": None, "user_id": None, "caption": None, "create_time": None}
    others = [
        {**bare, **_part(-0.01 * n, number=n, create_time=1_500_000_000 + n)}
        | {"words": [], "frames": []}
        for n in range(35)
    ]
    alone = {**_part(None, number=1), **bare, "words": [], "frames": []}
    alone["caption"] = f"so good\n{_OBEYED}"
    return {
        "user_id": "u_0",
        "challenge": "dance <b>",
        "probability": 0.42,
        "base_rate": {"joined": 21, "users": 200},
        "is_synthetic": True,
        "bundle_sha256": "0" * 64,
        "user_posts": [looked_into, *others],
        "challenge_posts": [alone],
        "facts": [
            _part(0.002, name="durations"),
            _part(-0.4, name="dates"),
            _part(0.1, name="earlier joins"),
        ],
    }


@pytest.fixture(scope="module")
def page(content):
    return render_explanation(content)


def test_the_page_shows_the_effects(page):
    assert "<h1>Why 42.0 %? dance &lt;b&gt;</h1>" in page
    assert '<span class="badge">synthetic</span>' in page
    assert "the only one" in page
    assert "6 posts of smaller effect are in" in page
    assert re.search(
        r"2020-09-13 .*25.0 % without it; post 2, 7000000000000000001", page
    )


def test_equal_effects_have_equal_colours_everywhere(page):
    def tint(kind, shade, text):
        return f'<span class="tint {kind}" style="--shade: {shade}">{text}'

    # A post, a word with its value, a frame, a fact, and an end of the legend.
    assert tint("for", "0.60", "+0.80</span>") in page
    assert tint("for", "0.60", "so<small>+0.50</small>") in page
    assert tint("for", "0.00", "0.00</span>") in page
    assert tint("against", "0.48", "-0.40</span>") in page
    for kind, shade, value in (("against", "0.60", "-0.50"), ("for", "0.12", "+0.02")):
        assert tint(kind, shade, f"{value}</span>") in page


def test_the_base_rate_stands_beside_the_answer(page, content):
    assert "<strong>42.0 %</strong>" in page
    assert "<strong>10.5 %</strong> 21 of 200" in page
    assert 'style="width: 25.0%"' in page
    added = render_explanation({**content, "base_rate": None})
    assert "users of the corpus who joined" not in added


def test_posts_are_ordered_by_date(page):
    days = re.findall(r"<h3>(\d{4}-\d\d-\d\d|without a date)", page)
    assert days[0] == "2020-09-13"
    assert len(days) == 31  # 30 of the user, and one of the challenge
    numbers = re.findall(r"without it; post (\d+)</span>", page)
    # The newest is the last made; those with the smallest effects are left out.
    assert numbers == [str(n) for n in range(34, 5, -1)]


def test_facts_are_listed_the_strongest_first(page, content):
    sizes = [
        page.index(f'<th scope="row">{name}</th>')
        for name in (
            "the posts&#39; dates",
            "which challenges the user joined before",
            "the posts&#39; durations",
        )
    ]
    assert sizes == sorted(sizes)
    # A model that sees no facts has no such table.
    assert 'id="facts"' in page
    assert 'id="facts"' not in render_explanation({**content, "facts": []})


def test_a_model_that_reads_no_posts_of_challenges_has_no_such_section(content):
    page = render_explanation({**content, "challenge_posts": []})
    assert "Posts that describe" not in page
    assert 'id="user"' in page


def test_every_kind_of_fact_has_a_name():
    from dc_keras.reporting.explanation_page import _FACTS
    from dc_keras.serving.attribution import FACTS

    assert set(_FACTS) == set(FACTS)


def test_words_of_people_are_harmless(page):
    assert _HOSTILE not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert not set(_OBEYED[0] + _OBEYED[4] + _OBEYED[-1]) & set(page)
    assert page.count(r"\u001b[2J\u009b0m\u202e") == 2
    assert "<p>so good\n" in page
    assert json.dumps(page).count("data:image/jpeg;base64,") == 1


def test_the_page_can_be_read_on_a_phone_and_on_a_desk(check_page, page):
    shown = check_page(page)
    assert shown.locator("img").count() == 1
