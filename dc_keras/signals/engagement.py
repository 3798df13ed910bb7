"""How posts did and how their authors post: numbers of one side alone."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np

from dc_keras.signals.evidence import Evidence
from dc_keras.signals.facts import ACCOUNT_COUNTS, PostFacts

_DAY = 86_400.0


def user_habits(evidence: Evidence) -> dict[str, np.ndarray]:
    """Returns how each user posts and how their posts do.

    Counts are as of the collection, not of the cutoff: a weak look-ahead, the same for
    every challenge.

    Returns:
        By name, float64 (num_users,), NaN where nothing is known: log medians of views
        and likes; medians of likes a view, comments and shares a like; median and
        spread of the duration in seconds; mean number of tags; shares of posts without
        tags and with a sound of the author's own; log(1 + days) between first and last
        post.
    """
    return habits_of_sets(evidence.facts, evidence.histories)


def accounts(evidence: Evidence) -> dict[str, np.ndarray]:
    """Returns how large the account of each user is, as of the collection.

    Returns:
        By name, float64 (num_users,): log(1 + count) of followers, of the likes of all
        posts and of their number; NaN where unknown.
    """
    counts = np.log1p(evidence.accounts).T
    return dict(zip(ACCOUNT_COUNTS, counts, strict=True))


def challenge_habits(evidence: Evidence) -> dict[str, np.ndarray]:
    """Returns the same of the posts that describe each challenge.

    Returns:
        By name, float64 (num_challenges,).
    """
    return habits_of_sets(evidence.facts, evidence.support)


def habits_of_sets(
    facts: PostFacts, sets: Sequence[np.ndarray]
) -> dict[str, np.ndarray]:
    """Returns the values of `user_habits` for sets of posts.

    Args:
        facts: facts of the posts.
        sets: rows of `facts`, at least one set.

    Returns:
        By name, float64 (num_sets,).
    """
    rows = [_habits_of(facts, posts) for posts in sets]
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def _habits_of(facts: PostFacts, posts: np.ndarray) -> dict[str, float]:
    views, likes, comments, shares = facts.counts[posts].T
    duration, times = facts.durations[posts], facts.times[posts]
    tags, original = facts.num_tags[posts], facts.is_original[posts]
    with warnings.catch_warnings():
        # A set without one known value gives NaN, and says so of every function.
        warnings.simplefilter("ignore", RuntimeWarning)
        return {
            "log_views": float(np.log1p(np.nanmedian(views))),
            "log_likes": float(np.log1p(np.nanmedian(likes))),
            "likes_per_view": float(np.nanmedian(likes / np.maximum(views, 1))),
            "comments_per_like": float(np.nanmedian(comments / np.maximum(likes, 1))),
            "shares_per_like": float(np.nanmedian(shares / np.maximum(likes, 1))),
            "duration": float(np.nanmedian(duration)),
            "duration_spread": float(np.nanstd(duration)),
            "num_tags": float(tags.mean()) if len(tags) else np.nan,
            "share_without_tags": float((tags == 0).mean()) if len(tags) else np.nan,
            "share_original": float(original.mean()) if len(tags) else np.nan,
            "log_days": float(np.log1p((np.nanmax(times) - np.nanmin(times)) / _DAY))
            if len(times)
            else np.nan,
        }
