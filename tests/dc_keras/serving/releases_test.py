import json
from importlib import resources

import pytest
import tensorflow as tf
import tensorflow_text  # noqa: F401  registers its ops
from tensorflow.core.framework import op_def_pb2
from tensorflow.python.client import pywrap_tf_session as session

from dc_keras.errors import DataError
from dc_keras.serving.op_audit import find_release, load_releases

# Ops that call back into Python: registered here, and in no server.
_OF_PYTHON = {"PyFunc", "PyFuncStateless", "EagerPyFunc"}


@pytest.fixture(scope="module")
def content():
    file = resources.files("dc_keras.serving") / "serving_ops.json"
    return json.loads(file.read_text("utf-8"))


@pytest.fixture(scope="module")
def registry():
    """The ops that are registered in this process, by name."""
    ops = op_def_pb2.OpList()
    ops.ParseFromString(session.TF_GetBuffer(session.TF_GetAllOpList()))
    return {op.name: op for op in ops.op}


def test_reading_wheels_finds_what_this_tensorflow_has(content, registry):
    assert tf.__version__.startswith(list(content["releases"])[-1])
    core = set()
    for row in content["releases"].values():
        core = (core | set(row["added"])) - set(row["removed"])
    assert core <= set(registry)
    # The other way round: those that Python can call, as a graph must be made.
    callable_ops = set(dir(tf.raw_ops)) & set(registry)
    assert len(callable_ops) > 1300
    assert callable_ops - core <= _OF_PYTHON


def test_attributes_that_came_later_are_in_the_registry(content, registry):
    for row in content["releases"].values():
        for op, attributes in row["added_attributes"].items():
            assert set(attributes) <= {attr.name for attr in registry[op].attr}


def test_the_ops_of_tf_text_are_in_the_registry(content, registry):
    assert set(content["text_ops"]["2.20.0"]) <= set(registry)


def test_releases_differ_where_their_images_do():
    names = [release.name for release in load_releases()]
    assert names == [f"2.{minor}" for minor in range(13, 21)]
    old, new = find_release("2.19.1"), find_release("2.20")
    assert {op for op in new.ops - old.ops if op.startswith("TFText>")} == {
        "TFText>RoundRobinTrim",
        "TFText>RoundRobinGenerateMasks",
        "TFText>Utf8Binarize",
    }
    assert "WordpieceTokenizeWithOffsets" in old.ops & new.ops
    for release in load_releases():
        assert not release.ops & _OF_PYTHON
        assert {"MatMul", "DecodeImage", "StatefulPartitionedCall"} <= release.ops
    assert "grad_a" in find_release("2.15").later_attributes["MatMul"]
    assert "MatMul" not in find_release("2.16").later_attributes


@pytest.mark.parametrize("target", ["2.12", "2.21", "2", "", "latest"])
def test_an_unknown_release_is_one_line(target):
    with pytest.raises(DataError, match=r"one of 2\.13, .*Received: target="):
        find_release(target)
