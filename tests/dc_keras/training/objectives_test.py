import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import average_precision_score, log_loss

from dc_keras.models.deep_challenger import DeepChallenger
from dc_keras.models.paper_baselines import UserBaseline
from dc_keras.training.objectives import classification, participation


def test_participation_is_scored_as_scikit_learn_does():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 30)
    outputs = rng.random(30).astype(np.float32)
    weights = rng.random(30).astype(np.float32)
    scores = participation("val_loss").score(labels, outputs, weights)
    exact = outputs.astype(np.float64)
    assert scores["loss"] == pytest.approx(
        log_loss(labels, exact, sample_weight=weights), rel=1e-5
    )
    assert scores["average_precision"] == pytest.approx(
        average_precision_score(labels, exact)
    )


def test_certain_and_wrong_is_a_finite_loss():
    scores = participation("val_loss").score(
        np.array([1, 0]), np.array([0.0, 1.0]), np.ones(2)
    )
    assert scores["loss"] == pytest.approx(-np.log(1e-7), rel=1e-3)


def test_validation_without_a_positive_has_the_worst_average_precision():
    scores = participation("val_average_precision").score(
        np.zeros(3, int), np.array([0.1, 0.2, 0.3]), np.ones(3)
    )
    assert scores["average_precision"] == 0.0


def test_classes_are_scored_by_cross_entropy_and_accuracy():
    labels, weights = np.array([0, 2, 1]), np.array([1.0, 3.0, 0.0])
    outputs = np.array([[0.5, 0.3, 0.2], [0.6, 0.3, 0.1], [0.1, 0.8, 0.1]])
    objective = classification()
    # (1·−ln .5 + 3·−ln .1 + 0·−ln .8) / 4; two of three are right.
    expected = {"loss": (np.log(2) + 3 * np.log(10)) / 4, "accuracy": 2 / 3}
    assert objective.score(labels, outputs, weights) == pytest.approx(expected)
    assert objective.monitor == "val_loss"
    np.testing.assert_allclose(
        objective.loss(labels, outputs), -np.log([0.5, 0.1, 0.8]), rtol=1e-5
    )


_OPTIONS = {"hidden_dim": 2, "projection_dim": 2}


@pytest.mark.parametrize("logit", [-300.0, -20.0, 20.0, 300.0])
@pytest.mark.parametrize(
    "build",
    [
        lambda: DeepChallenger(2, 3, 2, 3, **_OPTIONS),
        lambda: DeepChallenger(2, 3, 2, 3, copies=2, **_OPTIONS),
        lambda: UserBaseline(2, 3, 2, **_OPTIONS),
    ],
    ids=["fusion", "copies", "user baseline"],
)
def test_certain_wrong_predictions_have_a_gradient(build, logit):
    """Checks that the loss is computed from log-odds where probabilities round to 0 or 1."""
    model, loss = build(), participation("val_loss").loss
    last = [w for w in model.trainable_variables if "logit" in w.path][-1]
    assert last.path.endswith("bias")
    last.assign(np.full(last.shape, logit))
    # The bias is the only input, and both labels occur.
    inputs = {name: np.zeros((2, *x.shape[1:])) for name, x in model.input.items()}
    is_baseline = isinstance(model, UserBaseline)
    if is_baseline:
        inputs["challenge"][:, 0] = 1.0

    @tf.function(autograph=False)
    def losses_and_gradient():
        with tf.GradientTape() as tape:
            losses = loss(np.array([0, 1]), model(inputs, training=True))
            total = tf.reduce_sum(losses)
        return losses, tape.gradient(total, last)

    losses, gradient = losses_and_gradient()
    # −log σ(−z) and −log σ(z); the gradients p and p − 1 add up to ±1.
    expected = np.logaddexp(0.0, [logit, -logit])
    np.testing.assert_allclose(losses.numpy().reshape(2, -1)[:, 0], expected, atol=1e-4)
    seen = np.ravel(gradient)
    if is_baseline:
        seen = seen[:1]
    np.testing.assert_allclose(seen, np.sign(logit), atol=1e-4)
