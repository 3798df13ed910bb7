import copy
import shutil
from collections import namedtuple
from dataclasses import fields, replace
from itertools import chain

import numpy as np
import pytest
import tensorflow as tf

from dc_keras.errors import DataError
from dc_keras.features import Features, VisionFeatures
from dc_keras.training.dataset import Examples
from dc_keras.training.example_shards import stream, write_shards
from tfrecords.memory import aligned_empty
from tfrecords.stored_rows import StoredFile, StoredRows


@pytest.fixture(scope="module")
def small():
    """Features of three videos; each number is that of its video."""
    vision = {
        name: VisionFeatures(
            frames=np.full((3, 2, 4), scale, np.float16) * np.arange(3)[:, None, None],
            mask=np.ones((3, 2), bool),
            spec={"name": name},
        )
        for name, scale in (("VGG16", 1), ("ResNet50", 10))
    }
    captions = np.arange(3, dtype=np.float32)[:, None] * 100
    return Features(("c", "a", "b"), vision, captions, {"fingerprint": "t"})


@pytest.fixture(scope="module")
def examples():
    """Ten examples over a shared table of four rows."""
    index = np.array([3, 1, 0, 2, 2, 3, 0, 1, 1, 0], np.int32)
    tables = {
        "half": tf.constant([[0.0], [0.1], [0.2], [0.3]], tf.float16),
        "flag": tf.constant([False, True, False, True]),
        "other": tf.constant([[5.0, 6.0]], tf.float32),
    }
    rows = {"half": index, "flag": index, "other": np.zeros(10, np.int32)}
    labels = np.arange(10, dtype=np.int32)
    return Examples(tables, rows, labels, np.linspace(0, 1, 10, dtype=np.float32))


@pytest.fixture(params=[0, 10, 4], ids=["memory", "one shard", "ten shards"])
def source(request, examples, tmp_path):
    """The same examples in memory, in one shard, and in a shard each."""
    if request.param == 0:
        return examples
    return write_shards(examples, tmp_path, request.param)


def _epochs(examples, epochs, seed=0, batch_size=4):
    size = examples.num_batches(batch_size)
    batches = examples.training_batches(batch_size, seed, epochs.start)
    labels = [
        labels.numpy()[: int(count)].tolist()
        for _, labels, _, count in batches.take(size * len(epochs))
    ]
    return [labels[start : start + size] for start in range(0, len(labels), size)]


def test_frames_in_aligned_memory_are_not_copied(small):
    given = small.vision["VGG16"]
    frames = aligned_empty(given.frames.shape, np.float16)
    frames[:] = given.frames
    shared = replace(small, vision={"VGG16": replace(given, frames=frames)})
    tensor = shared.inputs("VGG16", use_text=False)["frames"]
    np.testing.assert_array_equal(tensor, given.frames)
    frames[0, 0, 0] = 7
    assert float(tensor[0, 0, 0]) == 7.0
    # The tensor keeps the memory alive.
    del frames, shared
    np.testing.assert_array_equal(tensor[1:], given.frames[1:])


def test_pickled_features_have_no_tensors(small):
    assert small.inputs("VGG16", use_text=True)
    # Pickling and copying use the same state.
    copied = copy.copy(small)
    assert set(vars(copied)) == {part.name for part in fields(small)}
    tables = (table.inputs("ResNet50", True)["frames"] for table in (copied, small))
    np.testing.assert_array_equal(*tables)


def test_frames_of_other_memory_are_copied(small):
    given = small.vision["VGG16"]
    values = np.concatenate([given.frames.ravel()[:1], given.frames.ravel()])
    odd = values[1:].reshape(given.frames.shape)
    fixed = given.frames.copy()
    fixed.flags.writeable = False
    for frames in (odd, fixed, np.asfortranarray(given.frames), given.frames[:0]):
        table = replace(small, vision={"VGG16": replace(given, frames=frames)})
        tensor = table.inputs("VGG16", use_text=False)["frames"]
        np.testing.assert_array_equal(tensor, frames)


def test_rows_are_in_the_given_order(small):
    rows = small.rows(["b", "c", "b"])
    assert rows.tolist() == [2, 0, 2]
    assert rows.dtype == np.int32


def test_a_video_without_features_is_named(small):
    with pytest.raises(DataError, match=r"2 videos .* first is x; run extract_feat"):
        small.rows(["a", "x", "b", "y"])


