import pytest
import tensorflow as tf

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


def test_an_unknown_strategy_is_refused():
    with pytest.raises(ValueError, match=r"must be default, one_.* name=horovod"):
        make_strategy("horovod")
