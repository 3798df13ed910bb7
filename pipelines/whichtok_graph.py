r"""Builds and surveys the graph of a whichtok stem: who shares hashtags and sounds.

    python -m pipelines.whichtok_graph --stem=crawl --output=run/whichtok

Reads users.json of the stem, and weights the edges as whichtok does: for each
criterion, the size of the overlap of two users divided by the mean of both sizes.
Writes whichtok.html, a page with the communities and their isolation, and the graph in
each --format. The users are handles in the clear, as in the stem: to keep data, import
the stem with `import_corpus`. Needs the extras `social` and, for the page, `report`.
"""

from __future__ import annotations

from pathlib import Path

from absl import flags

from pipelines._cli import app

_STEM = flags.DEFINE_string(
    "stem", None, "Directory of whichtok with users.json.", required=True
)
_OUTPUT = flags.DEFINE_string("output", None, "Output directory.", required=True)
_CRITERIA = flags.DEFINE_multi_enum(
    "criterion",
    ["used_hashtags", "used_sounds", "sugg_hashtags", "sugg_sounds"],
    ["used_hashtags", "used_sounds", "sugg_hashtags", "sugg_sounds"],
    "Criterion of shared things, all of them by default; repeatable.",
)
_RESOLUTION = flags.DEFINE_float(
    "resolution", 1.0, "Resolution of communities: higher values give more of them."
)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of communities, estimates and layout.", 0)
_FORMATS = flags.DEFINE_multi_enum(
    "format",
    ["gexf", "csv"],
    ["gexf", "graphml", "csv", "json"],
    "Format of the graph; repeatable.",
)
_TITLE = "Who shares space?"


def main() -> None:
    """Builds the graph, and writes the page and the files."""
    from dc_keras.corpus.store import write_text
    from dc_keras.social.graph_files import write_graph
    from dc_keras.social.survey import survey
    from dc_keras.social.whichtok_graph import UserGraph, UserGroup

    with app.requiring_report_extra():
        from dc_keras.reporting.graph_page import render_graph_page

    group = UserGroup.read(_STEM.value)
    graph = UserGraph(group, _CRITERIA.value).graph
    names = group.find_names()
    found = survey(
        graph,
        graph.layers[0],
        names.counts,
        names.things,
        resolution=_RESOLUTION.value,
        seed=_SEED.value,
    )
    output = Path(_OUTPUT.value)
    write_graph(found.view(), output, "whichtok", _FORMATS.value)
    write_text(output / "whichtok.html", render_graph_page(found, _TITLE))
    app.say(
        f"{len(graph.users):,} users, {found.layer.num_edges:,} edges, "
        f"{found.table().height:,} communities; E–I index "
        f"{found.isolation.overall:.3f}"
    )
    app.say(f"{output}: whichtok.html and the graph in {', '.join(_FORMATS.value)}")


if __name__ == "__main__":
    app.run(main, writes="output")
