r"""Draws the social graph of a corpus: who shares tags and sounds, who turns to whom.

    python -m pipelines.build_graph --corpus=run/corpus --output=run/graph \
        --layer=co-hashtag --layer=co-sound --layer=mention

Leaves behind a graph directory (docs/social.md): a sparse matrix a layer, the users,
graph.json with all choices, and of all layers together communities.csv, files for other
tools, pictures, and with the extra `report` a page. Needs the extra `social`, and no
TensorFlow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from absl import flags

from pipelines import app

if TYPE_CHECKING:
    from pathlib import Path

    from dc_keras.social.building import GraphPlan
    from dc_keras.social.survey import Survey

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
    "How shared things are weighed.",
)
_TOP_K = flags.DEFINE_integer(
    "top_k", 20, "Strongest ties of each user in a co- layer; 0 keeps all."
)
_MIN_SUPPORT = flags.DEFINE_integer(
    "min_support", 2, "Users that must have a thing for it to tie.", lower_bound=1
)
_MAX_SUPPORT = flags.DEFINE_integer(
    "max_support", 1000, "Users that may have a thing at most; 0 for any number."
)
_STOP_TAGS = flags.DEFINE_multi_string(
    "stop_tag", [], "Hashtag that ties nobody, beside fyp and its like; repeatable."
)
_KEEP_STOP_TAGS = flags.DEFINE_bool(
    "keep_stop_tags", False, "Whether fyp and its like tie after all."
)
_KEEP_ORIGINAL = flags.DEFINE_bool(
    "keep_original_sounds", False, 'Whether "original sound" ties, in any language.'
)
_START = flags.DEFINE_string("start", None, "First day or time that counts, UTC.")
_END = flags.DEFINE_string("end", None, "First day or time that does not, UTC.")
_BACKBONE = flags.DEFINE_enum(
    "backbone",
    "none",
    ["none", "disparity", "noise-corrected"],
    "Keeps the ties that are more than chance.",
)
_ALPHA = flags.DEFINE_float("alpha", 0.05, "For --backbone: ties below it stay.")
_STUDY = flags.DEFINE_string("study", None, "Study file, for co-challenge.")
_RESOLUTION = flags.DEFINE_float(
    "resolution", 1.0, "Above 1 for more and smaller communities.", 0.0
)
_SEED = flags.DEFINE_integer("seed", 0, "Of communities, pivots and layout.")
_FORMATS = flags.DEFINE_list(
    "formats", ["gexf", "csv"], "Files for other tools: gexf, graphml, csv, json."
)
_PICTURES = flags.DEFINE_list("pictures", ["png"], "Pictures: png, svg.")
_PAGE = flags.DEFINE_bool("page", True, "Whether to write graph.html.")
_TITLE = flags.DEFINE_string("title", "Who shares space?", "Of pictures and page.")
_MAX_GIB = flags.DEFINE_float(
    "max_gib", 4.0, "What all ties of a layer may take, with --top_k=0.", 0.001
)


_SHOWN = 10


def main() -> None:
    """Builds and writes the graph, and what there is to say about it."""
    from pathlib import Path

    from dc_keras.corpus.store import Corpus
    from dc_keras.corpus.study import Study
    from dc_keras.social.belongings import telling_names
    from dc_keras.social.building import build_graph
    from dc_keras.social.store import save_graph
    from dc_keras.social.survey import survey
    from dc_keras.version import __version__

    plan = _plan()
    corpus = Corpus.open(_CORPUS.value)
    challenges = Study.load(_STUDY.value).challenges if _STUDY.value else ()
    graph = build_graph(corpus, plan, challenges)
    names = telling_names(corpus, plan.rule())
    found = survey(
        graph,
        graph.combined(),
        names.counts,
        names.things,
        resolution=_RESOLUTION.value,
        seed=_SEED.value,
    )
    info = {
        "version": __version__,
        "plan": plan.to_dict(),
        "resolution": _RESOLUTION.value,
        "seed": _SEED.value,
        "key_fingerprint": corpus.info["key_fingerprint"],
    }
    output = Path(_OUTPUT.value)
    save_graph(output, graph, info)
    _write_views(found, output)
    for layer in graph.layers:
        app.say(f"{layer.name}: {layer.num_ties:,} ties")
    for row in found.table().head(_SHOWN).iter_rows(named=True):
        app.say(f"{row['users']:,} users: {row['name']}")
    app.say(
        f"{output}: {len(graph.users):,} users, {found.table().height} communities, "
        f"modularity {found.communities.modularity:.2f}"
    )


def _write_views(found: Survey, output: Path) -> None:
    from dc_keras.corpus.store import write_text
    from dc_keras.social.graph_files import write_graph
    from dc_keras.social.pictures import draw_graph, write_pictures

    communities = found.users().select("user_id", "community", "community_name")
    write_text(output / "communities.csv", communities.write_csv())
    if _FORMATS.value:
        write_graph(found.view(), output, "graph", _FORMATS.value)
    if _PICTURES.value:
        membership = found.communities.membership
        figure = draw_graph(found.layer, membership, found.names, title=_TITLE.value)
        write_pictures(figure, output, "graph", _PICTURES.value)
    if _PAGE.value:
        try:
            from dc_keras.reporting.graph_page import write_graph_page
        except ImportError:
            app.progress("no page without `pip install 'dc_keras[report]'`")
        else:
            write_graph_page(found, output / "graph.html", _TITLE.value)


def _plan() -> GraphPlan:
    from dc_keras.corpus.study import parse_cutoff
    from dc_keras.social.building import GraphPlan

    start, end = (
        None if flag.value is None else parse_cutoff(flag.value)
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
        keep_original_sounds=_KEEP_ORIGINAL.value,
        start=start,
        end=end,
        backbone=_BACKBONE.value,
        alpha=_ALPHA.value,
        max_bytes=int(_MAX_GIB.value * 2**30),
    )


if __name__ == "__main__":
    app.run(main)
