r"""Builds the social graph of a corpus from shared hashtags and sounds and mentions.

    python -m pipelines.build_graph --corpus=run/corpus --output=run/graph \
        --layer=co-hashtag --layer=co-sound --layer=mention

Writes a graph directory (docs/social.md): a sparse matrix per layer, the users, and
graph.json with all options. Needs the extra `social` with --top_k, and no TensorFlow.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from dc_keras.version import __version__
from pipelines._cli import app

if TYPE_CHECKING:
    from dc_keras.corpus.store import Corpus
    from dc_keras.social.building import GraphPlan
    from dc_keras.social.graph import SocialGraph
    from dc_keras.study.challenge import Challenge

_CORPUS = flags.DEFINE_string("corpus", None, "Corpus directory.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "Directory of the graph.", required=True)
_LAYERS = flags.DEFINE_multi_string(
    "layer",
    ["co-hashtag", "co-sound", "mention"],
    "Kind of tie: co-hashtag, co-sound, co-effect, co-challenge, co-suggested-hashtag, "
    "co-suggested-sound, mention, duet, stitch, reply, follow, suggested; repeatable.",
)
_WEIGHTING = flags.DEFINE_enum(
    "weighting",
    "tfidf",
    ["count", "jaccard", "whichtok", "cosine", "tfidf", "hyperbolic"],
    "Weighting of shared things.",
)
_TOP_K = flags.DEFINE_integer(
    "top_k", 20, "Number of strongest ties kept per user in a co- layer; 0 keeps all."
)
_MIN_SUPPORT = flags.DEFINE_integer(
    "min_support", 2, "Minimum number of users of a thing that ties.", lower_bound=1
)
_MAX_SUPPORT = flags.DEFINE_integer(
    "max_support", 1000, "Maximum number of users of a thing that ties; 0: no limit."
)
_STOP_TAGS = flags.DEFINE_multi_string(
    "stop_tag",
    [],
    "Hashtag to ignore, in addition to generic ones such as fyp; repeatable.",
)
_KEEP_STOP_TAGS = flags.DEFINE_bool(
    "keep_stop_tags", False, "Whether generic hashtags such as fyp count too."
)
_START = flags.DEFINE_string(
    "start", None, "Ignores posts before this day or time, UTC."
)
_END = flags.DEFINE_string("end", None, "Ignores posts from this day or time on, UTC.")
_WITHIN = flags.DEFINE_integer(
    "within_seconds",
    None,
    "Maximum number of seconds between two posts for a shared thing to tie.",
    0,
)
_MIN_PARTICIPATION = flags.DEFINE_integer(
    "min_participation", 1, "Minimum number of posts with things per tied user.", 1
)
_SNAPSHOT_DAYS = flags.DEFINE_integer(
    "snapshot_days",
    None,
    "Also builds a graph per period of this many days, and writes the spells of ties.",
    1,
)
_BACKBONE = flags.DEFINE_enum(
    "backbone",
    "none",
    ["none", "disparity", "noise-corrected"],
    "Test that selects the significant ties.",
)
_ALPHA = flags.DEFINE_float(
    "alpha", 0.05, "Significance level of --backbone.", 0.0, 1.0
)
_STUDY = flags.DEFINE_string("study", None, "Study file, for co-challenge.")
_REPRESENTATIONS = flags.DEFINE_string(
    "representations",
    None,
    "Parquet file with user_id and vectors, or a directory such as --users of `rank`: "
    "adds the layer `similar` with the --top_k nearest neighbours of each user.",
)
_MAX_GIB = flags.DEFINE_float(
    "max_gib",
    4.0,
    "Memory limit of a layer in GiB, with --top_k=0 or --within_seconds.",
    0.001,
    1e6,
)


def main() -> None:
    """Builds and writes the graph."""
    from dc_keras.corpus.store import Corpus
    from dc_keras.social.building import build_graph
    from dc_keras.social.graph_store import save_graph
    from dc_keras.social.representations import read_representations
    from dc_keras.social.sharing import build_similarity_layer
    from dc_keras.study.study import Study

    plan = _plan()
    corpus = Corpus.open(_CORPUS.value)
    challenges = Study.load(_STUDY.value).challenges if _STUDY.value else ()
    graph = build_graph(corpus, plan, challenges)
    if _REPRESENTATIONS.value is not None:
        vectors = read_representations(Path(_REPRESENTATIONS.value), graph.users)
        similar = build_similarity_layer("similar", vectors, _TOP_K.value)
        graph = replace(graph, layers=(*graph.layers, similar))
    if _SNAPSHOT_DAYS.value is not None:
        graph = _with_spells(graph, corpus, plan, challenges, _SNAPSHOT_DAYS.value)
    info = {
        "version": __version__,
        "plan": plan.to_dict(),
        "snapshot_days": _SNAPSHOT_DAYS.value,
        "representations": _REPRESENTATIONS.value,
        "key_fingerprint": corpus.info["key_fingerprint"],
    }
    save_graph(Path(_OUTPUT.value), graph, info)
    for layer in graph.layers:
        app.say(f"{layer.name}: {layer.num_edges:,} ties")
    app.say(f"{_OUTPUT.value}: {len(graph.users):,} users")
    app.suggest(
        "survey_graph",
        graph=_OUTPUT.value,
        corpus=_CORPUS.value,
        output=Path(_OUTPUT.value).parent / "survey",
    )


def _with_spells(
    graph: SocialGraph,
    corpus: Corpus,
    plan: GraphPlan,
    challenges: Collection[Challenge],
    days: int,
) -> SocialGraph:
    from dc_keras.social.building import iter_snapshots
    from dc_keras.social.spells import find_spells

    period_s = days * 86_400
    periods = iter_snapshots(corpus, plan, period_s, challenges)
    spells = find_spells(_log_periods(periods), period_s)
    app.say(f"spells of at least {days} days: {spells.height:,}")
    return replace(graph, spells=spells)


def _log_periods(
    periods: Iterable[tuple[int, SocialGraph]],
) -> Iterator[tuple[int, SocialGraph]]:
    for start, graph in periods:
        app.progress(f"{datetime.fromtimestamp(start, UTC):%Y-%m-%d}: built ties")
        yield start, graph


def _plan() -> GraphPlan:
    from dc_keras.social.building import GraphPlan
    from dc_keras.study.study import parse_cutoff

    start, end = (
        None if flag.value is None else parse_cutoff(flag.value, flag.name)
        for flag in (_START, _END)
    )
    return GraphPlan(
        layers=tuple(_LAYERS.value),
        weighting=_WEIGHTING.value,
        top_k=_TOP_K.value,
        min_support=_MIN_SUPPORT.value,
        max_support=_MAX_SUPPORT.value,
        stop_tags=tuple(_STOP_TAGS.value),
        keep_stop_tags=_KEEP_STOP_TAGS.value,
        start=start,
        end=end,
        within_s=_WITHIN.value,
        min_participation=_MIN_PARTICIPATION.value,
        backbone=_BACKBONE.value,
        alpha=_ALPHA.value,
        max_bytes=int(_MAX_GIB.value * 2**30),
    )


if __name__ == "__main__":
    app.run(main, writes="output", kind="graph")
