"""Tests that two exports of one model give the same bytes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf
from tensorflow.core.protobuf.fingerprint_pb2 import FingerprintDef

from dc_keras.serving.bundle import order_variables, set_reproducible_uuid
from tfrecords.storage.checksums import read_sums

_ROOT = Path(__file__).parents[3]
_EXPORT = """
import sys
from pathlib import Path
from dc_keras.encoders.registry import import_encoders
from dc_keras.serving.bundle import export_bundle
import_encoders(["tiny_encoders"])
export_bundle(Path(sys.argv[1]), Path(sys.argv[2]))
"""


@pytest.mark.long
def test_two_processes_export_the_same_bytes(served, tmp_path):
    paths = os.pathsep.join([str(_ROOT), str(_ROOT / "tests")])
    for name in ("one", "two"):
        # Under one name: the sample requests hold it.
        output = tmp_path / name / "export"
        subprocess.run(
            [sys.executable, "-c", _EXPORT, str(served.model_directory), str(output)],
            env={**os.environ, "PYTHONPATH": paths},
            check=True,
            capture_output=True,
        )
    one, two = (
        read_sums(tmp_path / name / "export" / "1" / "SHA256SUMS")
        for name in ("one", "two")
    )
    assert "variables/variables.data-00000-of-00001" in one
    assert one == two


def test_variables_are_in_the_order_in_which_they_are_used():
    variables = [tf.Variable(float(i), name=f"v{i}") for i in range(20)]

    @tf.function(input_signature=[])
    def add():
        return tf.add_n([variable.read_value() for variable in variables[::-1]])

    graph = add.get_concrete_function().graph
    order_variables(graph)
    assert [v.name for v in graph.variables] == [f"v{i}:0" for i in range(19, -1, -1)]


def test_the_random_name_of_a_saved_model_follows_from_its_content(tmp_path):
    names = set()
    for number, checksum in enumerate((1, 1, 2)):
        place = tmp_path / str(number)
        place.mkdir()
        found = FingerprintDef(saved_model_checksum=checksum, uuid=str(number))
        (place / "fingerprint.pb").write_bytes(found.SerializeToString())
        set_reproducible_uuid(place)
        found.ParseFromString((place / "fingerprint.pb").read_bytes())
        assert found.saved_model_checksum == checksum
        names.add(found.uuid)
    assert len(names) == 2
    set_reproducible_uuid(tmp_path)  # of a TensorFlow that writes none
