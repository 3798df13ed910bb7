"""Past challenges as they stood when their first adopters had posted.

What a forecast of a past challenge may know: the posts before the last of its seeds'
posts, without any post of the challenge itself. A tag or a sound that edges those who
joined would tell who joins.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import polars as pl

from dc_keras.corpus.store import Corpus
from dc_keras.errors import DataError
from dc_keras.social.adoption import DAY_S, Adoption
from dc_keras.social.building import GraphPlan, build_graph
from dc_keras.social.graph import Layer
from dc_keras.study.participation import find_joins
from dc_keras.study.study import Study


@dataclass(frozen=True, eq=False)
class PastChallenge:
    """A challenge that has run, with the edges that were there when it began.

    Attributes:
        name: of the challenge.
        layer: edges without direction, told by posts before the last seed's post and
            none of the challenge (`build_layer_before`).
        adoption: who took it up within the horizon.
        num_seeds: the first so many adopters are given, at most all of them.
    """

    name: str
    layer: Layer
    adoption: Adoption
    num_seeds: int

    @property
    def num_adopters(self) -> int:
        """How many took it up, the seeds among them: what is foretold."""
        return len(self.adoption.rows)

    @property
    def seeds_days(self) -> float:
        """Days from the first seed's post to the last one's, 0 or more."""
        return float(_time_of(self.adoption, self.num_seeds) - self.start) / DAY_S

    @property
    def start(self) -> int:
        """First post of the challenge, UTC seconds."""
        return int(self.adoption.times.min())


@dataclass(frozen=True)
class Horizon:
    """Which past challenges are foretold, and until when.

    Attributes:
        num_seeds: first adopters that are given, above 0.
        days: adopters count up to so many days after the last seed's post, above 0;
            None until the last post of the corpus.
    """

    num_seeds: int = 10
    days: float | None = None

    def __post_init__(self) -> None:
        if self.num_seeds < 1 or (self.days is not None and not self.days > 0):
            raise DataError(
                "a horizon must have a seed and days above 0. Received: "
                f"num_seeds={self.num_seeds}, days={self.days}"
            )

    def cut(self, adoption: Adoption, last_post: int) -> Adoption | str:
        """Returns the adopters within the horizon, or why there is nothing to foretell.

        Args:
            adoption: of a challenge.
            last_post: time of the corpus's last post, UTC seconds.
        """
        if len(adoption.rows) < self.num_seeds:
            return f"fewer than {self.num_seeds} adopters"
        if self.days is None:
            return adoption
        end = _time_of(adoption, self.num_seeds) + self.days * DAY_S
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
    """Returns a challenge with the edges of before its last seed's post.

    Args:
        corpus: whose posts are read.
        study: has the challenge.
        plan: of the graph.
        name: of the challenge.
        adoption: of the challenge, within the horizon (`Horizon.cut`).
        num_seeds: at most as many as adopters.

    Raises:
        DataError: as of `build_graph`.
    """
    time = _time_of(adoption, num_seeds)
    layer = build_layer_before(corpus, study, plan, name, time)
    return PastChallenge(name, layer, adoption, num_seeds)


def build_layer_before(
    corpus: Corpus, study: Study, plan: GraphPlan, name: str, time: int
) -> Layer:
    """Returns what posts before a time, and none of a challenge, say of edges.

    Follows and suggestions without a time are left out: they may have come later.

    Args:
        corpus: whose posts are read.
        study: has the challenge; "co-challenge" edges are those of the others.
        plan: of the graph; its end is moved to `time` where that is earlier.
        name: of the challenge.
        time: UTC seconds.

    Returns:
        All layers of the plan as one (`SocialGraph.combined`).
    """
    [column] = [c for c, known in enumerate(study.challenges) if known.name == name]
    joins = find_joins(study, corpus.videos).filter(pl.col("challenge") == column)
    others = [challenge for challenge in study.challenges if challenge.name != name]
    end = time if plan.end is None else min(plan.end, time)
    before = corpus.without_videos(joins["video_id"])
    of_before = replace(plan, end=end)
    return build_graph(before, of_before, others, with_times=False).combined()


def _time_of(adoption: Adoption, number: int) -> int:
    """Returns when the adopter of that number, from 1, posted."""
    times = adoption.times.copy()
    times.sort()
    return int(times[number - 1])
