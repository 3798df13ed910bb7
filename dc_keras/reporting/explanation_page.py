"""The page of an explanation: effects of posts, frames, words and facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from dc_keras.reporting.templating import render_template

# The maximum number of listed posts per side.
_MOST_POSTS = 30
# An effect has one shade of colour for each of these log-odds that it reaches. The
# shades are the same on every page, so that effects can be compared.
_SHADES = (0.02, 0.05, 0.1, 0.2, 0.5)
_DARKEST = 0.6
# Names of the kinds of facts of `attribution` on the page.
_FACTS = {
    "sounds": "the posts' sounds and their titles",
    "dates": "the posts' dates",
    "durations": "the posts' durations",
    "counts": "the posts' views, likes, comments and shares",
    "account": "the account's followers, likes and posts",
    "earlier joins": "which challenges the user joined before",
}


def render_explanation(content: Mapping[str, Any]) -> str:
    """Returns the page as self-contained HTML."""
    sides = {
        "user": ("The user's posts", content["user_posts"]),
        "challenge": ("Posts that describe the challenge", content["challenge_posts"]),
    }
    return render_template(
        "explanation.html.jinja",
        title=f"Why {100 * content['probability']:.1f} %? {content['challenge']}",
        is_synthetic=content["is_synthetic"],
        has_plots=False,
        content=content,
        answer=_answer(content),
        legend=[sign * shade for sign in (-1, 1) for shade in _SHADES[::sign]],
        shade=_shade,
        signed=_signed,
        day=_day,
        facts=_describe_facts(content["facts"]),
        sides={
            name: {
                "title": title,
                "posts": _choose_posts(posts),
                "num_left": max(len(posts) - _MOST_POSTS, 0),
            }
            for name, (title, posts) in sides.items()
        },
    )


def _answer(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Returns the probability and the base rate, with the widths of their bars."""
    base = content["base_rate"]
    rows = [("this user, predicted", content["probability"], "")]
    if base is not None and base["users"]:
        note = f"{base['joined']:,} of {base['users']:,}"
        rows.append(
            ("users of the corpus who joined", base["joined"] / base["users"], note)
        )
    longest = max(1e-9, *(value for _, value, _ in rows))
    return [
        {"name": name, "value": value, "note": note, "percent": 100 * value / longest}
        for name, value, note in rows
    ]


def _shade(log_odds: float | None) -> float:
    """Returns the opacity of an effect's colour: 0 below the first of `_SHADES`."""
    level = sum(abs(round(log_odds or 0.0, 2)) >= shade for shade in _SHADES)
    return _DARKEST * level / len(_SHADES)


def _signed(log_odds: float) -> str:
    """Returns an effect with two decimals and its sign; 0.00 has none."""
    rounded = round(log_odds, 2)
    return f"{rounded:+.2f}" if rounded else "0.00"


def _day(seconds: int | None) -> str:
    """Returns the day of a post in UTC."""
    if seconds is None:
        return "without a date"
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d}"


def _choose_posts(posts: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Returns the posts with the largest effects, newest first, undated ones last."""
    strongest = sorted(posts, key=lambda post: -abs(post["log_odds"] or 0.0))
    return sorted(
        strongest[:_MOST_POSTS],
        key=lambda post: (-(post["create_time"] or 0), post["number"]),
    )


def _describe_facts(facts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Returns the facts with readable names, by descending effect."""
    ordered = sorted(facts, key=lambda fact: -abs(fact["log_odds"]))
    return [{**fact, "name": _FACTS[fact["name"]]} for fact in ordered]
