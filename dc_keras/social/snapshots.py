"""Past challenges with the graph as it was when the first adopters had posted.

A forecast of a past challenge may use posts before the last seed's post, but no post of
the challenge itself: hashtags and sounds of the challenge would connect its adopters
and reveal them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import polars as pl

from dc_keras.corpus.store import Corpus
from dc_keras.social.adoption import DAY_S, Adoption
from dc_keras.social.building import GraphPlan, build_graph
from dc_keras.social.graph import Layer
from dc_keras.study.resolution import find_joins
from dc_keras.study.study import Study


@dataclass(frozen=True, eq=False)
class PastChallenge:
    """A past challenge, with the edges at its beginning.

    Attributes:
        name: name of the challenge.
        layer: undirected edges from posts before the last seed's post, without posts of
            the challenge (`build_layer_before`).
        adoption: the adopters within the horizon.
        num_seeds: number of first adopters that are given as seeds.
    """

    name: str
    layer: Layer
    adoption: Adoption
    num_seeds: int

    @property
    def num_adopters(self) -> int:
        """The number of adopters, including the seeds; the target of the forecast."""
        return len(self.adoption.rows)

    @property
    def seeds_days(self) -> float:
        """The days from the first to the last seed's post, 0 or more."""
        return float(_time_of(self.adoption, self.num_seeds) - self.start) / DAY_S

    @property
    def start(self) -> int:
        """The time of the first post of the challenge, UTC seconds."""
        return int(self.adoption.times.min())


def cut_adoption(
    adoption: Adoption, num_seeds: int, days: float | None, last_post: int
) -> Adoption | str:
    """Returns the adopters within a horizon, or why there is no forecast.

    Args:
        adoption: adoption of a challenge.
        num_seeds: number of first adopters that are given as seeds, above 0.
        days: days after the last seed's post within which adopters count, above 0; None
            for no limit.
        last_post: time of the corpus's last post, UTC seconds.
    """
    if len(adoption.rows) < num_seeds:
        return f"fewer than {num_seeds} adopters"
    if days is None:
        return adoption
    end = _time_of(adoption, num_seeds) + days * DAY_S
    if end > last_post:
        return "the corpus ends within the horizon"
    return adoption.until(end)


def build_past_challenge(
    corpus: Corpus,
    study: Study,
    plan: GraphPlan,
    name: str,
    adoption: Adoption,
    num_seeds: int,
) -> PastChallenge:
    """Returns a challenge with the edges before its last seed's post.

    Raises:
        DataError: as for `build_graph`.
    """
    time = _time_of(adoption, num_seeds)
    layer = build_layer_before(corpus, study, plan, name, time)
    return PastChallenge(name, layer, adoption, num_seeds)


def build_layer_before(
    corpus: Corpus, study: Study, plan: GraphPlan, name: str, time: int
) -> Layer:
    """Returns the edges from posts before a time, without the posts of a challenge.

    Follows and suggestions without a time are excluded, because they may be later.

    Args:
        corpus: the corpus.
        study: the Study with the challenge; "co-challenge" uses the other challenges.
        plan: plan of the graph; its end is limited to `time`.
        name: name of the challenge.
        time: end of the period, UTC seconds.

    Returns:
        The sum of all layers of the plan (`SocialGraph.combined`).
    """
    [column] = [c for c, known in enumerate(study.challenges) if known.name == name]
    joins = find_joins(study, corpus.videos).filter(pl.col("challenge") == column)
    others = [challenge for challenge in study.challenges if challenge.name != name]
    end = time if plan.end is None else min(plan.end, time)
    before = corpus.without_videos(joins["video_id"])
    of_before = replace(plan, end=end)
    return build_graph(before, of_before, others, with_times=False).combined()


def _time_of(adoption: Adoption, number: int) -> int:
    """Returns the time of the n-th adopter, with n from 1."""
    times = adoption.times.copy()
    times.sort()
    return int(times[number - 1])
