r"""Says how far challenges went along ties, and how far one would go from a list.

    python -m pipelines.reach --graph=run/graph --corpus=run/corpus \
        --study=studies/paper.toml --seeds=run/seeds.csv --output=run/reach

For each challenge of the Study: its replication day by day, and whether it ran along
ties. Then each is foretold from its first adopters, with what was fitted on all others,
beside ways that know no tie. With --seeds, a CSV file with user_id such as `rank`
writes, how far a challenge would go from them. Ties of past challenges are built anew,
by the plan of --graph, from what was posted before. Leaves behind reach.html, a CSV
file a table, and reach.json. Needs the extras `social` and, for the page, `report`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from absl import flags

from pipelines._cli import app, inputs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dc_keras.corpus.store import Corpus
    from dc_keras.social.adoption import Adoption, AlongEdges
    from dc_keras.social.backtesting import Backtests
    from dc_keras.social.building import GraphPlan
    from dc_keras.social.graph import SocialGraph
    from dc_keras.social.reach_report import ReachReport, WhatIf
    from dc_keras.social.snapshots import PastChallenge
    from dc_keras.social.what_if import Readiness, Seeds
    from dc_keras.study.study import Study

_GRAPH = flags.DEFINE_string(
    "graph", None, "Directory that `build_graph` made.", required=True
)
_CORPUS = flags.DEFINE_string("corpus", None, "Corpus directory.", required=True)
_STUDY = flags.DEFINE_string("study", None, "Study file: challenges.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "Directory of answers.", required=True)
_LAYERS = flags.DEFINE_multi_string(
    "layer", [], "Layer that counts, all of them if not given; repeatable."
)
_NUM_SEEDS = flags.DEFINE_integer(
    "num_seeds", 10, "First adopters that a past challenge is foretold from.", 1
)
_HORIZON = flags.DEFINE_float(
    "horizon_days",
    None,
    "Days after the last of them in which adopters count; all if unset.",
    0.01,
)
_SEEDS = flags.DEFINE_string("seeds", None, "CSV file of whom to ask: user_id.")
_PROBABILITIES = flags.DEFINE_string(
    "probabilities",
    None,
    "For --seeds: CSV file of how likely everybody is to join, as `predict` writes.",
)
_CHALLENGE = flags.DEFINE_string(
    "challenge", None, "For --probabilities: rows of this challenge alone."
)
_CONTAGION = flags.DEFINE_float(
    "contagion",
    None,
    "For --seeds: users whom somebody of mean strength wins; fitted on the past if "
    "unset.",
    1e-6,
)
_NUM_RUNS = flags.DEFINE_integer("num_runs", 200, "Cascades of each forecast.", 1)
_NUM_STEPS = flags.DEFINE_integer("num_steps", 20, "Waves of the curve.", 0)
_NUM_SHUFFLES = flags.DEFINE_integer("num_shuffles", 999, "Of the test along ties.", 1)
_SEED = flags.DEFINE_integer("seed", 0, "Of cascades and shuffles.", 0)
_TITLE = flags.DEFINE_string("title", "How far does it go?", "Of the page.")


def main() -> None:
    """Looks back, foretells, and writes page and tables."""
    from pathlib import Path

    from dc_keras.corpus.store import Corpus
    from dc_keras.errors import DataError
    from dc_keras.social.adoption import find_adoptions
    from dc_keras.social.building import GraphPlan
    from dc_keras.social.graph_store import read_graph
    from dc_keras.social.reach_report import ReachReport
    from dc_keras.version import __version__

    with app.needing_report():
        from dc_keras.reporting.reach_page import write_reach_page

    graph, info = read_graph(Path(_GRAPH.value))
    plan = _with_layers(GraphPlan.from_dict(info["plan"]))
    corpus = Corpus.open(_CORPUS.value)
    if tuple(sorted(corpus.users["user_id"])) != graph.users:
        raise DataError(
            "the graph must have been built from this corpus. Received: users of the "
            f"graph={len(graph.users)}, of the corpus={corpus.users.height}"
        )
    study = inputs.load_study(corpus, _STUDY.value)
    # What is wrong with a list is said before anything takes its time.
    seeds, readiness = _read_lists(graph)
    adoptions = find_adoptions(study, corpus.videos, graph.users)
    past, left_out = _past(corpus, study, plan, adoptions)
    if seeds is not None and len(past) < 2:
        _contagion(None)
    along, num_edges = _along(corpus, study, plan, adoptions)
    backtests = _backtest(past)
    what_if = None
    if seeds is not None:
        what_if = _what_if(graph, plan, seeds, readiness, _contagion(backtests))
    report = ReachReport(adoptions, along, num_edges, left_out, backtests, what_if)
    output = Path(_OUTPUT.value)
    told = {"version": __version__, "plan": plan.to_dict(), **_choices(study)}
    report.write(output, told)
    write_reach_page(report, output / "reach.html", _TITLE.value)
    _tell(report)
    app.say(f"{output}: reach.html, reach.json and a CSV file a table")


def _with_layers(plan: GraphPlan) -> GraphPlan:
    from dataclasses import replace

    from dc_keras.errors import DataError

    wanted = tuple(_LAYERS.value) or plan.layers
    if unknown := [name for name in wanted if name not in plan.layers]:
        raise DataError(
            f"layer must be one of {list(plan.layers)}. "
            f"Received: layer={', '.join(unknown)}"
        )
    return replace(plan, layers=wanted)


def _choices(study: Study) -> dict[str, Any]:
    return {
        "study": study.name,
        "num_seeds": _NUM_SEEDS.value,
        "horizon_days": _HORIZON.value,
        "num_runs": _NUM_RUNS.value,
        "num_shuffles": _NUM_SHUFFLES.value,
        "seed": _SEED.value,
    }


def _read_lists(graph: SocialGraph) -> tuple[Seeds | None, Readiness | None]:
    from pathlib import Path

    from dc_keras.errors import DataError
    from dc_keras.social.what_if import read_readiness, read_seeds

    if _SEEDS.value is None:
        if _PROBABILITIES.value is not None:
            raise DataError(
                "--probabilities are of use with --seeds alone. "
                f"Received: probabilities={_PROBABILITIES.value}"
            )
        return None, None
    seeds = read_seeds(Path(_SEEDS.value), graph)
    if _PROBABILITIES.value is None:
        return seeds, None
    readiness = read_readiness(Path(_PROBABILITIES.value), graph, _CHALLENGE.value)
    app.say(
        f"{readiness.num_unknown:,} of {len(graph.users):,} users have no "
        "probability: they count as ready as the mean"
    )
    return seeds, readiness


def _along(
    corpus: Corpus, study: Study, plan: GraphPlan, adoptions: Mapping[str, Adoption]
) -> tuple[dict[str, AlongEdges], dict[str, int]]:
    """Tests each challenge on the ties of before its first post."""
    from dc_keras.social.adoption import measure_along_edges
    from dc_keras.social.snapshots import build_layer_before

    along, num_edges = {}, {}
    for name, adoption in adoptions.items():
        if not len(adoption.rows):
            continue
        app.progress(f"{name}: did it run along ties?")
        layer = build_layer_before(corpus, study, plan, name, int(adoption.times.min()))
        num_edges[name] = layer.num_edges
        along[name] = measure_along_edges(
            layer, adoption, num_shuffles=_NUM_SHUFFLES.value, seed=_SEED.value
        )
    return along, num_edges


def _past(
    corpus: Corpus, study: Study, plan: GraphPlan, adoptions: Mapping[str, Adoption]
) -> tuple[list[PastChallenge], dict[str, str]]:
    """Returns what can be foretold, and why the rest cannot."""
    from dc_keras.social.snapshots import Horizon, build_past_challenge

    horizon = Horizon(_NUM_SEEDS.value, _HORIZON.value)
    past: list[PastChallenge] = []
    left_out: dict[str, str] = {}
    last_post = int(corpus.videos["create_time"].drop_nulls().max() or 0)  # type: ignore[arg-type]
    for name, adoption in adoptions.items():
        cut = horizon.cut(adoption, last_post)
        if isinstance(cut, str):
            left_out[name] = cut
            continue
        found = build_past_challenge(corpus, study, plan, name, cut, _NUM_SEEDS.value)
        if found.layer.num_edges:
            past.append(found)
        else:
            left_out[name] = "no tie before its last seed's post"
    return past, left_out


def _backtest(past: list[PastChallenge]) -> Backtests | None:
    from dc_keras.social.backtesting import backtest

    if len(past) < 2:
        app.say(f"no backtest: it takes two past challenges, here are {len(past)}")
        return None
    return backtest(
        past, num_runs=_NUM_RUNS.value, seed=_SEED.value, progress=app.progress
    )


def _contagion(backtests: Backtests | None) -> float:
    """Returns the one of --contagion, or the one that the past fits best."""
    from dc_keras.errors import DataError

    if _CONTAGION.value is not None:
        return float(_CONTAGION.value)
    if backtests is None:
        raise DataError(
            "--seeds need --contagion where there is no past to fit it on. "
            f"Received: seeds={_SEEDS.value}, contagion=None"
        )
    return backtests.contagion


def _what_if(
    graph: SocialGraph,
    plan: GraphPlan,
    seeds: Seeds,
    readiness: Readiness | None,
    contagion: float,
) -> WhatIf:
    from dc_keras.social.backtesting import contagion_rate
    from dc_keras.social.reach_report import WhatIf
    from dc_keras.social.what_if import simulate_seeds

    layer = graph.combined(dict.fromkeys(plan.layers, 1.0))
    reach = simulate_seeds(
        layer,
        seeds,
        contagion_rate(layer, contagion),
        readiness,
        num_runs=_NUM_RUNS.value,
        num_steps=_NUM_STEPS.value,
        seed=_SEED.value,
    )
    num_seeds = len(seeds.rows)
    expected = num_seeds if seeds.chances is None else float(seeds.chances.sum())
    return WhatIf(reach, num_seeds, expected, contagion, graph.users)


def _tell(report: ReachReport) -> None:
    p_values = [along.p_value for along in report.along.values()]
    app.say(
        f"along ties: p of at most 0.05 in {sum(p <= 0.05 for p in p_values)} of "
        f"{len(p_values)} challenges, {0.05 * len(p_values):.1f} by chance"
    )
    if report.backtests is not None:
        for row in report.backtests.summary().iter_rows(named=True):
            app.say(
                f"{row['method']}: log error {row['log_error']:.3f} "
                f"[{row['log_error_low']:.3f} {row['log_error_high']:.3f}], above the "
                f"mean's by {row['above_mean']:+.3f} [{row['above_mean_low']:+.3f} "
                f"{row['above_mean_high']:+.3f}], in the band "
                f"{row['within']} of {row['challenges']}"
            )
        app.say(f"{len(report.left_out)} challenges not foretold (reach.json says why)")
    if report.what_if is not None:
        low, high = report.what_if.reach.band[:, -1]
        app.say(
            f"from {report.what_if.num_seeds} asked "
            f"{report.what_if.reach.mean[-1]:,.1f} are expected, 90 % of the runs "
            f"between {low:,.0f} and {high:,.0f}"
        )


if __name__ == "__main__":
    app.run(main, writes="output", kind="reach")