@pytest.mark.parametrize(
    ("vision", "use_text", "names"),
    [
        ("VGG16", True, {"frames", "frame_mask", "caption"}),
        ("ResNet50", False, {"frames", "frame_mask"}),
        (None, True, {"caption"}),
    ],
)
def test_variant_gets_its_input_tables(small, vision, use_text, names):
    tables = small.inputs(vision, use_text)
    assert tables.keys() == names
    if vision is not None:
        expected = small.vision[vision]
        np.testing.assert_array_equal(tables["frames"], expected.frames)
        np.testing.assert_array_equal(tables["frame_mask"], expected.mask)
    if use_text:
        np.testing.assert_array_equal(tables["caption"], small.captions)


def test_a_table_is_copied_into_tensors_only_once(small):
    first, second = small.inputs("VGG16", True), small.inputs("VGG16", False)
    assert first["frames"] is second["frames"]


def test_a_table_without_captions_has_no_captions(small):
    table = replace(small, captions=None, caption_spec=None)
    assert table.inputs("VGG16", True).keys() == {"frames", "frame_mask"}


def test_sampling_may_be_unknown(small):
    assert not small.vision["VGG16"].sampling


def test_inputs_beyond_the_last_example_are_its_copies(examples):
    inputs = examples.inputs_at(8, 4)
    np.testing.assert_allclose(inputs["half"][:, 0], [0.1, 0, 0, 0], atol=1e-3)
    np.testing.assert_allclose(examples.inputs_at(20, 2)["half"], [[0.0], [0.0]])


def test_each_input_is_gathered_by_its_own_index(examples):
    inputs = examples.inputs_at(0, 10)
    rows = examples.index["half"]
    np.testing.assert_allclose(inputs["half"][:, 0], rows * 0.1, atol=1e-3)
    np.testing.assert_array_equal(inputs["flag"], rows % 2 == 1)
    np.testing.assert_array_equal(inputs["other"], [[5.0, 6.0]] * 10)


def test_half_precision_is_converted_to_single(examples):
    inputs = examples.inputs_at(0, 10)
    assert inputs["half"].dtype == tf.float32
    assert inputs["flag"].dtype == tf.bool
    # 0.1 is rounded in float16, and must not be rounded again.
    assert float(inputs["half"][1, 0]) == float(np.float16(0.1))


def test_stored_rows_give_the_batches_of_a_tensor(examples, tmp_path):
    half = examples.tables["half"].numpy()
    path = tmp_path / "rows"
    path.write_bytes(half.tobytes())
    rows = StoredRows(
        [StoredFile.of(path)], np.zeros(4, np.int32), 2 * np.arange(4), (1,)
    )
    stored = replace(examples, tables={**examples.tables, "half": rows})
    ours, theirs = (one.training_batches(4, 0, 0).take(3) for one in (examples, stored))
    assert ours.element_spec == theirs.element_spec
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one[0]["half"], other[0]["half"])
    one, other = (some.inputs_at(2, 5)["half"] for some in (examples, stored))
    assert one.dtype == other.dtype
    np.testing.assert_array_equal(one, other)


def test_taken_examples_keep_inputs_labels_and_weights_together(examples):
    rows = np.array([9, 2, 2])
    taken = examples.take(rows)
    assert taken.labels.tolist() == [9, 2, 2]
    np.testing.assert_array_equal(taken.weights, examples.weights[rows])
    np.testing.assert_allclose(taken.inputs_at(0, 3)["half"][:, 0], [0.0, 0.0, 0.0])
    assert len(taken) == 3


@pytest.mark.parametrize(
    ("batch_size", "count"), [(1, 10), (3, 4), (5, 2), (10, 1), (64, 1)]
)
def test_the_last_batch_may_be_smaller(examples, batch_size, count):
    assert examples.num_batches(batch_size) == count


def test_rows_within_bytes_count_all_inputs_as_single_precision(examples):
    # Four numbers: one of "half", one of "flag" and two of "other".
    sizes = [examples.rows_within(count) for count in (1, 16, 47, 48)]
    assert sizes == [1, 1, 2, 3]


def test_an_epoch_holds_every_example_once_and_no_batch_crosses_its_end(source):
    for epoch in _epochs(source, range(3)):
        assert [len(batch) for batch in epoch] == [4, 4, 2]
        assert sorted(chain(*epoch)) == list(range(10))


def test_epochs_are_shuffled_differently(source):
    first, second, third = _epochs(source, range(3))
    assert first != second != third != first


def test_an_epoch_does_not_depend_on_where_training_began(source):
    assert _epochs(source, range(2, 4)) == _epochs(source, range(4))[2:]


