r"""Says who shares space in a graph: communities, their names, how isolated they are.

    python -m pipelines.survey_graph --graph=run/graph --corpus=run/corpus \
        --output=run/survey

Takes what `build_graph` left behind, all its layers together or those of --layer, and
names communities by the hashtags and sounds of the corpus. Leaves behind survey.html,
the page; the graph in each of --format; users.parquet and communities.parquet; and
communities.csv, by which `rank` spreads a budget. With --predictions, what `predict` or
`rank` wrote, tables and files say how likely each user is to join, and
--colour_by=probability shows it. Needs the extras `social` and, for the page, `report`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from absl import flags

from pipelines._cli import app

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    import polars as pl

    from dc_keras.corpus.store import Corpus
    from dc_keras.social.building import GraphPlan
    from dc_keras.social.graph import SocialGraph
    from dc_keras.social.survey import Survey

_GRAPH = flags.DEFINE_string(
    "graph", None, "Directory that `build_graph` made.", required=True
)
_CORPUS = flags.DEFINE_string("corpus", None, "Corpus directory.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "Directory of answers.", required=True)
_LAYERS = flags.DEFINE_multi_string(
    "layer", [], "Layer that counts, all of them if not given; repeatable."
)
_RESOLUTION = flags.DEFINE_float(
    "resolution", 1.0, "Above 1 more and smaller communities, below 1 fewer."
)
_SEED = flags.DEFINE_integer("seed", 0, "Of communities, estimates and layout.", 0)
_FORMATS = flags.DEFINE_multi_enum(
    "format",
    ["gexf", "csv", "png", "svg"],
    ["gexf", "graphml", "csv", "json", "png", "svg"],
    "File of the graph beside the page; repeatable.",
)
_BIPARTITE = flags.DEFINE_multi_enum(
    "bipartite",
    [],
    ["hashtag", "sound", "effect", "suggested-hashtag", "suggested-sound"],
    "Also writes users and these things as one graph, by the rule of --graph, in each "
    "--format that is no picture; repeatable.",
)
_PREDICTIONS = flags.DEFINE_string(
    "predictions", None, "CSV of `predict` or `rank`: a probability for each user."
)
_CHALLENGE = flags.DEFINE_string(
    "challenge", None, "Which one, where --predictions is about several."
)
_COLOUR_BY = flags.DEFINE_enum(
    "colour_by",
    "community",
    ["community", "probability"],
    "What colours stand for; probability needs --predictions.",
)
_TITLE = flags.DEFINE_string("title", "Who shares space?", "Of page and pictures.")


def main() -> None:
    """Surveys the graph and writes page, tables and files."""
    from pathlib import Path

    from dc_keras.corpus.store import Corpus
    from dc_keras.social.building import GraphPlan
    from dc_keras.social.graph_store import read_graph
    from tfrecords.storage.checksums import seal_directory

    _require_predictions()
    with app.needing_report():
        from dc_keras.reporting.graph_page import write_graph_page

    graph, info = read_graph(Path(_GRAPH.value))
    corpus = Corpus.open(_CORPUS.value)
    told = _probabilities(graph.users)
    found = _survey(graph, corpus)
    if told is not None:
        measures = found.measures.with_columns(probability=_or_null(told))
        found = replace(found, measures=measures)
    shown = told if _COLOUR_BY.value == "probability" else None
    output = Path(_OUTPUT.value)
    members = _write_tables(found, output)
    _write_files(found, output, _spells(graph), shown)
    for kind in dict.fromkeys(_BIPARTITE.value):
        plan = GraphPlan.from_dict(info["plan"])
        _write_bipartite(corpus, plan, kind, members, output)
    write_graph_page(found, output / "survey.html", _TITLE.value, shown)
    seal_directory(output)
    app.say(
        f"{found.table().height:,} communities, {found.communities.num_alone:,} users "
        f"alone; modularity {found.communities.modularity:.3f}, E–I index "
        f"{found.isolation.overall:.3f}, ARI over seeds {found.stability.ari:.3f}"
    )
    app.say(f"{output}: survey.html and the graph in {', '.join(_FORMATS.value)}")


def _survey(graph: SocialGraph, corpus: Corpus) -> Survey:
    from dc_keras.errors import DataError
    from dc_keras.social.affiliations import find_names
    from dc_keras.social.survey import survey

    names = find_names(corpus)
    if names.users != graph.users:
        raise DataError(
            "the graph must have been built from this corpus. Received: "
            f"users of the graph={len(graph.users)}, of the corpus={len(names.users)}"
        )
    shares = dict.fromkeys(_LAYERS.value, 1.0) or None
    return survey(
        graph,
        graph.combined(shares),
        names.counts,
        names.things,
        resolution=_RESOLUTION.value,
        seed=_SEED.value,
    )


def _spells(graph: SocialGraph) -> pl.DataFrame | None:
    """Returns when each tie of the layers that count stood, where that is known."""
    from dc_keras.social.spells import combine_spells

    if graph.spells is None:
        return None
    counted = _LAYERS.value or [layer.name for layer in graph.layers]
    return combine_spells(graph.spells, counted)


def _write_tables(found: Survey, output: Path) -> pl.DataFrame:
    """Writes users and communities; returns who is of which community."""
    from dc_keras.corpus.store import write_table, write_text
    from dc_keras.escaping import escape_formulas, format_csv
    from tfrecords.storage.checksums import SUMS_FILE

    output.mkdir(parents=True, exist_ok=True)
    # It tells of files that are about to change, and comes back last.
    (output / SUMS_FILE).unlink(missing_ok=True)
    users = found.users()
    write_table(output / "users.parquet", users)
    members = users.select("user_id", "community", "community_name")
    write_text(output / "communities.csv", format_csv(escape_formulas(members)))
    write_table(output / "communities.parquet", found.table())
    return members


def _require_predictions() -> None:
    from dc_keras.errors import DataError

    asked = _CHALLENGE.value is not None or _COLOUR_BY.value == "probability"
    if asked and _PREDICTIONS.value is None:
        raise DataError(
            "challenge and colour_by=probability need --predictions. Received: "
            f"challenge={_CHALLENGE.value}, colour_by={_COLOUR_BY.value}"
        )


def _probabilities(users: Sequence[str]) -> np.ndarray | None:
    from pathlib import Path

    import numpy as np

    from dc_keras.social.model_scores import read_probabilities

    if _PREDICTIONS.value is None:
        return None
    told = read_probabilities(Path(_PREDICTIONS.value), users, _CHALLENGE.value)
    app.say(f"a probability for {np.isfinite(told).sum():,} of {len(users):,} users")
    return told


def _or_null(values: np.ndarray) -> pl.Series:
    import polars as pl

    return pl.Series(values).fill_nan(None)


def _write_bipartite(
    corpus: Corpus, plan: GraphPlan, kind: str, members: pl.DataFrame, output: Path
) -> None:
    """Writes users and things of one kind as one graph."""
    from dc_keras.social.affiliations import count_affiliations, find_moments
    from dc_keras.social.bipartite import bipartite_view
    from dc_keras.social.graph_files import FORMATS, write_graph

    moments = find_moments(corpus, kind, plan.rule())
    has = plan.supported(count_affiliations(kind, corpus.users["user_id"], moments))
    view = bipartite_view(has, moments, members)
    files = [name for name in _FORMATS.value if name in FORMATS]
    write_graph(view, output, f"users_and_{kind}s", files)
    app.say(
        f"users and {kind}s: {len(has.things):,} {kind}s, {view.edges.height:,} ties"
    )


def _write_files(
    found: Survey,
    output: Path,
    spells: pl.DataFrame | None,
    probabilities: np.ndarray | None,
) -> None:
    """Writes the files asked for; what nobody asked for is not even laid out."""
    from dc_keras.social.graph_files import FORMATS, write_graph
    from dc_keras.social.graph_images import PICTURES, draw_graph, write_pictures
    from dc_keras.social.model_scores import probability_colours

    files = [name for name in _FORMATS.value if name in FORMATS]
    pictures = [name for name in _FORMATS.value if name in PICTURES]
    if files:
        view = found.view(spells=spells)
        if probabilities is not None:
            view = replace(view, colours=probability_colours(probabilities))
        write_graph(view, output, "graph", files)
    if pictures:
        figure = draw_graph(
            found.layer,
            found.communities.membership,
            found.names,
            title=_TITLE.value,
            seed=_SEED.value,
            probabilities=probabilities,
        )
        write_pictures(figure, output, "graph", pictures)


if __name__ == "__main__":
    app.run(main, writes="output", kind="survey")
