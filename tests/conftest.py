import ctypes
import gc
import json
import multiprocessing.util
import os
import shutil
import string
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from script_process import become_script_in

from benchmarks.forked_scripts import fork_server

# OpenVINO reports its use to its makers where a test asks whether it is installed, which
# imports it before dc_keras can see to that.
sys.modules.setdefault("openvino_telemetry", None)

# TensorFlow's oneDNN keeps the memory of every large tensor for itself, to the end of a
# process. Set before anything imports TensorFlow, and for the processes of tests too.
os.environ.setdefault("TF_ONEDNN_USE_SYSTEM_ALLOCATOR", "1")

# Without a time limit per example, which fails on a busy machine.
hypothesis.settings.register_profile("no_deadline", deadline=None)
hypothesis.settings.load_profile("no_deadline")

_ROOT = Path(__file__).parents[1]
# Real wordpieces would need a download; these spell every ASCII word.
VOCABULARY = (
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    *string.ascii_lowercase,
    *(f"##{letter}" for letter in string.ascii_lowercase),
    *string.digits,
    *(f"##{digit}" for digit in string.digits),
    *"#@!.,",
    "dance",
    "cat",
    "##s",
)
VOCABULARY = tuple(dict.fromkeys(VOCABULARY))

# Files whose tests share what is expensive, or count each other's processes; the groups
# that take longest first. Trainings in processes of their own come early, while the
# processes of pytest-xdist are small.
_GROUPS = {
    "tests/dc_keras/training/steps_test.py": "pipelines",
    "tests/dc_keras/training/workers_test.py": "pipelines",
    "tests/pipelines/": "pipelines",
    "tests/tfrecords/ray_runner_test.py": "pipelines",
    "tests/dc_keras/evaluation/": "evaluation",
    "tests/dc_keras/serving/": "serving",
    "tests/tfrecords/": "tfrecords",
    "tests/dc_keras/reporting/": "browser",
    "tests/dc_keras/corpus/collecting/": "browser",
    "tests/repo/": "repo",
}

# A node of Ray.
_NODE = {"num_cpus": 1, "object_store_memory": 80_000_000}


def _group(nodeid: str) -> str:
    file = nodeid.partition("::")[0]
    groups = (group for start, group in _GROUPS.items() if file.startswith(start))
    return next(groups, file)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the groups first, so that no process ends with a long one alone."""
    groups = dict.fromkeys(_GROUPS.values())
    order = {group: number for number, group in enumerate(groups)}
    items.sort(key=lambda item: order.get(_group(item.nodeid), len(order)))


def pytest_configure(config: pytest.Config) -> None:
    """Keeps all temporary files in one directory, which the end of the tests removes.

    `--basetemp=DIRECTORY` keeps those of the tests themselves.
    """
    if hasattr(config, "workerinput"):
        return  # A process of pytest-xdist inherits the directory.
    directory = tempfile.mkdtemp(prefix="dc-")
    os.environ["TMPDIR"] = tempfile.tempdir = directory
    # After multiprocessing has removed its own directory in there, at -100.
    multiprocessing.util.Finalize(
        None, shutil.rmtree, (directory, True), exitpriority=-200
    )


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Keeps the tests of a file in one process, and those of a group of files.

    The marks that pytest-xdist has for this are ignored: its 3.8 sets names of tests
    that pytest 9 no longer reads.
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByGroup(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return _group(nodeid)

    # Else the groups with most tests are first.
    config.option.loadscopereorder = False
    return ByGroup(config, log)


def pytest_collection_finish() -> None:
    """Exempts what all tests import from the search for garbage, a third of a second."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def _gives_memory_back() -> Iterator[None]:
    """Returns what a file of tests freed to the system, for the process beside it."""
    yield
    gc.collect()
    library = ctypes.CDLL(None) if os.name == "posix" else None
    if hasattr(library, "malloc_trim"):  # the GNU C library's
        library.malloc_trim(0)


@pytest.fixture(scope="session")
def vocabulary() -> tuple[str, ...]:
    return VOCABULARY


