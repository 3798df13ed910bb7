"""Tests on real local Ray clusters, which leave no process of Ray."""

import importlib
import os
import shutil
import sys
import time
from pathlib import Path

import crashing_decoder
import pytest
from dying_nodes import KillWhenBusy

ray = pytest.importorskip("ray", reason="no Ray: pip install 'dc_keras[cluster]'")

from dc_keras.corpus.records import Video  # noqa: E402
from dc_keras.encoders.extraction import (  # noqa: E402
    ExtractionConfig,
    ExtractorSpec,
)
from dc_keras.encoders.vision import VisionSpec  # noqa: E402
from dc_keras.errors import DataError  # noqa: E402
from tfrecords import frame_runner, ray_runner  # noqa: E402
from tfrecords.feature_records import write_feature_records  # noqa: E402
from tfrecords.frame_runner import write_frame_records  # noqa: E402
from tfrecords.frame_sampling import SamplingConfig  # noqa: E402
from tfrecords.ray_runner import RayCluster  # noqa: E402
from tfrecords.verify import verify_records  # noqa: E402

_ROOT = Path(__file__).parents[2]
_CONFIG = SamplingConfig(num_frames=4, image_size=32)
_NUM_SHARDS = 6


def _ray_processes():
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().replace(b"\0", b" ")
        except OSError:  # it ended
            continue
        if command.startswith(b"ray::") or b"/ray/" in command:
            found.add(int(path.parent.name))
    return found


@pytest.fixture(autouse=True)
def _leaves_no_process(monkeypatch):
    monkeypatch.chdir(_ROOT)
    before = _ray_processes()
    yield
    end = time.monotonic() + 30
    while left := _ray_processes() - before:
        assert time.monotonic() < end, left
        time.sleep(0.2)


@pytest.fixture
def media(tmp_path, write_clip):
    root = tmp_path / "media"
    root.mkdir()
    for number in range(6):
        write_clip(root / f"{number}.mp4", 20 + number)
    return root


def _videos(num_videos):
    return [
        Video(str(7000 + i), f"u{i % 3}", "test", media_path=f"{i % 6}.mp4")
        for i in range(num_videos)
    ]


def _write_frames(media, directory, num_videos, num_shards=_NUM_SHARDS, **options):
    return write_frame_records(
        _videos(num_videos),
        media,
        directory,
        _CONFIG,
        num_shards=num_shards,
        **options,
    )


def _files(directory):
    return {p.name: p.read_bytes() for p in directory.iterdir() if p.is_file()}


def _run_while_a_node_dies(directory, kill, write):
    def tries():
        # A try has a temporary name of its own: .frames-00001-of-….tfrecord.….tmp
        return {path.name for path in directory.glob(".*.tfrecord.*.tmp")}

    killer = KillWhenBusy(kill, tries, least=2)
    killer.start()
    run = write()
    killer.stop()
    assert killer.has_killed
    assert len(killer.before) == 2
    begun_again = {_shard(name) for name in killer.before} & {
        _shard(name) for name in killer.after
    }
    assert len(begun_again) == 1
    assert list(directory.glob(".*.tmp")) == []
    assert not ray.is_initialized()
    return run


def _shard(temporary):
    return temporary.split(".tfrecord.")[0]


@pytest.mark.long
def test_frames_written_while_a_node_dies_are_those_of_a_local_run(
    media, tmp_path, two_nodes
):
    address, kill = two_nodes
    output, count = tmp_path / "ray", 600
    run = _run_while_a_node_dies(
        output,
        kill,
        lambda: _write_frames(media, output, count, cluster=RayCluster(address)),
    )
    assert run.manifest["num_records"] == count
    _write_frames(media, tmp_path / "local", count)
    assert _files(output) == _files(tmp_path / "local")
    assert verify_records(output).faults == ()


