"""The page of one answer: which posts, frames and words moved it, and how far."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dc_keras.reporting.page import page_environment
from dc_keras.version import __version__

# Posts of a side that are listed.
_MOST_POSTS = 30


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


def _strongest(posts: list[Mapping[str, Any]]) -> float:
    """The largest effect inside posts, by which words are shaded: above zero."""
    inside = [
        abs(part["log_odds"])
        for post in posts
        for part in (*post["words"], *post["frames"])
    ]
    return max([1e-9, *map(float, inside)])
