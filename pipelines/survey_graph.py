r"""Finds the communities of a graph, names them and measures their isolation.

    python -m pipelines.survey_graph --graph=run/graph --corpus=run/corpus \
        --output=run/survey

Reads a graph of `build_graph`, with all its layers or those of --layer, and names
communities by the hashtags and sounds of the corpus. Writes survey.html, the page; the
graph in each --format; users.parquet and communities.parquet; and communities.csv, for
--communities of `rank`. With --predictions, a file of `predict` or `rank`, the tables
and files contain each user's probability to join, and --colour_by=probability shows it.
Needs the extras `social` and `report`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from dc_keras.errors import DataError
from dc_keras.escaping import escape_formulas, format_csv
from pipelines._cli import app

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

    from dc_keras.corpus.store import Corpus
    from dc_keras.social.building import GraphPlan
    from dc_keras.social.graph import SocialGraph
    from dc_keras.social.survey import Survey

_GRAPH = flags.DEFINE_string(
    "graph", None, "Graph directory of `build_graph`.", required=True
)
_CORPUS = flags.DEFINE_string("corpus", None, "Corpus directory.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "Output directory.", required=True)
_LAYERS = flags.DEFINE_multi_string(
    "layer", [], "Layer to use; repeatable. Default: all layers."
)
_RESOLUTION = flags.DEFINE_float(
    "resolution",
    1.0,
    "Resolution of modularity: above 1 gives more and smaller communities.",
)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of communities, estimates and layout.", 0)
_FORMATS = flags.DEFINE_multi_enum(
    "format",
    ["gexf", "csv", "png", "svg"],
    ["gexf", "graphml", "csv", "json", "png", "svg"],
    "File format of the graph, in addition to the page; repeatable.",
)
_BIPARTITE = flags.DEFINE_multi_enum(
    "bipartite",
    [],
    ["hashtag", "sound", "effect", "suggested-hashtag", "suggested-sound"],
    "Also writes the bipartite graph of users and these things, by the plan of "
    "--graph, in each --format that is not an image; repeatable.",
)
_PREDICTIONS = flags.DEFINE_string(
    "predictions", None, "CSV file of `predict` or `rank` with user probabilities."
)
_CHALLENGE = flags.DEFINE_string(
    "challenge", None, "Challenge to use, if --predictions contains several."
)
_COLOUR_BY = flags.DEFINE_enum(
    "colour_by",
    "community",
    ["community", "probability"],
    "Quantity shown by colour; probability needs --predictions.",
)
_TITLE = "Who shares space?"


def main() -> None:
    """Surveys the graph and writes the page, tables and files."""
    import polars as pl

    from dc_keras.corpus.store import Corpus, write_text
    from dc_keras.social.building import GraphPlan
    from dc_keras.social.graph_store import read_graph
    from tfrecords.storage.checksums import seal_directory

    _require_predictions()
    with app.requiring_report_extra():
        from dc_keras.reporting.graph_page import render_graph_page

    graph, info = read_graph(Path(_GRAPH.value))
    corpus = Corpus.open(_CORPUS.value)
    probabilities = _read_probabilities(graph.users)
    survey = _survey(graph, corpus)
    if probabilities is not None:
        column = pl.Series(probabilities).fill_nan(None)
        measures = survey.measures.with_columns(probability=column)
        survey = replace(survey, measures=measures)
    shown = probabilities if _COLOUR_BY.value == "probability" else None
    output = Path(_OUTPUT.value)
    app.progress(f"drawing {len(graph.users):,} users, seconds for a thousand")
    members = _write_tables(survey, output)
    title = _TITLE + " (synthetic)" * corpus.is_synthetic
    _write_graph_files(survey, output, _combine_spells(graph), shown, title)
    for kind in dict.fromkeys(_BIPARTITE.value):
        plan = GraphPlan.from_dict(info["plan"])
        _write_bipartite(corpus, plan, kind, members, output)
    page = render_graph_page(survey, _TITLE, shown, is_synthetic=corpus.is_synthetic)
    write_text(output / "survey.html", page)
    seal_directory(output)
    communities = survey.communities
    app.say(
        f"{survey.table().height:,} communities, {communities.num_alone:,} users "
        f"alone; modularity {communities.modularity:.3f}, E–I index "
        f"{survey.isolation.overall:.3f}, ARI over seeds {survey.stability.ari:.3f}"
    )
    app.say(f"{output}: survey.html and the graph in {', '.join(_FORMATS.value)}")


def _survey(graph: SocialGraph, corpus: Corpus) -> Survey:
    from dc_keras.social.affiliations import find_names
    from dc_keras.social.survey import survey

    names = find_names(corpus)
    if names.users != graph.users:
        raise DataError(
            "the graph must have been built from this corpus. Received: "
            f"users of the graph={len(graph.users)}, of the corpus={len(names.users)}"
        )
    return survey(
        graph,
        graph.combined(_LAYERS.value),
        names.counts,
        names.things,
        resolution=_RESOLUTION.value,
        seed=_SEED.value,
    )


def _combine_spells(graph: SocialGraph) -> pl.DataFrame | None:
    """Returns the spells of the ties of the used layers, None if unknown."""
    from dc_keras.social.spells import combine_spells

    if graph.spells is None:
        return None
    layers = _LAYERS.value or [layer.name for layer in graph.layers]
    return combine_spells(graph.spells, layers)


def _write_tables(survey: Survey, output: Path) -> pl.DataFrame:
    """Writes users and communities; returns the community of each user."""
    from dc_keras.corpus.store import write_table, write_text
    from tfrecords.storage.checksums import SUMS_FILE

    output.mkdir(parents=True, exist_ok=True)
    # Its checksums are about to change; it is written again at the end.
    (output / SUMS_FILE).unlink(missing_ok=True)
    users = survey.users()
    write_table(output / "users.parquet", users)
    members = users.select("user_id", "community", "community_name")
    write_text(output / "communities.csv", format_csv(escape_formulas(members)))
    write_table(output / "communities.parquet", survey.table())
    return members


def _require_predictions() -> None:
    is_needed = _CHALLENGE.value is not None or _COLOUR_BY.value == "probability"
    if is_needed and _PREDICTIONS.value is None:
        raise DataError(
            "challenge and colour_by=probability need --predictions. Received: "
            f"challenge={_CHALLENGE.value}, colour_by={_COLOUR_BY.value}"
        )


def _read_probabilities(users: Sequence[str]) -> np.ndarray | None:
    import numpy as np

    from dc_keras.social.model_scores import read_probabilities

    if _PREDICTIONS.value is None:
        return None
    values = read_probabilities(Path(_PREDICTIONS.value), users, _CHALLENGE.value)
    app.say(f"a probability for {np.isfinite(values).sum():,} of {len(users):,} users")
    return values


def _write_bipartite(
    corpus: Corpus, plan: GraphPlan, kind: str, members: pl.DataFrame, output: Path
) -> None:
    from dc_keras.social.affiliations import count_affiliations, find_moments
    from dc_keras.social.graph_files import FORMATS, write_graph
    from dc_keras.social.graph_view import bipartite_view

    moments = find_moments(corpus, kind, plan)
    counts = count_affiliations(kind, corpus.users["user_id"], moments)
    affiliations = plan.supported(counts)
    view = bipartite_view(affiliations, members)
    files = [name for name in _FORMATS.value if name in FORMATS]
    write_graph(view, output, f"users_and_{kind}s", files)
    app.say(
        f"users and {kind}s: {len(affiliations.things):,} {kind}s, "
        f"{view.edges.height:,} ties"
    )


def _write_graph_files(
    survey: Survey,
    output: Path,
    spells: pl.DataFrame | None,
    probabilities: np.ndarray | None,
    title: str,
) -> None:
    """Writes the graph in each --format; computes a layout only for images."""
    from dc_keras.social.graph_files import FORMATS, write_graph
    from dc_keras.social.graph_images import PICTURES, draw_graph, write_pictures
    from dc_keras.social.model_scores import probability_colours

    files = [name for name in _FORMATS.value if name in FORMATS]
    pictures = [name for name in _FORMATS.value if name in PICTURES]
    if files:
        view = survey.view(spells=spells)
        if probabilities is not None:
            view = replace(view, colours=probability_colours(probabilities))
        write_graph(view, output, "graph", files)
    if pictures:
        figure = draw_graph(
            survey.layer,
            survey.communities.membership,
            survey.names,
            title=title,
            seed=_SEED.value,
            probabilities=probabilities,
        )
        write_pictures(figure, output, "graph", pictures)


if __name__ == "__main__":
    app.run(main, writes="output", kind="survey")
