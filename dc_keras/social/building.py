"""The whole graph of a corpus, from a plan of which edges to build and how."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from dc_keras.corpus.edges import all_edges
from dc_keras.corpus.store import Corpus
from dc_keras.errors import DataError
from dc_keras.social import affiliations, interactions
from dc_keras.social.affiliations import (
    AffiliationRule,
    Affiliations,
    count_affiliations,
    find_moments,
)
from dc_keras.social.backbone import keep_backbone
from dc_keras.social.coactivity import build_coactivity_layer
from dc_keras.social.graph import Layer, SocialGraph
from dc_keras.social.sharing import DEFAULT_MAX_BYTES, build_shared_layer
from dc_keras.social.tie_times import add_edge_times
from dc_keras.study.challenge import Challenge

SHARED_LAYERS = tuple(f"co-{kind}" for kind in affiliations.KINDS)
LAYERS = (*SHARED_LAYERS, *interactions.KINDS)
# The strongest edges of each user are as many where a product would be too large.
DEFAULT_TOP_K = 20


@dataclass(frozen=True)
class GraphPlan:
    """Which edges a graph has, and how they are weighed.

    Attributes:
        layers: some of `LAYERS`, without repeats.
        weighting: of shared things, one of `sharing.WEIGHTINGS`.
        top_k: strongest edges of each user in a layer of shared things; 0 keeps all.
        min_support: users that must have a thing for it to edge anybody, at least 1.
        max_support: users that may have it at most; 0 for any number. What more have
            edges everybody to everybody, says little of anybody, and costs most.
        stop_tags: hashtags that edge nobody, beside those that everybody uses.
        keep_stop_tags: whether those edge after all.
        keep_original_sounds: whether sounds called "original sound" edge.
        start: first posting time that counts, UTC seconds; None from the beginning.
        end: first one that does not; None to the end.
        within_s: shared things edge where both users posted them at most so many
            seconds apart, 0 or more (`coactivity`); None for any time.
        min_participation: posts with a thing of the kind that a user must have to be
            connected by it, at least 1 (CooRTweet's measure of the same name).
        backbone: "none", or one of `backbone.METHODS`.
        alpha: for the backbone: edges below it stay, in (0, 1].
        max_bytes: what a full product may take.
    """

    layers: tuple[str, ...] = ("co-hashtag", "co-sound", "mention")
    weighting: str = "tfidf"
    top_k: int = DEFAULT_TOP_K
    min_support: int = 2
    max_support: int = 1000
    stop_tags: tuple[str, ...] = ()
    keep_stop_tags: bool = False
    keep_original_sounds: bool = False
    start: int | None = None
    end: int | None = None
    within_s: int | None = None
    min_participation: int = 1
    backbone: str = "none"
    alpha: float = 0.05
    max_bytes: int = DEFAULT_MAX_BYTES

    def __post_init__(self) -> None:
        unknown = [name for name in self.layers if name not in LAYERS]
        if unknown or not self.layers or len(set(self.layers)) < len(self.layers):
            raise DataError(
                f"layers must be some of {', '.join(LAYERS)}, each once. "
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
        untimed = [name for name in self.layers if name.startswith("co-suggested")]
        if self.within_s is not None and untimed:
            raise DataError(
                "edges within a time must be those of posts: nobody says when a "
                f"suggestion was made. Received: layers={', '.join(untimed)}, "
                f"within_s={self.within_s}"
            )

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Returns the plan that `to_dict` told of, lists of JSON for tuples or not.

        Raises:
            DataError: a choice that is none, or out of its range.
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

    def supported(self, found: Affiliations) -> Affiliations:
        """Returns affiliations without what too many or too few users have."""
        if self.max_support > 0:
            found = found.without_common(self.max_support)
        return found.without_rare(self.min_support)

    def rule(self) -> AffiliationRule:
        """Returns what counts as having a thing."""
        return AffiliationRule(
            self.stop_tags,
            self.keep_stop_tags,
            self.keep_original_sounds,
            self.start,
            self.end,
            self.min_participation,
        )


def build_graph(
    corpus: Corpus,
    plan: GraphPlan,
    challenges: Collection[Challenge] = (),
    *,
    with_times: bool = True,
) -> SocialGraph:
    """Builds the graph of all users of a corpus.

    Args:
        corpus: whose posts and edges are read.
        plan: which edges, and how they are weighed.
        challenges: of a Study, for "co-challenge".
        with_times: whether to look when edges by shared things were seen; it takes as
            long as the edges themselves.

    Raises:
        DataError: as of `build_shared_layer`, `build_coactivity_layer` and
            `find_moments`.
    """
    users = tuple(sorted(corpus.users["user_id"]))
    turned = [name for name in plan.layers if name in interactions.KINDS]
    edges = all_edges(corpus) if turned else None
    layers = (
        _shared(corpus, name, plan, challenges, with_times)
        if edges is None or name not in turned
        else interactions.build_interaction_layer(
            edges, name, users, start=plan.start, end=plan.end
        )
        for name in plan.layers
    )
    if plan.backbone != "none":
        layers = (keep_backbone(layer, plan.backbone, plan.alpha) for layer in layers)
    return SocialGraph(users, tuple(layers))


def _shared(
    corpus: Corpus,
    name: str,
    plan: GraphPlan,
    challenges: Collection[Challenge],
    with_times: bool,
) -> Layer:
    kind = name.removeprefix("co-")
    moments = find_moments(corpus, kind, plan.rule(), challenges)
    found = count_affiliations(kind, corpus.users["user_id"], moments)
    found = plan.supported(found)
    top_k, max_bytes = plan.top_k or None, plan.max_bytes
    if plan.within_s is not None:
        return build_coactivity_layer(
            moments,
            found,
            plan.within_s,
            plan.weighting,
            top_k=top_k,
            max_bytes=max_bytes,
        )
    layer = build_shared_layer(found, plan.weighting, top_k=top_k, max_bytes=max_bytes)
    if with_times:
        layer = add_edge_times(layer, moments, found)
    return layer


def iter_snapshots(
    corpus: Corpus,
    plan: GraphPlan,
    period_s: int,
    challenges: Collection[Challenge] = (),
) -> Iterator[tuple[int, SocialGraph]]:
    """Yields a graph for each period from the first post to the last.

    Args:
        corpus: whose posts are read.
        plan: of each; its `start` and `end` bound the whole.
        period_s: length in seconds, above 0; periods begin at whole multiples of it.
        challenges: of a Study, for "co-challenge".

    Yields:
        First second and graph of each period, empty ones included.

    Raises:
        DataError: `period_s` is not above 0; see also `build_graph`.
    """
    if period_s <= 0:
        raise DataError(f"a period must be above 0 s. Received: period_s={period_s}")
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
        yield start, build_graph(corpus, of_period, challenges, with_times=False)


def snapshots(
    corpus: Corpus,
    plan: GraphPlan,
    period_s: int,
    challenges: Collection[Challenge] = (),
) -> list[tuple[int, SocialGraph]]:
    """Returns all that `iter_snapshots` yields."""
    return list(iter_snapshots(corpus, plan, period_s, challenges))
