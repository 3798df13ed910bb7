"""The page of one answer: which posts, frames, words and facts moved it, how far."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dc_keras.reporting.page import page_environment
from dc_keras.version import __version__

# Posts of a side that are listed.
_MOST_POSTS = 30
# What the kinds of facts of `attribution` are, in the words of the page.
_FACTS = {
    "sounds": "the posts' sounds and their titles",
    "dates": "the posts' dates",
    "durations": "the posts' durations",
    "counts": "the posts' views, likes, comments and shares",
    "account": "the account's followers, likes and posts",
    "earlier joins": "which challenges the user joined before",
}


def render_explanation(content: Mapping[str, Any]) -> str:
    """Returns the page as HTML; it asks for nothing.

    Args:
        content: of explanation.json, which `explain` writes.
    """
    sides = {
        "user": ("The user's posts", content["user_posts"]),
        "challenge": ("Posts that describe the challenge", content["challenge_posts"]),
    }
    page = (
        page_environment()
        .get_template("explanation.html.jinja")
        .render(
            title=f"Why {content['probability']:.1%}? {content['challenge']}",
            content=content,
            facts=_told(content["facts"]),
            sides={
                name: {
                    "title": title,
                    "posts": posts[:_MOST_POSTS],
                    "num_left": max(len(posts) - _MOST_POSTS, 0),
                    "strongest": _strongest(posts),
                }
                for name, (title, posts) in sides.items()
            },
            version=__version__,
        )
    )
    return page.lstrip()


def _told(facts: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Facts in the words of the page, the strongest first, with the width of a bar."""
    strongest = max([1e-9, *(abs(fact["log_odds"]) for fact in facts)])
    return [
        {
            **fact,
            "name": _FACTS[fact["name"]],
            "percent": round(100 * abs(fact["log_odds"]) / strongest),
        }
        for fact in sorted(facts, key=lambda fact: -abs(fact["log_odds"]))
    ]


def _strongest(posts: list[Mapping[str, Any]]) -> float:
    """The largest effect inside posts, by which words are shaded: above zero."""
    inside = [
        abs(part["log_odds"])
        for post in posts
        for part in (*post["words"], *post["frames"])
    ]
    return max([1e-9, *map(float, inside)])
