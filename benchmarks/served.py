"""Compares the predictions of an exported bundle with those of `evaluate`.

    python -m benchmarks.served --data=../shared/data/famous --output=run/served

For each published fold of cold_user, fits deepChallenger on the training rows, exports
a bundle, and sends it the raw posts of the test users in a new process that does not
import this package. Prints the average precision of both, the largest difference over
all pairs, and the average precision with captions and frames only. These posts have no
frames; `benchmarks.simulated` uses videos.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from absl import app, flags
from sklearn.metrics import average_precision_score

from benchmarks.famous import Famous
from benchmarks.famous_captions import define_flags, make_experiment
from dc_keras.evaluation.experiment import Experiment
from dc_keras.evaluation.fold_run import FoldRun
from dc_keras.options import (
    ContextOptions,
    ModelOptions,
    ProtocolOptions,
    TrainingOptions,
)
from dc_keras.serving.bundle import export_bundle
from dc_keras.serving.raw_requests import RawPost, RawUser, pack_posts, pack_users
from dc_keras.study.pairs import grid_pairs
from dc_keras.study.splits import Fold
from dc_keras.training.recipe import Recipe
from pipelines._cli import option_flags
from tfrecords.memory import keep_freed_memory

_DATA, _OUTPUT = define_flags()
_FOLDS = flags.DEFINE_integer("folds", 5, "Number of folds to run.", 1, 5)
option_flags.define(ModelOptions, TrainingOptions, ProtocolOptions, ContextOptions)

# The client uses TensorFlow and the ops of TF-Text only. It requests all pairs of a
# user from `rank_challenges`, and some of them separately from `serving_default`.
_CLIENT = """
import sys
import numpy as np, tensorflow as tf, tensorflow_text
bundle, requests, answers = sys.argv[1:]
served = tf.saved_model.load(bundle).signatures
with np.load(requests, allow_pickle=False) as file:
    columns = {name: file[name] for name in file.files}
user, challenge = columns.pop("user"), columns.pop("challenge")

def call(signature, rows, **others):
    specs = served[signature].structured_input_signature[1]
    given = {n: others[n] if n in others else columns[n][rows] for n in specs}
    return served[signature](**{n: tf.constant(v, specs[n].dtype)
                                for n, v in given.items()})

def predict_all(**unknown):
    probabilities = {}
    for start in range(0, len(columns["now"]), 16):
        rows = np.arange(start, min(start + 16, len(columns["now"])))
        facts = {n: v[: len(rows)] for n, v in unknown.items()}
        ranked = call("rank_challenges", rows, **facts)
        for row, names, values in zip(rows, ranked["challenge"].numpy(),
                                      ranked["probability"].numpy()):
            probabilities |= {(int(row), n): v for n, v in zip(names, values)}
    return np.array([probabilities[int(u), c] for u, c in zip(user, challenge)])

unknown = {n: np.full_like(v, b"" if v.dtype.kind == "S" else -1)
           for n, v in columns.items() if n not in ("captions", "frames")}
some = np.random.default_rng(0).permutation(len(user))[:64]
one_by_one = call("serving_default", user[some], challenge=challenge[some])
np.savez(answers, ranked=predict_all(), captions_only=predict_all(**unknown), some=some,
         one_by_one=one_by_one["probability"].numpy())
"""


def main(_: list[str]) -> None:
    """Runs the benchmark and prints its table."""
    keep_freed_memory()
    start = time.monotonic()
    famous = Famous(Path(_DATA.value))
    output = Path(_OUTPUT.value)
    experiment = make_experiment(
        famous,
        output,
        print,
        model=option_flags.resolve(ModelOptions),
        training=option_flags.resolve(TrainingOptions),
        protocol=option_flags.resolve(ProtocolOptions),
        context=option_flags.resolve(ContextOptions),
    )
    [manifest] = famous.manifests(["cold_user"], 1)
    rows = []
    for name, fold in list(manifest.folds.items())[: _FOLDS.value]:
        run = FoldRun(experiment, fold, 0, name, print)
        rows.append(compare(experiment, run, fold, output / name))
        print(json.dumps(rows[-1]), flush=True)
    for column in ("judged", "served", "captions_only"):
        print(f"{column}: {np.mean([row[column] for row in rows]):.4f}")
    print(f"largest difference: {max(row['difference'] for row in rows):.1e}")
    print(f"{datetime.now(UTC):%Y-%m-%d}, {time.monotonic() - start:.0f} s")


def compare(
    experiment: Experiment, run: FoldRun, fold: Fold, place: Path
) -> dict[str, float]:
    """Compares the predictions of a fold's model in process with those of its bundle.

    Returns:
        Average precision of both (`judged`, `served`) and with captions only, and the
        largest `difference` of a prediction.
    """
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    recipe = Recipe.of(experiment.model, experiment.training, experiment.context)
    fitted = run.fit(recipe)
    pairs = grid_pairs(experiment.grid)
    user, challenge = pairs.user[fold.test], pairs.challenge[fold.test]
    label = pairs.label[fold.test]
    judged = fitted.predict_rows(fold.test)
    fitted.save(place / "model")
    bundle = export_bundle(place / "model", place / "bundle", calibration="none")
    requests: dict[str, Any] = _requests(experiment, user, challenge)
    np.savez(place / "requests.npz", **requests)
    subprocess.run(
        [sys.executable, "-c", _CLIENT, bundle, "requests.npz", "answers.npz"],
        cwd=place,
        check=True,
    )
    with np.load(place / "answers.npz", allow_pickle=False) as answers:
        served, only = answers["ranked"], answers["captions_only"]
        one_by_one = np.abs(answers["one_by_one"] - judged[answers["some"]]).max()
    return {
        "judged": float(average_precision_score(label, judged)),
        "served": float(average_precision_score(label, served)),
        "captions_only": float(average_precision_score(label, only)),
        "difference": float(max(np.abs(judged - served).max(), one_by_one)),
    }


def _requests(
    experiment: Experiment, user: np.ndarray, challenge: np.ndarray
) -> dict[str, np.ndarray]:
    """Returns the inputs, one row per user, and the user and challenge of each pair."""
    grid, facts = experiment.grid, experiment.facts
    numbers, row = np.unique(user, return_inverse=True)
    people = []
    for number in numbers:
        posts = []
        for post in facts.rows(grid.histories[number]):
            caption, sound, title, time_, duration, counts = (
                column[post] for column in facts.posts
            )
            posts.append(
                RawPost(
                    caption.decode(),
                    (),
                    sound.decode(),
                    title.decode(),
                    int(time_),
                    float(duration),
                    tuple(counts.tolist()),
                )
            )
        account = facts.accounts.get(grid.users[number], np.full(3, np.nan))
        known = tuple(np.nan_to_num(account, nan=-1.0).tolist())
        people.append(RawUser(posts, known))
    inputs = pack_posts([person.posts for person in people], "user")
    inputs |= pack_users(people)
    names = np.array([grid.challenges[c].encode() for c in challenge])
    # Bytes instead of objects, which would have to be pickled.
    plain = {
        name: values.astype(bytes) if values.dtype == object else values
        for name, values in inputs.items()
    }
    return {"user": row, "challenge": names, **plain}


if __name__ == "__main__":
    app.run(main)