def test_order_depends_on_the_seed(source):
    assert _epochs(source, range(2), seed=1) == _epochs(source, range(2), seed=1)
    assert _epochs(source, range(2), seed=1) != _epochs(source, range(2), seed=2)


def _part(index, num_workers, num_replicas):
    return tf.distribute.InputContext(num_workers, index, num_replicas)


@pytest.mark.parametrize(
    ("num_workers", "num_replicas"), [(1, 1), (1, 2), (2, 2), (2, 4), (1, 3), (3, 3)]
)
def test_the_replicas_pieces_make_the_batch_of_one_replica(
    source, num_workers, num_replicas
):
    whole = list(source.training_batches(4, seed=1, first_epoch=2).take(6))
    per_worker = num_replicas // num_workers
    workers = [
        source.training_batches(4, 1, 2, _part(index, num_workers, num_replicas)).take(
            6 * per_worker
        )
        for index in range(num_workers)
    ]
    pieces = [list(worker) for worker in workers]
    for step, (inputs, labels, weights, count) in enumerate(whole):
        mine = slice(step * per_worker, (step + 1) * per_worker)
        parts = [piece for worker in pieces for piece in worker[mine]]
        real = int(count)
        assert {float(part[3]) for part in parts} == {float(count)}
        for column, values in ((1, labels), (2, weights)):
            joined = np.concatenate([part[column] for part in parts])
            np.testing.assert_array_equal(joined[:real], values[:real])
        halves = np.concatenate([part[0]["half"] for part in parts])
        np.testing.assert_array_equal(halves[:real], inputs["half"][:real])
        assert not np.concatenate([part[2] for part in parts])[real:].any()


@pytest.mark.parametrize("num_replicas", [1, 2, 4, 8])
def test_pieces_are_what_a_tpu_takes(examples, num_replicas):
    # Static shapes and no strings.
    part = _part(0, 1, num_replicas)
    dataset = examples.training_batches(8, seed=0, first_epoch=0, part=part)
    for spec in tf.nest.flatten(dataset.element_spec):
        assert spec.shape.is_fully_defined()
        assert spec.dtype in (tf.float32, tf.int32, tf.bool)
    _, labels, *_ = dataset.element_spec
    assert labels.shape == (8 // num_replicas,)


def test_a_batch_is_no_larger_than_the_examples(source):
    _, labels, _, count = next(iter(source.training_batches(64, 0, 0)))
    assert (len(labels), float(count)) == (10, 10.0)


def test_shards_within_the_buffer_give_the_batches_of_memory(examples, tmp_path):
    weights = np.outer(examples.weights, [1.0, 0.0, 2.0]).astype(np.float32)
    copies = replace(examples, weights=weights)
    stored = write_shards(copies, tmp_path, 10)
    assert len(list(tmp_path.iterdir())) == 1
    one, two = (list(e.training_batches(4, 3, 1).take(7)) for e in (copies, stored))
    for ours, theirs in zip(one, two, strict=True):
        for here, there in zip(*map(tf.nest.flatten, (ours, theirs)), strict=True):
            assert here.dtype == there.dtype
            np.testing.assert_array_equal(here, there)


def test_examples_are_shuffled_among_those_of_a_buffer(examples, tmp_path):
    stored = write_shards(examples, tmp_path, 4)
    assert len(list(tmp_path.iterdir())) == 10
    (epoch,) = _epochs(stored, range(1))
    (other,) = _epochs(stored, range(1, 2))
    assert {*epoch[0]} != {*other[0]}


def test_streamed_examples_are_removed(examples):
    with stream(examples, 4) as stored:
        paths = [tf.io.gfile.exists(path) for path in stored.paths]
        assert all(paths)
    assert not any(map(tf.io.gfile.exists, stored.paths))
    with stream(examples, 0) as kept:
        assert kept is examples


@pytest.mark.parametrize("damage", ["gone", "changed"])
def test_shards_that_another_program_changed_are_named(examples, tmp_path, damage):
    stored = write_shards(examples, tmp_path, 10)
    (path,) = tmp_path.iterdir()
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-9] + b"9" * 9)
    told = r"removed or changed the training examples in"
    with pytest.raises(DataError, match=told), stored.reading():
        list(stored.training_batches(4, 0, 0).take(1))


def test_a_full_disk_is_found_before_shards_are_written(
    examples, tmp_path, monkeypatch
):
    full = namedtuple("Usage", "free")(159)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    with pytest.raises(DataError, match=r"must have 200 bytes free .* Received: 159"):
        write_shards(examples, tmp_path / "shards", 10)
