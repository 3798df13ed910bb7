import pytest
import tensorflow as tf

from dc_keras.errors import DataError
from dc_keras.training.strategies import make_strategy


def test_default_is_whatever_tensorflow_would_do():
    assert make_strategy("default") is tf.distribute.get_strategy()


def test_one_device_is_one_device():
    strategy = make_strategy("one_device")
    assert isinstance(strategy, tf.distribute.OneDeviceStrategy)
    assert strategy.num_replicas_in_sync == 1


def test_mirrored_has_a_replica_on_each_device():
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices(
        "CPU"
    )
    strategy = make_strategy("mirrored")
    assert isinstance(strategy, tf.distribute.MirroredStrategy)
    assert strategy.num_replicas_in_sync == len(devices)
    # A second strategy would restart the numbers of its messages.
    assert make_strategy("mirrored") is strategy


def test_multi_worker_needs_tf_config(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(DataError, match="`TF_CONFIG` must be JSON"):
        make_strategy("multi_worker")


@pytest.mark.parametrize(
    ("address", "received"),
    [("", "nothing"), ("local", "local")],
    ids=["none", "local"],
)
def test_missing_tpu_is_refused_in_one_line(address, received):
    # Checks that the TPU calls are made; this machine has no TPU.
    with pytest.raises(DataError, match=f"Received: tpu_address={received}") as error:
        make_strategy("tpu", address)
    assert "\n" not in str(error.value)
