import base64
import json

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
        "caption": f"so good {_HOSTILE}",
        "words": [
            _part(e, word=w) for w, e in (("so", 0.5), (_HOSTILE + _OBEYED, -0.25))
        ],
        "frames": [_part(0.001, jpeg=shown), _part(-0.3, jpeg="")],
    }
    bare = {"video_id": None, "user_id": None, "caption": None}
    others = [
        {**_part(-0.01 * n, number=n), **bare, "words": [], "frames": []}
        for n in range(35)
    ]
    alone = {**_part(None, number=1), **bare, "words": [], "frames": []}
    alone["caption"] = f"so good\n{_OBEYED}"
    return {
        "user_id": "u_0",
        "challenge": "dance <b>",
        "probability": 0.42,
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
    assert "<h1>Why 42.0%? dance &lt;b&gt;</h1>" in page
    assert '<span class="for">+0.80</span>' in page
    assert "without it 0.250" in page
    # The strongest word is shaded most, and what is next to nothing is grey.
    assert "var(--for-rgb) / 0.60)" in page
    assert "var(--against-rgb) / 0.30)" in page
    assert '<span class="muted">0.00</span>' in page
    assert "the only one" in page
    assert "6 more posts are in" in page


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
    assert '<span class="against">-0.40</span></td>' in page
    for percent, kind in ((100, "against"), (25, "for")):
        assert f"width: {percent}%; background: var(--{kind})" in page
    # A model that sees no facts has no such table.
    assert 'id="facts"' in page
    assert 'id="facts"' not in render_explanation({**content, "facts": []})


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


@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (1280, "dark")])
def test_a_browser_shows_it_without_a_word_or_a_request(
    page, open_page, tmp_path, width, scheme
):
    path = tmp_path / "explanation.html"
    path.write_text(page, "utf-8")
    shown, messages = open_page(path, width, scheme)
    urls = [url for url in messages if not url.startswith("data:image/jpeg")]
    assert urls == [path.as_uri()]
    assert shown.locator("img").count() == 1
    widths = shown.evaluate(
        "[document.documentElement.scrollWidth, document.body.scrollWidth]"
    )
    assert max(widths) <= width
