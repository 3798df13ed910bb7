import tensorflow as tf

from tfrecords.without_autotune import untuned


def test_a_dataset_stays_what_it_is_but_is_not_tuned():
    dataset = untuned(tf.data.Dataset.range(5).batch(2).prefetch(2))
    assert [b.tolist() for b in dataset.as_numpy_iterator()] == [[0, 1], [2, 3], [4]]
    assert not dataset.options().autotune.enabled
    # Nor what is made of it.
    assert not dataset.map(lambda x: x).options().autotune.enabled
