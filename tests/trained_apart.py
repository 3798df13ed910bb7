"""Trains small models of this project in a process of its own, for tests.

    fit_apart(directory, "mirrored", "--strategy=mirrored", "--num_cpus=2")

Devices and workers must be settled before TensorFlow starts, so the test's own process
cannot. Saves the weights and the curve of every fit, under "NUMBER/weights" and
"NUMBER/NAME of the curve".
"""

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np

from benchmarks.forked_scripts import fork_server, write_into

# 45 examples in batches of 16 leave 13: the last piece of two replicas has 5 of 8.
NUM_EXAMPLES, BATCH_SIZE = 45, 16
PLAIN = {
    "batch_size": BATCH_SIZE,
    "epochs": 3,
    "epoch_steps": 1,
    "learning_rate": 0.01,
    "patience": 0,
}


def start(log, *flags, tf_config=None):
    """Starts a training as the flags of `_parse` say; its output goes to a file."""
    process = fork_server().Process(target=_run, args=(log, flags, tf_config))
    process.start()
    return process


def wait_for(process, log):
    """Waits until a process ends well, for four minutes at most."""
    process.join(timeout=240)
    assert process.exitcode == 0, log.read_text()[-3000:]


def fit_apart(directory, name, *flags):
    """Trains as the flags say, and returns what was saved."""
    output, log = (directory / f"{name}.{end}" for end in ("npz", "log"))
    wait_for(start(log, f"--output={output}", *flags), log)
    return dict(np.load(output))


def make_examples(count=NUM_EXAMPLES, seed=0):
    """Pairs whose label hangs on the user's first number, with uneven weights."""
    import tensorflow as tf

    from dc_keras.training.dataset import Examples

    rng = np.random.default_rng(seed)
    user = rng.normal(size=(count, 3, 4)).astype(np.float32)
    user_valid = rng.random((count, 3)) < 0.8
    challenge = rng.normal(size=(5, 6, 4)).astype(np.float32)
    challenge_valid = rng.random((5, 6)) < 0.7
    tables = {
        "challenge": challenge * challenge_valid[..., None],
        "challenge_valid": challenge_valid,
        "user": user * user_valid[..., None],
        "user_valid": user_valid,
    }
    users, challenges = np.arange(count, dtype=np.int32), np.arange(count) % 5
    index = {
        name: challenges.astype(np.int32) if "challenge" in name else users
        for name in tables
    }
    labels = (user[:, 0, 0] + rng.normal(size=count) > 0).astype(np.int32)
    weights = rng.choice([0.0, 0.5, 1.0, 2.0], count).astype(np.float32)
    tables = {name: tf.constant(table) for name, table in tables.items()}
    return Examples(tables, index, labels, weights)


def build_model():
    """A fusion model with every kind of dropout that the project has."""
    from dc_keras.models.deep_challenger import DeepChallenger

    options = {"projection_dim": 4, "challenge_pooling": "mean_std"}
    return DeepChallenger(6, 4, 3, 4, hidden_dim=8, **options)


def train(callbacks=(), **options):
    """Fits the model; its weights as one vector, its curve, and predictions."""
    from dc_keras.options import TrainingOptions
    from dc_keras.training.loop import fit, predict
    from dc_keras.training.objectives import participation

    valid = make_examples(20, seed=1)
    model = fit(
        build_model,
        make_examples(),
        valid,
        participation("val_loss"),
        TrainingOptions(**{**PLAIN, **options}),
        callbacks,
    )
    weights = np.concatenate([w.ravel() for w in model.get_weights()])
    # Two replicas share batches of five unevenly.
    predicted = predict(model, valid, batch_size=5)
    return {"weights": weights, "predicted": predicted, **model.history.history}


def _set_cpus(count):
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    devices = [tf.config.LogicalDeviceConfiguration()] * count
    tf.config.set_logical_device_configuration(cpu, devices)


def _train_in(directory, seconds_an_epoch, options):
    """Trains with the callbacks of `train`, in no hurry, as that script does."""
    import keras

    from dc_keras.training.callbacks import training_callbacks
    from dc_keras.training.strategies import make_strategy, writable_directory

    strategy = options["strategy"]
    make_strategy(strategy)
    wait = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda *_: time.sleep(seconds_an_epoch)
    )
    with writable_directory(directory, strategy) as place:
        return train([*training_callbacks(place), wait], **options)


def _parse(arguments):
    parser = argparse.ArgumentParser()
    parser.add_argument("--strategy", default="default")
    parser.add_argument("--num_cpus", type=int, default=1)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--directory", type=Path)
    parser.add_argument("--seconds_an_epoch", type=float, default=0.0)
    parser.add_argument("--options", action="append", type=json.loads)
    return parser.parse_args(arguments)


def _run(log, arguments, tf_config):
    """Trains as the flags say."""
    write_into(log, log)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if tf_config is not None:
        os.environ["TF_CONFIG"] = json.dumps(tf_config)
    flags = _parse(arguments)
    if flags.num_cpus > 1:
        _set_cpus(flags.num_cpus)
    fitted = {}
    for number, given in enumerate(flags.options or [{}]):
        options = {"strategy": flags.strategy, **given}
        if flags.directory is None:
            results = train(**options)
        else:
            results = _train_in(flags.directory, flags.seconds_an_epoch, options)
        fitted |= {f"{number}/{name}": value for name, value in results.items()}
    np.savez(flags.output, **fitted)
    # TensorFlow takes longer to take its threads down than to train this.
    os._exit(0)
