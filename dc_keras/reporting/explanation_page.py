"""The page of an explanation: effects of posts, frames, words and facts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dc_keras.reporting.page import page_environment
from dc_keras.version import __version__

# The maximum number of listed posts per side.
_MOST_POSTS = 30
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
    """Returns the page as self-contained HTML.

    Args:
        content: content of explanation.json, which `explain` writes.
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
            facts=_describe_facts(content["facts"]),
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


def _describe_facts(facts: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Returns the facts with readable names and bar widths, by descending effect."""
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
    """Returns the largest effect of words and frames, above 0, for the shading."""
    inside = [
        abs(part["log_odds"])
        for post in posts
        for part in (*post["words"], *post["frames"])
    ]
    return max([1e-9, *map(float, inside)])
