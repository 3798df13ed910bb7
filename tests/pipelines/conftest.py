"""Fixtures that run each script once on a tiny world, when a test needs its output."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

# What it says at start-up cannot be turned off.
_OF_TENSORFLOW = re.compile("WARNING: All log messages|[EIW]0000 00:00:|To enable the")
# What a command says before it can find an error.
_TOLD = "reading the model and its encoders, about half a minute"
_DEFAULT = "--flagfile=presets/default.flags"


@dataclass(frozen=True)
class Ran:
    """A successful run of a script: its stdout and its output directory."""

    stdout: str
    stderr: str
    output: Path


@pytest.fixture(scope="session")
def chain(run_script, tmp_path_factory) -> Callable[..., Ran]:
    """Runs a script of the chain, which must succeed."""
    directory = tmp_path_factory.mktemp("chain")

    def run(name: str, *flags: str, output: str, flag: str = "output") -> Ran:
        place = directory / output
        done = run_script(name, *flags, f"--{flag}={place}")
        assert done.returncode == 0, done.stderr
        # No progress bar where stderr is a file.
        assert "\r" not in done.stderr
        return Ran(done.stdout, done.stderr, place)

    return run


@pytest.fixture(scope="session")
def fails_in_one_line(run_script) -> Callable[..., str]:
    """Runs a script that must fail; returns the line of its error, without prefix.

    Lines about the progress may precede it.
    """

    def run(name: str, *flags: str, **options: Path) -> str:
        done = run_script(name, *flags, **options)
        assert done.returncode == 1, done.stderr
        start = f"{name}: error: "
        lines = [
            line
            for line in done.stderr.splitlines()
            if line and line != _TOLD and not _OF_TENSORFLOW.match(line)
        ]
        assert [line.startswith(start) for line in lines].index(True) == len(lines) - 1
        assert "Traceback" not in done.stderr
        return lines[-1].removeprefix(start)

    return run


@pytest.fixture(scope="session")
def world(chain) -> Ran:
    return chain("simulate", "--users=40", "--challenges=3", "--seed=1", output="world")


@pytest.fixture(scope="session")
def key_file(tmp_path_factory) -> Path:
    """A constant key, which determines the users whose posts describe challenges."""
    path = tmp_path_factory.mktemp("key") / "pseudonym.key"
    path.write_text("00" * 32, "utf-8")
    path.chmod(0o600)
    return path


@pytest.fixture(scope="session")
def corpus(chain, world, key_file) -> Ran:
    return chain(
        "import_corpus",
        f"--input={world.output}/items.ndjson",
        f"--media_root={world.output}/media",
        f"--key_file={key_file}",
        output="corpus",
        flag="corpus",
    )


@pytest.fixture(scope="session")
def study(world) -> str:
    return f"--study={world.output}/study.toml"


@pytest.fixture(scope="session")
def frames(chain, corpus) -> Ran:
    return chain(
        "write_tfrecords",
        _DEFAULT,
        f"--corpus={corpus.output}",
        "--num_frames=2",
        "--image_size=32",
        "--num_shards=2",
        "--workers=1",
        output="frames",
    )


@pytest.fixture(scope="session")
def bert(chain, tiny_preset) -> Ran:
    return chain(
        "export_text_encoder", f"--text=keras_nlp:{tiny_preset}", output="bert"
    )


@pytest.fixture(scope="session")
def features(chain, frames, bert, study) -> Ran:
    """Features of frames and of captions."""
    return chain(
        "extract_features",
        _DEFAULT,
        f"--records={frames.output}",
        "--encoders=tiny_encoders",
        "--vision=tiny_frames",
        f"--text=hub:{bert.output}",
        study,
        output="features",
    )


@pytest.fixture(scope="session")
def colours(chain, frames) -> Ran:
    """Features of frames only, of another network."""
    return chain(
        "extract_features",
        f"--records={frames.output}",
        "--encoders=tiny_encoders",
        "--vision=tiny_colours",
        output="colours",
    )


@pytest.fixture(scope="session")
def int8_features(chain, frames) -> Ran:
    pytest.importorskip("openvino", reason="the extra `openvino` is not installed")
    return chain(
        "extract_features",
        f"--records={frames.output}",
        "--encoders=tiny_encoders",
        "--vision=tiny_colours",
        "--vision_runtime=openvino_int8",
        "--image_size=64",
        output="int8",
    )


@pytest.fixture(scope="session")
def data(corpus, study, features, colours) -> list[str]:
    """The flags of the data of `train` and `evaluate`."""
    return [
        f"--corpus={corpus.output}",
        study,
        f"--features={features.output}",
        f"--features={colours.output}",
    ]


@pytest.fixture(scope="session")
def model(chain, data) -> Ran:
    return chain("train", _DEFAULT, "--epochs=2", *data, output="model")


@pytest.fixture(scope="session")
def bundle(chain, model) -> Ran:
    return chain("export_model", f"--model={model.output}", output="export")


@pytest.fixture(scope="module")
def served_bundle(serve, bundle) -> Iterator[dict[str, str]]:
    """The addresses of a server, of a gigabyte, that serves the bundle as "dc"."""
    with serve(bundle.output, "dc") as addresses:
        yield addresses


@pytest.fixture
def misspelled_study(world, tmp_path):
    """A study whose only challenge matches no post, and the intended hashtag."""
    [right, *_] = re.findall(
        r'hashtags = \["(\w+)"', (world.output / "study.toml").read_text("utf-8")
    )
    study = tmp_path / "study.toml"
    study.write_text(
        f'[study]\nname = "s"\n\n[challenges.wrong]\nhashtags = ["{right}x"]\n', "utf-8"
    )
    return study, right
