"""Every command that takes long, killed and started several times at once."""

import random

import pytest

from benchmarks.fault_processes import Faults

_QUICK = (
    *("import_corpus", "import_corpus into a corpus", "write_tfrecords"),
    *("build_graph", "forget"),
)
_LONG = ("extract_features", "train", "evaluate", "export_model", "predict")
_COMMANDS = (*_QUICK, *(pytest.param(n, marks=pytest.mark.long) for n in _LONG))


@pytest.fixture(scope="module")
def faults(tmp_path_factory, request, key_file):
    run = tmp_path_factory.mktemp("disturbed")
    (run / "features").mkdir()
    places = {name: name for name in ("world", "corpus", "frames", "model")}
    places["export"] = "bundle"
    places |= {"features/frames": "features", "features/colours": "colours"}
    for place, fixture in places.items():
        (run / place).symlink_to(request.getfixturevalue(fixture).output)
    return Faults(run, run / "work", key_file)


def test_every_command_is_tried(faults):
    assert set(faults.commands) == {*_QUICK, *_LONG}


@pytest.mark.parametrize("name", _COMMANDS)
def test_a_killed_command_is_finished_by_the_same_command(faults, name):
    what, tried, held, other = faults.kill(name, 4, random.Random(0))
    assert (held, other) == (tried, ""), what


@pytest.mark.parametrize("name", _COMMANDS)
def test_of_commands_that_start_at_once_one_writes(faults, name):
    what, tried, held, other = faults.start_together(name, 3)
    assert (held, other) == (tried, ""), what
