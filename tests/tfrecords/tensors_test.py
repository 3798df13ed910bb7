import cv2
import numpy as np
import tensorflow as tf

from tfrecords.tensors import decode_images, without_autotune


def test_images_are_decoded_by_the_exact_transform(draw_number):
    jpeg = cv2.imencode(".jpg", draw_number(5))[1].tobytes()
    images = decode_images(tf.constant([jpeg, jpeg]), 128)
    assert images.shape == (2, 128, 128, 3)
    assert images.dtype == tf.uint8
    # Both readers use libjpeg's exact transform.
    expected = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert np.abs(images[0].numpy()[..., ::-1].astype(int) - expected).max() <= 2
    none = tf.constant([], tf.string)
    assert decode_images(none, 128).shape == (0, 128, 128, 3)


def test_a_dataset_stays_what_it_is_but_is_not_tuned():
    dataset = without_autotune(tf.data.Dataset.range(5).batch(2).prefetch(2))
    assert [b.tolist() for b in dataset.as_numpy_iterator()] == [[0, 1], [2, 3], [4]]
    assert not dataset.options().autotune.enabled
    # Nor what is made of it.
    assert not dataset.map(lambda x: x).options().autotune.enabled