@pytest.fixture(scope="session")
def tiny_preset(tmp_path_factory) -> Path:
    """A random BERT of two layers, 16 wide, as a keras-nlp preset directory."""
    import keras
    import keras_nlp

    keras.utils.set_random_seed(0)
    backbone = keras_nlp.models.BertBackbone(
        vocabulary_size=len(VOCABULARY),
        num_layers=2,
        num_heads=2,
        hidden_dim=16,
        intermediate_dim=32,
        max_sequence_length=64,
    )
    # Freshly made biases are zero, and would hide one that is lost.
    for weight in backbone.weights:
        weight.assign_add(0.3 * keras.random.normal(weight.shape, seed=1))
    directory = tmp_path_factory.mktemp("bert") / "preset"
    backbone.save_to_preset(str(directory))
    tokenizer = keras_nlp.models.BertTokenizer(list(VOCABULARY), lowercase=True)
    tokenizer.save_to_preset(str(directory))
    return directory


@dataclass(frozen=True)
class Done:
    """What a script ended with."""

    returncode: int | None
    stdout: str
    stderr: str


@pytest.fixture(scope="session")
def run_script(tmp_path_factory) -> Callable[..., Done]:
    """Runs `python -m pipelines.NAME FLAG …` in a process of its own.

    With `kill_at=n` it is killed where it would change the n-th name on disk, from 0.
    Any other end must leave no file in the temporary directory.
    """
    context = fork_server()
    directory, numbers = tmp_path_factory.mktemp("output"), count()
    # Short: sockets lie in there, whose paths have 107 characters at most.
    temporary = Path(tempfile.mkdtemp(prefix="s"))

    def run(
        name: str, *flags: str, cwd: Path = _ROOT, kill_at: int | None = None
    ) -> Done:
        number = next(numbers)
        stdout, stderr = (directory / f"{number}.{end}" for end in ("out", "err"))
        process = context.Process(
            target=become_script_in,
            args=(cwd, (name, *flags), temporary, stdout, stderr, kill_at),
        )
        process.start()
        process.join()
        left = sorted(temporary.iterdir())
        assert kill_at is not None or left == [], (name, left)
        for path in left:
            shutil.rmtree(path)
        return Done(
            process.exitcode, stdout.read_text("utf-8"), stderr.read_text("utf-8")
        )

    return run


@pytest.fixture(scope="session")
def serve() -> Callable[..., Iterator[dict[str, str]]]:
    """Serves a bundle from a process of its own; gives the server's addresses."""
    pytest.importorskip("tensorflow_serving.apis", reason="the extra `serving`")
    tests = Path(__file__).parent

    @contextmanager
    def start(versions: Path, name: str, *flags: str) -> Iterator[dict[str, str]]:
        command = [sys.executable, "-m", "model_server", f"--bundle={versions}"]
        process = subprocess.Popen(
            [*command, f"--name={name}", *flags],
            cwd=tests,
            env={**os.environ, "PYTHONPATH": str(tests)},
            stdout=subprocess.PIPE,
            text=True,
        )
        with process:
            # Whatever a test raises, leaving `with` would wait for the server's end.
            try:
                found = json.loads(process.stdout.readline())
                assert found["ours"] == []
                yield {
                    "http": f"http://127.0.0.1:{found['rest']}",
                    "grpc": f"grpc://127.0.0.1:{found['grpc']}",
                }
            finally:
                process.kill()

    return start


@pytest.fixture(scope="session")
def cluster() -> Iterator[Any]:
    """A Ray cluster of one node with one CPU."""
    pytest.importorskip("ray", reason="no Ray: pip install 'dc_keras[cluster]'")
    from ray.cluster_utils import Cluster

    head = {**_NODE, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    yield cluster
    cluster.shutdown()


@pytest.fixture
def two_nodes(cluster: Any) -> Iterator[tuple[str, Callable[[], None]]]:
    """The address of the cluster with a second node, and a way to kill that node."""
    node = cluster.add_node(**_NODE)

    def kill() -> None:
        cluster.remove_node(node, allow_graceful=False)

    yield cluster.address, kill
    if node in cluster.worker_nodes:
        kill()
