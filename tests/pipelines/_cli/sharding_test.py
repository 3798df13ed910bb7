import json
import shutil
from pathlib import Path

import pytest

# Where Ray's workers find the tiny encoders.
_ENCODERS = Path(__file__).parents[2] / "tiny_encoders.py"
_INT8_FLAGS = ("--vision_runtime=openvino_int8", "--image_size=64")
_FRAME_FLAGS = ("--num_frames=2", "--image_size=32", "--num_shards=2")


def _files(directory):
    return {p.name: p.read_bytes() for p in directory.iterdir() if p.is_file()}


def _write_flags(corpus, output):
    return (
        "write_tfrecords",
        f"--corpus={corpus.output}",
        f"--output={output}",
        *_FRAME_FLAGS,
    )


def _extract_flags(frames, output):
    return (
        "extract_features",
        f"--records={frames.output}",
        f"--output={output}",
        "--encoders=tiny_encoders",
        "--vision=tiny_colours",
    )


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_invocations_that_share_the_frames_write_what_one_writes(
    run_script, corpus, frames, tmp_path, order
):
    output = tmp_path / "parts"
    for turn, index in enumerate(order):
        done = run_script(
            *_write_flags(corpus, output),
            "--workers=1",
            "--shard_count=2",
            f"--shard_index={index}",
        )
        assert done.returncode == 0, done.stderr
        assert "in 1 shards (0 done before)" in done.stdout
        assert ("writes manifest.json" in done.stdout) == (turn == 0)
        assert (output / "manifest.json").exists() == (turn == 1)
    assert _files(output) == _files(frames.output)


def test_invocations_that_share_the_features_write_what_one_writes(
    run_script, frames, colours, tmp_path
):
    output = tmp_path / "parts"
    for index in (1, 0):
        assert not (output / "manifest.json").exists()
        done = run_script(
            *_extract_flags(frames, output),
            "--shard_count=2",
            f"--shard_index={index}",
        )
        assert done.returncode == 0, done.stderr
        assert "in 1 shards (0 done before)" in done.stdout
    assert _files(output) == _files(colours.output)
    manifest = json.loads((output / "manifest.json").read_text("utf-8"))
    assert len(manifest["shards"]) == 2


def _all_files(directory):
    """Returns the shards, the manifest and the files of the quantised network."""
    return {
        path.relative_to(directory): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file() and ".progress" not in path.parts
    }


def test_invocations_in_int8_share_one_network(
    run_script, frames, int8_features, tmp_path
):
    output = tmp_path / "parts"
    for index in (1, 0):
        done = run_script(
            *_extract_flags(frames, output),
            *_INT8_FLAGS,
            "--shard_count=2",
            f"--shard_index={index}",
        )
        assert done.returncode == 0, done.stderr
        assert ("quantising the network" in done.stderr) == (index == 1)
    files = _all_files(output)
    assert files == _all_files(int8_features.output)
    assert sorted(path.name for path in files if path.parent.name[:5] == "int8-") == [
        "encoder.json",
        "network.bin",
        "network.xml",
    ]


@pytest.fixture
def beside_encoders(tmp_path):
    """A working directory with custom encoders, which Ray's workers must find."""
    place = tmp_path / "own"
    place.mkdir()
    shutil.copy(_ENCODERS, place)
    return place


@pytest.mark.long
@pytest.mark.parametrize("runtime", ["openvino", "openvino_int8"])
def test_ray_extracts_by_openvino_what_this_process_does(
    run_script, frames, tmp_path, request, runtime, beside_encoders
):
    pytest.importorskip("ray", reason="no Ray: pip install 'dc_keras[cluster]'")
    pytest.importorskip("openvino", reason="the extra `openvino` is not installed")
    flags = (
        _INT8_FLAGS if runtime == "openvino_int8" else (f"--vision_runtime={runtime}",)
    )
    if runtime == "openvino_int8":
        here = request.getfixturevalue("int8_features").output
    else:
        here = tmp_path / "here"
        done = run_script(*_extract_flags(frames, here), *flags)
        assert done.returncode == 0, done.stderr
    there = tmp_path / "there"
    ray = (*_extract_flags(frames, there), *flags, "--runner=ray")
    done = run_script(*ray, cwd=beside_encoders)
    assert done.returncode == 0, done.stderr
    assert _all_files(here) == _all_files(there)


@pytest.mark.long
def test_ray_writes_and_extracts_what_this_process_does(
    run_script, corpus, frames, colours, tmp_path, beside_encoders
):
    pytest.importorskip("ray", reason="no Ray: pip install 'dc_keras[cluster]'")
    for flags, made in (
        ((*_write_flags(corpus, tmp_path / "frames"), "--workers=2"), frames),
        (_extract_flags(frames, tmp_path / "colours"), colours),
    ):
        done = run_script(*flags, "--runner=ray", cwd=beside_encoders)
        assert done.returncode == 0, done.stderr
        assert "in 2 shards (0 done before)" in done.stdout
        assert _files(tmp_path / made.output.name) == _files(made.output)


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        (
            ["--ray_address=auto"],
            "--ray_address needs --runner=ray. Received: runner=local, ray_address=auto",
        ),
        (["--ray_cpus=2"], "--ray_cpus needs --runner=ray"),
        (
            ["--shard_index=2", "--shard_count=2"],
            "`shard_index` must be from 0 to 1. Received: shard_index=2",
        ),
        (["--shard_count=3"], "`shard_count` must be from 1 to 2. Received"),
    ],
)
def test_flags_that_do_not_fit_are_one_line(
    fails_in_one_line, corpus, frames, tmp_path, flags, line
):
    output = tmp_path / "out"
    assert line in fails_in_one_line(*_write_flags(corpus, output), *flags)
    assert line in fails_in_one_line(*_extract_flags(frames, output), *flags)