@pytest.mark.long
def test_features_extracted_while_a_node_dies_are_those_of_a_local_run(
    media, tmp_path, two_nodes
):
    address, kill = two_nodes
    frames = tmp_path / "frames"
    _write_frames(media, frames, 180)
    spec = ExtractorSpec(
        VisionSpec(name="VGG16", layer="avg", weights="random", image_size=32, seed=3),
        None,
        ExtractionConfig(num_frames=4, frame_size=32),
    )
    extractor = spec.build()

    def extract(directory, **options):
        settings = {**extractor.settings(), "frames": {}}
        return write_feature_records(
            frames, directory, extractor.extract, settings, spec=spec, **options
        )

    output = tmp_path / "ray"
    run = _run_while_a_node_dies(
        output, kill, lambda: extract(output, cluster=RayCluster(address))
    )
    assert run.manifest["num_records"] == 180
    extract(tmp_path / "local")
    assert _files(output) == _files(tmp_path / "local")
    assert verify_records(output).faults == ()


@pytest.mark.long
def test_ray_is_started_for_a_run(media, tmp_path):
    output = tmp_path / "out"
    _write_frames(media, output, 12, cluster=RayCluster(num_cpus=2))
    _write_frames(media, tmp_path / "local", 12)
    assert _files(output) == _files(tmp_path / "local")
    assert not ray.is_initialized()


@pytest.mark.long
def test_errors_of_a_cluster_are_one_line(media, tmp_path, monkeypatch, cluster):
    # One after another: a cluster takes seconds to start.
    large = RayCluster(cluster.address, unit_cpus=2)
    with pytest.raises(
        DataError, match=r"the resources of a shard\. Received: ray_cpus=2"
    ):
        _write_frames(media, tmp_path / "large", 12, cluster=large)

    small = RayCluster(cluster.address)
    with (
        monkeypatch.context() as patch,
        pytest.raises(DataError, match="must have the same versions"),
    ):
        patch.setattr("tfrecords.frame_records.av.__version__", "0.1")
        _write_frames(media, tmp_path / "other", 12, cluster=small)

    # A unit that ends its process is given up.
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    monkeypatch.setattr(ray_runner, "_MAX_RETRIES", 1)
    with pytest.raises(DataError, match="a fold failed in 2 tries"):
        list(small.run(_die, ["fold"], "fold"))


def _die(_):
    os._exit(1)


def test_an_address_where_no_ray_is_is_one_line():
    with pytest.raises(DataError, match="--ray_address must be of") as caught:
        list(RayCluster("127.0.0.1:1").run(_die, ["fold"], "fold"))
    assert "\n" not in str(caught.value)


def test_nothing_to_do_starts_no_ray():
    assert list(RayCluster("127.0.0.1:1").run(_die, [], "fold")) == []


def test_without_ray_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "tfrecords.ray_runner")
    with pytest.raises(DataError) as caught:
        importlib.import_module("tfrecords.ray_runner")
    assert str(caught.value) == (
        "--runner=ray needs Ray: pip install 'dc_keras[cluster]'"
    )


@pytest.mark.long
def test_a_file_that_crashes_the_decoder_is_reported(media, tmp_path, monkeypatch):
    # Ray's workers, and the processes that they start, import a module of the tests.
    root = Path(__file__).parents[2]
    monkeypatch.setenv("PYTHONPATH", f"{root}{os.pathsep}{root / 'tests'}")
    shutil.copy(media / "0.mp4", media / "crash.mp4")
    bad = Video("7999", "u1", "test", media_path="crash.mp4")
    monkeypatch.setattr(
        frame_runner, "_write_elsewhere", crashing_decoder.write_elsewhere
    )
    run = write_frame_records(
        [*_videos(6), bad],
        media,
        tmp_path / "out",
        _CONFIG,
        num_shards=2,
        cluster=RayCluster(num_cpus=2),
        max_bad_media=1,
    )
    assert run.manifest["bad_media"] == [
        {"video_id": "7999", "reason": "crash.mp4: crashes the decoder"}
    ]
    assert run.manifest["counts"]["with_frames"] == 6
