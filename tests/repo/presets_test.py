import dataclasses
import re
import tomllib

import pytest

from dc_keras.models.config import (
    ContextOptions,
    ModelOptions,
    ProtocolOptions,
    StudyOptions,
    TrainingOptions,
)
from tfrecords.frame_sampling import SamplingConfig

_PRESETS = ("default", "paper")
_CLASSES = (
    ModelOptions,
    TrainingOptions,
    ContextOptions,
    StudyOptions,
    ProtocolOptions,
    SamplingConfig,
)
_FIELDS = {f.name: f for options in _CLASSES for f in dataclasses.fields(options)}
# Not choices that the paper leaves open, or choices without which both presets agree.
_NO_CHOICES = {"strategy", "tpu_address", "seed", "image_size", "fps", "jpeg_quality"}
# Where no flag is given, these are the Study's.
_OF_STUDY = {"history_max", "history_min", "support_max", "support_order"}


@pytest.fixture(params=_PRESETS)
def preset(request):
    return request.param


def _lines(root, preset):
    text = (root / "presets" / f"{preset}.flags").read_text("utf-8")
    return re.findall(r"^--(\w+)=(.*)$", text, re.M)


def _values(root, preset):
    pairs = [(name, value) for name, value in _lines(root, preset) if name != "undefok"]
    assert len(pairs) == len(dict(pairs)), "a flag stands twice"
    return dict(pairs)


def _parse(value, default):
    if isinstance(default, bool):
        return {"true": True, "false": False}[value]
    return value if default is None else type(default)(value)


def test_every_flag_is_defined_by_a_script(preset, root, scripts, flags_of):
    defined = set().union(*(flags_of(script) for script in scripts))
    assert set(_values(root, preset)) <= defined


def test_every_script_accepts_the_preset(preset, script, run_python):
    # absl names the first flag that nobody knows: it must be ours, not the preset's.
    flagfile = f"--flagfile=presets/{preset}.flags"
    done = run_python("-m", f"pipelines.{script}", flagfile, "--no_such_flag=1")
    assert "Unknown command line flag 'no_such_flag'" in done.stderr


def test_other_scripts_pass_over_exactly_the_flags_of_the_preset(preset, root):
    passed_over = [
        name
        for flag, names in _lines(root, preset)
        if flag == "undefok"
        for name in names.split(",")
    ]
    assert sorted(passed_over) == sorted(_values(root, preset))


def test_every_choice_of_the_option_classes_is_made(preset, root):
    of_study = _OF_STUDY if preset == "default" else set()
    assert set(_FIELDS) - _NO_CHOICES - of_study <= set(_values(root, preset))


def test_every_value_is_one_that_the_options_take(preset, root):
    for name, value in _values(root, preset).items():
        if name in _FIELDS:
            choices = _FIELDS[name].metadata.get("choices")
            parsed = _parse(value, _FIELDS[name].default)
            assert not choices or parsed in choices, name


def test_default_preset_equals_the_defaults_of_the_option_classes(root):
    values = _values(root, "default")
    for name in set(_FIELDS) & set(values):
        default = _FIELDS[name].default
        assert _parse(values[name], default) == default, name
    assert {name for name in _OF_STUDY if _FIELDS[name].default is None} == _OF_STUDY


def test_default_preset_equals_the_defaults_of_every_script(root, script, defaults_of):
    values, defaults = _values(root, "default"), defaults_of(script)
    for name in set(values) & set(defaults):
        if defaults[name] is None:
            # It has the default of its class, which is compared above.
            assert name in _FIELDS, name
        else:
            assert defaults[name] == values[name], name


def test_presets_make_the_same_choices(root):
    # The paper's layer differs between its two networks, so no one flag can hold it.
    default, paper = _values(root, "default"), _values(root, "paper")
    assert set(default) - set(paper) == {"vision_layer"}
    assert set(paper) - set(default) == _OF_STUDY


def test_paper_preset_agrees_with_the_paper_study(root):
    values = _values(root, "paper")
    study = tomllib.loads((root / "studies" / "paper.toml").read_text("utf-8"))["study"]
    for name in ("history_max", "history_min", "support_max", "support_order"):
        assert values[name] == str(study[name]), name
