import cv2
import numpy as np

from dc_keras.encoders.frame_batches import decoded_batches


def _jpegs(count, size):
    images = np.random.default_rng(0).integers(0, 255, (count, size, size, 3), np.uint8)
    return [cv2.imencode(".jpg", image)[1].tobytes() for image in images]


def test_frames_come_in_order_and_the_last_batch_may_be_smaller():
    jpegs = _jpegs(5, 8)
    batches = list(decoded_batches(jpegs, 8, 2).as_numpy_iterator())
    assert [len(batch) for batch in batches] == [2, 2, 1]
    assert {batch.dtype for batch in batches} == {np.dtype(np.uint8)}
    one_by_one = [next(iter(decoded_batches([j], 8, 1)))[0].numpy() for j in jpegs]
    np.testing.assert_array_equal(np.concatenate(batches), one_by_one)


def test_no_thread_tunes_the_pipeline():
    # It sleeps for seconds, and the end of a run waits for it.
    assert not decoded_batches(_jpegs(1, 8), 8, 1).options().autotune.enabled
