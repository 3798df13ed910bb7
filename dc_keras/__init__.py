"""dc_keras: predict who joins a TikTok challenge, with TensorFlow and Keras.

    import dc_keras as dc

    data = dc.ParticipationDataset(corpus, study, features)
    train, valid, test = data.split("cold_user", fold=0)
    fitted = dc.fit_participation(train, valid)
    dc.evaluate(fitted, test)

Public names are imported when they are first used: `import dc_keras` is instant.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from dc_keras.version import __version__

if TYPE_CHECKING:
    from dc_keras import models
    from dc_keras.corpus.importing.importer import import_exports
    from dc_keras.corpus.store import Corpus
    from dc_keras.errors import DataError
    from dc_keras.evaluation.model_table import evaluate
    from dc_keras.features import Features
    from dc_keras.options import (
        ContextOptions,
        ModelOptions,
        ProtocolOptions,
        TrainingOptions,
    )
    from dc_keras.serving.export import export
    from dc_keras.serving.predictor import Predictor, load_bundle
    from dc_keras.serving.raw_requests import RawPost, RawUser
    from dc_keras.study.study import Study
    from dc_keras.training.fold_fitting import fit_participation
    from dc_keras.training.participation_dataset import ParticipationDataset
    from dc_keras.training.saved_participation import load_participation

__all__ = [
    "ContextOptions",
    "Corpus",
    "DataError",
    "Features",
    "ModelOptions",
    "ParticipationDataset",
    "Predictor",
    "ProtocolOptions",
    "RawPost",
    "RawUser",
    "Study",
    "TrainingOptions",
    "__version__",
    "evaluate",
    "export",
    "fit_participation",
    "import_exports",
    "load_bundle",
    "load_participation",
    "models",
]

# Public names by the module that defines them.
_HOMES = {
    "corpus.importing.importer": ("import_exports",),
    "corpus.store": ("Corpus",),
    "errors": ("DataError",),
    "evaluation.model_table": ("evaluate",),
    "features": ("Features",),
    "options": (
        "ContextOptions",
        "ModelOptions",
        "ProtocolOptions",
        "TrainingOptions",
    ),
    "serving.export": ("export",),
    "serving.predictor": ("Predictor", "load_bundle"),
    "serving.raw_requests": ("RawPost", "RawUser"),
    "study.study": ("Study",),
    "training.fold_fitting": ("fit_participation",),
    "training.participation_dataset": ("ParticipationDataset",),
    "training.saved_participation": ("load_participation",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name == "models":
        return import_module("dc_keras.models")
    if name not in _HOME_OF:
        raise AttributeError(f"module 'dc_keras' has no attribute {name!r}")
    value = getattr(import_module(f"dc_keras.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
