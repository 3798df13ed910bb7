import keras
import numpy as np
import pytest
import tensorflow as tf

from dc_keras.context.cross_fit_plan import CrossFitStep
from dc_keras.options import TrainingOptions
from dc_keras.training.cross_fitting import cross_fit
from dc_keras.training.dataset import Examples
from dc_keras.training.loop import fit, predict
from dc_keras.training.objectives import participation

_NUM_PAIRS = 60
_TRAIN, _VALID = np.arange(40), np.arange(40, 50)
_OPTIONS = TrainingOptions(epochs=3, batch_size=16, learning_rate=0.05)


def _build():
    x = keras.Input((4,), name="x")
    weights = keras.initializers.GlorotUniform(seed=3)
    y = keras.layers.Reshape(())(keras.layers.Dense(1, kernel_initializer=weights)(x))
    return keras.Model({"x": x}, keras.layers.Activation("sigmoid")(y), name="a_model")


def _copies(count):
    x = keras.Input((4,), name="x")
    copies = [_build() for _ in range(count)]
    for number, copy in enumerate(copies):
        copy.name = f"copy_{number}"
    outputs = [copy({"x": x})[:, None] for copy in copies]
    return keras.Model({"x": x}, keras.ops.concatenate(outputs, axis=1))


def _examples(seed=0, flipped=()):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(_NUM_PAIRS, 4)).astype(np.float32)
    labels = (values[:, 0] > 0).astype(np.int32)
    labels[list(flipped)] = 1 - labels[list(flipped)]
    index = {"x": np.arange(_NUM_PAIRS, dtype=np.int32)}
    tables = {"x": tf.convert_to_tensor(values)}
    return Examples(tables, index, labels, np.ones(_NUM_PAIRS, np.float32))


def _steps():
    even, odd = _TRAIN[::2], _TRAIN[1::2]
    known = np.concatenate([_TRAIN, _VALID])
    return [
        CrossFitStep(known, np.arange(50, _NUM_PAIRS)),
        CrossFitStep(_TRAIN, _VALID),
        CrossFitStep(odd, even, is_inner=True),
        CrossFitStep(even, odd, is_inner=True),
    ]


def _fit(examples, steps=None):
    steps = _steps() if steps is None else steps
    objective = participation("val_loss")
    return cross_fit(_copies, examples, _TRAIN, _VALID, steps, objective, _OPTIONS)


def test_final_model_equals_a_model_fitted_alone():
    examples = _examples()
    crossed = _fit(examples)
    alone = fit(
        _build,
        examples.take(_TRAIN),
        examples.take(_VALID),
        participation("val_loss"),
        _OPTIONS,
    )
    np.testing.assert_allclose(
        predict(crossed.model, examples)[:, -1], predict(alone, examples), atol=1e-5
    )


def test_training_pairs_are_scored_by_a_copy_fitted_without_them():
    before = _fit(_examples()).out_of_fold
    # Labels of even training pairs change the scores of odd ones only.
    after = _fit(_examples(flipped=_TRAIN[::2])).out_of_fold
    # Early stopping uses the final model, so the number of epochs is the same.
    np.testing.assert_array_equal(np.isnan(before[_TRAIN]), False)
    assert (before[_TRAIN[1::2]] != after[_TRAIN[1::2]]).all()


def test_validation_pairs_are_scored_by_the_final_model():
    examples = _examples()
    crossed = _fit(examples)
    final = predict(crossed.model, examples)[:, -1]
    np.testing.assert_array_equal(crossed.out_of_fold[_VALID], final[_VALID])
    assert (crossed.out_of_fold[_TRAIN] != final[_TRAIN]).all()
    np.testing.assert_array_equal(np.isnan(crossed.out_of_fold[50:]), True)


@pytest.mark.parametrize("is_scored", [True, False])
def test_pairs_without_a_step_are_nan(is_scored):
    steps = [step for step in _steps() if not step.is_inner or is_scored]
    out_of_fold = _fit(_examples(), steps).out_of_fold
    assert np.isnan(out_of_fold[_TRAIN]).all() != is_scored
    assert np.isfinite(out_of_fold[_VALID]).all()
