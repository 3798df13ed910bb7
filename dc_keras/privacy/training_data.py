"""Finds the models that were trained on removed data; networks are not unlearnt."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from dc_keras.corpus.forgotten import Forgotten
from dc_keras.corpus.store import Corpus
from dc_keras.errors import DataError
from dc_keras.privacy.artifacts import CONFIG_FILE, read_object
from dc_keras.study.resolution import resolve_study
from dc_keras.study.study import Study


def find_trained_models(
    models: Iterable[Path], corpora: Sequence[Corpus], forgotten: Forgotten
) -> list[Path]:
    """Returns the models and bundles that were trained on removed people or posts.

    The configuration of a model contains its Study and the SHA-256 of its grid. If a
    corpus still gives that grid, the grid lists the training data; otherwise the model
    is returned.
    """
    is_affected: dict[str, bool] = {}
    trained = []
    for place in models:
        config = read_object(place / CONFIG_FILE)
        name = config.get("grid_sha256", "")
        if name not in is_affected:
            is_affected[name] = _was_trained_on(config, corpora, forgotten)
        if is_affected[name]:
            trained.append(place)
    return trained


def _was_trained_on(
    config: dict[str, Any], corpora: Sequence[Corpus], forgotten: Forgotten
) -> bool:
    settings = config.get("study")
    if settings is None:
        return True
    # JSON sorts the names, but the grid depends on their order in the Study.
    names = config.get("challenges", settings["challenges"])
    settings |= {"challenges": {name: settings["challenges"][name] for name in names}}
    for corpus in corpora:
        try:
            study = Study.from_settings(settings)
            grid = resolve_study(study, corpus, support=settings["support"])
        except DataError:
            continue  # no user of this corpus is in the panel of the study
        if grid.sha256 == config["grid_sha256"]:
            posts = grid.video_users
            return bool(forgotten.among((*grid.users, *posts, *posts.values())))
    return True
