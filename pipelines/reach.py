r"""Analyses how challenges spread along ties, and forecasts their reach.

    python -m pipelines.reach --graph=run/graph --corpus=run/corpus \
        --study=studies/paper.toml --seeds=run/seeds.csv --output=run/reach

For each challenge of the study: its replications per day, a test whether it spread
along ties, and a backtest, which forecasts it from its first adopters with a model
fitted on all other challenges, in comparison with baselines without ties. With --seeds,
a CSV file with user_id such as `rank` writes, also forecasts the reach of a new
challenge from these users. The ties of past challenges are rebuilt by the plan of
--graph from earlier posts only. Writes reach.html, a CSV file per table, and
reach.json. Needs the extras `social` and `report`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from dc_keras.errors import DataError
from dc_keras.version import __version__
from pipelines._cli import app, inputs

if TYPE_CHECKING:
    from dc_keras.corpus.store import Corpus
    from dc_keras.social.adoption import Adoption, AlongEdges
    from dc_keras.social.backtesting import Backtests, PastChallenge
    from dc_keras.social.building import GraphPlan
    from dc_keras.social.graph import SocialGraph
    from dc_keras.social.model_scores import Readiness, Seeds
    from dc_keras.social.reach_report import ReachReport, WhatIf
    from dc_keras.study.study import Study

_GRAPH = flags.DEFINE_string(
    "graph", None, "Graph directory of `build_graph`.", required=True
)
_CORPUS = flags.DEFINE_string("corpus", None, "Corpus directory.", required=True)
_STUDY = flags.DEFINE_string(
    "study", None, "Study file (TOML) with the challenges.", required=True
)
_OUTPUT = flags.DEFINE_string("output", None, "Output directory.", required=True)
_LAYERS = flags.DEFINE_multi_string(
    "layer", [], "Layer to use; repeatable. Default: all layers."
)
_NUM_SEEDS = flags.DEFINE_integer(
    "num_seeds", 10, "Number of first adopters to forecast a past challenge from.", 1
)
_HORIZON = flags.DEFINE_float(
    "horizon_days",
    None,
    "Number of days after the last of them in which adopters count. Default: all days.",
    0.01,
)
_SEEDS = flags.DEFINE_string(
    "seeds", None, "CSV file with the user_id of the seeds of a new challenge."
)
_PROBABILITIES = flags.DEFINE_string(
    "probabilities",
    None,
    "With --seeds: CSV file of each user's probability to join, as `predict` writes.",
)
_CHALLENGE = flags.DEFINE_string(
    "challenge", None, "With --probabilities: uses the rows of this challenge only."
)
_CONTAGION = flags.DEFINE_float(
    "contagion",
    None,
    "With --seeds: expected number of users won by a user of mean strength. Default: "
    "fitted on the past challenges.",
    1e-6,
)
_NUM_RUNS = flags.DEFINE_integer(
    "num_runs", 200, "Number of simulated cascades per forecast.", 1
)
_NUM_STEPS = flags.DEFINE_integer("num_steps", 20, "Number of steps of the curve.", 0)
_NUM_SHUFFLES = flags.DEFINE_integer(
    "num_shuffles", 999, "Number of permutations of the test.", 1
)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of cascades and permutations.", 0)
_TITLE = "How far does it go?"


def main() -> None:
    """Tests, backtests and forecasts, and writes the page and the tables."""
    from dc_keras.corpus.store import Corpus, write_sealed
    from dc_keras.social.adoption import find_adoptions
    from dc_keras.social.building import GraphPlan
    from dc_keras.social.graph_store import read_graph
    from dc_keras.social.reach_report import ReachReport

    with app.requiring_report_extra():
        from dc_keras.reporting.reach_page import render_reach_page

    graph, info = read_graph(Path(_GRAPH.value))
    plan = _select_layers(GraphPlan.from_dict(info["plan"]))
    corpus = Corpus.open(_CORPUS.value)
    if tuple(sorted(corpus.users["user_id"])) != graph.users:
        raise DataError(
            "the graph must have been built from this corpus. Received: users of the "
            f"graph={len(graph.users)}, of the corpus={corpus.users.height}"
        )
    study = inputs.load_study(corpus, _STUDY.value)
    # Read first, so that errors in these files are reported before the long work.
    seeds, readiness = _read_seeds(graph)
    adoptions = find_adoptions(study, corpus.videos, graph.users)
    past, left_out = _find_past_challenges(corpus, study, plan, adoptions)
    if seeds is not None and len(past) < 2:
        _choose_contagion(None)
    along = _measure_along_edges(corpus, study, plan, adoptions)
    backtests = _backtest(past)
    what_if = None
    if seeds is not None:
        contagion = _choose_contagion(backtests)
        what_if = _forecast_seeds(graph, plan, seeds, readiness, contagion)
    report = ReachReport(adoptions, along, left_out, backtests, what_if)
    output = Path(_OUTPUT.value)
    settings = {"version": __version__, "plan": plan.to_dict(), **_options(study)}
    report.write(output, settings)
    page = render_reach_page(report, _TITLE, is_synthetic=corpus.is_synthetic)
    write_sealed(output / "reach.html", page)
    _print_report(report)
    app.say(f"{output}: reach.html, reach.json and a CSV file per table")


def _select_layers(plan: GraphPlan) -> GraphPlan:
    layers = tuple(_LAYERS.value) or plan.layers
    if unknown := [name for name in layers if name not in plan.layers]:
        raise DataError(
            f"layer must be one of {list(plan.layers)}. "
            f"Received: layer={', '.join(unknown)}"
        )
    return replace(plan, layers=layers)


def _options(study: Study) -> dict[str, Any]:
    return {
        "study": study.name,
        "num_seeds": _NUM_SEEDS.value,
        "horizon_days": _HORIZON.value,
        "num_runs": _NUM_RUNS.value,
        "num_shuffles": _NUM_SHUFFLES.value,
        "seed": _SEED.value,
    }


def _read_seeds(graph: SocialGraph) -> tuple[Seeds | None, Readiness | None]:
    from dc_keras.social.model_scores import read_readiness, read_seeds

    if _SEEDS.value is None:
        if _PROBABILITIES.value is not None:
            raise DataError(
                "--probabilities needs --seeds. "
                f"Received: probabilities={_PROBABILITIES.value}"
            )
        return None, None
    seeds = read_seeds(Path(_SEEDS.value), graph)
    if _PROBABILITIES.value is None:
        return seeds, None
    readiness = read_readiness(Path(_PROBABILITIES.value), graph, _CHALLENGE.value)
    app.say(
        f"{readiness.num_unknown:,} of {len(graph.users):,} users have no "
        "probability and are assigned the mean readiness"
    )
    return seeds, readiness


def _measure_along_edges(
    corpus: Corpus, study: Study, plan: GraphPlan, adoptions: Mapping[str, Adoption]
) -> dict[str, AlongEdges]:
    """Tests each challenge on the ties before its first post."""
    from dc_keras.social.adoption import measure_along_edges
    from dc_keras.social.backtesting import build_layer_before

    along = {}
    for name, adoption in adoptions.items():
        if not len(adoption.rows):
            continue
        app.progress(f"{name}: testing spread along ties")
        layer = build_layer_before(corpus, study, plan, name, int(adoption.times.min()))
        along[name] = measure_along_edges(
            layer, adoption, num_shuffles=_NUM_SHUFFLES.value, seed=_SEED.value
        )
    return along


def _find_past_challenges(
    corpus: Corpus, study: Study, plan: GraphPlan, adoptions: Mapping[str, Adoption]
) -> tuple[list[PastChallenge], dict[str, str]]:
    """Returns the challenges that can be backtested, and why others cannot."""
    from dc_keras.social.backtesting import build_past_challenge, cut_adoption

    horizon = _NUM_SEEDS.value, _HORIZON.value
    past: list[PastChallenge] = []
    left_out: dict[str, str] = {}
    last_post = int(corpus.videos["create_time"].drop_nulls().max() or 0)  # type: ignore[arg-type]
    for name, adoption in adoptions.items():
        cut = cut_adoption(adoption, *horizon, last_post)
        if isinstance(cut, str):
            left_out[name] = cut
            continue
        one = build_past_challenge(corpus, study, plan, name, cut, _NUM_SEEDS.value)
        if one.layer.num_edges:
            past.append(one)
        else:
            left_out[name] = "no tie before its last seed's post"
    return past, left_out


def _backtest(past: list[PastChallenge]) -> Backtests | None:
    from dc_keras.social.backtesting import backtest

    if len(past) < 2:
        app.say(f"no backtest: it needs two past challenges, found {len(past)}")
        return None
    return backtest(
        past, num_runs=_NUM_RUNS.value, seed=_SEED.value, progress=app.progress
    )


def _choose_contagion(backtests: Backtests | None) -> float:
    """Returns --contagion, or else the contagion fitted on past challenges."""
    if _CONTAGION.value is not None:
        return float(_CONTAGION.value)
    if backtests is None:
        raise DataError(
            "--seeds needs --contagion if there are no past challenges to fit it on. "
            f"Received: seeds={_SEEDS.value}, contagion=None"
        )
    return backtests.contagion


def _forecast_seeds(
    graph: SocialGraph,
    plan: GraphPlan,
    seeds: Seeds,
    readiness: Readiness | None,
    contagion: float,
) -> WhatIf:
    from dc_keras.social.backtesting import contagion_rate
    from dc_keras.social.reach import edge_chances, simulate_reach
    from dc_keras.social.reach_report import WhatIf

    layer = graph.combined(plan.layers)
    rate = contagion_rate(layer, contagion)
    reach = simulate_reach(
        edge_chances(layer, rate, None if readiness is None else readiness.values),
        seeds.rows,
        seed_chances=seeds.chances,
        num_runs=_NUM_RUNS.value,
        num_steps=_NUM_STEPS.value,
        seed=_SEED.value,
    )
    num_seeds = len(seeds.rows)
    expected = num_seeds if seeds.chances is None else float(seeds.chances.sum())
    asked = None if readiness is None else readiness.expected
    return WhatIf(reach, num_seeds, expected, contagion, graph.users, asked)


def _print_report(report: ReachReport) -> None:
    p_values = [along.p_value for along in report.along.values()]
    app.say(
        f"along ties: p of at most 0.05 in {sum(p <= 0.05 for p in p_values)} of "
        f"{len(p_values)} challenges, {0.05 * len(p_values):.1f} by chance"
    )
    if report.backtests is not None:
        for row in report.backtests.summary().iter_rows(named=True):
            app.say(
                f"{row['method']}: log error {row['log_error']:.3f} "
                f"[{row['log_error_low']:.3f} {row['log_error_high']:.3f}], difference "
                f"to the mean's {row['above_mean']:+.3f} [{row['above_mean_low']:+.3f} "
                f"{row['above_mean_high']:+.3f}], within the band: "
                f"{row['within']} of {row['challenges']}"
            )
        app.say(
            f"{len(report.left_out)} challenges without a backtest (reasons in "
            "reach.json)"
        )
    for sentence in report.explain_forecast():
        app.say(sentence)


if __name__ == "__main__":
    app.run(main, writes="output", kind="reach")
