"""Which models were trained on the forgotten: their networks are not unlearnt."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from dc_keras.corpus.forgotten import Forgotten
from dc_keras.corpus.store import Corpus
from dc_keras.study.study import Study
from dc_keras.errors import DataError
from dc_keras.privacy.artifacts import CONFIG_FILE, read_object


def trained_on(
    models: Iterable[Path], corpora: Sequence[Corpus], forgotten: Forgotten
) -> list[Path]:
    """Returns the models and bundles that have seen what is forgotten.

    A model's configuration names its Study and the sha256 of its grid. Where a corpus
    still gives that grid, the grid says whom and what the model saw; where none does,
    the model counts as one that has.

    Args:
        models: directories of models and bundles.
        corpora: as they were before anything was removed.
        forgotten: the list.
    """
    sees: dict[str, bool] = {}
    found = []
    for place in models:
        config = read_object(place / CONFIG_FILE)
        name = config.get("grid_sha256", "")
        if name not in sees:
            sees[name] = _has_seen(config, corpora, forgotten)
        if sees[name]:
            found.append(place)
    return found


def _has_seen(
    config: dict[str, Any], corpora: Sequence[Corpus], forgotten: Forgotten
) -> bool:
    settings = config.get("study")
    if settings is None:
        return True
    # JSON has sorted them by name, but the grid goes by their order in the Study.
    names = config.get("challenges", settings["challenges"])
    settings |= {"challenges": {name: settings["challenges"][name] for name in names}}
    for corpus in corpora:
        try:
            study = Study.from_settings(settings)
            grid = study.resolve(corpus, support=settings["support"])
        except DataError:
            continue  # nobody of this corpus is in the panel of the study
        if grid.sha256 == config["grid_sha256"]:
            posts = grid.video_users
            return bool(forgotten.among((*grid.users, *posts, *posts.values())))
    return True
