from dataclasses import replace

import numpy as np
import pytest

from dc_keras.context.context_model import GROUPS
from dc_keras.errors import DataError
from dc_keras.evaluation.variants import list_recipes, smaller_supports
from dc_keras.options import (
    PAPER_MODEL,
    ContextOptions,
    ModelOptions,
    TrainingOptions,
)

_MODEL = ModelOptions(hidden_dim=9)
_TRAINING = TrainingOptions(epochs=3, batch_size=7)
_PAPER_TRAINING = replace(
    _TRAINING, class_weight="none", monitor="val_loss", decay="none"
)
_NAMES = [
    "deepChallenger",
    "videos only",
    "context only",
    "deepChallenger (paper)",
]


def _list(
    *models,
    model=_MODEL,
    training=_TRAINING,
    context="all",
    absent=("past",),
):
    options = ContextOptions(context=context)
    return list_recipes(models, model, training, options, absent)


def _names(*models, **options):
    return [recipe.name for recipe in _list(*models, **options)]


def test_all_gives_the_four_recipes_once():
    forms = _list("all")
    assert [form.name for form in forms] == _NAMES
    assert [form.has_videos for form in forms] == [True, True, False, True]
    whole, alone, context, paper = forms
    assert (whole.model, whole.training, whole.groups) == (_MODEL, _TRAINING, GROUPS)
    assert (alone.model, alone.training, alone.groups) == (_MODEL, _TRAINING, ())
    assert context.groups == GROUPS
    assert (paper.model, paper.groups) == (PAPER_MODEL, ())
    # The paper's loss; batch size and epochs are the run's.
    assert paper.training == _PAPER_TRAINING


@pytest.mark.parametrize(
    ("models", "names"),
    [
        (("deepChallenger",), _NAMES[:1]),
        (("videos_only",), _NAMES[1:2]),
        (("deepChallenger_paper", "deepChallenger"), [_NAMES[0], _NAMES[3]]),
        (("context_only",), _NAMES[2:3]),
        (("all", "deepChallenger"), _NAMES),
        (("simple", "proxies", "support_sizes"), []),
        ((), []),
    ],
)
def test_requested_recipes_are_listed(models, names):
    assert _names(*models) == names


def test_ablations_leave_one_group_out_each():
    forms = _list("ablations", context="rates, text,time")
    assert {form.name: form.groups for form in forms} == {
        "deepChallenger without rates": ("text", "time"),
        "deepChallenger without text": ("rates", "time"),
        "deepChallenger without time": ("rates", "text"),
    }
    assert _names("all", "ablations") == [
        *_NAMES,
        *(f"deepChallenger without {group}" for group in GROUPS if group != "past"),
    ]


def test_a_single_feature_is_named_by_its_group():
    [form] = _list("context_only", context="rates/popularity, text")
    assert form.groups == ("rates/popularity", "text")


def test_ablation_of_the_past_needs_cutoffs():
    forms = _list("ablations", absent=())
    assert [form.name for form in forms] == [
        f"deepChallenger without {group}" for group in GROUPS
    ]


@pytest.mark.parametrize("context", ["none", "text"])
def test_a_single_group_has_no_ablation(context):
    assert _names("ablations", context=context) == []


def test_equal_recipes_are_listed_once():
    # Without context the first is videos only, and there is no context.
    assert _names("all", context="none") == [_NAMES[0], _NAMES[3]]
    assert _names("context_only", context="none") == []
    assert _names("videos_only", context="none") == [_NAMES[1]]
    # In the paper's shape and loss, they are all the paper's.
    paper = {"model": PAPER_MODEL, "training": _PAPER_TRAINING, "context": "none"}
    assert _names("all", **paper) == [_NAMES[0]]
    assert _names("all", **paper | {"training": _TRAINING}) == [_NAMES[0], _NAMES[3]]
    assert _names("all", **paper | {"context": "all"}) == _NAMES[:3]


@pytest.mark.parametrize("models", [("all",), ("simple",)])
def test_unknown_group_is_refused_for_all_models(models):
    with pytest.raises(
        DataError, match=r"`context` must be .* Received: context=words"
    ):
        _list(*models, context="words")


def test_the_papers_baselines_are_fitted_as_the_run_is():
    baselines = ("VGG16", "VGG16+BERT")
    options = (_MODEL, _TRAINING, ContextOptions())
    forms = list_recipes(("paper",), *options, baselines=baselines)
    assert [(form.name, form.baseline) for form in forms] == [(b, b) for b in baselines]
    for form in forms:
        assert (form.model, form.training, form.groups) == (_MODEL, _TRAINING, ())
    assert list_recipes(("deepChallenger",), *options, baselines=baselines)[0].groups
    forms = list_recipes(("all",), *options, ("past",), baselines)
    assert [form.name for form in forms] == [*baselines, *_NAMES]


def _sizes(grid):
    return [len(videos) for videos in grid.support]


def test_smaller_supports_keep_the_first_videos(grid, table):
    # The longest has 4 posts of the pool and those of whoever joined.
    assert max(_sizes(grid)) > 8
    found = list(smaller_supports(grid, table))
    assert [name for name, *_ in found] == [
        *("1 challenge video", "2 challenge videos", "4 challenge videos"),
        *("8 challenge videos", "a brief"),
    ]
    for (name, smaller, seen), size in zip(found[:-1], (1, 2, 4, 8), strict=True):
        assert smaller.support == tuple(ids[:size] for ids in grid.support), name
        assert seen is table
        assert smaller.histories == grid.histories


def test_supports_that_are_not_smaller_are_left_out(grid, table):
    short = replace(grid, support=tuple(ids[:2] for ids in grid.support))
    names = [name for name, *_ in smaller_supports(short, table)]
    assert names == ["1 challenge video", "a brief"]


def test_a_brief_is_a_caption_without_frames(grid, table):
    *_, (_, brief, seen) = smaller_supports(grid, table)
    assert _sizes(brief) == [1] * len(grid.challenges)
    blind = table.rows([ids[0] for ids in grid.support])
    others = np.delete(np.arange(len(table.video_ids)), blind)
    (name, features), (_, given) = *seen.vision.items(), *table.vision.items()
    assert name == "VGG16"
    assert not features.frames[blind].any()
    assert not features.mask[blind].any()
    np.testing.assert_array_equal(features.frames[others], given.frames[others])
    np.testing.assert_array_equal(features.mask[others], given.mask[others])
    assert seen.captions is table.captions
    # The table itself is as it was.
    assert given.mask[blind].all()


def test_without_frames_or_without_captions_there_is_no_brief(grid, table):
    for poorer in (
        replace(table, vision={}),
        replace(table, captions=None, caption_spec=None),
    ):
        assert "a brief" not in [name for name, *_ in smaller_supports(grid, poorer)]


def test_challenge_without_videos_stays_empty(grid, table):
    bare = replace(grid, support=((), *grid.support[1:]))
    for _, smaller, _ in smaller_supports(bare, table):
        assert smaller.support[0] == ()
