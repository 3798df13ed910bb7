r"""Renders a run of `evaluate` as one HTML page, without training.

    python -m pipelines.report --run=runs/evaluation --output=report.html \
        --corpus=corpus

The page is computed from the saved predictions and works offline. It contains Tables I
and II, curves of precision and recall, gain and reliability, all challenges, the
variants of deepChallenger, the first users of each seeding list, the configuration, and
with --corpus the dataset card. The tables of the run (`tables/`) are computed again.
Needs the extra `report`.
"""

from __future__ import annotations

from pathlib import Path

from absl import flags

from pipelines._cli import app

_RUN = flags.DEFINE_string(
    "run", None, "Output directory of `evaluate`.", required=True
)
_OUTPUT = flags.DEFINE_string("output", None, "HTML file of the page.", required=True)
_CORPUS = flags.DEFINE_string(
    "corpus", None, "Corpus directory, to include its dataset card."
)


def main() -> None:
    """Writes the tables and the page."""
    from dc_keras.corpus.store import Corpus
    from dc_keras.evaluation.saved_run import SavedRun
    from tfrecords.storage.atomic_update import require_separate

    output = Path(_OUTPUT.value)
    is_in_run = output.parent.resolve() == Path(_RUN.value).resolve()
    if not (is_in_run and output.suffix == ".html"):
        require_separate(output)
    with app.requiring_report_extra():
        from dc_keras.reporting.report import write_report

    run = SavedRun.open(_RUN.value)
    corpus = None if _CORPUS.value is None else Corpus.open(_CORPUS.value)
    write_report(run, output, corpus)
    app.say(f"{output}: the report; its tables in {run.write_tables()}")


if __name__ == "__main__":
    app.run(main, writes="run", kind="evaluation")
