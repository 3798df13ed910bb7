import dataclasses
import json

import numpy as np
import pytest

from dc_keras.errors import DataError
from dc_keras.options import (
    PAPER_MODEL,
    PAPER_TRAINING,
    ModelOptions,
    ProtocolOptions,
    StudyOptions,
    TrainingOptions,
    num_negatives,
)

_CLASSES = (ModelOptions, TrainingOptions, StudyOptions, ProtocolOptions)
_CHOICES = [
    (cls, field.name, field.metadata["choices"])
    for cls in _CLASSES
    for field in dataclasses.fields(cls)
    if field.metadata["choices"]
]


@pytest.mark.parametrize(
    ("cls", "name", "choices"), _CHOICES, ids=[name for _, name, _ in _CHOICES]
)
def test_choice_accepts_its_values_only(cls, name, choices):
    for choice in choices:
        assert getattr(cls(**{name: choice}), name) == choice
    with pytest.raises(DataError) as error:
        cls(**{name: "median"})
    assert str(error.value) == (
        f"`{name}` must be one of {', '.join(choices)}. Received: {name}=median."
    )


@pytest.mark.parametrize(
    ("cls", "name", "value", "rule"),
    [
        (ModelOptions, "hidden_dim", 0, "at least 1"),
        (ModelOptions, "num_layers", 0, "at least 1"),
        (ModelOptions, "projection_dim", 0, "at least 1"),
        (ModelOptions, "dropout", -0.1, "at least 0"),
        (ModelOptions, "dropout", 1.0, "below 1"),
        (TrainingOptions, "batch_size", 0, "at least 1"),
        (TrainingOptions, "learning_rate", -1e-3, "at least 0"),
        (TrainingOptions, "epochs", 0, "at least 1"),
        (TrainingOptions, "patience", -1, "at least 0"),
        (TrainingOptions, "validation_fraction", -0.1, "at least 0"),
        (TrainingOptions, "validation_fraction", 1.0, "below 1"),
        (ProtocolOptions, "num_folds", 0, "at least 1"),
    ],
)
def test_a_number_outside_its_range_is_refused(cls, name, value, rule):
    with pytest.raises(DataError) as error:
        cls(**{name: value})
    assert str(error.value) == f"`{name}` must be {rule}. Received: {name}={value}."


@pytest.mark.parametrize(
    ("cls", "name", "value", "rule"),
    [
        (TrainingOptions, "epochs", "3", "of type int, not str"),
        (TrainingOptions, "epochs", 2.5, "of type int, not float"),
        (TrainingOptions, "epochs", True, "of type int, not bool"),
        (TrainingOptions, "epochs", None, "of type int, not NoneType"),
        (TrainingOptions, "learning_rate", float("nan"), "at least 0"),
        (TrainingOptions, "seed", 2**31, "below 2147483648"),
        (ModelOptions, "layer_norm", "no", "of type bool, not str"),
        (ProtocolOptions, "negatives", 10, "of type str, not int"),
    ],
)
def test_a_value_of_another_type_is_refused(cls, name, value, rule):
    with pytest.raises(DataError) as error:
        cls(**{name: value})
    assert str(error.value) == f"`{name}` must be {rule}. Received: {name}={value}."


def test_numbers_of_numpy_are_stored_as_json():
    options = TrainingOptions(epochs=np.int64(3), learning_rate=np.float32(0.5))
    assert json.loads(json.dumps(options.to_dict()))["epochs"] == 3
    assert TrainingOptions(learning_rate=1).learning_rate == 1
    assert StudyOptions(history_max=None).history_max is None


@pytest.mark.parametrize("name", ["patience", "validation_fraction"])
def test_zero_disables_options(name):
    assert getattr(TrainingOptions(**{name: 0}), name) == 0


@pytest.mark.parametrize(
    "rule", ["", "some", "3", "0:1", "2:3", "x:1", "-1:1", "1.5:1", ":1", "1:1:1"]
)
def test_invalid_rule_for_negatives_is_refused_by_the_options(rule):
    with pytest.raises(DataError, match=rf"must be all or K:1.*negatives={rule}\."):
        ProtocolOptions(negatives=rule)


@pytest.mark.parametrize(("rule", "count"), [("all", None), ("1:1", 1), ("12:1", 12)])
def test_rule_for_negatives_is_parsed(rule, count):
    assert num_negatives(ProtocolOptions(negatives=rule).negatives) == count


@pytest.mark.parametrize(
    "options",
    [
        ModelOptions(frame_pooling="concat", standardize=False, dropout=0.5),
        TrainingOptions(batch_size=4, learning_rate=0.1, strategy="mirrored"),
        StudyOptions(support="included", use_cutoff=False, history_max=3),
        ProtocolOptions(user_classes="panel", negatives="4:1"),
    ],
)
def test_options_survive_json(options):
    text = json.dumps(options.to_dict())
    assert type(options).from_dict(json.loads(text)) == options


def test_options_of_another_version_are_refused():
    with pytest.raises(DataError, match=r"Received: depth, width; written by"):
        ModelOptions.from_dict({"hidden_dim": 8, "width": 8, "depth": 2})


def test_options_without_values_keep_the_study():
    assert StudyOptions().overrides() == {"support": "outside_panel"}


def test_study_options_become_arguments_of_resolve_study():
    options = StudyOptions(
        support="included",
        use_cutoff=False,
        history_max=8,
        history_min=1,
        support_max=1000,
        support_order="views",
    )
    assert options.overrides() == {
        "support": "included",
        "cutoff": None,
        "history_max": 8,
        "history_min": 1,
        "support_max": 1000,
        "support_order": "views",
    }


@pytest.mark.parametrize(
    ("cls", "name", "value"),
    [
        # The rows of the table of choices in docs/paper.md.
        ("ModelOptions", "frame_pooling", "concat"),  # 8
        ("ModelOptions", "hidden_dim", 256),  # 13
        ("ModelOptions", "num_layers", 1),
        ("ModelOptions", "layer_norm", False),
        ("ModelOptions", "standardize", False),
        ("ModelOptions", "dropout", 0.2),
        ("ProtocolOptions", "user_classes", "panel"),  # 15
        ("ModelOptions", "challenge_pooling", "concat"),  # 16
        ("StudyOptions", "support_max", 1000),
        ("StudyOptions", "support_order", "newest"),  # 17
        ("ModelOptions", "user_pooling", "concat"),  # 18
        ("StudyOptions", "history_max", 8),
        ("StudyOptions", "use_cutoff", False),
        ("StudyOptions", "history_min", 8),  # 19
        ("StudyOptions", "support", "included"),  # 20
        ("ProtocolOptions", "negatives", "all"),  # 21
        ("TrainingOptions", "class_weight", "none"),
        ("ModelOptions", "interaction", "none"),  # 22
        ("ProtocolOptions", "num_folds", 3),  # 24
        ("TrainingOptions", "epochs", 30),  # 25
        ("TrainingOptions", "patience", 5),
        ("TrainingOptions", "monitor", "val_loss"),
        ("TrainingOptions", "validation_fraction", 0.1),
        ("TrainingOptions", "batch_size", 4),  # 26
        ("TrainingOptions", "learning_rate", 1e-3),
    ],
)
def test_paper_preset_has_the_options_of_the_paper(paper_preset, cls, name, value):
    assert paper_preset[cls][name] == value


def test_the_papers_model_and_training_are_those_of_its_preset(paper_preset):
    assert PAPER_MODEL.to_dict() == paper_preset["ModelOptions"]
    assert PAPER_TRAINING.to_dict() == paper_preset["TrainingOptions"]
