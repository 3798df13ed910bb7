"""Builds the social graph of a corpus from a plan."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import numpy as np
import polars as pl
from scipy import sparse

from dc_keras.corpus.edges import all_edges
from dc_keras.corpus.store import Corpus
from dc_keras.errors import DataError
from dc_keras.social import affiliations
from dc_keras.social.affiliations import (
    AffiliationRule,
    Affiliations,
    count_affiliations,
    find_moments,
)
from dc_keras.social.backbone import keep_backbone
from dc_keras.social.coactivity import build_coactivity_layer
from dc_keras.social.graph import Layer, SocialGraph, to_canonical
from dc_keras.social.sharing import DEFAULT_MAX_BYTES, build_shared_layer
from dc_keras.study.challenge import Challenge

KINDS = ("mention", "duet", "stitch", "reply", "follow", "suggested")
SHARED_LAYERS = tuple(f"co-{kind}" for kind in affiliations.KINDS)
LAYERS = (*SHARED_LAYERS, *KINDS)
# The default number of strongest edges per user.
DEFAULT_TOP_K = 20


def build_interaction_layer(
    edges: pl.DataFrame,
    kind: str,
    users: tuple[str, ...],
    *,
    start: int | None = None,
    end: int | None = None,
) -> Layer:
    """Returns the layer of one kind of interaction, weighted by number.

    Args:
        edges: table of `corpus.edges.all_edges`.
        kind: one of `KINDS`.
        users: users of the graph, sorted. Edges to others, such as mentions of unknown
            handles, are ignored.
        start: start of the period, UTC seconds, inclusive; None for all.
        end: end of the period, UTC seconds, exclusive; None for all. With `start` or
            `end`, edges without a time, as many follows and suggestions are, are
            ignored.
    """
    edges = edges.filter((pl.col("kind") == kind) & (pl.col("target_type") == "user"))
    if start is not None:
        edges = edges.filter(pl.col("time") >= start)
    if end is not None:
        edges = edges.filter(pl.col("time") < end)
    known = pl.Series("user_id", users, dtype=pl.String)
    edges = edges.filter(
        pl.col("user_id").is_in(known.implode())
        & pl.col("target_id").is_in(known.implode())
    )
    place = tuple(
        known.search_sorted(edges[name]).to_numpy() for name in ("user_id", "target_id")
    )
    shape = (len(users), len(users))
    weights = sparse.coo_array((np.ones(edges.height), place), shape)
    return Layer(kind, to_canonical(weights.tocsr()), is_directed=True)


@dataclass(frozen=True)
class GraphPlan(AffiliationRule):
    """The layers of a graph and the weights of their edges, besides what counts.

    Attributes:
        layers: distinct names of `LAYERS`.
        weighting: weighting of shared things, one of `sharing.WEIGHTINGS`.
        top_k: number of strongest edges kept per user in a layer of shared things; 0
            keeps all.
        min_support: minimum number of users of a shared thing, at least 1.
        max_support: maximum number of users of a shared thing; 0 for no limit. Very
            common things connect everybody, carry little information and cost the most.
        within_s: maximum time between two posts of a shared thing in seconds, 0 or more
            (`coactivity`); None for no limit.
        backbone: "none", or one of `backbone.METHODS`.
        alpha: significance level of the backbone, in (0, 1].
        max_bytes: memory limit of a full product, in bytes.
    """

    layers: tuple[str, ...] = ("co-hashtag", "co-sound", "mention")
    weighting: str = "tfidf"
    top_k: int = DEFAULT_TOP_K
    min_support: int = 2
    max_support: int = 1000
    within_s: int | None = None
    backbone: str = "none"
    alpha: float = 0.05
    max_bytes: int = DEFAULT_MAX_BYTES

    def __post_init__(self) -> None:
        unknown = [name for name in self.layers if name not in LAYERS]
        if unknown or not self.layers or len(set(self.layers)) < len(self.layers):
            raise DataError(
                f"layers must be distinct names of {', '.join(LAYERS)}. "
                f"Received: layers={', '.join(self.layers)}"
            )
        for name, least in (
            ("top_k", 0),
            ("min_support", 1),
            ("max_support", 0),
            ("within_s", 0),
            ("min_participation", 1),
        ):
            value = getattr(self, name)
            if value is not None and value < least:
                raise DataError(
                    f"{name} must be at least {least}. Received: {name}={value}"
                )
        if 0 < self.max_support < self.min_support:
            raise DataError(
                "max_support must be 0 or at least min_support. Received: "
                f"min_support={self.min_support}, max_support={self.max_support}"
            )
        if self.start is not None and self.end is not None and self.end <= self.start:
            raise DataError(
                "end must be after start. Received: UTC seconds "
                f"start={self.start}, end={self.end}"
            )
        untimed = [name for name in self.layers if name.startswith("co-suggested")]
        if self.within_s is not None and untimed:
            raise DataError(
                "within_s needs layers of posts, because suggestions have no time. "
                f"Received: layers={', '.join(untimed)}, within_s={self.within_s}"
            )

    def to_dict(self) -> dict[str, Any]:
        """Returns the plan as JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Returns the plan of a dictionary of `to_dict`, also read from JSON.

        Raises:
            DataError: a value is unknown or out of range.
        """
        try:
            plain: dict[str, Any] = {
                name: tuple(value) if isinstance(value, list) else value
                for name, value in values.items()
            }
            return cls(**plain)
        except (AttributeError, TypeError) as error:
            raise DataError(
                "a plan must be one of this version; build the graph again. "
                f"Received: {error}"
            ) from error

    def supported(self, affiliations: Affiliations) -> Affiliations:
        """Returns the affiliations with things within the limits of support."""
        if self.max_support > 0:
            affiliations = affiliations.without_common(self.max_support)
        return affiliations.without_rare(self.min_support)


def build_graph(
    corpus: Corpus,
    plan: GraphPlan,
    challenges: Collection[Challenge] = (),
) -> SocialGraph:
    """Builds the graph of all users of a corpus.

    Raises:
        DataError: a layer would exceed the memory limit of the plan, or "co-challenge"
            has no challenges.
    """
    users = tuple(sorted(corpus.users["user_id"]))
    directed = [name for name in plan.layers if name in KINDS]
    edges = all_edges(corpus) if directed else None
    layers = (
        _build_co_layer(corpus, name, plan, challenges)
        if edges is None or name not in directed
        else build_interaction_layer(edges, name, users, start=plan.start, end=plan.end)
        for name in plan.layers
    )
    if plan.backbone != "none":
        layers = (keep_backbone(layer, plan.backbone, plan.alpha) for layer in layers)
    return SocialGraph(users, tuple(layers))


def _build_co_layer(
    corpus: Corpus,
    name: str,
    plan: GraphPlan,
    challenges: Collection[Challenge],
) -> Layer:
    kind = name.removeprefix("co-")
    moments = find_moments(corpus, kind, plan, challenges)
    counted = count_affiliations(kind, corpus.users["user_id"], moments)
    supported = plan.supported(counted)
    top_k, max_bytes = plan.top_k or None, plan.max_bytes
    if plan.within_s is not None:
        return build_coactivity_layer(
            moments,
            supported,
            plan.within_s,
            plan.weighting,
            top_k=top_k,
            max_bytes=max_bytes,
        )
    return build_shared_layer(
        supported, plan.weighting, top_k=top_k, max_bytes=max_bytes
    )


def iter_snapshots(
    corpus: Corpus,
    plan: GraphPlan,
    period_s: int,
    challenges: Collection[Challenge] = (),
) -> Iterator[tuple[int, SocialGraph]]:
    """Yields a graph for each period from the first post to the last.

    Args:
        corpus: the corpus.
        plan: plan of each graph; its `start` and `end` limit the whole range.
        period_s: length of a period in seconds; periods begin at multiples of it.
        challenges: challenges of a Study, for "co-challenge".

    Yields:
        The start, UTC seconds, and the graph of each period, including empty ones.
    """
    times = corpus.videos["create_time"].drop_nulls().to_numpy()
    if plan.start is not None:
        times = times[times >= plan.start]
    if plan.end is not None:
        times = times[times < plan.end]
    if len(times) == 0:
        return
    first, last = (int(t) // period_s * period_s for t in (times.min(), times.max()))
    for start in range(first, last + 1, period_s):
        of_period = replace(plan, start=start, end=start + period_s)
        yield start, build_graph(corpus, of_period, challenges)
