import json

import keras
import pytest
import tensorflow as tf
import tensorflow_text
from tensorflow.core.protobuf import saved_model_pb2

from dc_keras.errors import DataError
from dc_keras.serving.op_audit import LOADING, audit_ops, require_target

_TRIM = "TFText>RoundRobinTrim"
_NAMES = [f"2.{minor}" for minor in range(13, 21)]


def _trim(texts):
    trimmer = tensorflow_text.RoundRobinTrimmer(2)
    return trimmer.trim([tf.RaggedTensor.from_tensor(texts[:, None])])[0].to_tensor()


def _in_the_open(texts):
    with tf.name_scope("pack"):
        return _trim(texts)


def _in_a_function(texts):
    @tf.function
    def inner(texts):
        return _in_the_open(texts)

    @tf.function
    def outer(texts):
        return inner(texts)

    return outer(texts)


def _in_a_loop(texts):
    def body(step, texts):
        trimmed = tf.reshape(_in_the_open(texts), tf.shape(texts))
        return step + 1, trimmed

    return tf.while_loop(lambda step, _: step < 2, body, (0, texts), name="loop")[1]


def _in_a_branch(texts):
    yes, no = lambda: _in_the_open(texts), lambda: texts[:, None]
    return tf.cond(tf.size(texts) > 3, yes, no, name="branch")


def _save(place, **functions):
    module = tf.Module()
    spec = tf.TensorSpec((None,), tf.string, name="texts")
    signatures = {
        name: tf.function(function, input_signature=[spec])
        for name, function in functions.items()
    }
    tf.saved_model.save(module, str(place), signatures=signatures)
    return place


@pytest.mark.parametrize(
    ("function", "layer"),
    [
        (_in_the_open, "pack/"),
        (_in_a_function, "pack/"),
        (_in_a_loop, "loop/pack/"),
        (_in_a_branch, "branch/pack/"),
    ],
)
def test_an_op_is_found_wherever_it_stands(tmp_path, function, layer):
    place = _save(tmp_path, plain=lambda texts: texts + "!", trim=function)
    audit = audit_ops(place)
    assert audit.supported_by == ("2.20",)
    found = {(use.what, use.signature): use.layer for use in audit.missing["2.19"]}
    assert set(found) == {(_TRIM, "trim")}
    assert found[_TRIM, "trim"].startswith(layer)
    assert _TRIM not in audit.signatures["plain"]
    require_target(audit, "2.20")
    with pytest.raises(
        DataError,
        match=r"serving 2\.19 \(TF-Text 2\.12\.1\) must know every op and attribute of the bundle; "
        rf"supported by: .*2\.20\. Received: op={_TRIM} in layer='{layer}\S*' of "
        "signature='trim'$",
    ):
        require_target(audit, "2.19")


def test_a_plain_model_loads_since_its_variables_do(tmp_path):
    layers = [keras.Input((4,)), keras.layers.Dense(3, name="first")]
    keras.Sequential(layers).export(str(tmp_path), verbose=False)
    audit = audit_ops(tmp_path)
    # Since 2.15 variables carry a debug_name, which no older release loads.
    assert audit.supported_by == tuple(_NAMES[2:])
    assert {use.what for use in audit.missing["2.14"]} == {"VarHandleOp.debug_name"}
    assert "RestoreV2" in audit.signatures[LOADING]
    with pytest.raises(
        DataError, match=r"op=VarHandleOp\.debug_name in layer='\S*first/"
    ):
        require_target(audit, "2.14.1")


def test_a_graph_without_variables_loads_everywhere(tmp_path):
    audit = audit_ops(_save(tmp_path, upper=tf.strings.upper))
    assert audit.supported_by == tuple(_NAMES)
    for name in _NAMES:
        require_target(audit, name)


def test_python_in_the_graph_loads_nowhere(tmp_path):
    def shout(texts):
        return tf.py_function(lambda t: t, [texts], tf.string)

    audit = audit_ops(_save(tmp_path, shout=shout))
    assert audit.supported_by == ()
    with pytest.raises(
        DataError, match=r"supported by: no release\. Received: op=EagerPy"
    ):
        require_target(audit, "2.20")


def test_a_graph_says_itself_which_releases_are_too_old(tmp_path):
    file = _save(tmp_path, upper=tf.strings.upper) / "saved_model.pb"
    model = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    # 2.15 has 1645.
    model.meta_graphs[0].graph_def.versions.min_consumer = 1645
    file.write_bytes(model.SerializeToString())
    audit = audit_ops(tmp_path)
    assert audit.supported_by == tuple(_NAMES[2:])
    assert audit.missing["2.14"][0].what == "GraphDef version 1645"


def test_a_newer_tensorflow_is_warned_of_where_there_is_a_target(tmp_path):
    place = _save(tmp_path, upper=tf.strings.upper)
    assert audit_ops(place).warnings == ()
    audit = audit_ops(place, "2.20")
    assert audit.trained_with == tf.__version__
    (warning,) = audit.warnings
    assert warning.startswith(f"made by TensorFlow {tf.__version__} for serving 2.20:")
    file = place / "saved_model.pb"
    model = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    model.meta_graphs[0].meta_info_def.tensorflow_version = "2.20.0"
    file.write_bytes(model.SerializeToString())
    assert audit_ops(place, "2.20").warnings == ()


def test_the_bundle_of_the_tests_has_a_list_for_each_signature(served):
    content = json.loads(json.dumps(audit_ops(served.place).to_dict()))
    ops = content["signatures"]
    whole = set(ops["serving_default"])
    assert {"WordpieceTokenizeWithOffsets", "DecodeImage", "Conv2D"} & whole
    assert set(ops["embed_user"]) - {"NoOp"} <= whole
    assert "LookupTableFindV2" in ops["embed_challenge"]
    assert "2.20" in content["supported_by"]
    assert set(content["missing"]) == set(_NAMES)


def test_what_is_no_saved_model_is_one_line(tmp_path):
    with pytest.raises(DataError, match=r"saved_model\.pb must be a SavedModel: .*No"):
        audit_ops(tmp_path)
    (tmp_path / "saved_model.pb").write_bytes(b"\xff" * 40)
    with pytest.raises(DataError, match=r"saved_model\.pb must be a SavedModel: "):
        audit_ops(tmp_path)
    (tmp_path / "saved_model.pb").write_bytes(b"")
    with pytest.raises(DataError, match="must hold a graph with the tag 'serve'"):
        audit_ops(tmp_path)


def test_an_unknown_release_is_one_line(served):
    with pytest.raises(DataError, match=r"one of 2\.13, .*, 2\.20\. Received: target="):
        audit_ops(served.place, "2.21")
