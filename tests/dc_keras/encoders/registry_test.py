import os
import subprocess
import sys
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf

from dc_keras.encoders import register_text, register_vision, registry
from dc_keras.encoders.registry import (
    APPLICATIONS,
    find_text,
    find_vision,
    import_encoders,
)
from dc_keras.encoders.text import TextSpec, build_text_encoder
from dc_keras.encoders.vision import VisionSpec, build_vision_encoder
from dc_keras.errors import DataError

# One of most modules of keras.applications; each takes about a second.
_SMALLEST = (
    *("VGG19", "ResNet50V2", "Xception", "MobileNet", "MobileNetV2"),
    *("MobileNetV3Small", "EfficientNetB0", "ConvNeXtTiny"),
)
_BIG = tuple(
    name
    for name in APPLICATIONS
    if name not in _SMALLEST and name not in ("VGG16", "ResNet50")
)


def _check_application(name):
    size = APPLICATIONS[name].smallest_image
    spec = VisionSpec(name, weights="random", image_size=size)
    encoder = build_vision_encoder(spec)
    frames = np.random.default_rng(0).integers(0, 256, (3, size, size, 3), np.uint8)
    frames[2] = 255
    found = encoder.model(frames).numpy()
    assert found.shape == (3, encoder.embedding_dim)
    # Within float16, where it keeps three digits, and frames are told apart.
    assert 1e-2 < np.sqrt((found**2).mean()) < 1e3
    assert np.abs(found[0] - found[2]).max() > 1e-3
    module = getattr(keras.applications, APPLICATIONS[name].module)
    pixels = encoder.model.get_layer("normalize")(frames)
    expected = module.preprocess_input(frames.astype(np.float32))
    np.testing.assert_allclose(pixels, expected, rtol=1e-5)


@pytest.mark.usefixtures("freed")
@pytest.mark.parametrize("name", _SMALLEST)
def test_a_network_of_keras_applications_embeds_frames(name):
    _check_application(name)


@pytest.mark.long
@pytest.mark.parametrize("name", _BIG)
def test_a_big_network_of_keras_applications_embeds_frames(name):
    _check_application(name)
    keras.backend.clear_session()


def test_every_network_of_keras_applications_is_known():
    theirs = {name for name in dir(keras.applications) if name[0].isupper()}
    assert theirs == set(APPLICATIONS)


def test_fingerprints_stay_what_they_were():
    found = build_vision_encoder(VisionSpec("ResNet50", "avg", "random", 32, seed=3))
    assert found.fingerprint == (
        "9b7dafe04fc904867f63aaf0208c265f596612bf8c84a4bba2425a5277aa0bb7"
    )


