"""Judged and served: whether a bundle answers with the model that `evaluate` judges.

    python -m benchmarks.served --data=../shared/data/famous --output=run/served

For each frozen fold of cold_user it fits deepChallenger on the training rows, exports a
bundle, and asks it in a fresh process that imports nothing of this package, with the
raw posts of the test users. Prints the average precision of both, the largest
difference of a pair, and the average precision with captions and frames alone. The
captions have no frames; `benchmarks.simulated` is the world with videos.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from absl import app, flags

from benchmarks.famous import Famous
from benchmarks.famous_captions import read_features
from dc_keras.options import (
    ContextOptions,
    ModelOptions,
    ProtocolOptions,
    TrainingOptions,
)
from pipelines._cli import option_flags
from tfrecords.memory import keep_freed_memory

if TYPE_CHECKING:
    from dc_keras.evaluation.experiment import Experiment
    from dc_keras.evaluation.fold_run import FoldRun
    from dc_keras.study.splits import Fold

_DATA = flags.DEFINE_string(
    "data", "../shared/data/famous", "Directory of datares/TikTok_Famous."
)
_OUTPUT = flags.DEFINE_string("output", None, "Directory of the run.", required=True)
_FOLDS = flags.DEFINE_integer("folds", 5, "Folds that are run.", 1, 5)
option_flags.define(ModelOptions, TrainingOptions, ProtocolOptions, ContextOptions)

# What a client knows: TensorFlow, and the ops of TF-Text. All pairs of a user are asked
# by `rank_challenges`, and some of them by `serving_default`, one by one.
_CLIENT = """
import sys
import numpy as np, tensorflow as tf, tensorflow_text
bundle, requests, answers = sys.argv[1:]
served = tf.saved_model.load(bundle).signatures
with np.load(requests, allow_pickle=False) as asked:
    columns = {name: asked[name] for name in asked.files}
user, challenge = columns.pop("user"), columns.pop("challenge")

def ask(signature, rows, **others):
    wanted = served[signature].structured_input_signature[1]
    given = {n: others[n] if n in others else columns[n][rows] for n in wanted}
    return served[signature](**{n: tf.constant(v, wanted[n].dtype)
                                for n, v in given.items()})

def everything(**unknown):
    found = {}
    for start in range(0, len(columns["now"]), 16):
        rows = np.arange(start, min(start + 16, len(columns["now"])))
        facts = {n: v[: len(rows)] for n, v in unknown.items()}
        told = ask("rank_challenges", rows, **facts)
        for row, names, values in zip(rows, told["challenge"].numpy(),
                                      told["probability"].numpy()):
            found |= {(int(row), name): value for name, value in zip(names, values)}
    return np.array([found[int(u), c] for u, c in zip(user, challenge)])

nothing = {n: np.full_like(v, b"" if v.dtype.kind == "S" else -1)
           for n, v in columns.items() if n not in ("captions", "frames")}
some = np.random.default_rng(0).permutation(len(user))[:64]
one_by_one = ask("serving_default", user[some], challenge=challenge[some])
np.savez(answers, ranked=everything(), captions_only=everything(**nothing), some=some,
         one_by_one=one_by_one["probability"].numpy())
"""


def main(_: list[str]) -> None:
    """Runs the benchmark and prints its table."""
    from dc_keras.context.post_features import read_facts
    from dc_keras.evaluation.experiment import Experiment
    from dc_keras.evaluation.fold_run import FoldRun

    keep_freed_memory()
    start = time.monotonic()
    famous = Famous(Path(_DATA.value))
    output = Path(_OUTPUT.value)
    experiment = Experiment(
        grid=famous.grid,
        table=read_features(famous, output, print),
        facts=read_facts(famous.videos, famous.grid, users=famous.users),
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
    """Judges a fold in process, exports its model, and asks the bundle the same.

    Args:
        experiment: data and options.
        run: of the fold.
        fold: its rows.
        place: a directory that is made anew.
    """
    from sklearn.metrics import average_precision_score

    from dc_keras.serving.bundle import export_bundle
    from dc_keras.study.pairs import grid_pairs
    from dc_keras.training.recipe import Recipe

    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    recipe = Recipe.of(experiment.model, experiment.training, experiment.context)
    found = run.fit(recipe)
    pairs = grid_pairs(experiment.grid)
    user, challenge = pairs.user[fold.test], pairs.challenge[fold.test]
    label = pairs.label[fold.test]
    fitted = found.fitted
    judged = fitted.model.predict(fitted.users, fitted.challenges, user, challenge)
    _save(experiment, found, fold, place / "model")
    bundle = export_bundle(place / "model", place / "bundle", calibration="none")
    requests: dict[str, Any] = _requests(experiment, user, challenge)
    np.savez(place / "requests.npz", **requests)
    subprocess.run(
        [sys.executable, "-c", _CLIENT, bundle, "requests.npz", "answers.npz"],
        cwd=place,
        check=True,
    )
    with np.load(place / "answers.npz", allow_pickle=False) as told:
        served, only = told["ranked"], told["captions_only"]
        one_by_one = np.abs(told["one_by_one"] - judged[told["some"]]).max()
    return {
        "judged": float(average_precision_score(label, judged)),
        "served": float(average_precision_score(label, served)),
        "captions_only": float(average_precision_score(label, only)),
        "difference": float(max(np.abs(judged - served).max(), one_by_one)),
    }


def _save(experiment: Experiment, found: Any, fold: Fold, place: Path) -> None:
    from dc_keras.training.model_directory import save_model
    from dc_keras.training.saved_participation import save_participation
    from dc_keras.training.training_job import TrainingRun

    run = TrainingRun(
        experiment.grid,
        experiment.table,
        experiment.model,
        experiment.training,
        experiment.protocol,
        place,
        facts=experiment.facts,
        context=experiment.context,
    )
    for side, (proxy, variant) in found.proxies.items():
        save_model(place / f"{side}_proxy", proxy, run.config(side, {side: variant}))
    save_participation(
        run,
        found.fitted,
        found.videos,
        found.features,
        fold.valid,
        fold.hidden_users,
    )


def _requests(
    experiment: Experiment, user: np.ndarray, challenge: np.ndarray
) -> dict[str, np.ndarray]:
    """The inputs of users, a row each, and the user and the challenge of each pair."""
    from dc_keras.serving.raw_requests import RawPost, RawUser, pack_posts, pack_users

    grid, facts = experiment.grid, experiment.facts
    asked, row = np.unique(user, return_inverse=True)
    people = []
    for number in asked:
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
    # Plain strings in place of objects, which would have to be pickled.
    plain = {
        name: values.astype(bytes) if values.dtype == object else values
        for name, values in inputs.items()
    }
    return {"user": row, "challenge": names, **plain}


if __name__ == "__main__":
    app.run(main)
