"""Variants of deepChallenger that are evaluated with less than it was fitted on."""

from dataclasses import replace

import polars as pl

from dc_keras.training import proxy_training


def _first_fold(directory):
    return pl.read_parquet(directory / "predictions" / "cold_user-seed0-fold0.parquet")


def test_challenges_with_fewer_videos_are_evaluated(
    experiment, tmp_path, run_first_fold, monkeypatch
):
    embed, embedded = proxy_training.embed_videos, []

    def note(proxy, table, variant):
        embedded.append(table is experiment.table)
        return embed(proxy, table, variant)

    monkeypatch.setattr(proxy_training, "embed_videos", note)
    models = ("deepChallenger", "support_sizes")
    selected = replace(experiment, models=models, truth=None)
    run_first_fold(selected, tmp_path)
    # Once for each side, and again for a brief, whose table lacks the frames.
    assert embedded == [True, True, False, False]
    fold = _first_fold(tmp_path)
    sizes = [f"{n} challenge videos" for n in (2, 4, 8)]
    assert set(fold["model"]) == {
        "deepChallenger",
        "deepChallenger, 1 challenge video",
        *(f"deepChallenger, {size}" for size in sizes),
        "deepChallenger, a brief",
    }
    assert fold["score"].is_finite().all()
    # The scores are those of fewer videos, not of all videos.
    scores = fold.partition_by("model", as_dict=True, include_key=False)
    whole = scores.pop(("deepChallenger",))["score"]
    assert all((rows["score"] != whole).any() for rows in scores.values())


def test_users_with_captions_only_are_evaluated(experiment, tmp_path, run_first_fold):
    models = ("deepChallenger", "context_only", "videos_only", "captions_only")
    run_first_fold(replace(experiment, models=models, truth=None), tmp_path)
    fold = _first_fold(tmp_path).filter(part="test")
    scores = fold.partition_by("model", as_dict=True, include_key=False)
    # "videos only" uses no facts.
    assert {name for (name,) in scores} == {
        *("deepChallenger", "context only", "videos only"),
        *("deepChallenger, captions only", "context only, captions only"),
    }
    for name in ("deepChallenger", "context only"):
        whole, part = (
            scores[key,]["score"] for key in (name, f"{name}, captions only")
        )
        assert (whole != part).any()