def test_an_unknown_name_lists_the_nearest_before_tensorflow_is_imported():
    code = (
        "import sys\n"
        "from dc_keras.encoders.registry import find_vision\n"
        "try: find_vision('resnet50v3')\n"
        "except ValueError as error: print(error)\n"
        "assert 'tensorflow' not in sys.modules and 'keras' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert "such as ResNet50V2, ResNet50" in done.stdout
    assert "Received: vision='resnet50v3'" in done.stdout


def test_an_own_network_is_named_with_its_module_and_travels():
    import_encoders(["tiny_encoders"])
    spec = VisionSpec("tiny_frames", image_size=16)
    encoder = build_vision_encoder(spec)
    assert (spec.weights, spec.module) == ("own", "tiny_encoders")
    assert encoder.embedding_dim == 16
    assert VisionSpec.from_settings(encoder.settings()) == spec
    assert build_vision_encoder(spec).fingerprint == encoder.fingerprint
    drawn = [replace(spec, weights="random", seed=seed) for seed in (0, 0, 1)]
    prints = [build_vision_encoder(one).fingerprint for one in drawn]
    assert prints[0] == prints[1]
    assert len({*prints, encoder.fingerprint}) == 3


def test_an_own_text_encoder_reads_cleaned_captions_and_travels():
    import_encoders(["tiny_encoders"])
    spec = TextSpec("tiny_texts", hashtags="drop")
    encoder = build_text_encoder(spec)
    assert TextSpec.from_settings(encoder.settings()) == spec
    assert spec.module == "tiny_encoders"
    assert build_text_encoder(spec).fingerprint == encoder.fingerprint
    shown = encoder.model(tf.constant(["dance #cats", "dance", "cats"])).numpy()
    np.testing.assert_array_equal(shown[0], shown[1])
    assert not np.allclose(shown[1], shown[2])


def test_own_networks_without_seeds_have_the_same_weights_each_time(monkeypatch):
    own = {"vision": {}, "text": {}}
    monkeypatch.setattr(registry, "_own", own)
    register_vision("unseeded")(
        lambda size: keras.Sequential(
            [keras.Input((size, size, 3)), keras.layers.Conv2D(2, 3)]
        )
    )
    words = keras.layers.TextVectorization(vocabulary=["a"], output_mode="multi_hot")
    register_text("unseeded")(lambda: keras.Sequential([words, keras.layers.Dense(2)]))
    vision, text = VisionSpec("unseeded", image_size=8), TextSpec("unseeded")
    for build, spec in ((build_vision_encoder, vision), (build_text_encoder, text)):
        assert build(spec).fingerprint == build(spec).fingerprint


def test_a_worker_imports_the_module_that_its_spec_names():
    import_encoders(["tiny_encoders"])
    spec = VisionSpec("tiny_frames", image_size=16)
    # A worker gets the attributes; the constructor does not run there.
    code = (
        "from dc_keras.encoders.vision import VisionSpec, build_vision_encoder\n"
        "spec = object.__new__(VisionSpec)\n"
        f"vars(spec).update({vars(spec)})\n"
        "print(build_vision_encoder(spec).fingerprint)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.stdout.strip() == build_vision_encoder(spec).fingerprint


def test_a_module_that_cannot_be_imported_is_refused():
    with pytest.raises(DataError, match=r"encoders='no_such_module' \(No module"):
        import_encoders(["no_such_module"])


@pytest.mark.parametrize("name", ["VGG16", "none", "a:b", ""])
def test_invalid_names_are_refused(name):
    with pytest.raises(DataError, match="the name of a vision encoder must"):
        register_vision(name)(lambda image_size: None)


def test_unknown_text_encoders_are_refused():
    with pytest.raises(DataError, match=r"text='tiny_textz'"):
        find_text("tiny_textz")
    with pytest.raises(DataError, match=r"vision='nothing_like_it'"):
        find_vision("nothing_like_it")


def test_functions_with_other_outputs_are_refused():
    register_vision("wrong")(lambda image_size: keras.Sequential())
    with pytest.raises(DataError, match="registers wrong must return a Keras model"):
        build_vision_encoder(VisionSpec("wrong", image_size=8))
    register_text("wrong")(lambda: 3)
    with pytest.raises(DataError, match="registers wrong must return a Keras model"):
        build_text_encoder(TextSpec("wrong"))


def test_a_hub_module_from_texts_to_vectors_is_an_encoder(tmp_path):
    rows = tf.Variable([[1.0, 2.0], [3.0, 4.0]])

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string)])
    def embed(texts):
        return tf.gather(rows, tf.strings.length(texts) % 2)

    root = tf.train.Checkpoint(rows=rows)
    root.__call__, root.variables, root.trainable_variables = embed, [rows], [rows]
    tf.saved_model.save(root, str(tmp_path))
    encoder = build_text_encoder(TextSpec(f"hub:{tmp_path}"))
    found = encoder.model(tf.constant(["a", "bb"])).numpy()
    np.testing.assert_array_equal(found, [[3, 4], [1, 2]])
    assert encoder.embedding_dim == 2
    assert encoder.token_model is None
